"""Trees as arrays of children: do they lead from the root to leaves, inside the tree and without a circle?

The libraries follow what a file says unchecked. A child that is not there has them read memory that is not the model's,
and a node above itself never ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Numbers = Sequence[Any] | np.ndarray[Any, Any]


def walkable(left: Numbers, right: Numbers) -> bool:
    """Whether every way from node 0 ends in a leaf.

    Args:
        left, right: children of each node (n,); negative ones are leaves.
    """
    children = np.stack([np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64)])
    count = children.shape[1]
    if count == 0 or (children >= count).any():
        return False
    seen = np.zeros(count, dtype=np.int64)
    level = np.zeros(1, dtype=np.int64)
    while len(level):
        np.add.at(seen, level, 1)
        if (seen > 1).any():  # met on two ways, or again
            return False
        level = children[:, level].ravel()
        level = level[level >= 0]
    return True


def within(index: Numbers, count: int) -> bool:
    """Whether every number lies in [0, count)."""
    found = np.asarray(index, dtype=np.int64)
    return bool(((found >= 0) & (found < count)).all())
