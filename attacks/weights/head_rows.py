"""Head rows: does the last layer, or the geometry it reads, still hold a place for the forgotten class?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from attacks.base import Access, Attack, Case, Floats, Ints, Scores, Signals, View
from attacks.calibration import FEATURES_REMEDY
from attacks.describe import beside
from attacks.representation.layers import compared, drawn, jackknife

SEPARATION = "log ratio of the scatter between classes to that within them, never-seen rows"


class HeadRows(Attack):
    """Class claims: separation of the forgotten classes on never-seen rows, and the head's rows for them.

    Statistic: log of the squared distance of a forgotten class's mean from the mean of the retained classes' means,
    over its scatter within (its part of tr S_B / tr S_W), averaged over the forgotten classes. Higher = the class
    is still set apart. Scale and rotation of the features cancel. The details give tr S_B / tr S_W of all classes, and
    the norm of the forgotten classes' head rows and their cosine to the mean row: an outlier is the mark of an edited
    head. Nothing of it has a meaning but beside the references.
    """

    name = "head_rows"
    title = "Class geometry and head rows of the forgotten classes"
    access = Access.WEIGHTS
    families = frozenset({"D1"})
    source = (
        "Fisher 1936 for the ratio; Papyan et al. 2020, arXiv 2008.08186, for head rows and class means; use is ours"
    )

    def applicable(self, case: Case) -> str:
        """There are no head rows of a random forget set."""
        return "" if case.kind == "class" else "looks at the head's rows of forgotten classes: for class claims only"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Log separation with its error, Fisher ratio of all classes, norms and cosines of head rows."""
        sides = compared(case)
        rows = [drawn(len(case.labels[role]), 5_000, rng) for role in sides]
        features, others = (view.features(role)[index] for role, index in zip(sides, rows, strict=True))
        labels, theirs = (case.labels[role][index] for role, index in zip(sides, rows, strict=True))
        means = np.stack([others[theirs == c].mean(axis=0) for c in np.unique(theirs)])
        value, error = jackknife(partial(_separation, features, labels, means.mean(axis=0)), len(labels))
        weight, bias = view.head()
        norm = np.linalg.norm(weight, axis=1)
        mean = np.delete(weight, list(case.classes), axis=0).mean(axis=0)
        size = np.maximum(norm * np.linalg.norm(mean), np.finfo(float).tiny)
        chosen = list(case.classes)
        scale = max(float(np.delete(norm, chosen).mean()), np.finfo(float).tiny)
        return {
            "separation": np.array([value, error]),
            "fisher": np.array([_fisher(np.concatenate([features, others]), np.concatenate([labels, theirs]))]),
            "norm": norm[chosen] / scale,
            "cosine": (weight @ mean / size)[chosen],
            "bias": bias[chosen] - np.delete(bias, chosen).mean(),
            "rows": np.array([len(labels), len(theirs)]),
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Separation of each model; the head's rows beside those of the references."""
        statistic, error = np.stack([s["separation"] for s in signals]).T
        figures = {key: np.stack([s[key] for s in signals]) for key in ("fisher", "norm", "cosine", "bias")}
        details = [
            f"{SEPARATION}: {int(signals[0]['rows'][0])} of the forgotten, {int(signals[0]['rows'][1])} of the others",
            f"tr S_B / tr S_W over all classes {beside(figures['fisher'][:, 0])}",
        ]
        for k, label in enumerate(case.classes[:10]):
            details.append(
                f"head row of class {label}: norm over the mean norm of the retained ones "
                f"{beside(figures['norm'][:, k])}, cosine to their mean {beside(figures['cosine'][:, k])}, bias minus "
                f"theirs {beside(figures['bias'][:, k])}"
            )
        flat = figures["fisher"][0, 0] <= 0
        return Scores(
            statistic=statistic,
            sampling_error=error,
            unit="log ratio",
            invalid="the features of the audited model do not vary" if flat else "",
            remedy=FEATURES_REMEDY if flat else (),
            details=tuple(details),
        )


def _separation(features: Floats, labels: Ints, centre: Floats, kept: Ints) -> float:
    """Mean over forgotten classes of log(|class mean - centre|^2 / mean squared distance from the class mean)."""
    tiny = np.finfo(float).tiny
    found = []
    for label in np.unique(labels[kept]):
        mine = features[kept][labels[kept] == label]
        within = ((mine - mine.mean(axis=0)) ** 2).sum(axis=1).mean()
        between = ((mine.mean(axis=0) - centre) ** 2).sum()
        found.append(np.log(max(float(between), tiny)) - np.log(max(float(within), tiny)))
    return float(np.mean(found))


def _fisher(features: Floats, labels: Ints) -> float:
    """tr S_B / tr S_W of rows (n, d); 0 where nothing varies."""
    centre, within, between = features.mean(axis=0), 0.0, 0.0
    for label in np.unique(labels):
        mine = features[labels == label]
        mean = mine.mean(axis=0)
        within += float(((mine - mean) ** 2).sum())
        between += len(mine) * float(((mean - centre) ** 2).sum())
    return between / within if within > 0 else 0.0
