"""Queries change every row by itself: in no order of rows, among no other rows, and within what data look like."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.base import NotApplicable
from attacks.queries import apply, is_binary, partners

RNG = np.random.default_rng(4)
PICTURES = (RNG.integers(0, 17, (40, 8, 8)) / 16).astype(np.float32)
BITS = (RNG.random((40, 30)) < 0.3).astype(np.uint8)
COUNTS = RNG.integers(0, 9, (40, 12))
ALL = [(PICTURES, q) for q in ("noise:0.5:1", "mix:0.3:1", "swap:0.3:1", "flip", "shift:1:0")]
ALL += [(BITS, q) for q in ("bits:0.2:1", "swap:0.3:1")] + [(COUNTS, "swap:0.3:1")]


@pytest.mark.parametrize(
    ("rows", "query"), ALL, ids=lambda value: value if isinstance(value, str) else str(value.dtype)
)
def test_neither_order_nor_company_of_a_row_matters(rows: np.ndarray, query: str) -> None:
    others, order = partners(rows[20:]), RNG.permutation(20)
    changed = apply(query, rows[:20], 0.3, others)
    assert changed.shape == (20, *rows.shape[1:])
    assert changed.dtype == rows.dtype
    assert (changed != rows[:20]).any()
    np.testing.assert_array_equal(apply(query, rows[:20][order], 0.3, others), changed[order])
    np.testing.assert_array_equal(apply(query, rows[3:4], 0.3, others), changed[3:4])


def test_partners_depend_on_content_alone() -> None:
    found = partners(PICTURES)
    np.testing.assert_array_equal(partners(PICTURES[::-1]), found)
    assert found is not None
    assert len(found) == 40
    assert partners({"a": PICTURES}) is None
    assert partners(PICTURES[:0]) is None


def test_swapped_and_turned_values_are_values_of_the_data() -> None:
    assert is_binary(BITS)
    assert is_binary(apply("bits:0.4:0", BITS, 1.0))
    assert not is_binary(PICTURES)
    others = partners(PICTURES[20:])
    assert others is not None
    swapped = apply("swap:0.25:0", PICTURES[:20], 1.0, others)
    assert set(np.unique(swapped)) <= set(np.unique(PICTURES))
    changed = (swapped != PICTURES[:20]).reshape(20, -1)
    assert 0 < changed.any(axis=0).sum() <= 16  # a quarter of 64 entries, the same ones for all rows
    rows = swapped.reshape(20, -1)[:, changed.any(axis=0)]
    assert all(any((row == other).all() for other in others.reshape(20, -1)[:, changed.any(axis=0)]) for row in rows)


def test_a_mix_lies_between_both_rows() -> None:
    others = partners(PICTURES[20:])
    assert others is not None
    near, far = (apply(f"mix:{share}:0", PICTURES[:20], 1.0, others) for share in (0.1, 0.4))
    np.testing.assert_allclose((near - PICTURES[:20]) * 4, far - PICTURES[:20], atol=1e-5)
    assert near.min() >= 0
    assert far.max() <= 1


@pytest.mark.parametrize(
    ("query", "rows", "others"),
    [
        ("bits:0.1:0", PICTURES, None),
        ("mix:0.1:0", COUNTS, COUNTS),
        ("mix:0.1:0", PICTURES, None),
        ("swap:0.1:0", PICTURES, BITS),
        ("noise:0.1:0", COUNTS, None),
    ],
)
def test_what_does_not_fit_is_said(query: str, rows: np.ndarray, others: np.ndarray | None) -> None:
    with pytest.raises(NotApplicable):
        apply(query, rows, 1.0, others)


def test_an_unknown_query_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"use flip, .* or swap:SHARE:DRAW"):
        apply("blend:1:2", PICTURES, 1.0)
