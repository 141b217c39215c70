"""Example charts of every kind for the report tests."""

from __future__ import annotations

import math

from audit.record.attack_record import Chart, Series

HOSTILE = '<script>alert("x")</script></style>\'; --> ]]> {{ 7*7 }} [bold]b[/bold] \u202egnp.exe \x1b[31m שלום 🦊'


def roc_chart() -> Chart:
    """ROC curves with 1000 points each: the unlearned model between chance and the original."""
    xs = tuple(k / 1000 for k in range(1001))

    def curve(power: float) -> tuple[float, ...]:
        return tuple(x**power for x in xs)

    references = tuple(
        Series(name=f"retrained/{k}", role="reference", x=xs, y=curve(1.0 + 0.04 * (k - 2))) for k in range(5)
    )
    ends = {"low": tuple(y * 0.8 for y in curve(0.7)), "high": tuple(min(1.0, y * 1.25) for y in curve(0.7))}
    return Chart(
        kind="roc",
        title="Membership ROC, log-log",
        x_label="false-positive rate (holdout called forget)",
        y_label="true-positive rate (forget called forget)",
        series=(
            Series(name="unlearned", role="unlearned", x=xs, y=curve(0.7), **ends),
            Series(name="original", role="original", x=xs, y=curve(0.35)),
            *references,
            Series(name="coin flip", role="chance", x=(0.0, 1.0), y=(0.0, 1.0)),
        ),
    )


def lines_chart() -> Chart:
    """Recovery curves over fine-tuning steps."""
    steps = tuple(float(k) for k in range(0, 201, 10))

    def curve(rate: float) -> tuple[float, ...]:
        return tuple(1 - 0.9 * math.exp(-rate * s) for s in steps)

    return Chart(
        kind="lines",
        title="Accuracy on the forget set while fine-tuning on its other half",
        x_label="fine-tuning steps",
        y_label="accuracy on held-back forget examples",
        series=(
            Series(name="forget half B", role="unlearned", x=steps, y=curve(0.03)),
            Series(name="holdout half B", role="unlearned", x=steps, y=curve(0.012)),
            Series(name="forget half B", role="original", x=steps, y=curve(0.2)),
            Series(name="retrained/0", role="reference", x=steps, y=curve(0.011)),
            Series(name="retrained/1", role="reference", x=steps, y=curve(0.013)),
        ),
    )


def dots_chart() -> Chart:
    """One similarity per model."""
    references = (0.412, 0.425, 0.431, 0.433, 0.434, 0.47)
    return Chart(
        kind="dots",
        title="Similarity of features to the original, forget minus holdout",
        x_label="difference of mean cosine similarity",
        y_label="",
        series=(
            Series(name="unlearned", role="unlearned", x=(0.688,), y=()),
            Series(name="original", role="original", x=(1.0,), y=()),
            Series(name="retrained", role="reference", x=references, y=()),
        ),
    )


def histogram_chart() -> Chart:
    """Forget and holdout scores on three models, in bins of different widths."""
    edges = (-3.0, -1.0, 0.0, 1.0, 1.5, 4.0)
    moved = {"unlearned": 0.25, "original": 0.6, "reference": 0.0}
    names = {"unlearned": "unlearned", "original": "original", "reference": "mean of retrained"}

    def densities(share: float) -> tuple[float, ...]:
        shares = (0.1, 0.3 - share / 3, 0.3 - share / 3, 0.2 + share / 3, 0.1 + share / 3)
        return tuple(s / (b - a) for s, a, b in zip(shares, edges[:-1], edges[1:], strict=True))

    return Chart(
        kind="histogram",
        title="Scores of forget and holdout examples",
        x_label="score",
        y_label="density",
        note="Bins hold at least 5 rows.",
        series=tuple(
            Series(name=names[role], role=role, side=side, x=edges, y=densities(by if side == "forget" else 0.0))
            for role, by in moved.items()
            for side in ("forget", "holdout")
        ),
    )


LAYERS = tuple(f"block{k}.conv" for k in range(10))


def profile_chart() -> Chart:
    """A value per layer, with the range of the retrained models."""
    xs = tuple(float(k) for k in range(10))

    def curve(height: float) -> tuple[float, ...]:
        return tuple(height * (1 - k / 12) for k in range(10))

    return Chart(
        kind="lines",
        title="Similarity to the original by layer",
        x_label="layer",
        y_label="cosine similarity",
        ticks=LAYERS,
        note="The band is the range of 5 retrained models.",
        series=(
            Series(name="unlearned", role="unlearned", x=xs, y=curve(0.9)),
            Series(name="mean of retrained", role="reference", x=xs, y=curve(0.5), low=curve(0.4), high=curve(0.6)),
        ),
    )


def heatmap_chart() -> Chart:
    """Accuracy by class and depth on two models."""
    return Chart(
        kind="heatmap",
        title="Probe accuracy by class and depth",
        x_label="depth",
        y_label="accuracy",
        ticks=("1", "2", "3", "4"),
        series=tuple(
            Series(name=f"class {k}", role=role, x=(), y=tuple(0.1 + 0.2 * k + 0.1 * d for d in range(4)))
            for role in ("unlearned", "original")
            for k in range(3)
        ),
    )


def grid_chart() -> Chart:
    """Two small pictures per model."""
    return Chart(
        kind="grid",
        title="Reconstructions",
        x_label="",
        y_label="",
        series=tuple(
            Series(name=f"row {k}", role=role, x=(), y=(), width=4, pixels=bytes(range(k, k + 48, 4)).hex())
            for role in ("unlearned", "original")
            for k in range(2)
        ),
    )


def hostile_chart(chart: Chart) -> Chart:
    """The same chart with every text an attack on the page."""
    h = HOSTILE
    series = tuple(s.model_copy(update={"name": h}) for s in chart.series)
    texts = {"title": h, "x_label": h, "y_label": h, "note": h, "ticks": (h,) * len(chart.ticks)}
    return chart.model_copy(update={**texts, "series": series})
