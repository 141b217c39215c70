"""Projected gradient descent on inputs: how near to a target can a model be brought within a ball?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attacks.base import Bools, Floats, View

STEP = 8  # our choice: one step is an eighth of the radius

#: logits (b, C) and targets (b, C) or (b,) -> loss (b,), lower = nearer to the target
Loss = Callable[[Any, Any], Any]


def divergence(logits: Any, log_target: Any) -> Any:
    """KL(target || model) in nats, (b,), from log-probabilities of the target (b, C)."""
    import torch

    return (log_target.exp() * (log_target - torch.log_softmax(logits, dim=1))).sum(dim=1)


def cross_entropy(logits: Any, log_target: Any) -> Any:
    """Minus the log-probability of the target's first class, (b,)."""
    import torch

    return -torch.log_softmax(logits, dim=1).gather(1, log_target.argmax(1, keepdim=True))[:, 0]


def margin(logits: Any, log_target: Any) -> Any:
    """Best other logit minus that of the target's first class, (b,); it does not saturate as a softmax does."""
    import torch

    own = log_target.argmax(1, keepdim=True)
    return logits.scatter(1, own, -torch.inf).amax(1) - logits.gather(1, own)[:, 0]


@dataclass(frozen=True, eq=False)
class Found:
    """What a descent reached for m rows at R radii.

    Attributes:
        loss: smallest loss among the visited points, (m, R); infinite where no point gave a number.
        hit: some visited point is predicted as the target's first class, (m, R).
        flat: the first gradient is zero or no number, (m, R).
    """

    loss: Floats
    hit: Bools
    flat: Bools

    def beside(self, other: Found) -> Found:
        """The better of two descents; flat where both are."""
        return Found(np.fmin(self.loss, other.loss), self.hit | other.hit, self.flat & other.flat)


class Descent:
    """PGD in an L-infinity ball, for all rows and radii at once, in blocks of ``batch`` (row, radius) pairs.

    Memory: one block of inputs, its gradient, and one forward and backward pass of the network over it. The view's
    weights are frozen. ``passes`` counts the rows that went through the model.

    Args:
        view: the model that is attacked.
        box: smallest and largest input value; a row that lies outside may stay where it is.
        steps: gradient steps a start, >= 1.
        batch: pairs in one block, >= 1.
    """

    def __init__(self, view: View, box: tuple[float, float], *, steps: int, batch: int) -> None:
        self.view, self.box, self.steps, self.batch, self.passes = view, box, steps, batch, 0

    def run(
        self,
        x: Floats,
        log_target: Floats,
        radii: Sequence[float],
        starts: Sequence[Floats | None],
        loss: Loss,
        *,
        guide: Loss | None = None,
        until_hit: bool = False,
        judge: View | None = None,
    ) -> Found:
        """Descend from every start; the best over steps and starts.

        Args:
            x: rows, (m, ...).
            log_target: log-probabilities of the targets, (m, C).
            radii: R shares of the input range, > 0.
            starts: directions (m, ...) in [-1, 1], times the radius; None = the row itself.
            loss: what counts.
            guide: what the gradient is taken of; None = ``loss``.
            until_hit: a pair that was hit is left where it is.
            judge: another model that says what counts (deltas found on ``view`` are transferred to it).

        Returns:
            losses and hits, each (m, R); not made nested.
        """
        row, radius = np.meshgrid(np.arange(len(x)), np.asarray(radii), indexing="ij")
        pairs = row.ravel(), radius.ravel()
        shape = row.shape
        best = Found(np.full(shape, np.inf), np.zeros(shape, bool), np.ones(shape, bool))
        for start in starts:
            parts = []
            for at in range(0, row.size, self.batch):
                index, size = (part[at : at + self.batch] for part in pairs)
                away = np.zeros_like(x[index]) if start is None else start[index]
                parts.append(
                    self._block(x[index], log_target[index], size, away, loss, guide or loss, until_hit, judge)
                )
            loss_of, hit, flat = (np.concatenate(part).reshape(shape) for part in zip(*parts, strict=True))
            best = best.beside(Found(loss_of, hit, flat))
        return best

    def _block(
        self,
        x: Floats,
        log_target: Floats,
        size: Floats,
        away: Floats,
        loss: Loss,
        guide: Loss,
        until_hit: bool,
        judge: View | None,
    ) -> tuple[Floats, Bools, Bools]:
        import torch

        span, one = self.box[1] - self.box[0], (-1,) + (1,) * (x.ndim - 1)
        centre, target = self.view.tensor(x), self.view.tensor(log_target)
        radius = self.view.tensor((size * span).reshape(one))
        low = torch.maximum(centre - radius, centre.clamp(max=self.box[0]))
        high = torch.minimum(centre + radius, centre.clamp(min=self.box[1]))
        point = torch.minimum(torch.maximum(centre + self.view.tensor(away) * radius, low), high)
        state = _State(point, low, high, radius / STEP, target)
        best = torch.full((len(x),), torch.inf, dtype=target.dtype, device=target.device)
        hit = torch.zeros(len(x), dtype=torch.bool, device=target.device)
        flat, live = torch.ones_like(hit), torch.arange(len(x), device=target.device)
        for step in range(self.steps + 1):
            last = step == self.steps
            point = state.point.detach().requires_grad_(not last)
            with torch.set_grad_enabled(not last):
                logits = self.view.forward(point)
                value = guide(logits, state.target)
            self.passes += len(point)
            seen = logits.detach() if judge is None else judge.forward(state.point).detach()
            now = value.detach() if guide is loss and judge is None else loss(seen, state.target)
            reached = seen.argmax(1) == state.target.argmax(1)
            best[live], hit[live] = torch.fmin(best[live], now), hit[live] | reached
            if last:
                break
            if not value.requires_grad:  # answers that do not depend on the input smoothly, as a top-1 label's
                break
            (gradient,) = torch.autograd.grad(value.sum(), point)
            if step == 0:
                flat = ~(gradient.flatten(1).abs().amax(1) > 0)  # also where it is no number
            state.move(gradient)
            if until_hit and bool(reached.any()):
                state, live = state.only(~reached), live[~reached]
                if not len(live):
                    break
        return best.double().cpu().numpy(), hit.cpu().numpy(), flat.cpu().numpy()


@dataclass(eq=False)
class _State:
    """Tensors of the pairs that still move: where they are, where they may go, one step, and the targets."""

    point: Any
    low: Any
    high: Any
    step: Any
    target: Any

    def move(self, gradient: Any) -> None:
        """One step against the sign of the gradient; an entry without one stays."""
        import torch

        moved = self.point - self.step * gradient.nan_to_num(0.0).sign()
        self.point = torch.minimum(torch.maximum(moved, self.low), self.high)

    def only(self, keep: Any) -> _State:
        return _State(*(part[keep] for part in (self.point, self.low, self.high, self.step, self.target)))
