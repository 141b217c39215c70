"""The rows of a pool as the user's own functions get them. Imports torch: import it where it is needed."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset

from .jobs import Pool


class Rows(Dataset[Any]):
    """n rows with their labels, in memory.

    Attributes:
        x: inputs (n, ...) as float32 or int64, or a dict of such.
        y: labels: classes (n,) int64, or numbers or flags (n, k) float32.

    Args:
        pool: canonical pool; copied.
        device: of the tensors.
    """

    def __init__(self, pool: Pool, device: str) -> None:
        tensors = {name: torch.tensor(array, device=device) for name, array in pool.arrays().items()}
        self.y = tensors.pop("y")
        self.x: Any = tensors["x"] if "x" in tensors else {name[2:]: t for name, t in tensors.items()}

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        x = {name: tensor[row] for name, tensor in self.x.items()} if isinstance(self.x, dict) else self.x[row]
        return x, self.y[row]
