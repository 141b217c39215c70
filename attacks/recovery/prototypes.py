"""Prototypical relearning: do a few shots of the forgotten class bring it back without any training?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, ChartSpec, Floats, Ints, Plot, Scores, Signals, View

from .inputs import some_rows
from .sides import beside

SHOTS = (1, 5, 10)
PRIMARY = 5  # our choice, fixed in advance
RETAINED = 50  # rows of each retained class behind its prototype
LEAST_ROWS, LEAST_REFERENCES = 50, 3  # below these a silent result supports no PASS: our choice


class Prototypes(Attack):
    """The forgotten class is put back from k of its own rows, k = 1, 5 and 10, and nothing is trained.

    Nearest prototype: mean of k normalised forget features against the means of up to 50 normalised retain features a
    class, by cosine. New head row: that mean, scaled to the mean norm of the retained rows, with their mean bias, in
    place of the class's own. Read on never-seen rows of the class, over draws of shots that are the same rows for
    every model and are never scored. Statistic: cosine to the class's prototype minus the best other one, mean over
    rows and draws at k = 5; higher = the features still tell the class. Below the references: features made worse
    than never trained on it (over-unlearning). An honest retrain separates an unseen class well, too: accuracy alone
    says nothing.
    """

    name = "prototypes"
    title = "Prototypical relearning from a few shots"
    access = Access.FEATURES
    features_alone = True
    families = frozenset({"D1"})
    source = "Unlearning's Blind Spots: Over-Unlearning and Prototypical Relearning Attack, arXiv 2506.01318"
    efforts = {"quick": {"draws": 10}, "thorough": {"draws": 100}}  # noqa: RUF012
    charts = (
        ChartSpec(
            "lines", "Never-seen rows of the class, recognised from k shots", x="shots", y="accuracy", plot="accuracy"
        ),
        DOTS,
    )

    def __init__(self, *, draws: int = 20) -> None:
        """Set the number of draws.

        Args:
            draws: of shots, >= 10.
        """
        super().__init__()
        if draws < 10:
            raise ValueError("prototypes: draws must be >= 10")
        self.parameters = {"draws": draws}

    def applicable(self, case: Case) -> str:
        """Class claims with enough forget rows of each class."""
        if case.kind != "class":
            return "puts a forgotten class back: rows alone have no prototype"
        fewest = min(int((case.labels["forget"] == c).sum()) for c in case.classes)
        return "" if fewest >= max(SHOTS) else f"needs {max(SHOTS)} forget rows of each class, there are {fewest}"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Margins of the nearest prototype per row, accuracy and head margin by number of shots."""
        forget, rows = _unit(view.features("forget")), view.features("holdout")
        own, retained = case.labels["holdout"], view.features("test")
        known = _retained(view, case, rng)
        margins = np.zeros((len(SHOTS), len(own)))
        hits, head_hits, taken = np.zeros((3, len(SHOTS)))
        draws = int(self.parameters["draws"])
        for _ in range(draws):
            order = {c: rng.permutation(np.flatnonzero(case.labels["forget"] == c)) for c in case.classes}
            for at, k in enumerate(SHOTS):
                shots = {c: forget[order[c][:k]].mean(axis=0) for c in case.classes}
                margin = _margin(_unit(rows) @ _unit(np.stack([*shots.values(), *known])).T, own, case.classes)
                margins[at] += margin / draws
                hits[at] += (margin > 0).mean() / draws
                head_hits[at] += (_with_rows(view, rows, shots, case).argmax(axis=1) == own).mean() / draws
                wrongly = np.isin(_with_rows(view, retained, shots, case).argmax(axis=1), case.classes)
                taken[at] += wrongly.mean() / draws
        return {"margin": margins, "accuracy": hits, "head": head_hits, "taken": taken}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Mean margin at ``PRIMARY`` shots; accuracies beside."""
        at = SHOTS.index(PRIMARY)
        margins = np.stack([s["margin"][at] for s in signals])
        accuracy, head, taken = (np.stack([s[key] for s in signals]) for key in ("accuracy", "head", "taken"))
        rows, references = margins.shape[1], len(signals) - 1
        invalid, remedy = "", tuple[str, ...]()
        if rows < LEAST_ROWS:
            invalid = f"{rows} never-seen rows of the forgotten classes, {LEAST_ROWS} are needed"
            remedy = ("more never-seen rows of the forgotten classes",)
        elif references < LEAST_REFERENCES:
            invalid = f"{references} references: seeds alone move this figure, {LEAST_REFERENCES} are needed"
            remedy = ("more references",)
        draws = int(self.parameters["draws"])
        return Scores(
            statistic=margins.mean(axis=1),
            sampling_error=margins.std(axis=1) / np.sqrt(rows),
            unit="cosine",
            invalid=invalid,
            remedy=remedy,
            plots={"accuracy": Plot(accuracy, np.array(SHOTS, dtype=np.float64))},
            details=(
                f"{rows} never-seen rows of the forgotten classes, {draws} draws of shots, the same for every model",
                *(f"nearest prototype, {k} shots: accuracy {beside(accuracy[:, i])}" for i, k in enumerate(SHOTS)),
                *(
                    f"new head row, {k} shots: accuracy {beside(head[:, i])}; rows of retained classes taken for it "
                    f"{beside(taken[:, i])}"
                    for i, k in enumerate(SHOTS)
                ),
            ),
        )


def _unit(features: Floats) -> Floats:
    """Rows of length 1; a zero row stays zero."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(length > 0, length, 1.0))


def _retained(view: View, case: Case, rng: np.random.Generator) -> list[Floats]:
    """Prototype of each retained class, from at most ``RETAINED`` retain rows."""
    features, labels = _unit(view.features("retain")), case.labels["retain"]
    classes = [c for c in np.unique(labels) if c not in case.classes]
    rows = [np.flatnonzero(labels == c) for c in classes]
    return [features[index[some_rows(len(index), RETAINED, rng)]].mean(axis=0) for index in rows]


def _margin(cosine: Floats, own: Ints, classes: tuple[int, ...]) -> Floats:
    """Cosine to the own class's prototype minus the best other one; the forgotten classes' columns come first."""
    at = (own[:, None] == np.array(classes)).argmax(axis=1)
    rows = np.arange(len(own))
    others = cosine.copy()
    others[rows, at] = -np.inf
    return np.asarray(cosine[rows, at] - others.max(axis=1))


def _with_rows(view: View, features: Floats, shots: dict[int, Floats], case: Case) -> Floats:
    """Logits with the forgotten classes' head rows made from their shots."""
    weight, bias = (part.copy() for part in view.head())
    retained = np.setdiff1d(np.arange(case.n_classes), case.classes)
    size = np.linalg.norm(weight[retained], axis=1).mean()
    for label, mean in shots.items():
        weight[label] = _unit(mean[None])[0] * size
        bias[label] = bias[retained].mean()
    return np.asarray(features @ weight.T + bias)
