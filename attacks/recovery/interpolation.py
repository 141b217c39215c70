"""Interpolation: is the unlearned model joined to the original by a straight path without a barrier?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, ChartSpec, Floats, Network, Plot, Scores, Signals, View
from attacks.signals import correct

from .blend import blended, matching, renormalised
from .inputs import batches, passed, some_rows
from .sides import beside

ROLES = ("forget", "holdout", "retain")


class Interpolation(Attack):
    """Accuracy along theta(a) = (1 - a) original + a model, a from 0 to 1, on forget, holdout and retain rows.

    Barrier on retain rows: the largest shortfall of the accuracy below the straight line between the two ends (Frankle
    et al. 2020). Statistic: minus the barrier; higher = nearer to the original's basin, where shallow methods stay. An
    independent retrain lies behind a barrier. BatchNorm statistics are taken anew on retain rows at every step inside
    the path; the ends keep their own. It describes: a model that was retrained or fine-tuned from the original's
    initialisation is joined to it legitimately, so this never gates.
    """

    name = "interpolation"
    title = "Straight path from the original to the model"
    access = Access.WEIGHTS
    needs_original = True
    families = frozenset({"D1"})
    source = (
        "Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis, arXiv 1912.05671; beside "
        "relearning: From Dormant to Deleted, arXiv 2505.22310"
    )
    efforts = {"quick": {"max_rows": 200}, "thorough": {"steps": 10, "max_rows": 5_000}}  # noqa: RUF012
    charts = (
        ChartSpec("lines", "Accuracy along the path", x="share of the audited model", y="accuracy", plot="path"),
        DOTS,
    )

    def __init__(self, *, steps: int = 5, max_rows: int = 1_000) -> None:
        """Set the path.

        Args:
            steps: of equal length, >= 2.
            max_rows: rows of each set, >= 50; as many retain rows set the BatchNorm statistics.
        """
        super().__init__()
        if steps < 2 or max_rows < 50:
            raise ValueError("interpolation: steps must be >= 2 and max_rows >= 50")
        self.parameters = {"steps": steps, "max_rows": max_rows}

    def gradient_rows(self, case: Case) -> int:
        """Forward passes alone, a third of a gradient row each, inside the path; BatchNorm adds retain rows."""
        rows = sum(min(len(case.labels[role]), int(self.parameters["max_rows"])) for role in ROLES)
        return (int(self.parameters["steps"]) - 1) * rows // 3

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: ARG002
        """The original's architecture."""
        assert original is not None
        matching(original.network(), view.network())

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Which rows are right along the path, (steps + 1, rows) a set; distance of the weights.

        Raises:
            NotApplicable: another architecture, or outputs alone.
        """
        assert original is not None
        start, end, between = original.network(), view.network(), view.network()
        matching(start, end)
        shares = self._shares()
        rows = {role: some_rows(len(case.labels[role]), int(self.parameters["max_rows"]), rng) for role in ROLES}
        right: dict[str, list[Floats]] = {role: [] for role in ROLES}
        normalised = False
        for share in shares:
            inside = 0 < share < 1
            if inside:
                between.module.load_state_dict(blended(start, end, float(share)))
                normalised |= renormalised(between, batches(view, case, "retain", rows["retain"]))
            for role in ROLES:
                if inside:
                    logits = passed(view, between.forward, case, role, rows[role])
                else:  # the shared forward pass has asked the ends
                    logits = (view if share else original).logits(role)[rows[role]]
                right[role].append(correct(logits, case.labels[role][rows[role]]).astype(np.float64))
        gap = [(a - b).double().pow(2).sum().item() for a, b in _pairs(start, end)]
        size = [a.double().pow(2).sum().item() for a, _ in _pairs(start, end)]
        return {role: np.stack(values) for role, values in right.items()} | {
            "distance": np.sqrt([np.sum(gap), np.sum(size)]),
            "normalised": np.array([float(normalised)]),
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Minus the barrier on retain rows."""
        shares = self._shares()
        path = np.stack([[s[role].mean(axis=1) for role in ROLES] for s in signals])
        barriers, errors = np.array([barrier(s["retain"], shares) for s in signals]).T
        distance = np.array([s["distance"][0] / s["distance"][1] for s in signals])
        rows = [signals[0][role].shape[1] for role in ROLES]
        steps = ", ".join(f"{a:g}" for a in shares)
        return Scores(
            statistic=-barriers,
            sampling_error=errors,
            unit="accuracy",
            plots={"path": Plot(path, shares, rows=ROLES)},
            details=(
                "descriptive: a model trained on from the original's initialisation is joined to it legitimately",
                f"barrier on {rows[2]} retain rows {beside(barriers)}; L2 distance from the original over its norm "
                f"{beside(distance)}",
                *(
                    f"accuracy on {n} {role} rows at a = {steps}: " + ", ".join(f"{v:.2f}" for v in path[0, i])
                    for i, (role, n) in enumerate(zip(ROLES, rows, strict=True))
                ),
                *(("BatchNorm statistics taken anew inside the path",) if signals[0]["normalised"][0] else ()),
            ),
        )

    def _shares(self) -> Floats:
        return np.linspace(0, 1, int(self.parameters["steps"]) + 1)


def barrier(right: Floats, shares: Floats) -> tuple[float, float]:
    """Largest shortfall below the straight line between the ends, >= 0, and its standard error over the rows.

    Args:
        right: (steps + 1, rows) zeros and ones.
        shares: (steps + 1,) from 0 to 1.
    """
    short = (1 - shares)[:, None] * right[0] + shares[:, None] * right[-1] - right
    at = int(short.mean(axis=1).argmax())
    return float(short[at].mean()), float(short[at].std() / np.sqrt(right.shape[1]))


def _pairs(start: Network, end: Network) -> list[tuple[Any, Any]]:
    """Parameters of two networks, side by side."""
    return list(zip(start.module.parameters(), end.module.parameters(), strict=True))
