"""Masked gradients: a descent that finds no gradient is tried in two other ways before its silence is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.base import Floats, View

from .descent import Descent, Found, Loss, margin

TOLERATED = 0.1  # our choice: share of rows without a gradient from which other ways are tried
NEAR = 1e-3  # our choice, in nats: so near to its target a row needs no gradient


@dataclass(frozen=True, eq=False)
class Unmasked:
    """The result after the other ways, with the share of rows without a gradient before and after them."""

    found: Found
    before: float
    after: float


def unmasked(
    descent: Descent,
    original: View,
    x: Floats,
    log_target: Floats,
    plain: Floats,
    radii: Sequence[float],
    starts: Sequence[Floats | None],
    loss: Loss,
) -> Unmasked:
    """Descend; where more than ``TOLERATED`` of the rows have no gradient, also along the logit margin, which does not
    saturate, and along changes found on the original (Athalye et al. 2018, arXiv 1802.00420, on masked gradients).

    Args:
        descent: of the audited model.
        original: whose changes are transferred.
        x, log_target, radii, starts, loss: as in ``Descent.run``.
        plain: loss of the unchanged rows, (m,); rows below ``NEAR`` need no gradient.
    """
    found = descent.run(x, log_target, radii, starts, loss)
    needed = plain > NEAR
    before = _share(found, needed)
    if before <= TOLERATED:
        return Unmasked(found, before, before)
    found = found.beside(descent.run(x, log_target, radii, starts, loss, guide=margin))
    transfer = Descent(original, descent.box, steps=descent.steps, batch=descent.batch)
    moved = transfer.run(x, log_target, radii, starts, loss, guide=margin, judge=descent.view)
    descent.passes += 2 * transfer.passes
    after = _share(found, needed & ~moved.hit.any(axis=1))
    return Unmasked(Found(np.fmin(found.loss, moved.loss), found.hit | moved.hit, found.flat), before, after)


def _share(found: Found, needed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    """Share of all rows that need a gradient and have none at any radius."""
    return float((found.flat.all(axis=1) & needed).mean())
