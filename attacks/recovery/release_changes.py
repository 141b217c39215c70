"""Release changes: does rounding or pruning the weights, as a release does, bring back what was unlearned?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Bools, Case, ChartSpec, Floats, Plot, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.signals import contrast, correct

from .inputs import passed, some_rows
from .release import CHANGES
from .sides import beside, side_signals, sides_of

LOST = 0.05  # our choice: fall of the accuracy on retain rows from which a change is left out


class ReleaseChanges(Attack):
    """The model after int8 and int4 rounding per channel, 30 and 50 % magnitude pruning, and a cast to bf16.

    Original and references are changed in the same way. Score: logit-scaled confidence in the label after each change,
    calibrated on the references after the same change, mean over the changes. It is the confidence after, and not its
    rise: the adversary holds the released model alone; the rise of a model that forgot nothing is negative on the rows
    it has memorised, since they break first; and what was hidden shows after the change whatever it was before. The
    rise stands in the details. Class claims: class excess after the change, never-seen rows of the forgotten classes
    minus the retained ones, mean over the changes. A change that costs any of the models more than 5 points of
    accuracy on retain rows is left out and named. Small edits alone are seen: silence is no evidence of absence.
    """

    name = "release_changes"
    title = "Rounding, pruning and casting of the weights"
    access = Access.WEIGHTS
    symmetric = True
    source = "Catastrophic Failure of LLM Unlearning via Quantization, arXiv 2410.16454"
    charts = (
        *PER_EXAMPLE,
        ChartSpec("lines", "Forget minus holdout after each change", x="change", y="difference", plot="changes"),
    )

    def __init__(self, *, max_rows: int = 2_000) -> None:
        """Set the size of the validity check.

        Args:
            max_rows: retain rows on which the accuracy is read, >= 100.
        """
        super().__init__()
        if max_rows < 100:
            raise ValueError("release_changes: max_rows must be >= 100")
        self.parameters = {"max_rows": max_rows}

    def gradient_rows(self, case: Case) -> int:
        """Forward passes alone, a third of a gradient row each: both sides and retain rows after every change."""
        retained = min(len(case.labels["retain"]), int(self.parameters["max_rows"]))
        return len(CHANGES) * (retained + sum(len(case.labels[side]) for side in sides_of(case))) // 3

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Confidence (or class excess) per row as given and after each change, (n, 1 + changes); the accuracy lost."""
        network = view.network()
        state = dict(network.module.state_dict())
        sides = sides_of(case)
        rows = some_rows(len(case.labels["retain"]), int(self.parameters["max_rows"]), rng)
        labels = case.labels["retain"][rows]
        before = correct(view.logits("retain")[rows], labels).mean()
        kept, columns = [], [side_signals([view.logits(side) for side in sides], case)]
        for change in CHANGES.values():
            changed = change(state)

            def call(x: object, now: object = changed) -> object:
                return network.functional(now, x)  # type: ignore[arg-type]

            kept.append(correct(passed(view, call, case, "retain", rows), labels).mean() - before)
            columns.append(side_signals([passed(view, call, case, side) for side in sides], case))
        found = {side: np.stack([column[i] for column in columns], axis=1) for i, side in enumerate(sides)}
        return found | {"kept": np.array(kept), "fit": np.array([float(len(rows))])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Mean over the changes that leave every model able."""
        sides = sides_of(case)
        fell = -np.stack([s["kept"] for s in signals])
        usable = np.asarray((fell <= LOST).all(axis=0))
        chosen = np.flatnonzero(usable) + 1 if usable.any() else np.arange(1, len(CHANGES) + 1)
        invalid = "" if usable.any() else "every change costs some model more than 5 points of accuracy on retain rows"
        after = [[s[side][:, chosen] for s in signals] for side in sides]
        every = np.stack([s[sides[0]].mean(axis=0) - s[sides[1]].mean(axis=0) for s in signals])
        plots = {"changes": Plot(every, ticks=("as given", *CHANGES))}
        details = _sentences(every, fell, usable, int(signals[0]["fit"][0]), sides)
        if case.kind == "class":
            statistic, error = contrast(*([rows.mean(axis=1) for rows in side] for side in after))
            return Scores(
                statistic=statistic, sampling_error=error, unit="logits", invalid=invalid, plots=plots, details=details
            )
        values = np.concatenate([np.stack(side) for side in after], axis=1)  # (J, n, changes)
        labels = np.concatenate([case.labels[side] for side in sides])
        examples = np.mean([calibrated(values[:, :, i], labels) for i in range(values.shape[2])], axis=0)
        invalid = invalid or out_of_line(examples)
        return Scores(examples=examples, invalid=invalid, remedy=OUT_OF_LINE_REMEDY, plots=plots, details=details)


def _sentences(every: Floats, fell: Floats, usable: Bools, rows: int, sides: tuple[str, str]) -> tuple[str, ...]:
    """What each change did on the audited model, beside the references' mean."""
    left_out = [f"{name} ({fell[:, i].max():.3f})" for i, name in enumerate(CHANGES) if not usable[i]]
    lines = [f"{sides[0]} minus {sides[1]} rows as given: {beside(every[:, 0], '+.3f')}"]
    for i, name in enumerate(CHANGES):
        rise = every[:, i + 1] - every[:, 0]
        lines.append(
            f"after {name} it rises by {beside(rise, '+.3f')}; accuracy on {rows} retain rows {-fell[0, i]:+.3f}"
        )
    if left_out:
        lines.append(f"left out, since a model loses more than {LOST} of its accuracy: {', '.join(left_out)}")
    return tuple(lines)
