"""The forest plot: the intervals of the equivalence findings against their margins."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from audit.record.findings import Finding
from reports.numbers import interval_text, margin_text, null_mean, num, one_sided

from . import svg

_PITCH = 66.0
_TOP = 4.0
_FARTHEST = 5.5  # in margins; what lies beyond is drawn at the edge with an arrow


def placeable(findings: Sequence[Finding]) -> list[Finding]:
    """Equivalence findings that the forest plot can draw: with an interval and a margin of positive width."""
    equivalence = [f for f in findings if f.kind == "equivalence"]
    return [f for f in equivalence if f.interval and f.margin and f.margin[0] < f.margin[1]]


def forest_svg(findings: Sequence[Finding], uid: str = "forest") -> Markup:
    """Draw the intervals of equivalence findings, each scaled so that its margin ends at -1 and 1.

    The band of a rate, which has an upper margin only, runs from its zero at 0 to its margin at 1. Findings
    without an interval or without a margin cannot be placed; they are counted in the description.
    """
    rows = placeable(findings)
    title = "Intervals of the equivalence findings against their margins"
    left_out = sum(f.kind == "equivalence" for f in findings) - len(rows)
    note = f" {left_out} findings without interval or margin are not drawn." if left_out else ""
    if not rows:
        return svg.nothing(uid, title, "No data." + note)
    reach = max(abs(in_margins(f, v)) for f in rows for v in _values(f) if v is not None)
    limit = min(_FARTHEST, max(1.5, reach * 1.06))
    axis = svg.Axis(-limit, limit, 20, svg.WIDTH - 20)
    bottom = _TOP + _PITCH * len(rows)
    body: list[Markup] = []
    sentences = []
    for row, finding in enumerate(rows):
        parts, sentence = _row(finding, axis, _TOP + _PITCH * row)
        body += parts
        sentences.append(sentence)
    body.append(svg.line("axis", 0, bottom, svg.WIDTH, bottom))
    body += [
        svg.text(axis.at(v), bottom + 17, label, "tick", anchor="middle", limit=20)
        for v, label in ((-1.0, "-1"), (0.0, "0"), (1.0, "+1"))
    ]
    words = "in margins: the shaded band is where the whole interval must lie"
    body.append(svg.text(svg.WIDTH / 2, bottom + 36, words, "axis-title", anchor="middle", limit=70))
    legend = [
        ("unlearned v0", "unlearned model: estimate and interval", True),
        ("original v0", "original model: the control", False),
        ("reference v0", "mean of the retrained references", False),
    ]
    body += svg.legend(legend, bottom + 60)
    return svg.picture(uid, title, " ".join(sentences) + note, bottom + 60 + 56, body)


def in_margins(finding: Finding, value: float) -> float:
    """A value on the common scale: the margin ends at -1 and 1, that of a rate at 0 and 1."""
    low, high = finding.margin or (-1.0, 1.0)
    if one_sided((low, high)):
        return value / high
    return (value - (low + high) / 2) / ((high - low) / 2)


def _values(finding: Finding) -> list[float | None]:
    interval, null = finding.interval, finding.null
    ends = [interval.low, interval.high] if interval else []
    return [*ends, finding.estimate, finding.control, null_mean(null) if null else None]


def _band(finding: Finding, axis: svg.Axis, middle: float) -> list[Markup]:
    """The margin: shaded, with a dashed line at every end that binds."""
    single = finding.margin is not None and one_sided(finding.margin)
    start = 0.0 if single else -1.0
    template = Markup('<rect class="band" x="{}" y="{}" width="{}" height="22"/>')
    left, right = axis.at(start), axis.at(1.0)
    band = template.format(svg.px(left), svg.px(middle - 11), svg.px(right - left))
    ends = (1.0,) if single else (-1.0, 1.0)
    edges = [svg.line("edge", axis.at(v), middle - 11, axis.at(v), middle + 11) for v in ends]
    return [band, *edges, svg.line("rule", axis.start, middle, axis.stop, middle)]


def _row(finding: Finding, axis: svg.Axis, y: float) -> tuple[list[Markup], str]:
    numbers = f"{num(finding.estimate)} {interval_text(finding.interval, finding.margin)}"
    figures = f"{numbers}, margin {margin_text(finding.margin)}: {finding.status.value}"
    name = finding.id if finding.role == "mandatory" else f"{finding.id} ({finding.role})"
    parts = [
        svg.text(4, y + 16, name, "label"),
        svg.text(4, y + 32, figures, "tick", limit=72),
    ]
    middle = y + 50
    parts += _band(finding, axis, middle)
    pixels = []
    for value in _values(finding):
        place = None if value is None else in_margins(finding, value)
        clipped = None if place is None else max(axis.low, min(axis.high, place))
        pixels.append(None if clipped is None else axis.at(clipped))
        if place is not None and clipped != place:
            edge, tip = (axis.stop + 6, 8) if place > 0 else (axis.start - 6, -8)
            arrow = Markup('<path class="beyond" d="M{} {}v10l{} -5z"/>')
            parts.append(arrow.format(svg.px(edge), svg.px(middle - 5), tip))
    low, high, estimate, control, null = pixels
    if low is not None and high is not None:
        parts.append(svg.line("line unlearned v0", low, middle, high, middle))
        parts += [svg.line("line unlearned v0", x, middle - 5, x, middle + 5) for x in (low, high)]
    marks = (("reference", null), ("original", control), ("unlearned", estimate))
    parts += [svg.mark(role, x, middle) for role, x in marks if x is not None]
    words = f"; control on the original {num(finding.control)}" if finding.control is not None else ""
    words += f"; null {num(null_mean(finding.null))}" if finding.null else ""
    return parts, f"{finding.id}, {finding.title}: {figures}{words}."
