"""Flatness: how do confidence and loss vary around a row, compared with rows that nobody trained on?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Case, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, adjust, leave_one_out, out_of_line
from attacks.inputs import unless_continuous
from attacks.signals import canonical, log_label

from .noise import NO_FLOATS, SIZES, answers

SIDES = ("forget", "holdout")
FLOOR = 0.05  # our choice, in nats: a spread below it is no spread


class Flatness(Attack):
    """Spread and curvature of the loss over small input changes, forget and holdout rows alike.

    For each size s and direction u: l(x + s u) and l(x - s u), l the loss of the label at a common temperature. Spread:
    standard deviation of all these losses. Relative curvature: mean of l(x + su) + l(x - su) - 2 l(x), over the spread
    plus .05 nats (our choice). A row that was learned lies in a flat valley: little spread, and what there is rises on
    both sides. Score: relative curvature minus spread, each standardised by the other models on that row, mean over the
    sizes, then adjusted for label and difficulty. Over-unlearned rows lie on a steep hill: the lower side counts as
    well. The queries are cached, and the forward half of them shared with ``residual_knowledge``.
    """

    name = "flatness"
    title = "Flatness of the loss around a row"
    access = Access.LOGITS
    symmetric = True
    source = "REMIND, arXiv 2511.04228 (idea); the statistic is ours"
    efforts = {"quick": {"draws": 2}, "thorough": {"draws": 32}}  # noqa: RUF012
    charts = PER_EXAMPLE

    def __init__(self, *, draws: int = 4) -> None:
        """Set the number of draws.

        Args:
            draws: directions at each size, >= 2; each is asked both ways.
        """
        super().__init__()
        if draws < 2:
            raise ValueError("flatness: draws must be >= 2")
        self.parameters = {"draws": draws}

    def applicable(self, case: Case) -> str:
        """Rows, not classes; noise needs numbers to be added to."""
        if case.kind == "class":
            return "compares rows: a class that was never learned has no loss to compare"
        return unless_continuous(case, NO_FLOATS)

    def gradient_rows(self, case: Case) -> int:
        """Forward passes alone, a third of a gradient row each: every draw at every size, both ways."""
        return 2 * len(SIZES) * int(self.parameters["draws"]) * sum(len(case.labels[side]) for side in SIDES) // 3

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Relative curvature and minus the spread per row and size, (n, sizes, 2)."""
        draws = int(self.parameters["draws"])
        plain = np.concatenate([view.logits(role) for role in SIDES])
        found = {}
        for role in SIDES:
            labels = case.labels[role]
            here = -log_label(canonical(view.logits(role), plain), labels)
            around = [
                -log_label(canonical(logits, plain), labels) for logits in answers(view, role, SIZES, draws, both=True)
            ]
            losses = np.reshape(around, (len(SIZES), 2 * draws, -1))
            spread = losses.std(axis=1)
            curvature = 2 * (losses.mean(axis=1) - here)
            found[role] = np.stack([curvature / (spread + FLOOR), -spread], axis=-1).transpose(1, 0, 2)
        return found

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """The two measures, standardised at each size and averaged."""
        values = np.stack([np.concatenate([s[role] for role in SIDES]) for s in signals])  # (J, n, sizes, 2)
        labels = np.concatenate([case.labels[role] for role in SIDES])
        parts = [leave_one_out(values[:, :, i, j]) for i in range(len(SIZES)) for j in range(2)]
        z, level = np.mean([part[0] for part in parts], axis=0), np.mean([part[1] for part in parts], axis=0)
        examples = adjust(z, level, labels)
        cut = len(case.labels["forget"])
        curvature, spread = values.mean(axis=2)[0].T
        return Scores(
            examples=examples,
            invalid=out_of_line(examples),
            remedy=OUT_OF_LINE_REMEDY,
            details=(
                f"relative curvature on the audited model: {curvature[:cut].mean():.3f} on {cut} forget rows, "
                f"{curvature[cut:].mean():.3f} on {len(labels) - cut} holdout rows",
                f"spread of the loss: {-spread[:cut].mean():.3f} and {-spread[cut:].mean():.3f} nats",
            ),
        )
