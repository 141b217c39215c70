"""Memory jog: does relearning half of the forget set bring back the other half?"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from attacks.base import Access, Attack, Case, Efforts, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.inputs import joined, rows_of, tensors

from .clones import Clones, orders, unreached

SIDES = ("forget", "holdout")
LEAST = 20  # our choice: rows of a side that can be halved


class MemoryJog(Attack):
    """Copies are trained on a random half of the forget and of the holdout rows; the other halves are scored.

    Two copies for each halving, each trained on one half and scored on the other, so every row is scored by a network
    that was not trained on it here. Both sides are halved alike, so nothing tells forget from holdout rows. Score:
    logit-scaled confidence at a common temperature, calibrated on the references.
    """

    name = "memory_jog"
    title = "Memory jog (relearning on half of forget and holdout rows)"
    access = Access.TRAIN
    signal = "loss"
    symmetric = True
    rows_alone = True
    source = "Jogging the Memory of Unlearned LLMs, arXiv 2406.13356 (idea); halves of both sides are ours"
    efforts: ClassVar[Efforts] = {"quick": {"steps": 15, "halvings": 1}, "thorough": {"steps": 30, "halvings": 4}}

    def __init__(self, *, steps: int = 30, batch: int = 64, halvings: int = 2, rate: float = 0.02) -> None:
        """Set the budget.

        Args:
            steps: of training, >= 1.
            batch: rows in a step, >= 1.
            halvings: random halvings, two copies each, >= 1.
            rate: of Adam relative to the size of the weights, > 0 (our choice).
        """
        super().__init__()
        if steps < 1 or batch < 1 or halvings < 1 or not rate > 0:
            raise ValueError("memory_jog: steps, batch and halvings must be >= 1, rate > 0")
        self.parameters = {"steps": steps, "batch": batch, "halvings": halvings, "rate": rate}

    def applicable(self, case: Case) -> str:
        """Sets of rows that can be halved."""
        if reason := super().applicable(case):
            return reason
        few = min(len(case.labels[role]) for role in SIDES)
        return f"needs {LEAST} forget and {LEAST} holdout rows to halve, there are {few}" if few < LEAST else ""

    def gradient_rows(self, case: Case) -> int:
        """Batches of all copies; what is scored counts a third."""
        copies = 2 * int(self.parameters["halvings"])
        rows = sum(len(case.labels[role]) for role in SIDES)
        return copies * (int(self.parameters["steps"]) * min(int(self.parameters["batch"]), rows // 2) + rows // 3)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Confidence of every row after training on rows of the other half."""
        truth = np.concatenate([case.truth(role) for role in SIDES])
        cut = len(case.labels["forget"])
        halves = [_halves(cut, len(truth), rng) for _ in range(int(self.parameters["halvings"]))]
        taught = [part for half in halves for part in (half, ~half)]
        steps, batch = int(self.parameters["steps"]), int(self.parameters["batch"])
        order = orders([np.flatnonzero(part) for part in taught], steps, batch, rng)
        inputs = joined([tensors(view, case, role, np.arange(len(case.labels[role]))) for role in SIDES])
        clones = Clones(view.network(), len(taught), float(self.parameters["rate"]), case.task, case.batch)
        for step in range(steps):
            clones.step(rows_of(inputs, order[:, step]), truth[order[:, step]])
        logits = clones.logits(lambda part: rows_of(inputs, np.arange(len(truth))[part]), len(truth))
        scores = np.stack([case.task.confidence(z, truth, case.task.unit(z, truth)) for z in logits])
        confidence = np.ma.masked_array(scores, np.stack(taught)).mean(axis=0).filled(0.0)
        trained = np.array([clones.trained or 0.0])
        return {"forget": confidence[:cut], "holdout": confidence[cut:], "trained": trained}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated confidences."""
        values = np.stack([np.concatenate([s[role] for role in SIDES]) for s in signals])
        examples = calibrated(values, np.concatenate([case.labels[role] for role in SIDES]))
        details = (
            f"{self.parameters['halvings']} random halvings of both sides, {self.parameters['steps']} steps of "
            f"{self.parameters['batch']} rows; every row is scored by copies that were not trained on it",
        )
        invalid = unreached(float(signals[0]["trained"][0])) or out_of_line(examples)
        return Scores(examples=examples, invalid=invalid, remedy=OUT_OF_LINE_REMEDY, details=details)


def _halves(cut: int, count: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """True on a random half of the first ``cut`` rows and of the others."""
    chosen = np.zeros(count, dtype=bool)
    for side in (np.arange(cut), np.arange(cut, count)):
        chosen[rng.permutation(side)[: len(side) // 2]] = True
    return chosen
