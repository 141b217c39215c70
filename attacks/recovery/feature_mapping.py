"""Performance recovery by feature mapping: does one affine map let the original head read the model's features?"""

from collections.abc import Sequence

import numpy as np

from attacks.base import Access, Attack, Case, Floats, Scores, Signals, View
from attacks.fits import fit_rows

from .mapping import maps_of, recovered_scores, recovered_signals


class FeatureMapping(Attack):
    """Feature mapping in closed form, fitted on retain rows only.

    Ridge map with intercept from the model's penultimate features to the original's; the original's head reads
    the result. Other claims than class: logit-scaled confidence of the recovered logits, calibrated on the references
    like the membership score.

    Class claims: retained classes do not determine the map in the direction of a forgotten one, so the features are
    standardised, each by its own spread on never-seen rows (a unit scaled down, and up again in the next layer, hides
    nothing), and the penalty is fixed. Statistic: the recovered logit of the forgotten classes, less what the
    recovered retained logits explain (``class_excess``), on never-seen examples of the forgotten classes minus the
    same on the other test examples, given row by row (``Scores.rows``). A penalty shrinks what little is left more than
    it shrinks the whole. So the rows are also given under a light penalty (``Scores.lighter``), whose share must keep
    the margin as well.
    """

    name = "feature_mapping"
    title = "Performance recovery by feature mapping"
    version = "3"
    access = Access.FEATURES
    features_alone = True
    signal = "truth"
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
            raise ValueError(f"{self.name}: max_rows must be >= 100 and min_fit in (0, 1]")
        self.parameters = {"max_rows": max_rows, "min_fit": min_fit}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Recovered confidence per example, or excess of the forgotten classes; how well the map fits unseen rows."""
        assert original is not None
        rows, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        maps = maps_of(view.features, original.features("retain")[rows], rows, case)
        weight, bias = original.head()

        def read(features: Floats) -> Floats:
            return np.asarray(features @ weight.T + bias)

        return recovered_signals(view, original, rows, maps, read, case)

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Class contrast of the recovered excess, or calibrated recovered confidence."""
        return recovered_scores(signals, case, float(self.parameters["min_fit"]))
