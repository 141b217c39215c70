"""Linear mode connectivity: is there a barrier between the model and the original?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, ChartSpec, Plot, Scores, Signals, View
from attacks.describe import beside
from attacks.representation.layers import LEAST, drawn
from attacks.signals import log_label
from attacks.weights.matrices import ANCESTRY, Between

POINTS = np.linspace(0, 1, 6)  # our choice


class Connectivity(Attack):
    """Loss on retain rows along the straight line between the model's weights and the original's.

    Barrier: the largest excess of the loss over the straight line between its ends. A model without a barrier lies in
    the original's basin, where what was forgotten is a short walk away. Statistic: minus the barrier, in nats; higher =
    nearer to the original. BatchNorm statistics are re-estimated on retain rows at every point, the ends included;
    without BatchNorm the ends are read from the shared forward pass. Descriptive.
    """

    name = "connectivity"
    title = "Loss barrier on the line to the original"
    access = Access.WEIGHTS
    needs_original = True
    families = frozenset({"D1"})
    source = "Frankle et al., arXiv 1912.05671 (barrier); From Dormant to Deleted, 2505.22310 (sign of relearning)"
    charts = (
        ChartSpec("lines", "Loss on the line to the original", x="share of the original", y="nats", plot="loss"),
        DOTS,
    )

    efforts: ClassVar = {"quick": {"max_rows": 256}, "thorough": {"max_rows": 10_000}}

    def __init__(self, *, max_rows: int = 1_000) -> None:
        """Set the cost.

        Args:
            max_rows: at most this many retained rows, >= 16.
        """
        super().__init__()
        if max_rows < LEAST:
            raise ValueError(f"connectivity: max_rows must be >= {LEAST}")
        self.parameters = {"max_rows": max_rows}

    def gradient_rows(self, case: Case) -> int:
        """Forward passes alone, a third of a gradient row each; without BatchNorm the ends cost none."""
        return len(POINTS) * min(len(case.labels["retain"]), int(self.parameters["max_rows"])) // 3

    def check_models(self, view: View, original: View | None, case: Case) -> None:
        """The original's architecture."""
        assert original is not None
        Between(view, original, case)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Mean loss on retain rows at each point."""
        assert original is not None
        between = Between(view, original, case)
        rows = drawn(len(case.labels["retain"]), int(self.parameters["max_rows"]), rng)
        labels = case.labels["retain"][rows]
        shares = (dict.fromkeys(between.mine, float(point)) for point in POINTS)
        loss = [-log_label(between.logits(share, "retain", rows), labels).mean() for share in shares]
        return {"loss": np.array(loss), "rows": np.array([len(labels)])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Minus the barrier of each model."""
        loss = np.stack([s["loss"] for s in signals])
        straight = loss[:, :1] * (1 - POINTS) + loss[:, -1:] * POINTS
        barrier = (loss - straight).max(axis=1)
        return Scores(
            statistic=-barrier,
            unit="nats",
            details=(f"barrier on {int(signals[0]['rows'][0])} retain rows: {beside(barrier)} nats", ANCESTRY),
            plots={"loss": Plot(loss, POINTS)},
        )
