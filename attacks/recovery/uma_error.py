"""UMA on the squared error: how small a change of the input makes a prediction as wrong as on rows nobody saw?"""

from __future__ import annotations

from typing import Any

import numpy as np

from attacks.base import PER_EXAMPLE, Case, ChartSpec, Floats, Ints, Signals, View

from .inputs import BOX_ROWS, continuous
from .survival import first_reached
from .sweep import RADII, RadiusSweep, starts

CONSTANT = 1e-9  # our choice: a spread below this share of a column's largest entry is rounding
SIDES = ("forget", "holdout")


class ErrorMapping(RadiusSweep):
    """Projected gradient ascent of each row's own squared error; forget and holdout rows are treated alike.

    Score: the log-likelihood of the target at the worst point that is found, by the scale of the model's residuals on
    never-seen rows, averaged over radius 0 and the sweep; a row that was trained on starts nearer to its target and
    needs a larger change. The smallest radius itself (at which the error exceeds that scale) takes six values and ties
    many rows, as in `uma_label`; its survival curves stand beside. Changes are measured in standard deviations of each
    input over the retain rows, about its mean there, so that columns of any unit and origin count alike; a column that
    does not vary keeps its own unit. The original is not needed.

    Memory: one block of ``batch`` (row, radius) pairs.
    """

    name = "uma_error"
    version = "2"  # 2: inputs are centred, so that a column far from 0 does not set the unit of all
    title = "Unlearning mapping attack on the squared error"
    reached = "a usual error"
    signal = "numbers"
    source = "Xuan & Li, Verifying Robust Unlearning, arXiv 2504.14798; for regression the loss and the score are ours"
    charts = (
        *PER_EXAMPLE,
        ChartSpec(
            "lines",
            "Rows whose error is still below that of never-seen rows",
            x="L-infinity radius (share of the range of the standardised inputs)",
            y="share of rows",
            plot="survival",
        ),
    )

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Mean log-likelihood of the worst points by row, and the first radius at which the error is a usual one."""
        unit = case.task.unit(view.logits("auxiliary"), case.truth("auxiliary"))
        known = continuous(case, "retain", np.arange(min(len(case.labels["retain"]), BOX_ROWS)))
        scaled = _Scaled(view, known, np.asarray(unit))
        inside = scaled.standard(known)
        descent = self.descent(scaled, (float(inside.min()), float(inside.max())), case)
        ways = self.ways(known.shape[1:], rng)
        found: dict[str, Floats | Ints] = {}
        for role in SIDES:
            x = scaled.standard(continuous(case, role, np.arange(len(case.labels[role]))))
            truth = np.asarray(case.truth(role), dtype=np.float64)
            plain = -case.task.log_likelihood(view.logits(role), truth, unit)
            worst = -descent.run(x, truth / scaled.unit, RADII, starts(ways, x), _reverse).loss
            error = np.maximum.accumulate(np.column_stack([plain, worst]), axis=1)
            usual = 0.5 * truth.shape[1]  # of an answer that is off by the model's own scale in each column
            found |= {role: -error.mean(axis=1), f"{role}_first": first_reached(error > usual)}
        return found


class _Scaled:
    """A view whose inputs are standardised over some rows, and whose answers are in the model's own unit.

    Args:
        view: the model.
        known: (n, ...) inputs of the rows that set mean and spread of each entry.
        unit: of the answers, (k,), > 0.
    """

    def __init__(self, view: View, known: Floats, unit: Floats) -> None:
        self.view, self.unit, self.tensor = view, unit, view.tensor
        spread = known.std(axis=0)
        self.centre = known.mean(axis=0)
        self.spread = np.where(spread > CONSTANT * np.abs(known).max(axis=0), spread, 1.0)
        self._centre, self._spread, self._unit = map(view.tensor, (self.centre, self.spread, unit))

    def standard(self, x: Floats) -> Floats:
        """Inputs (m, ...) in standard deviations about the mean."""
        return np.asarray((x - self.centre) / self.spread)

    def forward(self, x: Any) -> Any:
        return self.view.forward(x * self._spread + self._centre) / self._unit


def _reverse(answers: Any, target: Any) -> Any:
    """Minus half of the squared error, (b,): lower = further away."""
    return -(answers - target).square().sum(dim=1) / 2
