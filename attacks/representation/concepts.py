"""Concepts: does the model still decide on forgotten rows by what people would name?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from attacks.base import (
    DOTS,
    Access,
    Attack,
    Bools,
    Case,
    ChartSpec,
    Floats,
    NotApplicable,
    Plot,
    Scores,
    Signals,
    View,
)
from attacks.describe import beside
from attacks.representation.concept_vectors import concept_vectors, draw
from attacks.representation.layer_gradients import layer_gradients
from attacks.representation.layers import compared, drawn, hidden_layers
from attacks.signals import contrast

ROLE = "concepts"
READABLE = 0.7  # our choice: least cross-validated accuracy of a concept's separator
LEAST = 20  # our choice: rows of a concept, and of half the counterexamples
STILL = 0.2  # our choice: share of rows without a gradient above which nothing is said
GIVE = (
    "needs examples of concepts: --concepts FILE.npz with x and y (concept number from 1, 0 = random counterexamples)"
)


class Concepts(Attack):
    """Testing with concept activation vectors (TCAV) at every hidden layer, where examples of concepts are given.

    A concept's vector separates its examples from random counterexamples in one layer of one model. A row is
    sensitive to it where its own logit (less the mean logit) rises along the vector; in class claims the logit of the
    forgotten class, its own on the class rows, the mean of all forgotten ones on the others. TCAV score: share of
    rows that are. Statistic: its mean over concepts and layers on forget rows minus that on holdout rows; class
    claims: never-seen rows of the forgotten classes minus those of the retained ones. A concept is read at a layer
    where its separator's cross-validated accuracy reaches ``READABLE`` in all models alike. Random splits of the
    counterexamples give the scores of random concepts beside it. At the features the derivative is the head's row and
    the same for all rows of a class: they are left out.

    Memory: ``batch`` rows forward and backward at once, and (rows, layers, concepts + random ones) indicators.
    """

    name = "concepts"
    reads = ROLE
    title = "Sensitivity to given concepts (TCAV)"
    access = Access.GRADIENTS
    reads_layers = True
    families = frozenset({"D1"})
    source = (
        "Kim et al., Interpretability Beyond Feature Attribution: Testing with Concept Activation Vectors, "
        "arXiv 1711.11279; the comparison is ours"
    )
    charts = (
        ChartSpec("lines", "Sensitivity to concepts by layer", x="layer", y="difference in TCAV score", plot="profile"),
        DOTS,
    )
    efforts: ClassVar = {"quick": {"max_rows": 64}, "thorough": {"max_rows": 512, "randoms": 50}}

    def __init__(self, *, max_rows: int = 256, randoms: int = 20, batch: int = 256) -> None:
        """Set the budget.

        Args:
            max_rows: at most this many rows on each side, of each concept and of the counterexamples, >= 40.
            randoms: random concepts, >= 20.
            batch: rows that pass forward and backward at once, >= 8.
        """
        super().__init__()
        if max_rows < 2 * LEAST or randoms < 20 or batch < 8:
            raise ValueError("concepts: max_rows must be >= 40, randoms >= 20 and batch >= 8")
        self.parameters = {"max_rows": max_rows, "randoms": randoms, "batch": batch}

    def applicable(self, case: Case) -> str:
        """Needs the concepts set, with enough rows of each concept."""
        if ROLE not in case.labels:
            return GIVE
        numbers, counts = np.unique(case.labels[ROLE], return_counts=True)
        few = [f"{n} has {c}" for n, c in zip(numbers, counts, strict=True) if c < LEAST * (2 if n == 0 else 1)]
        return (
            f"needs {LEAST} rows of each concept and {2 * LEAST} counterexamples (0): {', '.join(few)}" if few else ""
        )

    def gradient_rows(self, case: Case) -> int:
        """Both sides, one pass for all layers."""
        return sum(min(len(case.labels[role]), int(self.parameters["max_rows"])) for role in compared(case))

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: ARG002
        """A hidden layer."""
        hidden_layers(view)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Accuracy of each concept (layers, k); per row and side whether it is sensitive (n, layers, k + randoms)."""
        layers, limit = hidden_layers(view), int(self.parameters["max_rows"])
        draws = draw(case.labels[ROLE], limit, int(self.parameters["randoms"]), rng)
        found = [concept_vectors(view.activations(ROLE, layer), draws) for layer in layers]
        signals: dict[str, Floats] = {"accuracy": np.stack([accuracy for _, accuracy in found])}
        for side, role in zip(("focus", "other"), compared(case), strict=True):
            rows = drawn(len(case.labels[role]), limit, rng)
            weights = _weights(case, role)[rows]
            gradients = layer_gradients(
                view, case, role, rows, weights, layers, min(int(self.parameters["batch"]), case.batch)
            )
            sensitive = [g @ vectors.T > 0 for g, (vectors, _) in zip(gradients, found, strict=True)]
            signals[side] = np.stack(sensitive, axis=1).astype(np.float64)
            signals[f"{side}_still"] = np.stack([~g.any(axis=1) for g in gradients], axis=1).astype(np.float64)
        return signals

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Contrast of the TCAV scores of the concepts that every model can tell."""
        if len({s["accuracy"].shape for s in signals}) > 1:
            raise NotApplicable("the models have different numbers of hidden layers: name those to read with --layers")
        accuracy = np.stack([s["accuracy"] for s in signals])  # (J, layers, k)
        kept: Bools = np.asarray((accuracy >= READABLE).all(axis=0))
        readable: Bools = np.asarray(kept.any(axis=1))
        numbers = [int(n) for n in np.unique(case.labels[ROLE]) if n > 0]
        if not kept.any():
            raise NotApplicable(f"no concept can be told with accuracy {READABLE:.0%} at one layer in all models")
        k = len(numbers)
        sides = {side: [s[side][:, :, :k][:, kept].mean(axis=1) for s in signals] for side in ("focus", "other")}
        statistic, error = contrast(sides["focus"], sides["other"])
        still = np.array([max(s[f"{side}_still"].mean() for side in sides) for s in signals])
        shown = np.flatnonzero(readable).tolist()
        profile = np.array(
            [[_score(s, "focus", at, kept) - _score(s, "other", at, kept) for at in shown] for s in signals]
        )
        invalid = f"the gradient vanishes on {still[0]:.0%} of rows and layers" if still[0] > STILL else ""
        return Scores(
            statistic=statistic,
            sampling_error=error,
            unit="TCAV score",
            invalid=invalid,
            details=(
                f"{k} concepts, {len(kept)} hidden layers, {len(signals[0]['focus'])} {compared(case)[0]} rows against "
                f"{len(signals[0]['other'])} {compared(case)[1]} rows",
                *(
                    _sentence(number, signals, accuracy[:, :, at], kept[:, at], at, k)
                    for at, number in enumerate(numbers)
                ),
                f"the same difference of random concepts {_null(signals, readable, k)}",
            ),
            plots={"profile": Plot(profile, ticks=tuple(f"hidden {at + 1}" for at in shown))},
        )


def _weights(case: Case, role: str) -> Floats:
    """Weights of the logits, (n, C): the logit asked about less the mean of all."""
    labels = case.labels[role]
    asked = np.eye(case.n_classes)[labels]
    if case.kind == "class" and role == "test":  # rows of the retained classes
        asked[:] = np.isin(np.arange(case.n_classes), case.classes) / len(case.classes)
    return asked - 1 / case.n_classes


def _score(signals: Signals, side: str, layer: int, kept: Bools) -> float:
    """Mean TCAV score of the concepts kept at one layer."""
    return float(signals[side][:, layer, : kept.shape[1]][:, kept[layer]].mean())


def _sentence(
    number: int,
    signals: Sequence[Signals],
    accuracy: Floats,
    kept: Bools,
    at: int,
    k: int,
) -> str:
    """One concept: accuracy (J, layers), TCAV scores on both sides, and random concepts at the same layers."""
    if not kept.any():
        return f"concept {number} left out: accuracy at its best layer {beside(accuracy.max(axis=1), 2)}"
    focus, other = (np.array([s[side][:, kept, at].mean() for s in signals]) for side in ("focus", "other"))
    random = signals[0]["focus"][:, kept, k:].mean(axis=(0, 1))
    beyond = int((np.abs(random - 0.5) < abs(focus[0] - 0.5)).sum())
    return (
        f"concept {number}, read at {int(kept.sum())} of {len(kept)} hidden layers: accuracy "
        f"{beside(accuracy[:, kept].mean(axis=1), 2)}, TCAV score {beside(focus, 2)} against {beside(other, 2)}; "
        f"random concepts {random.mean():.2f}, sd {random.std():.2f}, {beyond} of {len(random)} closer to one half"
    )


def _null(signals: Sequence[Signals], layers: Bools, k: int) -> str:
    """Statistic of each random concept on the audited model: range and number."""
    focus, other = (signals[0][side][:, layers, k:].mean(axis=(0, 1)) for side in ("focus", "other"))
    return f"{(focus - other).min():.3f} to {(focus - other).max():.3f} ({len(focus)} draws)"
