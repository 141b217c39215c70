"""The pair attack: what does publishing the model before and after reveal about who was deleted?"""

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Bools, Case, Floats, Scores, Signals, View
from attacks.laws import ranks
from attacks.signals import canonical, log_softmax, logit_confidence

from .common import by_side, side_labels, side_logits, stacked


class Pair(Attack):
    """Score: logit-scaled confidence after unlearning minus before, per row; a deleted row falls.

    Exact retraining leaks here too: the risk is that of releasing both versions, not one of the unlearned model. So
    the score is not symmetric, the absolute figures are informational, and only the difference from pairs (original,
    reference) means anything (family D1). It gates nothing: the gated suite holds the audited model itself to the
    references already, and one more gated attack would cost all others power. A fixed score stands in for the
    classifiers of the source, which need shadow pairs.
    """

    name = "pair"
    title = "Difference between the model before and after (pair release)"
    access = Access.LOGITS
    needs_original = True
    families = frozenset({"D1"})
    source = "Chen et al., When Machine Unlearning Jeopardizes Privacy, arXiv 2005.02205"
    charts = PER_EXAMPLE

    def applicable(self, case: Case) -> str:
        """Rows of a deleted class are known by their class."""
        return "publishing both versions reveals a deleted class whatever the method" if case.kind == "class" else ""

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Difference in confidence, distance of the posteriors, and the original's confidence alone."""
        assert original is not None
        labels = side_labels(case)
        after, before = (canonical(z, z) for z in (side_logits(view), side_logits(original)))
        alone = logit_confidence(before, labels)
        distance = np.linalg.norm(np.exp(log_softmax(after)) - np.exp(log_softmax(before)), axis=1)
        return by_side(logit_confidence(after, labels) - alone, case) | {"distance": distance, "alone": alone}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Differences of J pairs; details on how well each tells deleted rows from never-seen ones."""
        examples = stacked(signals)
        deleted = np.arange(examples.shape[1]) < len(case.labels["forget"])
        told = np.array([auc(-row, deleted) for row in examples])
        distance = np.array([auc(s["distance"], deleted) for s in signals])
        gains = [degradation(-row, s["alone"], deleted) for row, s in zip(examples, signals, strict=True)]
        count, rate = np.array(gains).T
        return Scores(
            examples=examples,
            details=(
                f"deleted against never-seen rows by the drop in confidence: AUC {_beside(told)}",
                f"by the distance of the posteriors: AUC {_beside(distance)}",
                f"DegCount (rows on which the pair knows better than the original alone) {_beside(count)}, DegRate "
                f"(mean gain in confidence) {_beside(rate)}",
            ),
        )


def auc(score: Floats, positive: Bools) -> float:
    """Probability that a positive row scores higher; ties count half."""
    inside = int(positive.sum())
    return float((ranks(score)[positive].mean() - (inside + 1) / 2) / (len(score) - inside))


def degradation(pair: Floats, alone: Floats, deleted: Bools) -> tuple[float, float]:
    """DegCount and DegRate: what the pair adds to the original alone, both sides weighing the same.

    The confidence in a row's true status is its mid-rank share where the row was deleted, else one minus that.

    Args:
        pair: score of the pair attack, higher = more like a deleted row, (n,).
        alone: score of the single-model attack on the original, higher = more like a member, (n,).
        deleted: (n,) booleans.

    Returns:
        share of rows with more confidence in [0, 1] (ties count half), mean gain in [-1, 1].
    """
    shares = [(ranks(score) - 0.5) / len(score) for score in (pair, alone)]
    gain = np.where(deleted, shares[0] - shares[1], shares[1] - shares[0])
    better = np.heaviside(gain, 0.5)
    return tuple(float((v[deleted].mean() + v[~deleted].mean()) / 2) for v in (better, gain))  # type: ignore[return-value]


def _beside(values: Floats) -> str:
    """The first model's figure beside those of the references."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{values[0]:.3f} (references {values[1:].min():.3f} to {values[1:].max():.3f})"
