"""The "MIA efficacy" of the unlearning literature, kept for comparison with published tables."""

from collections.abc import Sequence

import numpy as np
from sklearn.svm import SVC

from ..base import Access, Attack, Case, Scores, Signals, View
from ..signals import log_label

MAX_ROWS = 2000  # our choice: rows a side that the SVC is fitted on


class SvcMia(Attack):
    """LEGACY: SVC on the confidence, retain against test rows; its efficacy measures likeness to retain data.

    SVC(C=3, rbf, gamma auto) on the probability of the label; members are a random part of the retain set,
    non-members test rows. Statistic: share of forget rows (class claims: of the rows of the forgotten classes) called
    members; the efficacy of the literature is 1 minus that. Its target is the references' value, not 0 or 1. Never
    gated.
    """

    name = "svc_mia"
    title = "SVC membership inference (legacy metric of the literature)"
    access = Access.LOGITS
    families = frozenset({"D1"})
    source = "Jia et al., Model Sparsity Can Simplify Machine Unlearning, arXiv 2304.04934 (public code)"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Predicted membership of every forget row."""
        test, retain = (np.exp(log_label(view.logits(r), case.labels[r])) for r in ("test", "retain"))
        size = min(len(test), len(retain), MAX_ROWS)
        members = rng.permutation(retain)[:size]  # never the first rows: files are often sorted
        others = rng.permutation(test)[:size]
        model = SVC(C=3.0, kernel="rbf", gamma="auto")
        model.fit(np.concatenate([members, others])[:, None], np.repeat([1, 0], size))
        forget = np.exp(log_label(view.logits("forget"), case.labels["forget"]))
        return {"called": model.predict(forget[:, None]).astype(np.float64)}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Share of forget rows called members, of J models."""
        share = np.array([s["called"].mean() for s in signals])
        error = np.sqrt(share * (1 - share) / len(signals[0]["called"]))
        detail = f"efficacy as published: {1 - share[0]:.3f}"
        if len(share) > 1:
            detail += f"; of the references {1 - share[1:].max():.3f} to {1 - share[1:].min():.3f}"
        return Scores(statistic=share, sampling_error=error, unit="share called members", details=(detail,))
