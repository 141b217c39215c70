"""How far a model's global fragility explains a recovery statistic: reported beside it, and taken out by regression."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats

LEAST = 3  # references from which a slope can be fitted
PRIOR = 4.0  # our choice: penalty of the slope, in references


def without(statistic: Floats, fragility: Floats) -> Floats:
    """The statistic less what the models' fragility predicts of it; each model by the slope among all others.

    Ridge through the others' means with ``PRIOR`` pseudo-models at slope 0. The fragility of the model itself is held
    within the range of the others: a slope says nothing beyond it.

    Args:
        statistic: (J,), J >= LEAST + 1.
        fragility: the same measure on the side that holds no knowledge, (J,).

    Returns:
        (J,) adjusted values.
    """
    adjusted = np.empty(len(statistic))
    for j in range(len(statistic)):
        others = np.arange(len(statistic)) != j
        x, y = fragility[others], statistic[others]
        centred = x - x.mean()
        slope = centred @ (y - y.mean()) / max(centred @ centred * (1 + PRIOR / len(x)), np.finfo(float).tiny)
        adjusted[j] = statistic[j] - slope * (np.clip(fragility[j], x.min(), x.max()) - x.mean())
    return adjusted


def reported(statistic: Floats, fragility: Floats) -> str:
    """A sentence for the report: fragility of the audited model beside the references', and the adjusted value."""
    if len(statistic) == 1:
        return f"global fragility (agreement on the other side): {fragility[0]:.3f}"
    text = (
        f"global fragility (agreement on the other side): {fragility[0]:.3f}, references {fragility[1:].min():.3f} to "
        f"{fragility[1:].max():.3f}"
    )
    if len(statistic) <= LEAST:
        return f"{text}; fewer than {LEAST} references, so it is not taken out"
    clean = without(statistic, fragility)
    return (
        f"{text}; with it taken out by regression over the models: {clean[0]:.3f}, references {clean[1:].min():.3f} to "
        f"{clean[1:].max():.3f}"
    )
