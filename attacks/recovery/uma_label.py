"""UMA towards the row's own label: how small a change of the input makes the model say the label?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Case, ChartSpec, Floats, Ints, Plot, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.signals import contrast, label_margin

from .descent import Descent, margin
from .inputs import box_of, continuous
from .sides import sides_of
from .survival import first_reached, sentence, surviving

RADII = (0.0125, 0.025, 0.05, 0.1)  # our choice, as shares of the input range
SWEEP = (0.0, *RADII)


class TrueLabelMapping(Attack):
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
    access = Access.GRADIENTS
    symmetric = True
    source = "Xuan & Li, Verifying Robust Unlearning, arXiv 2504.14798, with the label as target; the score is ours"
    efforts = {"quick": {"steps": 5}, "thorough": {"steps": 40, "restarts": 2}}  # noqa: RUF012
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

    def __init__(self, *, steps: int = 10, restarts: int = 0, batch: int = 512) -> None:
        """Set the budget.

        Args:
            steps: gradient steps per start, >= 1.
            restarts: random starts beside the start at the row, >= 0.
            batch: (row, radius) pairs in one block, >= 1: bounds the memory.
        """
        super().__init__()
        if steps < 1 or restarts < 0 or batch < 1:
            raise ValueError("uma_label: steps must be >= 1, restarts >= 0 and batch >= 1")
        self.parameters = {"steps": steps, "restarts": restarts, "batch": batch}

    def gradient_rows(self, case: Case) -> int:
        """Both sides at every radius above 0."""
        rows = sum(len(case.labels[role]) for role in sides_of(case))
        return rows * len(RADII) * (int(self.parameters["steps"]) + 1) * (int(self.parameters["restarts"]) + 1)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Mean reached margin per row, and the position of the first radius at which the label is said."""
        descent = Descent(view, box_of(case), steps=int(self.parameters["steps"]), batch=int(self.parameters["batch"]))
        found: dict[str, Floats | Ints] = {}
        shape = continuous(case, "retain", np.arange(1)).shape[1:]
        ways = [rng.uniform(-1, 1, size=shape) for _ in range(int(self.parameters["restarts"]))]
        for role in sides_of(case):
            labels = case.labels[role]
            x = continuous(case, role, np.arange(len(labels)))
            starts = [None, *(np.broadcast_to(way, x.shape) for way in ways)]
            plain = label_margin(view.logits(role), labels)
            reached = descent.run(x, _targets(labels, case.n_classes), RADII, starts, margin)
            best = np.maximum.accumulate(np.column_stack([plain, -reached.loss]), axis=1)
            hit = np.column_stack([plain > 0, reached.hit])
            found |= {role: best.mean(axis=1), f"{role}_first": first_reached(hit)}
        return found

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated margins, or the class contrast; smallest radii beside."""
        sides = sides_of(case)
        firsts = {side: [s[f"{side}_first"] for s in signals] for side in sides}
        survival = np.stack([[surviving(firsts[side][j], len(SWEEP)) for side in sides] for j in range(len(signals))])
        plots = {"survival": Plot(survival, np.array(SWEEP), rows=sides)}
        details = tuple(sentence(f"{side} rows brought to their label", firsts[side], SWEEP) for side in sides)
        if case.kind == "class":
            statistic, error = contrast(*([s[side] for s in signals] for side in sides))
            return Scores(statistic=statistic, sampling_error=error, unit="logits", plots=plots, details=details)
        values = np.stack([np.concatenate([s[side] for side in sides]) for s in signals])
        examples = calibrated(values, np.concatenate([case.labels[side] for side in sides]))
        invalid = out_of_line(examples)
        return Scores(examples=examples, invalid=invalid, remedy=OUT_OF_LINE_REMEDY, plots=plots, details=details)


def _targets(labels: Ints, n_classes: int) -> Floats:
    """Log-probabilities whose first class is the label, (n, C)."""
    return np.where(labels[:, None] == np.arange(n_classes), 0.0, -1.0)
