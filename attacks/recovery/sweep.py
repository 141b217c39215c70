"""A sweep of radii around every row, forget and holdout rows alike: what `uma_label` and `uma_error` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from attacks.base import Access, Attack, Case, Floats, Plot, Scores, Signals
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.inputs import unless_continuous
from attacks.signals import contrast

from .descent import Descent
from .inputs import DISCRETE, block
from .sides import sides_of
from .survival import sentence, surviving

RADII = (0.0125, 0.025, 0.05, 0.1)  # our choice, as shares of the range of the inputs
SWEEP = (0.0, *RADII)


class RadiusSweep(Attack):
    """Descents at every radius; a subclass says towards what, and ``run`` gives score and first radius by row.

    Attributes:
        reached: what a row was brought to, in words.
    """

    access = Access.GRADIENTS
    symmetric = True
    efforts = {"quick": {"steps": 5}, "thorough": {"steps": 40, "restarts": 2}}  # noqa: RUF012
    reached: ClassVar[str]

    def __init__(self, *, steps: int = 10, restarts: int = 0, batch: int = 512) -> None:
        """Set the budget.

        Args:
            steps: gradient steps per start, >= 1.
            restarts: random starts beside the start at the row, >= 0.
            batch: (row, radius) pairs in one block, >= 1: bounds the memory.
        """
        super().__init__()
        if steps < 1 or restarts < 0 or batch < 1:
            raise ValueError(f"{self.name}: steps must be >= 1, restarts >= 0 and batch >= 1")
        self.parameters = {"steps": steps, "restarts": restarts, "batch": batch}

    def applicable(self, case: Case) -> str:
        """A change of discrete inputs has no meaning."""
        return super().applicable(case) or unless_continuous(case, DISCRETE)

    def gradient_rows(self, case: Case) -> int:
        """Both sides at every radius above 0."""
        rows = sum(len(case.labels[role]) for role in sides_of(case))
        return rows * len(RADII) * (int(self.parameters["steps"]) + 1) * (int(self.parameters["restarts"]) + 1)

    def descent(self, view: Any, box: tuple[float, float], case: Case) -> Descent:
        """A descent of the budget."""
        batch = block(case, int(self.parameters["batch"]))
        return Descent(view, box, steps=int(self.parameters["steps"]), batch=batch)

    def ways(self, shape: tuple[int, ...], rng: np.random.Generator) -> list[Floats]:
        """Directions of the random starts, the same for all rows."""
        return [rng.uniform(-1, 1, size=shape) for _ in range(int(self.parameters["restarts"]))]

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated scores, or the class contrast; smallest radii beside."""
        sides = sides_of(case)
        firsts = {side: [s[f"{side}_first"] for s in signals] for side in sides}
        survival = np.stack([[surviving(firsts[side][j], len(SWEEP)) for side in sides] for j in range(len(signals))])
        plots = {"survival": Plot(survival, np.array(SWEEP), rows=sides)}
        details = tuple(sentence(f"{side} rows brought to {self.reached}", firsts[side], SWEEP) for side in sides)
        if case.kind == "class":
            statistic, error = contrast(*([s[side] for s in signals] for side in sides))
            return Scores(statistic=statistic, sampling_error=error, unit="logits", plots=plots, details=details)
        values = np.stack([np.concatenate([s[side] for side in sides]) for s in signals])
        examples = calibrated(values, np.concatenate([case.labels[side] for side in sides]))
        invalid = out_of_line(examples)
        return Scores(examples=examples, invalid=invalid, remedy=OUT_OF_LINE_REMEDY, plots=plots, details=details)


def starts(ways: Sequence[Floats], x: Floats) -> list[Floats | None]:
    """The row itself, and the random starts of all rows (m, ...)."""
    return [None, *(np.broadcast_to(way, x.shape) for way in ways)]
