"""Sentences of the details: every figure beside the references'."""

from __future__ import annotations

import numpy as np

from attacks.describe import beside, by_layer, out_of_range


def test_a_figure_stands_beside_the_range_of_the_references() -> None:
    assert beside(np.array([0.1234, 0.2, 0.1])) == "0.123 (references 0.100 to 0.200)"
    assert beside(np.array([2.0]), 0) == "2 (no reference)"
    profile = by_layer(np.array([[1.0, 2.0], [3.0, 4.0]]), ("a", "b"), 0)
    assert profile == "a 1 (references 3 to 3); b 2 (references 4 to 4)"


def test_out_of_range_needs_three_references() -> None:
    assert out_of_range(np.array([0.0, 1.0, 2.0])) == ""
    assert out_of_range(np.array([0.0, 1.0, 2.0, 3.0])) == "below"
    assert out_of_range(np.array([4.0, 1.0, 2.0, 3.0])) == "above"
    assert out_of_range(np.array([2.0, 1.0, 2.0, 3.0])) == ""
