"""UBJSON of xgboost's own is sound; cut, longer, or with another byte in a length it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cases.small_models import blobs, booster

from audit.inputs.adapters.ubjson import DEEPEST, sound


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("ubj") / "m.ubj"
    booster(*blobs(60), rounds=2).save_model(path)
    return path.read_bytes()


def test_what_xgboost_writes_is_sound_and_no_part_of_it_is(content: bytes) -> None:
    assert sound(content)
    assert not any(sound(content[:end]) for end in range(0, len(content), 37))
    assert not sound(content + b"\0")
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(content), 50):  # a byte more: every length behind it is another one
        assert not sound(content[:at] + b"\xff" + content[at:])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"{}", True),
        (b"{U\x01aU\x07}", True),
        (b"[$d#U\x02" + bytes(8) + b"", True),
        (b"[#U\x02U\x01U\x02", True),
        (b"[$d#U\x02" + bytes(7), False),
        (b"[$d#L" + b"\x7f" + b"\xff" * 7, False),
        (b"[$[#U\x01", False),
        (b"{L" + b"\xff" * 8 + b"aZ}", False),
        (b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2), False),
        (b"", False),
    ],
)
def test_lengths_and_marks(value: bytes, expected: bool) -> None:
    assert sound(value) is expected
