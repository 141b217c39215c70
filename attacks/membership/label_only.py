"""Label-only membership inference: how far can an input be moved before the model gives up its label?"""

from collections.abc import Sequence

import numpy as np

from ..base import Access, Attack, Case, Floats, Scores, Signals, View
from .rows import labels_of, refuse_class

SIGMAS = (0.1, 0.2, 0.4, 0.8)  # our choice: noise in units of the inputs' spread
DRAWS = 4


class LabelOnly(Attack):
    """Label-only attack: agreement with the label under augmentations and under growing noise.

    Example score: share of queries, the plain input among them, that are answered with the label; minus the mean of
    the other models' shares where there are references. Nothing but predicted labels is used.
    """

    name = "label_only"
    title = "Label-only membership inference"
    access = Access.LABELS
    symmetric = True
    families = frozenset({"D2"})
    primary_for = frozenset({"random", "subject", "other"})
    source = "Choquette-Choo et al., Label-Only Membership Inference Attacks, arXiv 2007.14321"
    chart = "roc"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Share of queries answered with the label, per forget and holdout row."""
        refuse_class(case)
        labels = labels_of(case)
        noise = [f"noise:{sigma:g}:{draw}" for sigma in SIGMAS for draw in range(DRAWS)]
        answers = [np.concatenate([view.logits(role) for role in ("forget", "holdout")]).argmax(axis=1)]
        for query in (*case.queries, *noise):
            both = [view.augmented(role, query).argmax(axis=1) for role in ("forget", "holdout")]
            answers.append(np.concatenate(both))
        return {"rows": np.mean([answer == labels for answer in answers], axis=0)}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Shares of J models, each minus the mean of the others."""
        rows = np.stack([s["rows"] for s in signals])
        examples = _excess(rows)
        levels = len(np.unique(rows[0]))
        invalid = "" if np.ptp(examples[0]) > 0 else "degenerate scores: every row has the same"
        return Scores(examples=examples, invalid=invalid, details=(f"{levels} distinct shares: ties are common",))


def _excess(rows: Floats) -> Floats:
    others = len(rows) - 1
    return rows if others == 0 else np.asarray(rows - (rows.sum(axis=0) - rows) / others)
