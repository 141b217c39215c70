"""Relearning on retain rows alone: does a little training on what is left bring back what was forgotten?"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from attacks.base import Access, Attack, Case, ChartSpec, Efforts, Floats, Ints, Plot, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.fits import fit_rows
from attacks.inputs import tensors
from attacks.signals import class_excess, contrast, retained_spread

from .clones import Clones, orders, unreached

MARKS = 3  # our choice: scores are read after each third of the steps
CHECKED = 1000  # our choice: retain rows whose accuracy tells whether training broke the network
SIDES = ("forget", "holdout")
NEVER_SEEN = ("holdout", "test")


Truth = np.ndarray[Any, Any]


class Relearning(Attack):
    """A "shake": copies of the network are trained on for a few steps on retain rows, none of them a forget row.

    Forgetting that lies on top (random labels, a bad teacher, ascent) is undone by it, and the forget rows come back
    as training rows; an honest retrain has nothing to bring back. Every model gets the same number of steps on the
    same batches, with the relative rate of `attacks.recovery.clones`. An over-forgotten set passes through zero on its
    way back, so the path counts: the score of a row is its logit-scaled confidence, at a common temperature,
    calibrated on the references after each third of the steps and averaged over the path; the confidence before is
    the membership score. Nothing tells forget from holdout rows. Class claims: the class excess of `membership` along
    the same path.
    """

    name = "relearning"
    title = "Relearning on retain rows"
    access = Access.TRAIN
    signal = "loss"
    symmetric = True
    source = "From Dormant to Deleted, arXiv 2505.22310 (retain-only relearning); rate, steps and score are ours"
    efforts: ClassVar[Efforts] = {"quick": {"steps": 30, "copies": 1}, "thorough": {"steps": 120, "copies": 4}}
    charts = (
        ChartSpec(
            "lines",
            "Confidence gap between forget and holdout rows while relearning",
            x="training steps on retain rows",
            y="mean confidence of forget minus holdout rows",
            plot="path",
        ),
    )

    def __init__(self, *, steps: int = 60, batch: int = 64, copies: int = 2, rate: float = 0.02) -> None:
        """Set the budget.

        Args:
            steps: of training, >= 3.
            batch: rows in a step, >= 1.
            copies: trained on batches in an order of their own and averaged, >= 1.
            rate: of Adam relative to the size of the weights, > 0 (our choice, measured on digits: .01 to .03 see
                alike).
        """
        super().__init__()
        if steps < MARKS or batch < 1 or copies < 1 or not rate > 0:
            raise ValueError(f"{self.name}: steps must be >= 3, batch and copies >= 1, rate > 0")
        self.parameters = {"steps": steps, "batch": batch, "copies": copies, "rate": rate}

    def gradient_rows(self, case: Case) -> int:
        """Batches of all copies; what is scored on the way counts a third."""
        steps, batch, copies = (int(self.parameters[key]) for key in ("steps", "batch", "copies"))
        scored = sum(len(case.labels[role]) for role in (NEVER_SEEN if case.kind == "class" else SIDES))
        return copies * (steps * min(batch, len(case.labels["retain"])) + MARKS * scored // 3)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Confidence (n, 1 + MARKS) before and along the path, or class excess; accuracy on retain rows."""
        steps, copies = int(self.parameters["steps"]), int(self.parameters["copies"])
        rows, _ = fit_rows(case, len(case.labels["retain"]), rng)
        order = orders([rows] * copies, steps, int(self.parameters["batch"]), rng)
        clones = Clones(view.network(), copies, float(self.parameters["rate"]), case.task, case.batch)
        roles = NEVER_SEEN if case.kind == "class" else SIDES
        path = [_scored({role: view.logits(role)[None] for role in roles}, case)]
        for step in range(steps):
            index = order[:, step]
            clones.step(*self.taught(view, case, index, rng))
            if (step + 1) * MARKS % steps < MARKS:
                path.append(_scored({role: role_logits(clones, view, case, role) for role in roles}, case))
        checked = rows[:CHECKED]
        after = role_logits(clones, view, case, "retain", checked)
        truth = case.truth("retain")[checked]
        accuracy = [
            case.task.mean_quality(view.logits("retain")[checked], truth),
            case.task.mean_quality(np.concatenate(after), np.concatenate([truth] * copies)),
        ]
        return {role: np.stack([found[role] for found in path], axis=1) for role in roles} | {
            "accuracy": np.array(accuracy),
            "trained": np.array([clones.trained or 0.0]),
        }

    def taught(self, view: View, case: Case, index: Ints, rng: np.random.Generator) -> tuple[Any, Truth]:  # noqa: ARG002
        """Inputs and labels of the retain rows ``index`` (copies, b) of one step."""
        return tensors(view, case, "retain", index), case.truth("retain")[index]

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated confidence averaged over the path, or the class contrast along it."""
        details = (self._budget(), _qualities(signals, case.task.figure))
        invalid = _broken(signals, case.task.figure)
        if case.kind == "class":
            along = [{role: s[role][:, 1:].mean(axis=1) for role in NEVER_SEEN} for s in signals]
            statistic, error = contrast([a["holdout"] for a in along], [a["test"] for a in along])
            return Scores(
                statistic=statistic,
                sampling_error=error,
                unit="logit sd",
                invalid=invalid,
                details=details,
                plots=self._path(signals, NEVER_SEEN),
            )
        values = np.stack([np.concatenate([s[role] for role in SIDES]) for s in signals])  # (J, n, 1 + MARKS)
        labels = np.concatenate([case.labels[role] for role in SIDES])
        examples = np.mean([calibrated(values[..., mark], labels) for mark in range(1, MARKS + 1)], axis=0)
        return Scores(
            examples=examples,
            invalid=invalid or out_of_line(examples),
            remedy=OUT_OF_LINE_REMEDY,
            details=details,
            plots=self._path(signals, SIDES),
        )

    def _budget(self) -> str:
        steps, batch, copies = (int(self.parameters[key]) for key in ("steps", "batch", "copies"))
        return (
            f"{steps} steps of {batch} retain rows on {copies} copies; no forget row and no forgotten class among them"
        )

    def _path(self, signals: Sequence[Signals], roles: tuple[str, str]) -> dict[str, Plot]:
        steps = int(self.parameters["steps"]) * np.arange(MARKS + 1) / MARKS
        gaps = [s[roles[0]].mean(axis=0) - s[roles[1]].mean(axis=0) for s in signals]
        return {"path": Plot(np.stack(gaps), np.round(steps))}


def role_logits(clones: Clones, view: View, case: Case, role: str, rows: Any = None) -> Floats:
    """Logits (copies, n, C) of the copies on a set, or on some of its rows."""
    index = np.arange(len(case.labels[role])) if rows is None else rows
    return clones.logits(lambda part: tensors(view, case, role, index[part]), len(index))


def _scored(logits: dict[str, Floats], case: Case) -> dict[str, Floats]:
    """The signal of every row, averaged over copies; the temperature is that of all rows together."""
    copies = []
    for at in range(len(next(iter(logits.values())))):
        own = {role: z[at] for role, z in logits.items()}
        if case.kind == "class":
            unit = retained_spread(own["test"], case.classes)
            pair = class_excess(own["holdout"], own["test"], case.classes, case.labels["holdout"])
            copies.append({role: side / unit for role, side in zip(NEVER_SEEN, pair, strict=True)})
        else:
            own_unit = case.task.unit(np.concatenate(list(own.values())), np.concatenate([case.truth(r) for r in own]))
            copies.append({r: case.task.confidence(z, case.truth(r), own_unit) for r, z in own.items()})
    return {role: np.mean([copy[role] for copy in copies], axis=0) for role in logits}


def _qualities(signals: Sequence[Signals], figure: str) -> str:
    before, after = np.stack([s["accuracy"] for s in signals]).T
    beside = f" (references {after[1:].min():.3f} to {after[1:].max():.3f})" if len(after) > 1 else ""
    return f"{figure} on retain rows {before[0]:.3f} before, {after[0]:.3f} after{beside}"


def _broken(signals: Sequence[Signals], figure: str) -> str:
    """Training that breaks the network shows nothing of what it knew."""
    if reason := unreached(float(signals[0]["trained"][0])):
        return reason
    before, after = signals[0]["accuracy"]
    if after >= before - 0.05:  # our choice
        return ""
    return f"training on broke the audited model: {figure} on retain rows {before:.3f} before, {after:.3f} after"
