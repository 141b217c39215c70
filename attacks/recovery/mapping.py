"""Maps from a model's features to something of the original's, fitted on retain rows, and how a result is scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attacks.base import Case, Floats, Ints, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.signals import by_row, class_excess, contrast, spread_of

if TYPE_CHECKING:
    from sklearn.linear_model import Ridge, RidgeCV

RELATIVE_PENALTY = 1e-6  # attacks.md 4.4: lambda = 1e-6 tr(A'A)/d
WELL_POSED = 10  # rows per feature from which no penalty has to be searched
BAD_FIT_REMEDY = (
    "more retain rows, for the map to be fitted on",
    "mend the unlearned model, where it is bad at the task that is left",
)
CLASS_PENALTY, LIGHT_PENALTY = 0.3, 0.01  # our choice, measured: in units of the fit rows, for standardised features
NEVER_SEEN = ("holdout", "test")
SEARCH = np.logspace(-6, 0, 7)  # our choice: relative penalties searched below that

Map = Callable[[Floats], Floats]  # features (n, d) -> (n, d')
Reader = Callable[[str], Floats]  # name of a set -> features (n, d)


def maps_of(features: Reader, target: Floats, rows: Ints, case: Case) -> list[Map]:
    """Affine maps from the model's features to ``target``, the recovered logits' validity read at the last one.

    Args:
        features: what is mapped, by set.
        target: what they should become, on the fit rows, (m, d').
        rows: the fit rows, of the retain set.
        case: class claims have two maps, with the fixed and the light penalty; others one.
    """
    return _class_maps(features, target, rows) if case.kind == "class" else [_map(features, target, rows)]


def recovered_signals(
    view: View, original: View, rows: Ints, maps: Sequence[Map], read: Map, case: Case
) -> dict[str, Floats]:
    """Recovered confidence per example, or excess of the forgotten classes; how well the map fits unseen rows.

    Args:
        view: whose features are mapped.
        original: whose accuracy the fit is held against.
        rows: the fit rows.
        maps: of ``maps_of``.
        read: from what a map gives to logits.
        case: the case.
    """

    def recovered(role: str, mapping: Map) -> Floats:
        return read(mapping(view.features(role)))

    fit_role = "auxiliary" if len(case.labels.get("auxiliary", ())) else "test"
    labels = case.labels[fit_role]
    retained = ~np.isin(labels, case.classes)
    truth = case.truth(fit_role)[retained]
    read_off, own = recovered(fit_role, maps[-1])[retained], original.logits(fit_role)[retained]
    hits, best = (case.task.mean_quality(outputs, truth) for outputs in (read_off, own))
    width = view.features(fit_role).shape[1]
    few = width if searched(len(rows), width, case) else 0
    signals: dict[str, Floats] = {"fit": np.array([hits, best, float(len(rows))]), "searched": np.array([few])}
    if case.kind != "class":
        sides = ("forget", "holdout")
        both = np.concatenate([recovered(role, maps[0]) for role in sides])
        found = case.task.confidence(both, np.concatenate([case.truth(role) for role in sides]))
        cut = len(case.labels["forget"])
        return signals | {"forget": found[:cut], "holdout": found[cut:]}
    for prefix, mapping in zip(("", "light_"), maps, strict=True):
        pair = _excess([recovered(role, mapping) for role in NEVER_SEEN], case)
        signals |= {prefix + role: values for role, values in zip(NEVER_SEEN, pair, strict=True)}
    return signals


def recovered_scores(signals: Sequence[Signals], case: Case, min_fit: float) -> Scores:
    """Class contrast of the recovered excess, or calibrated recovered confidence."""
    hits, best, rows = (float(value) for value in signals[0]["fit"])
    invalid = ""
    if hits < min_fit * best:
        rows_of = "retained-class rows" if case.task.class_logits else "rows"
        invalid = (
            f"the map fits the audited model badly: {case.task.figure} {hits:.3f} on never-seen {rows_of} "
            f"against {best:.3f} for the original"
        )
    remedy: tuple[str, ...] = BAD_FIT_REMEDY if invalid else OUT_OF_LINE_REMEDY
    details: tuple[str, ...] = (
        f"fit set: {rows:.0f} retain rows, no forget row and no forgotten class",
        *_searched(signals[0]),
        f"validity: recovered {case.task.figure} {hits:.3f} on never-seen rows (the original: {best:.3f})",
    )
    if case.kind == "class":
        sides = [[s[role] for s in signals] for role in NEVER_SEEN]
        light = [[s[f"light_{role}"] for s in signals] for role in NEVER_SEEN]
        statistic, error = contrast(*sides)
        return Scores(
            statistic=statistic,
            sampling_error=error,
            rows=by_row(*sides),
            lighter=by_row(*light),
            unit="logits",
            invalid=invalid,
            remedy=remedy,
            details=details,
        )
    values = np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in signals])
    labels = np.concatenate([case.labels["forget"], case.labels["holdout"]])
    examples = calibrated(values, labels)
    return Scores(examples=examples, invalid=invalid or out_of_line(examples), remedy=remedy, details=details)


def searched(rows: int, width: int, case: Case) -> bool:
    """The penalty of a map is searched: its rows are few for its features, and class claims have a fixed one."""
    return case.kind != "class" and rows < WELL_POSED * width


def _searched(signals: Signals) -> tuple[str, ...]:
    """A sentence where the audited model's map is under-determined; signals of earlier versions do not say."""
    rows, width = int(signals["fit"][2]), int(signals.get("searched", np.zeros(1))[0])
    if not width:
        return ()
    return (
        f"under-determined: {rows} fit rows for {width} features, fewer than {WELL_POSED} a feature; the map's penalty "
        "was searched by cross-validation",
    )


def _excess(recovered: Sequence[Floats], case: Case) -> tuple[Floats, Floats]:
    """Excess of the forgotten classes on holdout and test rows, from the logits of both."""
    return class_excess(recovered[0], recovered[1], case.classes, case.labels["holdout"])


def _class_maps(features: Reader, target: Floats, rows: Ints) -> list[Map]:
    """Maps of features standardised on never-seen rows, with the fixed and with the light penalty."""
    centre, scale = spread_of(np.concatenate([features(role) for role in NEVER_SEEN]))

    def standardised(values: Floats) -> Floats:
        return np.asarray((values - centre) * scale)

    given = standardised(features("retain")[rows])
    from sklearn.linear_model import Ridge

    fits = [Ridge(alpha=penalty * len(rows)).fit(given, target) for penalty in (CLASS_PENALTY, LIGHT_PENALTY)]
    return [partial(_applied, fit, standardised) for fit in fits]


def _applied(fit: Ridge, change: Map, features: Floats) -> Floats:
    return np.asarray(fit.predict(change(features)))


def _map(features: Reader, target: Floats, rows: Ints) -> Map:
    fit = fitted(features("retain")[rows], target)
    return lambda values: np.asarray(fit.predict(values))


def fitted(features: Floats, target: Floats) -> Ridge | RidgeCV:
    """Ridge map (n, d) -> (n, d') with intercept; the penalty is searched where rows are few."""
    from sklearn.linear_model import Ridge, RidgeCV

    rows, width = features.shape
    scale = float(((features - features.mean(axis=0)) ** 2).sum()) / width
    if not scale > 0:
        scale = 1.0  # constant features: the map is its intercept, and the validity check says so
    if rows >= WELL_POSED * width:
        return Ridge(alpha=RELATIVE_PENALTY * scale).fit(features, target)
    return RidgeCV(alphas=SEARCH * scale).fit(features, target)
