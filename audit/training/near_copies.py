"""Near copies of forget rows among the retain rows: a retrain on them has seen the forget set."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats
from audit.inputs.data import Arrays

NEAR = 0.25  # our choice: a copy lies this much nearer than forget rows lie to each other, as a share of the median
MOST = 0.05  # our choice, the policies' bound on exact copies: share of the forget rows that may have one


def near_copies(forget: Arrays, retain: Arrays) -> float | None:
    """Share of the forget rows with a retain row at less than ``NEAR`` of the median distance between forget rows.

    The scale is the median distance of a forget row to the nearest other one: whoever fills the retain set has no hand
    in it. Coarser copies (noise of more than that) are not seen.

    Returns:
        in [0, 1]; None where inputs are no single array of numbers, or there are fewer than two different forget rows.
    """
    from sklearn.neighbors import NearestNeighbors

    rows, others = _flat(forget), _flat(retain)
    if rows is None or others is None or len(rows) < 2 or rows.shape[1:] != others.shape[1:]:
        return None
    own = NearestNeighbors(n_neighbors=2).fit(rows).kneighbors(rows)[0][:, 1]
    scale = float(np.median(own))
    if not scale > 0:
        return None
    nearest = NearestNeighbors(n_neighbors=1).fit(others).kneighbors(rows)[0][:, 0]
    return float((nearest < NEAR * scale).mean())


def _flat(data: Arrays) -> Floats | None:
    if not isinstance(data.x, np.ndarray) or data.x.dtype.kind not in "fiub":
        return None
    return data.x.reshape(len(data.x), -1).astype(np.float64)
