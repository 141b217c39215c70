"""Parts of hand-written SVG charts: axes, text, marks and legends.

Pure functions: the same record gives the same bytes. All styling is by class (the classes live in
``templates/report.css``), so that dark mode works and no inline style is needed. Models differ by shape,
dash and colour at once: unlearned = circle, solid; original = diamond, dashed; reference = triangle, dotted.
"""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.numbers import visible

WIDTH = 480.0
_JOINED = Markup("")
LARGEST = 1e150  # beyond it the width of an axis may overflow; such values (and NaN) are not drawn


@dataclass(frozen=True)
class Axis:
    """A scale from values ``low..high`` to pixels ``start..stop``, linear or logarithmic."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        """Pixel of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values inside the scale with their labels (decades on a logarithmic one)."""
        if self.log:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            stride = 1 + (last - first) // 6
            return [(10.0**k, f"{10.0**k:g}") for k in range(last, first - 1, -stride)]
        step = _nice((self.high - self.low) / 5)
        places = max(0, -math.floor(math.log10(step)))
        count = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        plain = 1e-5 <= step < 1e7
        return [(k * step, f"{k * step:.{places}f}" if plain else f"{k * step:g}") for k in count]


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= step * (1 - 1e-9))


def linear(values: Sequence[float], start: float, stop: float) -> Axis:
    """A linear axis around all values, with a little room; of positive width even for one value."""
    low, high = min(values), max(values)
    pad = (high - low) * 0.05
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1 / LARGEST):
        pad = abs(low) * 0.1 if abs(low) > 1 / LARGEST else 1.0
    return Axis(low - pad, high + pad, start, stop)


def decades(values: Sequence[float], start: float, stop: float) -> Axis:
    """A logarithmic axis of whole decades that ends at 1."""
    low = min((v for v in values if v < 1), default=0.1)
    return Axis(10.0 ** math.floor(math.log10(low) + 1e-9), 1.0, start, stop, log=True)


def px(value: float) -> str:
    """A coordinate with at most two decimals."""
    return f"{round(value, 2) + 0.0:g}"


def path(points: Iterable[tuple[float, float]]) -> str:
    """Pixels as the ``points`` of a line or an area, to a tenth: most of a page's bytes stand here."""
    return " ".join(f"{round(x, 1) + 0.0:g},{round(y, 1) + 0.0:g}" for x, y in points)


def clip(label: str, limit: int) -> str:
    """Cut a label to about ``limit`` columns; full names stand in the description and in the page."""
    label, used = visible(label), 0
    for position, character in enumerate(label):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > limit:
            return label[: max(0, position - 1)].rstrip() + "…"
    return label


def text(x: float, y: float, label: str, kind: str, *, anchor: str = "start", limit: int = 52) -> Markup:
    """One line of text, cut to ``limit`` columns."""
    template = Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>')
    return template.format(kind, px(x), px(y), anchor, clip(label, limit))


def lines(label: str, limit: int = 60, most: int = 2) -> list[str]:
    """Break a long title between words into at most ``most`` lines; what is left over is cut by ``text``."""
    found = textwrap.wrap(visible(label), limit, break_long_words=False) or [""]
    return [*found[: most - 1], " ".join(found[most - 1 :])] if len(found) > most else found


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """A straight line of a class."""
    coordinates = [px(v) for v in (x1, y1, x2, y2)]
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, *coordinates)


def mark(kind: str, x: float, y: float, title: str = "") -> Markup:
    """The shape of a role; ``kind`` is the role, possibly with its variant (``unlearned v1``)."""
    inner = Markup("<title>{}</title>").format(visible(title)) if title else Markup("")
    role = kind.split(maxsplit=1)[0]
    if role == "unlearned":
        tag, shape = "circle", Markup('cx="{}" cy="{}" r="5"').format(px(x), px(y))
    else:
        outline = "l6 6l-6 6l-6-6z" if role == "original" else "l5.5 10h-11z"
        tag, shape = "path", Markup('d="M{} {}{}"').format(px(x), px(y - 6), outline)
    if not inner:
        return Markup('<{} class="mark {}" {}/>').format(tag, kind, shape)
    return Markup('<{} class="mark {}" {}>{}</{}>').format(tag, kind, shape, inner, tag)


def picture(uid: str, title: str, words: str, height: float, body: Iterable[Markup]) -> Markup:
    """The whole drawing with its title and its description in words.

    Args:
        uid: prefix of the element ids, unique within the page.
        title: what it shows.
        words: the same content for who cannot see it.
        height: in pixels, at the fixed width ``WIDTH``.
        body: the parts, later ones on top.
    """
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="{u}-t {u}-d" viewBox="0 0 {w} {h}" width="{w}" '
        'height="{h}"><title id="{u}-t">{t}</title><desc id="{u}-d">{d}</desc>{b}</svg>'
    ).format(u=uid, w=px(WIDTH), h=px(height), t=visible(title), d=visible(words), b=_JOINED.join(body))


def nothing(uid: str, title: str, words: str) -> Markup:
    """The picture of no data."""
    return picture(uid, title, words, 80, [text(WIDTH / 2, 44, "no data", "label", anchor="middle")])


def legend(entries: Sequence[tuple[str, str, bool]], y: float) -> list[Markup]:
    """One line per entry (class, label, with a line): nothing overlaps however long the names are."""
    parts = []
    for row, (kind, label, with_line) in enumerate(entries):
        middle, role = y + 20 * row, kind.split()[0]
        parts += [line(f"line {kind}", 12, middle, 48, middle)] if with_line else []
        parts += [mark(kind, 30, middle)] if role != "chance" else []
        parts.append(text(58, middle + 4, label, "key"))
    return parts
