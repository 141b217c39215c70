"""Heavy tails: did the spectra of the weight matrices move away from the original's?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, ChartSpec, Floats, NotApplicable, Plot, Scores, Signals, View
from attacks.describe import beside, by_layer
from attacks.weights.matrices import ANCESTRY, Layer, layers_of

SIDE = 8  # our choice: smallest window whose eigenvalues say anything of a tail


class HeavyTails(Attack):
    """FARMS: tail index of the eigenvalues of W'W, pooled over square windows of each weight matrix.

    alpha = 1 + n / sum log(l_i / l_min) over the eigenvalues above their median l_min. Windows of aspect ratio 1 take
    out the effect of a matrix's shape. A kernel gives one matrix a position. Statistic: minus the mean over layers of
    |alpha - alpha of the original|; 0 = the original's spectra. Higher = closer to the original. Descriptive: read it
    beside the scatter between the references.
    """

    name = "heavy_tails"
    title = "Spectral tails of the weights (FARMS)"
    access = Access.WEIGHTS
    signal = ""
    needs_original = True
    families = frozenset({"D1"})
    source = "FARMS, arXiv 2506.06280; the comparison is ours"
    charts = (ChartSpec("lines", "Tail index by layer", x="layer", y="alpha", plot="alpha"), DOTS)

    def __init__(self, *, windows: int = 16) -> None:
        """Set the cost.

        Args:
            windows: at most this many windows of a matrix, evenly spaced, >= 1.
        """
        super().__init__()
        if windows < 1:
            raise ValueError("heavy_tails: windows must be >= 1")
        self.parameters = {"windows": windows}

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: ARG002
        """The original's weight matrices, some of them large enough."""
        assert original is not None
        _large(view, original)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Tail index of each layer, of the model and of the original."""
        assert original is not None
        layers = _large(view, original)
        most = int(self.parameters["windows"])
        return {
            side: np.array([tail_index(getattr(m, side), m.kernel, most) for m in layers])
            for side in ("before", "after")
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Closeness of the tails; the index by layer beside the references."""
        alpha, before = (np.stack([s[key] for s in signals]) for key in ("after", "before"))
        moved = np.abs(alpha - before)
        names = tuple(f"matrix {k}" for k in range(1, alpha.shape[1] + 1))
        return Scores(
            statistic=-moved.mean(axis=1),
            unit="tail index",
            details=(
                f"tail index by layer: {by_layer(alpha, names, 2)}",
                f"largest move from the original's: {beside(moved.max(axis=1), 2)}",
                ANCESTRY,
            ),
            plots={"alpha": Plot(alpha, ticks=names)},
        )


def _large(view: View, original: View) -> list[Layer]:
    """Weight matrices with a window of the least size.

    Raises:
        NotApplicable: there is none, or another architecture than the original's.
    """
    layers = [m for m in layers_of(view, original) if min(len(m.before), m.before.shape[1] // m.kernel) >= SIDE]
    if not layers:
        raise NotApplicable(f"needs a weight matrix of at least {SIDE} x {SIDE}")
    return layers


def tail_index(matrix: Floats, kernel: int, most: int) -> float:
    """Tail index alpha > 1 of the pooled eigenvalues of square windows of a weight (out, in * kernel).

    Hill estimator above the median. Windows of the shorter side's length slide along the longer one, at most ``most``
    evenly spaced ones and enough to cover it where that suffices. 1 where the eigenvalues above the median are all 0.
    """
    stack = matrix.reshape(len(matrix), -1, kernel).transpose(2, 0, 1)
    if stack.shape[1] > stack.shape[2]:
        stack = stack.transpose(0, 2, 1)
    side, length = stack.shape[1:]
    starts = np.unique(
        np.linspace(0, length - side, min(most, -(-length // side) + (length > side))).round().astype(int)
    )
    values = np.concatenate(
        [np.linalg.svd(stack[:, :, start : start + side], compute_uv=False).ravel() for start in starts]
    )
    values = np.sort(values**2)
    floor = float(values[len(values) // 2])
    above = values[len(values) // 2 + 1 :]
    if floor <= 0 or not len(above):
        return 1.0
    total = float(np.log(above / floor).sum())
    return 1.0 + len(above) / total if total > 0 else 1.0
