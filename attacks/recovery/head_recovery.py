"""Head recovery: can the original's logits be read off the model's features by one affine map?"""

import numpy as np

from attacks.base import Case, Floats, Signals, View
from attacks.fits import fit_rows

from .feature_mapping import FeatureMapping
from .mapping import maps_of, recovered_signals


class HeadRecovery(FeatureMapping):
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
    version = "1"
    families = frozenset({"D1"})

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Recovered confidence per example, or excess of the forgotten classes; how well the map fits unseen rows."""
        assert original is not None
        rows, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        logits = original.logits("retain")[rows]
        centred = logits - logits.mean(axis=1, keepdims=True) if case.task.class_logits else logits  # a common shift
        return recovered_signals(view, original, rows, maps_of(view.features, centred, rows, case), _as_it_is, case)


def _as_it_is(logits: Floats) -> Floats:
    return np.asarray(logits)
