"""Head recovery: can the original's logits be read off the model's features by one affine map?"""

from collections.abc import Sequence

import numpy as np

from attacks.base import Access, Attack, Case, Floats, Scores, Signals, View
from attacks.fits import fit_rows

from .mapping import maps_of, recovered_scores, recovered_signals


class HeadRecovery(Attack):
    """The original's logits, regressed on the model's features and a constant, on retain rows only.

    It asks less of the attacker than ``feature_mapping``: outputs of the original on retain rows, and not its features
    and its head. Forgotten columns stay as targets: they carry what leaks. Fits, penalties, statistics and the light
    penalty are those of ``feature_mapping``. Where the penalty is fixed, both are the same estimator (a ridge is linear
    in its target, and the head is linear), so they agree to rounding where the original's logits are its head's own;
    they part where the penalty is searched, since the search looks at logits here, and where the published logits were
    changed after the head. So no policy needs both, and they count as one piece of evidence.
    """

    name = "head_recovery"
    title = "Performance recovery by a regressed head"
    access = Access.FEATURES
    needs_original = True
    symmetric = False  # the original's logits were trained on the forget set and not on the holdout set
    families = frozenset({"D1"})
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
            raise ValueError("head_recovery: max_rows must be >= 100 and min_fit in (0, 1]")
        self.parameters = {"max_rows": max_rows, "min_fit": min_fit}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Recovered confidence per example, or excess of the forgotten classes; how well the map fits unseen rows."""
        assert original is not None
        rows, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        logits = original.logits("retain")[rows]
        centred = logits - logits.mean(axis=1, keepdims=True)  # a common shift of a row says nothing
        return recovered_signals(view, original, rows, maps_of(view.features, centred, rows, case), _as_it_is, case)

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Class contrast of the recovered excess, or calibrated recovered confidence."""
        return recovered_scores(signals, case, float(self.parameters["min_fit"]))


def _as_it_is(logits: Floats) -> Floats:
    return np.asarray(logits)
