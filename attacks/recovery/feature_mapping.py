"""Performance recovery by feature mapping: does one affine map let the original head read the model's features?"""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge, RidgeCV

from attacks.base import Access, Attack, Case, Floats, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.fits import fit_rows
from attacks.signals import contrast, logit_confidence, margin

RELATIVE_PENALTY = 1e-6  # attacks.md 4.4: lambda = 1e-6 tr(A'A)/d
WELL_POSED = 10  # rows per feature from which no penalty has to be searched
BAD_FIT_REMEDY = (
    "more retain rows, for the map to be fitted on",
    "mend the unlearned model, where it is bad at the task that is left",
)
SEARCH = np.logspace(-6, 0, 7)  # our choice: relative penalties searched below that


class FeatureMapping(Attack):
    """Feature mapping in closed form, fitted on retain rows only.

    Ridge map with intercept from the model's penultimate features to the original's; the original's head reads
    the result. Class claims: mean margin of the forgotten classes over the best other class, on never-seen
    examples of the forgotten classes minus the same on the other test examples. Other claims: logit-scaled
    confidence of the recovered logits, calibrated on the references like the membership score.
    """

    name = "feature_mapping"
    title = "Performance recovery by feature mapping"
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
        """Recovered confidence or margin per example, and how well the map fits never-seen rows."""
        assert original is not None
        rows, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        mapping = _fit(view.features("retain")[rows], original.features("retain")[rows])
        weight, bias = original.head()

        def recovered(role: str) -> Floats:
            return np.asarray(mapping.predict(view.features(role)) @ weight.T + bias)

        fit_role = "auxiliary" if len(case.labels.get("auxiliary", ())) else "test"
        labels = case.labels[fit_role]
        retained = ~np.isin(labels, case.classes)
        hits = (recovered(fit_role).argmax(axis=1) == labels)[retained].mean()
        best = (original.logits(fit_role).argmax(axis=1) == labels)[retained].mean()
        signals: dict[str, Floats] = {"fit": np.array([hits, best, float(len(rows))])}
        if case.kind == "class":
            signals |= {role: margin(recovered(role), case.classes) for role in ("holdout", "test")}
        else:
            for role in ("forget", "holdout"):
                signals[role] = logit_confidence(recovered(role), case.labels[role])
        return signals

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Class contrast of the recovered margin, or calibrated recovered confidence."""
        hits, best, rows = (float(value) for value in signals[0]["fit"])
        invalid = ""
        if hits < float(self.parameters["min_fit"]) * best:
            invalid = (
                f"the map fits the audited model badly: accuracy {hits:.3f} on never-seen retained-class rows "
                f"against {best:.3f} for the original"
            )
        remedy = BAD_FIT_REMEDY if invalid else OUT_OF_LINE_REMEDY
        details = (
            f"fit set: {rows:.0f} retain rows, no forget row and no forgotten class",
            f"validity: recovered accuracy {hits:.3f} on never-seen rows (the original: {best:.3f})",
        )
        if case.kind == "class":
            statistic, error = contrast([s["holdout"] for s in signals], [s["test"] for s in signals])
            return Scores(
                statistic=statistic,
                sampling_error=error,
                unit="logits",
                invalid=invalid,
                remedy=remedy,
                details=details,
            )
        values = np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in signals])
        labels = np.concatenate([case.labels["forget"], case.labels["holdout"]])
        examples = calibrated(values, labels)
        return Scores(examples=examples, invalid=invalid or out_of_line(examples), remedy=remedy, details=details)


def _fit(features: Floats, target: Floats) -> Ridge | RidgeCV:
    """Ridge map (n, d) -> (n, d') with intercept; the penalty is searched where rows are few."""
    rows, width = features.shape
    scale = float(((features - features.mean(axis=0)) ** 2).sum()) / width
    if not scale > 0:
        scale = 1.0  # constant features: the map is its intercept, and the validity check says so
    if rows >= WELL_POSED * width:
        return Ridge(alpha=RELATIVE_PENALTY * scale).fit(features, target)
    return RidgeCV(alphas=SEARCH * scale).fit(features, target)
