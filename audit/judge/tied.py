"""Figures that hang on tied rows: where probabilities are all there is, rows at 0 or 1 have no order among themselves.

The difference tests take ties as they are and stay exact. A PASS must hold in whatever order the tied rows stood, so
its interval is widened by what their order could change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attacks.base import Access
from audit.collect.evidence import Evidence
from audit.statistics.intervals import Estimate

from .scored import Scored

SETTLE = ("give raw logits, margins or log-probabilities: rounded probabilities tie the surest rows",)


@dataclass(frozen=True)
class Tied:
    """Rows of the audited model whose own label has probability 0 or 1.

    Attributes:
        forget, holdout: their share of the rows of each side.
        count: of both sides.
    """

    forget: float
    holdout: float
    count: int

    def reach(self, metric: str, tail: float) -> float:
        """How far the order of the tied rows could move a figure.

        Args:
            metric: of the figure. Of an AUC each tied pair counts for a half; a tail share may gain or lose every tied
                forget row where its threshold lies among tied holdout rows; a share of knowledge all of them.
            tail: the policy's share of holdout rows beyond the threshold.
        """
        if metric == "auc":
            return self.forget * self.holdout / 2
        if metric.startswith("tpr"):
            return self.forget if self.holdout >= tail else 0.0
        return max(self.forget, self.holdout)


def tied_rows(evidence: Evidence) -> Tied | None:
    """The tied rows of the audited model; None where it gives logits."""
    if "saturated/forget" not in evidence.arrays:
        return None
    sides = [np.asarray(evidence.arrays[f"saturated/{role}"]) for role in ("forget", "holdout")]
    return Tied(float(sides[0].mean()), float(sides[1].mean()), int(sides[0].sum() + sides[1].sum()))


def hangs(scored: Scored, evidence: Evidence, metric: str, estimate: Estimate, margin: float, tail: float) -> str:
    """Why a figure inside its margin is not decided, "" where it is.

    Args:
        scored: the attack; one that asks for labels alone reads no probability.
        evidence: says which rows are tied.
        metric: of the figure.
        estimate: of the figure, inside the margin.
        margin: the distance between the interval and the nearer end of the margin that binds.
        tail: the policy's share of holdout rows beyond a threshold.
    """
    tied = tied_rows(evidence)
    if tied is None or scored.attack.access < Access.LOGITS or tied.reach(metric, tail) < margin:
        return ""
    return (
        f"{tied.count} rows ({tied.forget:.0%} of the forget and {tied.holdout:.0%} of the holdout rows) are tied at "
        f"probability 0 or 1, and their order could move the figure ({estimate.value:.3g}) by "
        f"{tied.reach(metric, tail):.2g}, out of the margin"
    )
