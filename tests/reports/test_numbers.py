from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.record.findings import Interval, Null
from reports.numbers import interval_text, level_text, margin_text, null_mean, num, p_text, visible


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.0, "0"), (-0.0, "0"), (3.0, "3"), (1.0, "1"), (0.5, "0.500"), (0.51234, "0.512"),
        (0.9999, "1.00"), (12345.6, "12346"), (-0.0012345, "-0.00123"), (0.00001234, "1.23e-05"),
        (1.5e20, "1.50e+20"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_numbers(value: float | None, text: str) -> None:
    assert num(value) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, "–"), (0.0004, "<0.001"), (0.000999, "<0.001"), (0.001, "0.001"), (0.0005, "<0.001"), (0.2134,
        "0.213"),
        (0.05, "0.05"), (0.04999, "0.04999"), (0.050001, "0.050001"), (1.0, "1"), (0.00123, "0.00123"),
    ],
)  # fmt: skip
def test_p_values(p: float | None, text: str) -> None:
    assert p_text(p) == text


def test_rounding_never_moves_an_interval_across_its_margin() -> None:
    inside = Interval(low=0.40004, high=0.59996, level=0.9)
    assert interval_text(inside) == "[0.400, 0.600]"
    assert interval_text(inside, (0.4, 0.6)) == "[0.40004, 0.59996]"
    assert interval_text(Interval(low=0.4, high=0.60001, level=0.9), (0.4, 0.6)) == "[0.400, 0.60001]"
    assert margin_text((0.4, 0.6)) == "(0.4, 0.6)"
    assert (interval_text(None), margin_text(None)) == ("–", "–")


def test_a_rate_has_an_upper_margin_only() -> None:
    assert margin_text((0.0, 0.15)) == "< 0.15"
    assert interval_text(Interval(low=0.0, high=0.149999, level=0.9), (0.0, 0.15)) == "[0, 0.149999]"


def test_short_margins_around_zero() -> None:
    assert margin_text((-0.25, 0.25)) == "(-0.25, 0.25)"
    assert margin_text((-0.25, 0.25), short=True) == "±0.25"
    assert margin_text((0.4, 0.6), short=True) == "(0.4, 0.6)"


def test_rounding_noise_of_a_null_is_zero() -> None:
    assert null_mean(Null(source="references", mean=2.9e-17, sd=0.07, n=8)) == 0
    assert null_mean(Null(source="references", mean=1e-4, sd=0.07, n=8)) == 1e-4


def test_levels() -> None:
    assert [level_text(v) for v in (0.9, 0.95, 0.995, 1 - 2 * 0.05)] == ["90%", "95%", "99.5%", "90%"]


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_num_is_within_half_a_unit_of_the_third_digit(value: float) -> None:
    assert float(num(value)) == pytest.approx(value, rel=0.00501)


def test_control_characters_become_visible() -> None:
    assert visible("a\u202eb\x1b[1m\u200bשלום👩\u200d💻\n") == "a\\u202eb\\u001b[1m\\u200bשלום👩\u200d💻\n"
