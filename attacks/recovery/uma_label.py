"""UMA towards the row's own label: how small a change of the input makes the model say the label?"""

from __future__ import annotations

import numpy as np

from attacks.base import PER_EXAMPLE, Case, ChartSpec, Floats, Ints, Signals, View
from attacks.signals import label_margin

from .descent import margin
from .inputs import box_of, continuous
from .sides import sides_of
from .survival import first_reached
from .sweep import RADII, RadiusSweep, starts


class TrueLabelMapping(RadiusSweep):
    """Projected gradient descent towards each row's own label; forget and holdout rows are treated alike.

    Score: the margin of the label (its logit minus the best other one) that the attack reaches, averaged over radius 0
    and the sweep: it falls by what a row lacks at every radius, so a row that needs a smaller one scores higher. The
    radius itself takes six values and ties most rows at 0; its survival curves stand beside. The original is not
    needed: the target is the label, a member's or not. Class claims: mean score of never-seen rows of the forgotten
    classes minus that of the retained ones.

    All rows are attacked: the score is one per example. Memory: one block of ``batch`` (row, radius) pairs.
    """

    name = "uma_label"
    title = "Unlearning mapping attack on the true label"
    reached = "their label"
    source = "Xuan & Li, Verifying Robust Unlearning, arXiv 2504.14798, with the label as target; the score is ours"
    charts = (
        *PER_EXAMPLE,
        ChartSpec(
            "lines",
            "Rows that do not yet say their label",
            x="L-infinity radius (share of the input range)",
            y="share of rows",
            plot="survival",
        ),
    )

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Mean reached margin per row, and the position of the first radius at which the label is said."""
        descent = self.descent(view, box_of(case), case)
        found: dict[str, Floats | Ints] = {}
        ways = self.ways(continuous(case, "retain", np.arange(1)).shape[1:], rng)
        for role in sides_of(case):
            labels = case.labels[role]
            x = continuous(case, role, np.arange(len(labels)))
            plain = label_margin(view.logits(role), labels)
            reached = descent.run(x, _targets(labels, case.n_classes), RADII, starts(ways, x), margin)
            best = np.maximum.accumulate(np.column_stack([plain, -reached.loss]), axis=1)
            hit = np.column_stack([plain > 0, reached.hit])
            found |= {role: best.mean(axis=1), f"{role}_first": first_reached(hit)}
        return found


def _targets(labels: Ints, n_classes: int) -> Floats:
    """Log-probabilities whose first class is the label, (n, C)."""
    return np.where(labels[:, None] == np.arange(n_classes), 0.0, -1.0)
