"""Charts as hand-written SVG, and the one way in which all reports write a number.

Pure functions: the same record gives the same bytes. All styling is by class (the classes live in
``templates/report.css``), so that dark mode works and no inline style is needed. Models differ by shape,
dash and colour at once: unlearned = circle, solid; original = diamond, dashed; reference = triangle, dotted.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from audit.result import Chart, Finding, Interval, Series

ABSENT = "–"
WIDTH = 480.0
MAX_POINTS = 200
ROLE_NAMES = {
    "unlearned": "unlearned model",
    "original": "original model",
    "reference": "retrained reference",
    "chance": "chance",
}
_LEVELS = (0.01, 0.025, 0.05, 0.1)
_KEPT_CONTROLS = "\n\t\u200c\u200d"  # joiners belong to words and emoji; line ends are white space
_JOINED = Markup("")
_LARGEST = 1e150  # beyond it the width of an axis may overflow; such values (and NaN) are not drawn
_SMALLEST = 1e-12  # on logarithmic axes
_ORDER = ("chance", "reference", "original", "unlearned")  # drawn last = on top
_ROWS = ("unlearned", "original", "reference")
_LANES = (0.0, -11.0, 11.0, -5.5, 5.5)
_Points = list[tuple[float, float]]
_Drawn = Sequence[tuple[Series, _Points]]


# --- numbers and names -------------------------------------------------------------------------------------


def visible(text: str) -> str:
    """Replace control characters (terminal escapes, bidirectional overrides) by a visible ``\\uXXXX``."""
    hidden = ("Cc", "Cf", "Cs")
    return "".join(
        f"\\u{ord(c):04x}" if unicodedata.category(c) in hidden and c not in _KEPT_CONTROLS else c
        for c in text
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
        low, high = _apart(interval.low, margin[0]), _apart(interval.high, margin[1])
    return f"[{low}, {high}]"


def margin_text(margin: tuple[float, float] | None) -> str:
    """Write an open interval ``(low, high)``: set by the policy, so shown to six digits."""
    return ABSENT if margin is None else f"({margin[0]:.6g}, {margin[1]:.6g})"


def _apart(value: float, edge: float) -> str:
    texts = [num(value, digits) for digits in range(3, 12)]
    order, shown = (value > edge) - (value < edge), float(f"{edge:.6g}")
    return next((t for t in texts if (float(t) > shown) - (float(t) < shown) == order), texts[-1])


# --- axes --------------------------------------------------------------------------------------------------


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


def _linear(values: Sequence[float], start: float, stop: float) -> Axis:
    low, high = min(values), max(values)
    pad = (high - low) * 0.05
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1 / _LARGEST):
        pad = abs(low) * 0.1 if abs(low) > 1 / _LARGEST else 1.0
    return Axis(low - pad, high + pad, start, stop)


def _decades(values: Sequence[float], start: float, stop: float) -> Axis:
    low = min((v for v in values if v < 1), default=0.1)
    return Axis(10.0 ** math.floor(math.log10(low) + 1e-9), 1.0, start, stop, log=True)


# --- SVG parts ---------------------------------------------------------------------------------------------


def _px(value: float) -> str:
    return f"{round(value, 2) + 0.0:g}"


def _clip(text: str, limit: int) -> str:
    """Cut a label to about ``limit`` columns; full names stand in the description and in the page."""
    text, used = visible(text), 0
    for position, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > limit:
            return text[: max(0, position - 1)].rstrip() + "…"
    return text


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start", limit: int = 52) -> Markup:
    template = Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>')
    return template.format(kind, _px(x), _px(y), anchor, _clip(text, limit))


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    coordinates = [_px(v) for v in (x1, y1, x2, y2)]
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, *coordinates)


def _mark(kind: str, x: float, y: float, title: str = "") -> Markup:
    """The shape of a role; ``kind`` is the role, possibly with its variant (``unlearned v1``)."""
    inner = Markup("<title>{}</title>").format(visible(title)) if title else Markup("")
    role = kind.split(maxsplit=1)[0]
    if role == "unlearned":
        template = Markup('<circle class="mark {}" cx="{}" cy="{}" r="5">{}</circle>')
        return template.format(kind, _px(x), _px(y), inner)
    shape = "l6 6l-6 6l-6-6z" if role == "original" else "l5.5 10h-11z"
    template = Markup('<path class="mark {}" d="M{} {}{}">{}</path>')
    return template.format(kind, _px(x), _px(y - 6), shape, inner)


def _svg(uid: str, title: str, words: str, height: float, body: Iterable[Markup]) -> Markup:
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="{u}-t {u}-d" viewBox="0 0 {w} {h}" width="{w}" '
        'height="{h}"><title id="{u}-t">{t}</title><desc id="{u}-d">{d}</desc>{b}</svg>'
    ).format(u=uid, w=_px(WIDTH), h=_px(height), t=visible(title), d=visible(words), b=_JOINED.join(body))


def _legend(entries: Sequence[tuple[str, str, bool]], y: float) -> list[Markup]:
    """One line per entry (class, label, with a dash): nothing overlaps however long the names are."""
    parts = []
    for row, (kind, label, dashed) in enumerate(entries):
        middle, role = y + 20 * row, kind.split()[0]
        parts += [_line(f"line {kind}", 12, middle, 48, middle)] if dashed else []
        parts += [_mark(kind, 30, middle)] if role != "chance" else []
        parts.append(_text(58, middle + 4, label, "label"))
    return parts


# --- charts of attacks -------------------------------------------------------------------------------------


def chart_svg(chart: Chart, uid: str = "chart") -> Markup:
    """Draw the chart of one attack.

    Args:
        chart: what to draw; points that are not finite (or not positive on logarithmic axes) are left out and
            counted in the description.
        uid: prefix of the element ids, unique within the page.
    """
    points = {i: _points(s, chart.kind) for i, s in enumerate(chart.series)}
    drawn = [(s, points[i]) for i, s in enumerate(chart.series) if points[i]]
    if not any(s.role != "chance" for s, _ in drawn):
        empty = _text(WIDTH / 2, 44, "no data", "label", anchor="middle")
        return _svg(uid, chart.title, "No data.", 80, [empty])
    models = [s for s in chart.series if s.role != "chance"]
    given = sum(len(s.x) if chart.kind == "dots" else max(len(s.x), len(s.y)) for s in models)
    lost = given - sum(len(p) for s, p in drawn if s.role != "chance")
    sentences = [_in_words(s, p, chart.kind) for s, p in drawn[:16]]
    sentences += [f"{len(drawn) - 16} more series are drawn."] if len(drawn) > 16 else []
    sentences += [f"Points that these axes cannot show (zero, or no number): {lost}."] if lost else []
    height, body = (_dots if chart.kind == "dots" else _curves)(chart, drawn)
    words = (
        f"{chart.x_label} across, {chart.y_label} upwards. " if chart.kind != "dots" else f"{chart.x_label}. "
    )
    return _svg(uid, chart.title, words + " ".join(sentences), height, body)


def _points(series: Series, kind: str) -> _Points:
    pairs = [(v, 0.0) for v in series.x] if kind == "dots" else zip(series.x, series.y, strict=False)
    finite = [(x, y) for x, y in pairs if abs(x) <= _LARGEST and abs(y) <= _LARGEST]
    if kind != "roc":
        return finite
    shown = [(x, y) for x, y in finite if _SMALLEST <= x <= 1 and _SMALLEST <= y <= 1]
    return shown or ([(1.0, 1.0)] if series.role == "chance" else [])


def _label(series: Series) -> str:
    role = ROLE_NAMES[series.role]
    return role if series.name in {role, series.role} else f"{series.name} ({role})"


def _in_words(series: Series, points: _Points, kind: str) -> str:
    name = _label(series)
    if kind == "dots":
        values = sorted(x for x, _ in points)
        if len(values) <= 12:
            return f"{name}: {', '.join(num(v) for v in values)}."
        middle = values[len(values) // 2]
        return (
            f"{name}: {len(values)} values from {num(values[0])} to {num(values[-1])}, middle {num(middle)}."
        )
    if kind == "roc" and series.role == "chance":
        return f"{name}: the diagonal."
    (x0, y0), (x1, y1) = points[0], points[-1]
    if len(points) == 1:
        return f"{name}: one point, {num(y0)} at {num(x0)}."
    ys = [y for _, y in points]
    ends = f"from {num(y0)} at {num(x0)} to {num(y1)} at {num(x1)}"
    return f"{name}: {len(points)} points {ends}, lowest {num(min(ys))}, highest {num(max(ys))}."


def _thin(points: _Points, limit: int) -> _Points:
    """Keep at most ``limit`` points, evenly along the drawn line, the first and the last among them."""
    if len(points) <= limit:
        return points
    travelled = [0.0]
    for a, b in pairwise(points):
        travelled.append(travelled[-1] + math.dist(a, b))
    targets = [travelled[-1] * k / (limit - 1) for k in range(limit)]
    kept = {min(bisect_left(travelled, t), len(points) - 1) for t in targets} - {len(points) - 1}
    return [points[i] for i in sorted(kept)[: limit - 1]] + points[-1:]


def _frame(x_axis: Axis, y_axis: Axis, chart: Chart) -> list[Markup]:
    left, right, bottom, top = x_axis.start, x_axis.stop, y_axis.start, y_axis.stop
    parts = [_text(4, 14, chart.y_label, "axis-title")]
    for value, label in y_axis.ticks():
        parts.append(_line("grid", left, y_axis.at(value), right, y_axis.at(value)))
        parts.append(_text(left - 7, y_axis.at(value) + 4, label, "tick", anchor="end", limit=9))
    for value, label in x_axis.ticks():
        parts.append(_line("grid", x_axis.at(value), bottom, x_axis.at(value), top))
        parts.append(_text(x_axis.at(value), bottom + 17, label, "tick", anchor="middle", limit=9))
    parts.append(_text((left + right) / 2, bottom + 36, chart.x_label, "axis-title", anchor="middle"))
    return [*parts, _line("axis", left, bottom, right, bottom), _line("axis", left, bottom, left, top)]


def _curves(chart: Chart, drawn: _Drawn) -> tuple[float, list[Markup]]:
    """Lines over x; ROC curves on two logarithmic axes of the same range, so that chance is the diagonal."""
    placed = [p for s, points in drawn for p in points if chart.kind != "roc" or s.role != "chance"]
    xs, ys = [x for x, _ in placed], [y for _, y in placed]
    left, right, bottom, top = 66.0, WIDTH - 16, 290.0, 26.0
    if chart.kind == "roc":
        x_axis, y_axis = _decades(xs + ys, left, right), _decades(xs + ys, bottom, top)
    else:
        x_axis, y_axis = _linear(xs, left, right), _linear(ys, bottom, top)
    body = _frame(x_axis, y_axis, chart)
    limit = max(12, min(MAX_POINTS, 4000 // len(drawn)))
    references = sum(s.role == "reference" for s, _ in drawn)
    seen: dict[str, int] = {}
    legend: list[tuple[str, str, bool]] = []
    for series, points in sorted(drawn, key=lambda pair: _ORDER.index(pair[0].role)):
        grouped = references > 3 and series.role == "reference"
        variant = 0 if grouped else seen.get(series.role, 0) % 3
        seen[series.role] = seen.get(series.role, 0) + 1
        kind = f"{series.role} v{variant}"
        pixels = [(x_axis.at(x), y_axis.at(y)) for x, y in points]
        if chart.kind == "roc" and series.role == "chance":
            pixels = [(x_axis.start, y_axis.start), (x_axis.stop, y_axis.stop)]
        pixels = _thin(pixels, limit)
        if len(pixels) > 1:
            path = " ".join(f"{_px(x)},{_px(y)}" for x, y in pixels)
            body.append(Markup('<polyline class="line {}" points="{}"/>').format(kind, path))
        if series.role != "chance":
            marks = _thin(pixels, 2 if grouped else 8)
            body += [_mark(kind, x, y) for x, y in marks]
        if not grouped or seen[series.role] == 1:
            name = f"{references} retrained references" if grouped else _label(series)
            legend.append((kind, name, True))
    return bottom + 62 + 20 * len(legend), body + _legend(legend, bottom + 62)


def _dots(chart: Chart, drawn: _Drawn) -> tuple[float, list[Markup]]:
    """One row per role on a common axis; values that would overlap are moved into lanes."""
    roles = [role for role in _ROWS if any(s.role == role for s, _ in drawn)]
    axis = _linear([x for _, points in drawn for x, _ in points], 16, WIDTH - 16)
    pitch, top = 66.0, 10.0
    bottom = top + pitch * len(roles)
    body: list[Markup] = []
    for value, label in axis.ticks():
        body.append(_line("grid", axis.at(value), bottom, axis.at(value), top))
        body.append(_text(axis.at(value), bottom + 17, label, "tick", anchor="middle", limit=9))
    for series, points in drawn:
        if series.role == "chance":
            body += [_line("line chance v0", axis.at(x), bottom, axis.at(x), top) for x, _ in points]
    for row, role in enumerate(roles):
        base = top + pitch * row
        named = sorted((x, s.name) for s, points in drawn if s.role == role for x, _ in points)
        body.append(_line("rule", 0, base, WIDTH, base))
        body.append(
            _text(4, base + 16, f"{ROLE_NAMES[role]}{'s' * (len(named) > 1)} (n = {len(named)})", "label")
        )
        ends = [-math.inf] * 5
        for value, name in named:
            x = axis.at(value)
            lane = next((i for i, end in enumerate(ends) if x - end >= 12), ends.index(min(ends)))
            ends[lane] = x
            body.append(_mark(role, x, base + 42 + _LANES[lane], f"{name}: {num(value)}"))
    body.append(_line("axis", 0, bottom, WIDTH, bottom))
    body.append(_text(WIDTH / 2, bottom + 36, chart.x_label, "axis-title", anchor="middle"))
    legend = [("chance v0", _label(s), True) for s, _ in drawn if s.role == "chance"]
    return bottom + 46 + 20 * len(legend), body + _legend(legend, bottom + 56)


# --- forest plot -------------------------------------------------------------------------------------------


def placeable(findings: Sequence[Finding]) -> list[Finding]:
    """Equivalence findings that the forest plot can draw: with an interval and a margin of positive width."""
    equivalence = [f for f in findings if f.kind == "equivalence"]
    return [f for f in equivalence if f.interval and f.margin and f.margin[0] < f.margin[1]]


def forest_svg(findings: Sequence[Finding], uid: str = "forest") -> Markup:
    """Draw the intervals of equivalence findings, each scaled so that its margin is the band from -1 to 1.

    Findings without an interval or without a margin cannot be placed; they are counted in the description.
    """
    rows = placeable(findings)
    title = "Intervals of the equivalence findings against their margins"
    left_out = sum(f.kind == "equivalence" for f in findings) - len(rows)
    note = f" {left_out} findings without interval or margin are not drawn." if left_out else ""
    if not rows:
        return _svg(
            uid, title, "No data." + note, 80, [_text(WIDTH / 2, 44, "no data", "label", anchor="middle")]
        )
    reach = max(abs(_in_margins(f, v)) for f in rows for v in _values(f) if v is not None)
    limit = min(5.5, max(1.5, reach * 1.06))
    axis = Axis(-limit, limit, 20, WIDTH - 20)
    pitch, top = 66.0, 4.0
    bottom = top + pitch * len(rows)
    body: list[Markup] = []
    sentences = []
    for row, finding in enumerate(rows):
        parts, sentence = _forest_row(finding, axis, top + pitch * row)
        body += parts
        sentences.append(sentence)
    body.append(_line("axis", 0, bottom, WIDTH, bottom))
    body += [
        _text(axis.at(v), bottom + 17, label, "tick", anchor="middle", limit=20)
        for v, label in ((-1.0, "-1"), (0.0, "0"), (1.0, "+1"))
    ]
    axis_title = "scaled: -1 and +1 are the ends of each margin"
    body.append(_text(WIDTH / 2, bottom + 36, axis_title, "axis-title", anchor="middle"))
    legend = [
        ("unlearned v0", "unlearned model: estimate and interval (solid)", True),
        ("original v0", "original model: the control", False),
        ("reference v0", "mean of the null (references or permutations)", False),
    ]
    body += _legend(legend, bottom + 60)
    return _svg(uid, title, " ".join(sentences) + note, bottom + 60 + 56, body)


def _values(finding: Finding) -> list[float | None]:
    interval, null = finding.interval, finding.null
    ends = [interval.low, interval.high] if interval else []
    return [*ends, finding.estimate, finding.control, null.mean if null else None]


def _in_margins(finding: Finding, value: float) -> float:
    low, high = finding.margin or (-1.0, 1.0)
    return (value - (low + high) / 2) / ((high - low) / 2)


def _forest_row(finding: Finding, axis: Axis, y: float) -> tuple[list[Markup], str]:
    numbers = f"{num(finding.estimate)} {interval_text(finding.interval, finding.margin)}"
    figures = f"{numbers}, margin {margin_text(finding.margin)}: {finding.status.value}"
    parts = [_text(4, y + 16, finding.title, "label"), _text(4, y + 32, figures, "tick", limit=64)]
    middle = y + 50
    band = Markup('<rect class="band" x="{}" y="{}" width="{}" height="22"/>')
    parts.append(band.format(_px(axis.at(-1)), _px(middle - 11), _px(axis.at(1) - axis.at(-1))))
    parts += [_line("edge", axis.at(v), middle - 11, axis.at(v), middle + 11) for v in (-1.0, 1.0)]
    parts.append(_line("rule", axis.start, middle, axis.stop, middle))
    pixels = []
    for value in _values(finding):
        place = None if value is None else _in_margins(finding, value)
        clipped = None if place is None else max(axis.low, min(axis.high, place))
        pixels.append(None if clipped is None else axis.at(clipped))
        if place is not None and clipped != place:
            edge, tip = (axis.stop + 6, 8) if place > 0 else (axis.start - 6, -8)
            arrow = Markup('<path class="beyond" d="M{} {}v10l{} -5z"/>')
            parts.append(arrow.format(_px(edge), _px(middle - 5), tip))
    low, high, estimate, control, null = pixels
    if low is not None and high is not None:
        parts.append(_line("line unlearned v0", low, middle, high, middle))
        parts += [_line("line unlearned v0", x, middle - 5, x, middle + 5) for x in (low, high)]
    marks = (("reference", null), ("original", control), ("unlearned", estimate))
    parts += [_mark(role, x, middle) for role, x in marks if x is not None]
    words = f"; control on the original {num(finding.control)}" if finding.control is not None else ""
    words += f"; null {num(finding.null.mean)}" if finding.null else ""
    return parts, f"{finding.title}: {figures}{words}."
