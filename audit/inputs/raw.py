"""A data set as its source has it: named arrays, before labels and pictures are understood."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attacks.base import Ints

from .spool import pick

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Raw:
    """One data set.

    Attributes:
        arrays: by key: ``x`` or ``x.<name>``, ``y``, ``ids``, ``group``, ``request``.
        said: what was understood on the way, for the record.
        columns: names of the inputs in their order, of a table.
        pictures: ``x`` holds decoded pictures, (n, channels, height, width) or (n, height, width), uint8.
    """

    arrays: dict[str, Array]
    said: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    pictures: bool = False

    def take(self, rows: Ints) -> Raw:
        """These rows, in this order."""
        return replace(self, arrays={key: pick(array, rows) for key, array in self.arrays.items()})
