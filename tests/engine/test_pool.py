"""Processes of this machine: what is shared is read there, and a worker that dies costs a second try, not the unit."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
from hooks.units import deadly, joined

from audit.engine.crew import Crew, Order
from audit.engine.worker import Shared, held


def test_a_worker_that_dies_is_replaced_and_its_unit_tried_again(tmp_path: Path) -> None:
    once, always = (str(tmp_path / name) for name in ("once", "always"))
    with Crew(Order(workers=1), "cpu") as crew:
        kept = [crew.share("a", b"first" * 1000), crew.share("b", b"second")]
        assert crew.share("a", b"first" * 1000) is kept[0]
        assert crew.submit(joined, "k", b"p", kept).result(120) == b"k|p|" + b"first" * 1000 + b"|second"
        died, beside = crew.submit(deadly, once, b"1"), crew.submit(joined, "k", b"q", kept[1:])
        assert (died.result(120), beside.result(120)) == (b"alive", b"k|q|second")
        with pytest.raises(BrokenExecutor):
            crew.submit(deadly, always, b"9").result(120)
    assert len(Path(always).read_bytes()) == 2  # tried twice


def test_what_is_shared_is_unpacked_once_and_the_last_few_are_kept() -> None:
    made: list[bytes] = []

    def make(content: memoryview) -> int:
        made.append(bytes(content))
        return len(content)

    parts = [Shared(f"shared {k}", bytes([k])) for k in range(10)]
    for part in (parts[0], parts[0], *parts[1:], parts[0]):
        assert held(part, "test", make) == 1
    assert made == [bytes([k]) for k in range(10)] + [b"\0"]
