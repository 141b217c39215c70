"""Performance recovery by feature mapping: does one affine map let the original head read the model's features?"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from sklearn.linear_model import Ridge, RidgeCV

from attacks.base import Access, Attack, Case, Floats, Ints, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.fits import fit_rows
from attacks.signals import class_excess, contrast, logit_confidence, spread_of

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


class FeatureMapping(Attack):
    """Feature mapping in closed form, fitted on retain rows only.

    Ridge map with intercept from the model's penultimate features to the original's; the original's head reads
    the result. Other claims than class: logit-scaled confidence of the recovered logits, calibrated on the references
    like the membership score.

    Class claims: retained classes do not determine the map in the direction of a forgotten one, so the features are
    standardised, each by its own spread on never-seen rows (a unit scaled down, and up again in the next layer, hides
    nothing), and the penalty is fixed. Statistic: the recovered logit of the forgotten classes, less what the
    recovered retained logits explain (``class_excess``), on never-seen examples of the forgotten classes minus the
    same on the other test examples. A penalty shrinks what little is left more than it shrinks the whole. So the
    statistic is also given under a light penalty (``Scores.lighter``), whose share must keep the margin as well.
    """

    name = "feature_mapping"
    title = "Performance recovery by feature mapping"
    version = "2"
    access = Access.FEATURES
    needs_original = True
    symmetric = False  # the original's head was trained on the forget set and not on the holdout set
    source = "One-point-contraction line of work, arXiv 2507.07754 (idea); formulas in docs/attacks.md"

    def __init__(self, *, max_rows: int = 20_000, min_fit: float = 0.95) -> None:
        """Set the fit's limits.

        Args:
            max_rows: at most this many fit rows; >= 100.
            min_fit: the recovered accuracy on never-seen auxiliary rows must reach this share of the
                original's, in (0, 1]; below it a silent attack proves nothing.
        """
        super().__init__()
        if max_rows < 100 or not 0 < min_fit <= 1:
            raise ValueError("feature_mapping: max_rows must be >= 100 and min_fit in (0, 1]")
        self.parameters = {"max_rows": max_rows, "min_fit": min_fit}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Recovered confidence per example, or excess of the forgotten classes; how well the map fits unseen rows."""
        assert original is not None
        rows, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        is_class = case.kind == "class"
        maps = _class_maps(view, original, rows) if is_class else [_map(view, original, rows)]
        weight, bias = original.head()

        def recovered(role: str, mapping: Map) -> Floats:
            return np.asarray(mapping(view.features(role)) @ weight.T + bias)

        fit_role = "auxiliary" if len(case.labels.get("auxiliary", ())) else "test"
        labels = case.labels[fit_role]
        retained = ~np.isin(labels, case.classes)
        hits = (recovered(fit_role, maps[-1]).argmax(axis=1) == labels)[retained].mean()
        best = (original.logits(fit_role).argmax(axis=1) == labels)[retained].mean()
        signals: dict[str, Floats] = {"fit": np.array([hits, best, float(len(rows))])}
        if not is_class:
            for role in ("forget", "holdout"):
                signals[role] = logit_confidence(recovered(role, maps[0]), case.labels[role])
            return signals
        for prefix, mapping in zip(("", "light_"), maps, strict=True):
            pair = _excess([recovered(role, mapping) for role in NEVER_SEEN], case)
            signals |= {prefix + role: values for role, values in zip(NEVER_SEEN, pair, strict=True)}
        return signals

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Class contrast of the recovered excess, or calibrated recovered confidence."""
        hits, best, rows = (float(value) for value in signals[0]["fit"])
        invalid = ""
        if hits < float(self.parameters["min_fit"]) * best:
            invalid = (
                f"the map fits the audited model badly: accuracy {hits:.3f} on never-seen retained-class rows "
                f"against {best:.3f} for the original"
            )
        remedy: tuple[str, ...] = BAD_FIT_REMEDY if invalid else OUT_OF_LINE_REMEDY
        details: tuple[str, ...] = (
            f"fit set: {rows:.0f} retain rows, no forget row and no forgotten class",
            f"validity: recovered accuracy {hits:.3f} on never-seen rows (the original: {best:.3f})",
        )
        if case.kind == "class":
            statistic, error = contrast([s["holdout"] for s in signals], [s["test"] for s in signals])
            light = contrast([s["light_holdout"] for s in signals], [s["light_test"] for s in signals])
            return Scores(
                statistic=statistic,
                sampling_error=error,
                lighter=light,
                unit="logits",
                invalid=invalid,
                remedy=remedy,
                details=details,
            )
        values = np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in signals])
        labels = np.concatenate([case.labels["forget"], case.labels["holdout"]])
        examples = calibrated(values, labels)
        return Scores(examples=examples, invalid=invalid or out_of_line(examples), remedy=remedy, details=details)


def _excess(recovered: Sequence[Floats], case: Case) -> tuple[Floats, Floats]:
    """Excess of the forgotten classes on holdout and test rows, from the logits of both."""
    return class_excess(recovered[0], recovered[1], case.classes, case.labels["holdout"])


def _class_maps(view: View, original: View, rows: Ints) -> list[Map]:
    """Maps of features standardised on never-seen rows, with the fixed and with the light penalty."""
    centre, scale = spread_of(np.concatenate([view.features(role) for role in NEVER_SEEN]))

    def standardised(features: Floats) -> Floats:
        return np.asarray((features - centre) * scale)

    given, target = standardised(view.features("retain")[rows]), original.features("retain")[rows]
    fits = [Ridge(alpha=penalty * len(rows)).fit(given, target) for penalty in (CLASS_PENALTY, LIGHT_PENALTY)]
    return [partial(_applied, fit, standardised) for fit in fits]


def _applied(fit: Ridge, change: Map, features: Floats) -> Floats:
    return np.asarray(fit.predict(change(features)))


def _map(view: View, original: View, rows: Ints) -> Map:
    fit = _fit(view.features("retain")[rows], original.features("retain")[rows])
    return lambda features: np.asarray(fit.predict(features))


def _fit(features: Floats, target: Floats) -> Ridge | RidgeCV:
    """Ridge map (n, d) -> (n, d') with intercept; the penalty is searched where rows are few."""
    rows, width = features.shape
    scale = float(((features - features.mean(axis=0)) ** 2).sum()) / width
    if not scale > 0:
        scale = 1.0  # constant features: the map is its intercept, and the validity check says so
    if rows >= WELL_POSED * width:
        return Ridge(alpha=RELATIVE_PENALTY * scale).fit(features, target)
    return RidgeCV(alphas=SEARCH * scale).fit(features, target)
