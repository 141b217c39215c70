"""Progress of a run, for whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Status = Literal["running", "done", "reused", "skipped", "error"]


@dataclass(frozen=True)
class Event:
    """Progress of a run: ``done`` of ``total`` work units, ``models`` of them per attack.

    A unit is announced as ``running`` when it begins; of a forward pass, ``rows`` are those that it has. ``workers``
    are at work elsewhere at the moment; 0 where units run in this process.
    """

    kind: Literal["train", "observe", "attack"]
    name: str
    model: str
    status: Status
    done: int
    total: int
    models: int
    seconds: float
    rows: int = 0
    workers: int = 0


Notify = Callable[[Event], None]
