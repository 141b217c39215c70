"""Standardisation of features unit by unit, the same for every model: no unit may speak louder by its scale alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Floats

CLIP = 5.0  # our choice, in standard deviations: one fit row then moves a probe of penalty .01 by 1.3 logits at most
ROUNDING = 1e-9  # our choice: a spread below this share of a unit's size is rounding, the unit is constant


@dataclass(frozen=True)
class Standard:
    """Centre and spread of each unit, both (d,); spread > 0."""

    centre: Floats
    spread: Floats

    def __call__(self, features: Floats) -> Floats:
        """Features (n, d) in standard deviations, within -CLIP .. CLIP."""
        return np.clip((np.asarray(features, dtype=np.float64) - self.centre) / self.spread, -CLIP, CLIP)


def standard_of(fit: Floats, beside: Floats | None = None) -> Standard:
    """The standardisation that a fit on ``fit`` uses.

    A unit that is active on one fit row of thousands has next to no spread there; rows on which it is active then lie
    hundreds of deviations out and drown everything else. So its spread is at least its own spread over other rows
    that the model was not fitted on. Its own, never that of other units: a unit rescaled by whoever published the
    model gives the same result.

    Args:
        fit: (n, d) features of the fit rows, n >= 1.
        beside: (m, d) features of further rows, without their labels. Where they are scored by permuting labels of
            two sides, rows of both sides must be in here alike; None = the fit rows alone.

    Returns:
        centre and spread per unit; a constant unit has spread 1.
    """
    fit = np.asarray(fit, dtype=np.float64)
    centre, spread = fit.mean(axis=0), fit.std(axis=0)
    if beside is not None:
        spread = np.maximum(spread, np.asarray(beside, dtype=np.float64).std(axis=0))
    return Standard(centre, np.where(spread > ROUNDING * np.abs(centre), spread, 1.0))
