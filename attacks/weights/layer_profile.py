"""Layer profile: in which layers do the weights differ from the original's, and by how much?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, ChartSpec, Plot, Scores, Signals, View
from attacks.describe import beside, by_layer
from attacks.weights.matrices import ANCESTRY, layers_of

HEAD_ONLY = 0.9  # our choice: share of the whole change above which the details call it an edit of the last layer


class LayerProfile(Attack):
    """Relative change e = ||dW|| / ||W|| of every weight matrix, its share e^2 / sum e^2, and where the change lies.

    Statistic: 1 - mean over layers of ||dW|| / (||W_original|| + ||W||), in [0, 1]; 1 = the original's weights,
    about 0.3 = independent weights of the same size. Higher = more of the original is kept. Read it beside the
    references: descriptive.
    """

    name = "layer_profile"
    title = "Change of the weights by layer"
    access = Access.WEIGHTS
    signal = ""
    needs_original = True
    families = frozenset({"D1"})
    source = "ours; robust weight signatures, arXiv 2303.01597, for the idea of layer profiles"
    charts = (
        ChartSpec("lines", "Change of the weights by layer", x="layer", y="||dW|| / ||W||", plot="profile"),
        DOTS,
    )

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: ARG002
        """The original's weight matrices."""
        assert original is not None
        layers_of(view, original)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Relative and symmetric change of each layer."""
        assert original is not None
        layers = layers_of(view, original)
        change = np.array([np.linalg.norm(m.after - m.before) for m in layers])
        before, after = (
            np.array([np.linalg.norm(w) for w in ws]) for ws in zip(*((m.before, m.after) for m in layers), strict=True)
        )
        tiny = np.finfo(float).tiny
        return {"relative": change / np.maximum(before, tiny), "symmetric": change / np.maximum(before + after, tiny)}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """How much is kept; shares, centroid and profile beside the references."""
        relative = np.stack([s["relative"] for s in signals])
        square = relative**2
        share = square / np.maximum(square.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        depth = np.linspace(0, 1, relative.shape[1])
        names = tuple(f"layer {k}" for k in range(1, relative.shape[1] + 1))
        details = [
            f"relative change by layer: {by_layer(relative, names)}",
            f"depth centroid of the change, 0 = first layer, 1 = last: {beside(share @ depth)}",
            f"share of the last layer in the change: {beside(share[:, -1])}",
            ANCESTRY,
        ]
        if not relative[0].any():
            details.insert(0, "the weight matrices are the original's")
        elif share[0, -1] > HEAD_ONLY and relative.shape[1] > 1:
            details.insert(0, f"{share[0, -1]:.0%} of the change lies in the last layer: an edit of the head")
        return Scores(
            statistic=1 - np.stack([s["symmetric"] for s in signals]).mean(axis=1),
            unit="share of the weights",
            details=tuple(details),
            plots={"profile": Plot(relative, ticks=names)},
        )
