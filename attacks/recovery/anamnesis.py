"""Time to relearn: does the model learn the forget set faster than one that never saw it?"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from attacks.base import Access, Attack, Case, ChartSpec, Efforts, Floats, Ints, Plot, Scores, Signals, View
from attacks.inputs import joined, rows_of, tensors
from attacks.signals import class_excess, contrast, retained_spread

from .clones import Clones, orders, unreached
from .relearning import role_logits

BAND = 1.05  # of the source: the forget set is relearned once its loss is within 5 % of the original's
SMOOTH = 0.01  # of the source: keeps the index finite
NEVER_SEEN = ("holdout", "test")


Truth = np.ndarray[Any, Any]


class Anamnesis(Attack):
    """A copy is trained on forget rows until it fits them as the original does; the steps that it takes are counted.

    Other claims than class: a second copy learns as many holdout rows by the same steps. Statistic: the mean
    log-probability of the labels along the way, forget rows minus holdout rows; a model that remembers learns the
    first faster. Class claims: a few rows (``shots``) of the forgotten classes among as many retain rows; statistic:
    the class excess of `membership` on never-seen rows, averaged along the way. The time is censored where the budget
    ends first, and says so. Anamnesis index: (r + .01) / (r of a reference + .01) with r in steps; below 1 = faster
    than a retrain. Works on copies of both models (the public code of the source trains the retrain itself).
    """

    name = "anamnesis"
    title = "Time to relearn the forget set (anamnesis index)"
    access = Access.TRAIN
    signal = "loss"
    needs_original = True
    families = frozenset({"D1"})
    source = "Chundawat et al., Deep Regression Unlearning, arXiv 2210.08196 (index); steps, holdout copy are ours"
    efforts: ClassVar[Efforts] = {"quick": {"steps": 30}, "thorough": {"steps": 200}}
    charts = (
        ChartSpec(
            "lines",
            "Learning the forget set again",
            x="training steps on forget rows",
            y="what is known of it",
            plot="curve",
        ),
    )

    def __init__(self, *, steps: int = 60, batch: int = 64, shots: int = 20, rate: float = 0.02) -> None:
        """Set the budget.

        Args:
            steps: of training at most, >= 10.
            batch: rows in a step, >= 2.
            shots: rows of the forgotten classes that are taught (class claims), >= 1.
            rate: of Adam relative to the size of the weights, > 0 (our choice).
        """
        super().__init__()
        if steps < 10 or batch < 2 or shots < 1 or not rate > 0:
            raise ValueError("anamnesis: steps must be >= 10, batch >= 2, shots >= 1, rate > 0")
        self.parameters = {"steps": steps, "batch": batch, "shots": shots, "rate": rate}

    def gradient_rows(self, case: Case) -> int:
        """Batches of the copies, and what is scored at each of ten marks."""
        copies = 1 if case.kind == "class" else 2
        scored = sum(len(case.labels[r]) for r in (NEVER_SEEN if case.kind == "class" else ("forget",)))
        return copies * int(self.parameters["steps"]) * int(self.parameters["batch"]) + 10 * scored // 3

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """What is known along the way, (11,) or by row (n, 11); the first mark at which the forget set is relearned."""
        assert original is not None
        target = -case.task.log_likelihood(original.logits("forget"), case.truth("forget"), 0.0).mean() * BAND
        taught, labels = self._taught(view, case, rng)
        steps, batch = int(self.parameters["steps"]), int(self.parameters["batch"])
        order = orders([np.arange(len(own)) for own in labels], steps, batch, rng)
        clones = Clones(view.network(), len(taught), float(self.parameters["rate"]), case.task, case.batch)
        marks = np.unique(np.linspace(0, steps, 11).round().astype(int))
        curve, losses = [], []
        for step in range(steps + 1):
            if step in marks:
                curve.append(self._known(clones, view, case, taught, labels))
                own = role_logits(clones, view, case, "forget")[0]
                losses.append(-case.task.log_likelihood(own, case.truth("forget"), 0.0).mean())
            if step < steps:
                parts = [rows_of(x, order[k, step]) for k, x in enumerate(taught)]
                clones.step(_stacked(parts), np.stack([y[order[k, step]] for k, y in enumerate(labels)]))
        reached = [int(mark) for mark, loss in zip(marks, losses, strict=True) if loss <= target]
        sides = {key: np.stack([known[key] for known in curve], axis=-1) for key in curve[0]}
        return sides | {
            "time": np.array([reached[0] if reached else steps + 1]),
            "marks": marks,
            "trained": np.array([clones.trained or 0.0]),
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Knowledge along the way, forget minus holdout side; the index beside every reference."""
        sides = ("holdout", "test") if case.kind == "class" else ("forget", "holdout")
        along = [{side: s[side].mean(axis=-1) for side in sides} for s in signals]
        statistic, error = contrast([a[sides[0]] for a in along], [a[sides[1]] for a in along])
        times = np.array([float(s["time"][0]) for s in signals])
        curves = [s[sides[0]].mean(axis=0) - s[sides[1]].mean(axis=0) for s in signals]
        return Scores(
            statistic=statistic,
            sampling_error=error,
            unit="logit sd" if case.kind == "class" else "nats",
            invalid=unreached(float(signals[0]["trained"][0])),
            details=(self._said(times),),
            plots={"curve": Plot(np.stack(curves), signals[0]["marks"].astype(float))},
        )

    def _said(self, times: Floats) -> str:
        steps = int(self.parameters["steps"])

        def shown(time: float) -> str:
            return f"more than {steps}" if time > steps else f"{time:.0f}"

        text = f"steps until the forget set is fitted as by the original: {shown(times[0])}"
        if len(times) == 1:
            return text
        index = (times[0] + SMOOTH) / (times[1:] + SMOOTH)
        censored = " (censored times count as one step more than the budget)" if (times > steps).any() else ""
        return (
            f"{text}, references {shown(times[1:].min())} to {shown(times[1:].max())}; anamnesis index "
            f"{index.min():.2f} to {index.max():.2f} over {len(index)} references{censored}"
        )

    def _taught(self, view: View, case: Case, rng: np.random.Generator) -> tuple[list[object], list[Truth]]:
        """Inputs and labels that each copy is taught: forget rows and as many holdout rows, or a few shots."""
        forget = rng.permutation(len(case.labels["forget"]))
        if case.kind == "class":
            shots = forget[: int(self.parameters["shots"])]
            others = rng.permutation(len(case.labels["retain"]))[: len(shots)]
            parts = [("forget", shots), ("retain", others)]
            inputs = joined([tensors(view, case, role, rows) for role, rows in parts])
            return [inputs], [np.concatenate([case.truth(role)[rows] for role, rows in parts])]
        holdout = rng.permutation(len(case.labels["holdout"]))
        size = min(len(forget), len(holdout))
        parts = [("forget", forget[:size]), ("holdout", holdout[:size])]
        return [tensors(view, case, r, i) for r, i in parts], [case.truth(r)[i] for r, i in parts]

    def _known(
        self, clones: Clones, view: View, case: Case, taught: list[object], labels: list[Truth]
    ) -> dict[str, Floats]:
        """By row: class excess of never-seen rows, or the log-probability of what each copy is taught."""
        if case.kind != "class":
            rows = np.arange(len(labels[0]))
            each = [clones.logits(partial(_block, x, rows), len(rows))[k] for k, x in enumerate(taught)]
            return {
                s: case.task.log_likelihood(z, y, 0.0)
                for s, z, y in zip(("forget", "holdout"), each, labels, strict=True)
            }
        holdout, test = (role_logits(clones, view, case, role)[0] for role in NEVER_SEEN)
        unit = retained_spread(test, case.classes)
        pair = class_excess(holdout, test, case.classes, case.labels["holdout"])
        return {side: values / unit for side, values in zip(NEVER_SEEN, pair, strict=True)}


def _block(inputs: object, rows: Ints, part: slice) -> object:
    return rows_of(inputs, rows[part])


def _stacked(parts: list[object]) -> object:
    import torch

    if isinstance(parts[0], dict):
        return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}  # type: ignore[index]
    return torch.stack(parts)  # type: ignore[arg-type]
