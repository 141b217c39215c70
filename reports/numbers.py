"""The one way in which all reports write a number, and make a name safe to show."""

from __future__ import annotations

import math
import unicodedata

from audit.record.findings import Interval, Null

ABSENT = "–"
_LEVELS = (0.01, 0.025, 0.05, 0.1)
_KEPT_CONTROLS = "\n\t\u200c\u200d"  # joiners belong to words and emoji; line ends are white space


def visible(text: str) -> str:
    """Replace control characters (terminal escapes, bidirectional overrides) by a visible ``\\uXXXX``."""
    hidden = ("Cc", "Cf", "Cs")
    return "".join(
        f"\\u{ord(c):04x}" if unicodedata.category(c) in hidden and c not in _KEPT_CONTROLS else c for c in text
    )


def num(value: float | None, digits: int = 3) -> str:
    """Write a number with ``digits`` significant digits; exactly whole numbers are written whole."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if abs(value) < 1e15 and value == int(value):
        return str(int(value))
    size = abs(float(f"{value:.{digits - 1}e}"))
    if size >= 1e15 or size < 1e-4:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"


def p_text(p: float | None) -> str:
    """Write a p-value: '<0.001' only if it is below; never rounded onto a usual level."""
    if p is None:
        return ABSENT
    if p < 0.001:
        return "<0.001"
    texts = [num(p, digits) for digits in range(3, 10)]
    text = next((t for t in texts if float(t) == p or float(t) not in _LEVELS), texts[-1])
    return text.rstrip("0") if "." in text and float(text) == p else text


def interval_text(interval: Interval | None, margin: tuple[float, float] | None = None) -> str:
    """Write ``[low, high]`` with enough digits to show on which side of the margin each end really lies."""
    if interval is None:
        return ABSENT
    low, high = num(interval.low), num(interval.high)
    if margin is not None:
        low = low if one_sided(margin) else _apart(interval.low, margin[0])
        high = _apart(interval.high, margin[1])
    return f"[{low}, {high}]"


def margin_text(margin: tuple[float, float] | None, *, short: bool = False) -> str:
    """Write an open interval ``(low, high)``, or ``< high``: set by the policy, so shown to six digits.

    Args:
        margin: both ends.
        short: write ``±high`` where the margin is symmetric around 0.
    """
    if margin is None:
        return ABSENT
    if short and margin[0] == -margin[1] < 0:
        return f"±{margin[1]:.6g}"
    return f"< {margin[1]:.6g}" if one_sided(margin) else f"({margin[0]:.6g}, {margin[1]:.6g})"


def one_sided(margin: tuple[float, float]) -> bool:
    """A lower margin of exactly 0 belongs to a rate: it does not bind (``audit/judge`` agrees)."""
    return margin[0] == 0


def null_mean(null: Null) -> float:
    """Mean of the null, 0 where only the rounding of a sum that is 0 by construction is left."""
    return 0.0 if abs(null.mean) <= 1e-9 * null.sd else null.mean


def level_text(level: float) -> str:
    """Write a level of confidence as a percentage: ``90%``."""
    return f"{round(level * 100, 2):g}%"


def _apart(value: float, edge: float) -> str:
    texts = [num(value, digits) for digits in range(3, 12)]
    order, shown = (value > edge) - (value < edge), float(f"{edge:.6g}")
    return next((t for t in texts if (float(t) > shown) - (float(t) < shown) == order), texts[-1])
