"""Charts that an attack brings: declared beside its code, filled from its scores, drawn by the reports.

An attack names its charts in the class attribute ``charts``. ROC curves, score distributions and one value per model
are made from its scores. For every other kind ``combine`` returns the numbers as a :class:`Plot` in ``Scores.plots``;
a declared chart whose plot is missing is left out of the report.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .case import Floats

#: ``roc``, ``histogram`` (both of per-example scores) and ``dots`` (the statistic) need no plot. ``lines``: curves or
#: profiles per model. ``heatmap``: a table of values per model. ``grid``: small pictures per model.
ChartKind = Literal["roc", "histogram", "dots", "lines", "heatmap", "grid"]


@dataclass(frozen=True)
class ChartSpec:
    """One declared chart.

    Attributes:
        kind: how it is drawn.
        title: what it shows.
        x: label of the x axis (of the columns in a heatmap).
        y: label of the y axis (of the values in a heatmap).
        plot: key of its numbers in ``Scores.plots``; "" where the scores themselves are drawn.
        note: a sentence under the chart.
    """

    kind: ChartKind
    title: str
    x: str = ""
    y: str = ""
    plot: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class Plot:
    """The numbers of one declared chart for J models, the audited one in row 0.

    Attributes:
        values: (J, m) or (J, r, m): r curves, or rows of a heatmap, over m positions. For a grid (J, t, h, w): t
            pictures a model, grey levels in [0, 1]. A grid may show rows of the forget set: an attack fills it only
            where a parameter of its own, off by default, asks for it.
        x: (m,) positions on the x axis; None = 0 .. m-1.
        ticks: m names of the positions (layers, depths), or () for numbers.
        rows: names of the r rows or t pictures; () where there is one.
    """

    values: Floats
    x: Floats | None = None
    ticks: tuple[str, ...] = ()
    rows: tuple[str, ...] = field(default=())

    def check(self, models: int) -> None:
        """Refuse numbers that do not fit together.

        Raises:
            ValueError: wrong shape, or numbers that are not finite.
        """
        values = self.values
        if values.ndim not in (2, 3, 4) or values.shape[0] != models or not np.isfinite(values).all():
            raise ValueError(f"a plot must be finite with {models} models first, got shape {values.shape}")
        rows = values.shape[1] if values.ndim > 2 else 1
        if len(self.rows) not in ((0, 1) if rows == 1 else (rows,)):
            raise ValueError(f"a plot of {rows} rows needs as many names, got {len(self.rows)}")
        positions = values.shape[-1]
        if values.ndim < 4 and (self.x is not None and self.x.shape != (positions,)):
            raise ValueError(f"a plot over {positions} positions needs as many x, got {self.x.shape}")
        if values.ndim < 4 and len(self.ticks) not in (0, positions):
            raise ValueError(f"a plot over {positions} positions needs as many ticks, got {len(self.ticks)}")


ROC = ChartSpec("roc", "Forget against holdout examples", "false positive rate", "true positive rate")
HISTOGRAM = ChartSpec(
    "histogram", "Scores of forget and holdout examples", "score (higher = more like a member)", "density"
)
DOTS = ChartSpec("dots", "Every model on the same statistic")
#: what an attack with per-example scores brings
PER_EXAMPLE = (ROC, HISTOGRAM)
