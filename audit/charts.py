"""Chart data of one attack, as its class declares it; drawn by ``reports``."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats

from .evidence import Facts
from .result import Chart, Series
from .scored import Scored

GRID = 60  # points of an ROC curve, evenly spaced on the log axis


def chart(item: Scored, facts: Facts) -> Chart | None:
    """The chart of one attack: ROC on log-log axes, one value per model, or a curve per model."""
    kind = item.attack.chart
    if kind == "curve" and item.subject.curves is not None and item.attack.curve_labels is not None:
        return _curve(item, facts)
    if kind == "roc" and item.subject.examples is not None:
        return _roc(item, facts)
    return _dots(item, facts)


def _roc(item: Scored, facts: Facts) -> Chart | None:
    sides, control = item.sides(), item.sides(control=True)
    if sides is None:
        return None
    series = [_roc_series("unlearned", "unlearned", sides, 0)]
    if control is not None:
        series.append(_roc_series("original", "original", control, 0))
    if facts.references:
        series.append(_roc_series(facts.references[0], "reference", sides, 1))
    series.append(Series(name="chance", role="chance", x=(1 / sides[1].shape[1], 1.0), y=(1 / sides[1].shape[1], 1.0)))
    return Chart(
        kind="roc",
        title="Forget against holdout examples",
        x_label="false positive rate",
        y_label="true positive rate",
        series=tuple(series),
    )


def _roc_series(name: str, role: str, sides: tuple[Floats, Floats], row: int) -> Series:
    forget, holdout = sides[0][row], np.sort(sides[1][row])[::-1]
    n = len(holdout)
    counts = np.unique(np.round(np.logspace(0, np.log10(n), GRID)).astype(int))
    points = []
    for count in counts:
        threshold = holdout[count - 1]
        false_positives = float((holdout >= threshold).mean())
        true_positives = float((forget >= threshold).mean())
        if true_positives > 0:
            points.append((false_positives, true_positives))
    x, y = zip(*points, strict=True) if points else ((), ())
    return Series(name=name, role=role, x=tuple(x), y=tuple(y))  # type: ignore[arg-type]


def _dots(item: Scored, facts: Facts) -> Chart:
    statistic, _ = item.contrast
    series = [Series(name="unlearned", role="unlearned", x=(float(statistic[0]),), y=())]
    if item.control_contrast is not None:
        series.append(Series(name="original", role="original", x=(float(item.control_contrast[0][0]),), y=()))
    if facts.references:
        values = tuple(float(value) for value in statistic[1:])
        series.append(Series(name="retrained", role="reference", x=values, y=()))
    is_class = item.subject.statistic is not None and facts.claim.kind == "class"
    label = "forgotten minus retained classes" if is_class else "forget minus holdout examples"
    return Chart(
        kind="dots",
        title="Every model on the same statistic",
        x_label=f"{label} ({item.subject.unit or 'score units'})",
        y_label="",
        series=tuple(series),
    )


def _curve(item: Scored, facts: Facts) -> Chart | None:
    labels, x, curves = item.attack.curve_labels, item.subject.curve_x, item.subject.curves
    if labels is None or x is None or curves is None:
        return None
    xs = tuple(float(value) for value in x)

    def line(name: str, role: str, y: Floats) -> Series:
        return Series(name=name, role=role, x=xs, y=tuple(float(value) for value in y))  # type: ignore[arg-type]

    series = [line("unlearned", "unlearned", curves[0])]
    if item.control is not None and item.control.curves is not None:
        series.append(line("original", "original", item.control.curves[0]))
    if facts.references:
        series.append(line("mean of retrained", "reference", curves[1:].mean(axis=0)))
    return Chart(kind="lines", title=labels.title, x_label=labels.x, y_label=labels.y, series=tuple(series))
