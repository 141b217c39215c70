"""One figure of several runs on the common axis: candidates side by side, or one model over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.effects import Place

from . import svg
from .answer import AXIS, foot, in_words, marks

_PITCH = 52.0


@dataclass(frozen=True)
class Line:
    """One run: what it is called, its verdict, and its figure; None where it has none."""

    title: str
    verdict: str
    placed: Place | None


def compared_svg(lines: Sequence[Line], figure: str, uid: str = "compared") -> Markup:
    """Draw one row a run.

    Args:
        lines: in the order of the rows.
        figure: the id of the finding that is drawn.
        uid: prefix of the element ids, unique within the page.
    """
    title = f"{figure} of each run, between honest retrains and the original"
    if not figure or not any(line.placed for line in lines):
        return svg.nothing(uid, "One figure of each run", "The runs have no figure in common.")
    bottom = _PITCH * len(lines) + 4
    body = [svg.line("grid", AXIS.at(v), 4, AXIS.at(v), bottom) for v in (0.0, 1.0)]
    sentences = []
    for row, line in enumerate(lines):
        y = _PITCH * row
        body.append(svg.text(4, y + 18, line.title, "label", limit=46))
        body.append(svg.text(svg.WIDTH - 4, y + 18, line.verdict, "label", anchor="end", limit=14))
        if line.placed is not None:
            body += marks(line.placed, AXIS, y + 36)
        where = "no figure" if line.placed is None else in_words(line.placed)
        sentences.append(f"{line.title}: {line.verdict}; {where}.")
    return svg.picture(uid, title, " ".join(sentences), bottom + 50, [*body, *foot(bottom)])
