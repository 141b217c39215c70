"""The shift check looks at every part of the inputs, however wide another one is."""

from __future__ import annotations

import numpy as np
import pytest

from audit.collect import exchangeability
from audit.inputs.data import Arrays


def test_a_wide_mask_does_not_crowd_the_tokens_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchangeability, "MAX_COLUMNS", 12)
    rng, sides = np.random.default_rng(0), []
    for first in (0, 50):  # the sides have no word in common
        ids = rng.integers(first, first + 50, (40, 12))
        sides.append(Arrays({"attention_mask": np.ones_like(ids), "input_ids": ids}, np.zeros(40, np.int64)))
    found = exchangeability.blind_scores(sides[0], sides[1], 0)
    assert found is not None
    assert found[0].min() > found[1].max()


def test_inputs_of_one_part_have_all_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchangeability, "MAX_COLUMNS", 12)
    x = np.random.default_rng(0).normal(size=(5, 4, 5))
    np.testing.assert_array_equal(exchangeability._flat(Arrays(x, np.zeros(5, np.int64))), x.reshape(5, -1)[:, :12])
