"""Shallowness: how few layers of the original bring back what it said of the forgotten rows?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, ChartSpec, Floats, Plot, Scores, Signals, View
from attacks.describe import beside, by_layer
from attacks.representation.layers import LEAST, compared, drawn
from attacks.signals import log_label
from attacks.weights.matrices import ANCESTRY, MOST, Between

RESTORED = 0.9  # our choice: share of the original's confidence that counts as restored


class Shallowness(Attack):
    """Layers are put back from the original one by one, from the last to the first and from the first to the last.

    After each, the mean probability of the label on forget rows (class claims: never-seen rows of the forgotten
    classes), over the original's. Statistic: the mean of that share, at most 1, over 0 .. L - 1 layers put back from
    the top. Higher = fewer layers of the original are enough. The original gives 1; an independent retrain, whose units
    do not fit the original's, comes back with the last layer alone. BatchNorm statistics are re-estimated on retain
    rows for every mixed network.
    """

    name = "shallowness"
    title = "Layers that restore the forgotten rows"
    access = Access.WEIGHTS
    needs_original = True
    families = frozenset({"D1"})
    source = "ours; in the line of arXiv 2505.22310 (dormant knowledge)"
    charts = (
        ChartSpec(
            "lines",
            "Confidence on forgotten rows",
            x="layers put back from the top",
            y="share of the original's",
            plot="top",
        ),
        DOTS,
    )

    efforts: ClassVar = {"quick": {"max_rows": 128}, "thorough": {"max_rows": 5_000}}

    def __init__(self, *, max_rows: int = 512) -> None:
        """Set the cost.

        Args:
            max_rows: at most this many forgotten rows, >= 16.
        """
        super().__init__()
        if max_rows < LEAST:
            raise ValueError(f"shallowness: max_rows must be >= {LEAST}")
        self.parameters = {"max_rows": max_rows}

    def gradient_rows(self, case: Case) -> int:
        """Forward passes alone, a third of a gradient row each: both directions of at most eight blocks, one end."""
        return (2 * (MOST - 1) + 1) * min(len(case.labels[compared(case)[0]]), int(self.parameters["max_rows"])) // 3

    def check_models(self, view: View, original: View | None, case: Case) -> None:
        """The original's architecture."""
        assert original is not None
        Between(view, original, case)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Probability of the label per forgotten row with 0 .. L layers put back, from top and bottom."""
        assert original is not None
        between = Between(view, original, case)
        blocks = between.blocks()
        role = compared(case)[0]
        rows = drawn(len(case.labels[role]), int(self.parameters["max_rows"]), rng)
        labels = case.labels[role][rows]

        def probability(share: dict[str, float]) -> Floats:
            return np.asarray(np.exp(log_label(between.logits(share, role, rows), labels)))

        ends = probability({}), probability(dict.fromkeys(between.mine, 1.0))  # those of either direction

        def curve(order: Sequence[list[str]]) -> Floats:
            share: dict[str, float] = {}
            inner = []
            for block in order[:-1]:
                share |= dict.fromkeys(block, 1.0)
                inner.append(probability(share))
            return np.stack([ends[0], *inner, ends[1]], axis=1)

        return {
            "top": curve(blocks[::-1]),
            "bottom": curve(blocks),
            "original": np.exp(log_label(original.logits(role)[rows], labels)),
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Mean restored share of each model; curves and the fewest layers that are enough."""
        whole = max(float(signals[0]["original"].mean()), np.finfo(float).tiny)
        top, bottom = ([s[key] / whole for s in signals] for key in ("top", "bottom"))
        shares = np.stack([curve.mean(axis=0) for curve in top])
        per_row = [curve[:, :-1].mean(axis=1) for curve in top]
        fewest = [np.array([_fewest(curve.mean(axis=0)) for curve in side]) for side in (top, bottom)]
        count = shares.shape[1] - 1
        names = tuple(str(k) for k in range(count + 1))
        return Scores(
            statistic=np.minimum(shares[:, :-1], 1.0).mean(axis=1),
            sampling_error=np.array([row.std() / np.sqrt(len(row)) for row in per_row]),
            unit="share of the original's confidence",
            details=(
                f"layers of {count} that bring {RESTORED:.0%} of the original's confidence back on "
                f"{len(per_row[0])} {compared(case)[0]} rows: from the top {beside(fewest[0], 0)}, from the bottom "
                f"{beside(fewest[1], 0)}",
                f"share by layers put back from the top: {by_layer(shares, names)}",
                ANCESTRY,
            ),
            plots={"top": Plot(shares, np.arange(count + 1.0))},
        )


def _fewest(shares: Floats) -> float:
    """Smallest number of layers from which on the share is reached; all of them restore the original."""
    reached = np.flatnonzero(shares >= RESTORED)
    return float(reached[0] if len(reached) else len(shares) - 1)
