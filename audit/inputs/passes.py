"""Forward passes over a whole set: how many rows at once, the host beside the device, and all answers together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attacks.base import Floats, Inputs
from attacks.memory import give_back, is_out_of_memory

from .data import Arrays
from .spool import Gathered
from .tensors import Passed

if TYPE_CHECKING:
    import torch

#: bytes of inputs that one core takes at once: larger blocks leave its caches, and the allocator gives memory back
#: after each layer. A ResNet-20 on 32 x 32 pictures takes 1.7 ms a row in blocks of 32, 2.8 of 256, 5.2 of 512
CACHED = 2**19
FEWEST = 8  # rows at once, however large: our choice
Answers = tuple[Floats, Floats | None, dict[str, Floats]]  # logits, features, hidden layers


class Blocks:
    """The blocks of rows that go through one network.

    Attributes:
        fits: rows that went through at once when memory ran out; without end where it never did.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.fits = device, sys.maxsize

    def passed(self, call: Callable[[Inputs], Passed], data: Arrays, batch_size: int) -> Iterator[Answers]:
        """Block by block. A GPU computes one while the host reads the next; where memory runs out, halves are tried.

        Args:
            call: one forward pass.
            data: the set.
            batch_size: rows at once, at most.
        """
        before: Passed | None = None
        start = 0
        while start < len(data):
            rows = np.arange(start, min(start + self._at_once(data, batch_size), len(data)))
            try:
                now = call(data.batch(rows))
            except (RuntimeError, MemoryError) as error:
                if len(rows) == 1 or not is_out_of_memory(error):
                    raise
                now = None
            if before is not None:
                yield before.on_host()
            before, start = now, start + (0 if now is None else len(rows))
            if now is None:
                self.fits = len(rows) // 2
                give_back()
        if before is not None:
            yield before.on_host()

    def _at_once(self, data: Arrays, batch_size: int) -> int:
        """Rows of one pass: no more than asked for, than ever fitted, and than a processor computes soonest."""
        most = min(batch_size, self.fits)
        if self.device.type != "cpu" or not data.nbytes:
            return most
        import torch

        return min(most, max(FEWEST, torch.get_num_threads() * CACHED * len(data) // data.nbytes))


def together(answers: Iterable[Answers], layers: Sequence[str]) -> Answers:
    """The answers of all blocks; what is larger than memory lies on disk (`audit.inputs.spool`)."""
    logits, features = Gathered("logits"), Gathered("features")
    hidden = {name: Gathered(f"layer {name}") for name in layers}
    headed = True
    for found, vector, read in answers:
        logits.add(found)
        headed = vector is not None
        if vector is not None:
            features.add(vector)
        for name, part in hidden.items():
            part.add(read[name])
    return (
        logits.array(),
        features.array() if headed else None,
        {name: part.array() for name, part in hidden.items()},
    )
