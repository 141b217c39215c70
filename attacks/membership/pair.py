"""The differential attack: what do the original and the unlearned model together say of what was deleted?"""

from collections.abc import Sequence

import numpy as np

from ..base import Access, Attack, Case, Floats, Scores, Signals, View
from ..signals import contrast, logit_confidence
from .rows import labels_of, logits_of, refuse_class


class Pair(Attack):
    """Risk of publishing both versions; reported, never gated.

    Whoever holds both models sees where confidence fell. An exact retrain shows that too, so the figure on pairs
    (original, reference) is the null, rows are never permuted, and only an excess over it is the procedure's own.
    Statistic: mean change of the logit-scaled confidence on forget rows minus that on holdout rows.
    """

    name = "pair"
    title = "Differential attack on the pair of models"
    access = Access.LOGITS
    needs_original = True
    families = frozenset({"D1"})
    source = "Chen et al., When Machine Unlearning Jeopardizes Privacy, arXiv 2005.02205"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Change of the confidence on forget and holdout rows."""
        refuse_class(case)
        assert original is not None
        labels = labels_of(case)
        change = logit_confidence(logits_of(view), labels) - logit_confidence(logits_of(original), labels)
        cut = len(case.labels["forget"])
        return {"forget": change[:cut], "holdout": change[cut:]}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Contrast of J pairs, and how well each tells deleted from never-used rows."""
        statistic, error = contrast([s["forget"] for s in signals], [s["holdout"] for s in signals])
        told = [_auc(-s["forget"], -s["holdout"]) for s in signals]
        details = [f"the pair tells deleted rows from never-used ones with AUC {told[0]:.3f}"]
        if len(told) > 1:
            span = f"{min(told[1:]):.3f} to {max(told[1:]):.3f}"
            details.append(f"pairs of the original and an exact retrain do so with AUC {span}")
        return Scores(statistic=statistic, sampling_error=error, unit="nats", details=tuple(details))


def _auc(deleted: Floats, others: Floats) -> float:
    """Mann-Whitney AUC, ties half."""
    ordered = np.sort(others)
    below, up_to = np.searchsorted(ordered, deleted, "left"), np.searchsorted(ordered, deleted, "right")
    return float((below + up_to).mean() / (2 * len(ordered)))
