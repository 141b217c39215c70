"""Do answers that are no classes know the truth of their rows, clearly better than a constant guess?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attacks.base import Floats

from .skill import ALPHA, LEAST_EXPLAINED, LEAST_ROWS

PERMUTATIONS = 499  # our choice

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Explained:
    """What the answers of one model know of the truth.

    Attributes:
        rows: how many were looked at.
        quality: mean quality of the answers.
        constant: that of the best constant answer.
        gain: share of what a constant answer lacks.
        p: of the quality against permuted truth, one-sided.
    """

    rows: int
    quality: float
    constant: float
    gain: float
    p: float

    @property
    def shown(self) -> bool:
        """The answers know the truth."""
        return self.p <= ALPHA and self.gain >= LEAST_EXPLAINED


def explained_by(
    quality: Callable[[Array], Floats], truth: Array, constant: float, best: float | None, rng: np.random.Generator
) -> Explained | None:
    """What answers know of the truth of their rows.

    Args:
        quality: of the answers under a truth (n, ...): (n,).
        truth: of the rows.
        constant: mean quality of the best constant answer.
        best: of a perfect one; None: there is none.
        rng: for the permutations.

    Returns:
        None where there is no perfect answer, or fewer than ``LEAST_ROWS`` rows, or all have the same truth.
    """
    if best is None or len(truth) < LEAST_ROWS or constant >= best:
        return None
    own = float(quality(truth).mean())
    above = sum(float(quality(rng.permutation(truth)).mean()) >= own for _ in range(PERMUTATIONS))
    return Explained(
        rows=len(truth),
        quality=own,
        constant=constant,
        gain=(own - constant) / (best - constant),
        p=(above + 1) / (PERMUTATIONS + 1),
    )
