"""The picture of the first screen: per group of attacks the audited model between honest retrains and the original."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reports.effects import Place, key_finding, percent, place
from reports.groups import Group
from reports.numbers import num

from . import svg

_PITCH = 52.0
_SAID = 126.0  # where the figure of a row begins, right of its title
#: what lies beyond is drawn at the edge with an arrow
AXIS = svg.Axis(-0.5, 1.5, 14.0, svg.WIDTH - 14.0)


def answer_svg(groups: Sequence[Group], uid: str = "answer") -> Markup:
    """Draw the key figure of every group on one axis: 0 % is an honest retrain, 100 % the original.

    Args:
        groups: of a run, in the order of the rows. One without a figure on this axis has its finding in words.
        uid: prefix of the element ids, unique within the page.
    """
    title = "How much is left: the audited model between honest retrains and the original"
    figures = {g.key: f for g in groups if (f := key_finding(g.findings)) is not None}
    rows = [g for g in groups if g.key in figures or g.decided]
    if not rows:
        return svg.nothing(uid, title, "No attack ran.")
    axis = AXIS
    bottom = _PITCH * len(rows) + 4
    body = [svg.line("grid", axis.at(v), 4, axis.at(v), bottom) for v in (0.0, 1.0)]
    sentences = []
    for row, group in enumerate(rows):
        f = figures.get(group.key)
        placed = None if f is None else place(f)
        drawn, sentence = _row(group, placed, axis, _PITCH * row)
        body += drawn
        sentences.append(sentence)
    body += foot(bottom)
    return svg.picture(uid, title, " ".join(sentences), bottom + 50, body)


def foot(bottom: float) -> list[Markup]:
    """The axis below the rows, and the legend; 50 pixels high."""
    ends = ((0.0, "0% honest retrain"), (1.0, "100% the original"))
    named = [svg.text(AXIS.at(v), bottom + 16, words, "tick", anchor="middle", limit=28) for v, words in ends]
    return [svg.line("axis", 0, bottom, svg.WIDTH, bottom), *named, *legend(bottom + 38)]


def _row(group: Group, placed: Place | None, axis: svg.Axis, y: float) -> tuple[list[Markup], str]:
    status = group.status.value
    said = _words(group) if placed is None else _figure(placed)
    head = [
        svg.text(4, y + 18, group.title, "label"),
        svg.text(_SAID, y + 18, said, "tick", limit=min(36, 44 - len(status))),
        svg.text(svg.WIDTH - 4, y + 18, status, "label", anchor="end", limit=14),
    ]
    if placed is None:
        return head, f"{group.title}: {status}; {said}."
    return [*head, *marks(placed, axis, y + 36)], f"{group.title}: {status}; {said}; {in_words(placed)}."


def _words(group: Group) -> str:
    return group.findings[0].reason if group.findings else "nothing measured"


def _figure(p: Place) -> str:
    f = p.finding
    attack = f.attack.replace("_", " ")
    if f.metric == "auc" and f.margin is not None and f.margin[0] <= 0:  # of an AUC, off retrains and not off chance
        return f"{attack}, shift {f.estimate:+.3f}"
    name = {"auc": "AUC", "share": "share left", "d1": "difference", "d2": "difference"}.get(f.metric, f.metric)
    return f"{attack}, {name.replace('_', ' ')} {num(f.estimate)}"


def in_words(p: Place) -> str:
    """Where the audited model lies, for who cannot see it."""
    span = "" if p.low is None or p.high is None else f" ({percent(p.low)} to {percent(p.high)})"
    return f"{percent(p.value)} of the way from honest retrains to the original{span}"


def marks(p: Place, axis: svg.Axis, middle: float) -> list[Markup]:
    """The marks of one row: margin, honest retrains, original, the audited model with its interval."""

    def at(value: float) -> float:
        return axis.at(min(max(value, axis.low), axis.high))

    parts: list[Markup] = []
    if p.margin is not None:
        left, right = at(p.margin[0]), at(p.margin[1])
        band = Markup('<rect class="band" x="{}" y="{}" width="{}" height="18"/>')
        parts.append(band.format(svg.px(left), svg.px(middle - 9), svg.px(max(0.0, right - left))))
        parts += [svg.line("edge", x, middle - 9, x, middle + 9) for x in (left, right)]
    parts.append(svg.line("rule", axis.start, middle, axis.stop, middle))
    if p.spread is not None:
        parts.append(svg.line("spread-of", at(-p.spread), middle, at(p.spread), middle))
    parts += [svg.mark("reference", axis.at(0.0), middle), svg.mark("original", axis.at(1.0), middle)]
    if p.low is not None and p.high is not None:
        parts.append(svg.line("line unlearned v0", at(p.low), middle, at(p.high), middle))
        parts += [svg.line("line unlearned v0", at(v), middle - 5, at(v), middle + 5) for v in (p.low, p.high)]
    parts.append(svg.mark("unlearned", at(p.value), middle))
    reached = (min(p.value, p.low or p.value), max(p.value, p.high or p.value))
    for beyond, edge, tip in ((reached[0] < axis.low, 6, -6), (reached[1] > axis.high, svg.WIDTH - 6, 6)):
        if beyond:
            arrow = Markup('<path class="beyond" d="M{} {}v10l{} -5z"/>')
            parts.append(arrow.format(svg.px(edge), svg.px(middle - 5), tip))
    return parts


def legend(y: float) -> list[Markup]:
    """What the marks are, in one line."""
    parts: list[Markup] = []
    named = (("unlearned", 10.0, "this model"), ("reference", 122.0, "honest retrain"), ("original", 258.0, "original"))
    for kind, x, words in named:
        parts += [svg.mark(kind, x, y), svg.text(x + 12, y + 4, words, "tick")]
    swatch = Markup('<rect class="band" x="{}" y="{}" width="22" height="12"/>')
    return [*parts, swatch.format("352", svg.px(y - 6)), svg.text(380, y + 4, "margin", "tick")]
