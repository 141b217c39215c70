"""What a worker does: one thread, the device that it was given, and at hand what many units read."""

from __future__ import annotations

import mmap
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
HELD = 8  # our choice: shared things that a worker keeps unpacked

#: torch has one generator a process, so units of several threads take turns
turn = threading.Lock()
#: device of this process, where a pool or a cluster gave it one
assigned: str | None = None
_held: OrderedDict[tuple[str, str], Any] = OrderedDict()


@dataclass(frozen=True)
class Opened:
    """Bytes that a process of this machine holds in a file without a name: it ends with that process."""

    process: int
    descriptor: int

    def read(self) -> mmap.mmap:
        """The bytes, mapped."""
        with Path(f"/proc/{self.process}/fd/{self.descriptor}").open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


@dataclass(frozen=True, eq=False)
class Shared:
    """What many units read.

    Attributes:
        key: names the content.
        source: bytes, an array of bytes, or where to read them.
    """

    key: str
    source: Any

    def content(self) -> memoryview:
        """The bytes."""
        return memoryview(self.source.read() if isinstance(self.source, Opened) else self.source).cast("B")


Function = Callable[[str, bytes, Sequence[Shared]], bytes]


def call(function: Function, key: str, payload: bytes, names: Sequence[str], *sources: Any) -> bytes:
    """Run a unit. What is shared stands among the arguments, where clusters look for what they move.

    Args:
        function: of the unit.
        key: of its content.
        payload: what it alone reads.
        names: content keys of what it shares with others, one for each of ``sources``.
    """
    return function(key, payload, [Shared(name, source) for name, source in zip(names, sources, strict=True)])


def call_on_cluster(
    gpu: bool, function: Function, key: str, payload: bytes, names: Sequence[str], *sources: Any
) -> bytes:
    """The same in a process that a cluster started: one thread, and of the GPUs the one that the cluster shows."""
    import torch

    global assigned  # noqa: PLW0603 - a worker is one process with one device
    assigned = "cuda:0" if gpu else None
    torch.set_num_threads(1)
    return call(function, key, payload, names, *sources)


def held(shared: Shared, kind: str, make: Callable[[memoryview], T]) -> T:
    """What ``make`` makes of shared content; the last few are kept, so that it is unpacked once a worker."""
    name = (kind, shared.key)
    if name not in _held:
        while len(_held) >= HELD:
            _held.popitem(last=False)
        _held[name] = make(shared.content())
    _held.move_to_end(name)
    return _held[name]  # type: ignore[no-any-return]


def as_bytes(content: bytes) -> np.ndarray[Any, Any]:
    """Bytes as an array, which a cluster maps instead of copying."""
    return np.frombuffer(content, np.uint8)
