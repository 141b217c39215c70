"""SVC-MIA, the field's most printed figure, kept for comparison."""

from collections.abc import Sequence

import numpy as np

from attacks.base import Access, Attack, Case, Floats, Scores, Signals, View
from attacks.signals import log_label

LEAST = 10


class SvcMia(Attack):
    """Legacy: share of forget rows that a classifier of retain against test confidences calls members.

    SVC(C = 3, rbf, gamma = "auto") on the probability of the label; members are a random subset of the retain set of
    the test set's size, non-members the test set. The published "MIA efficacy" is one minus this statistic. It
    measures how much forget rows look like retain rows, not whether they were seen: an honest retrain of a random
    forget set scores well above 0. It gates nothing; its only meaning is beside the references' values.
    """

    name = "svc_mia"
    title = "SVC-MIA (legacy)"
    access = Access.LOGITS
    families = frozenset({"D1"})
    source = "Jia et al., Model Sparsity Can Simplify Machine Unlearning, arXiv 2304.04934, and its public code"

    def __init__(self, *, max_rows: int = 2_000) -> None:
        """Set the size of the fit.

        Args:
            max_rows: at most this many rows a side; >= 10 (our choice: 2,000, the cost grows with the square).
        """
        super().__init__()
        if max_rows < LEAST:
            raise ValueError(f"svc_mia: max_rows must be >= {LEAST}")
        self.parameters = {"max_rows": max_rows}

    def applicable(self, case: Case) -> str:
        """Rows of both sides to fit on."""
        few = min(len(case.labels.get(role, ())) for role in ("retain", "test")) < LEAST
        return f"needs {LEAST} retain and {LEAST} test rows" if few else ""

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Which forget rows are called members."""
        confidence = {
            role: np.exp(log_label(view.logits(role), case.labels[role])) for role in ("forget", "retain", "test")
        }
        rows = min(len(confidence["retain"]), len(confidence["test"]), int(self.parameters["max_rows"]))
        sample = [rng.choice(confidence[role], rows, replace=False) for role in ("retain", "test")]
        member = np.repeat([1, 0], rows)
        from sklearn.svm import SVC

        model = SVC(C=3, kernel="rbf", gamma="auto", random_state=0).fit(np.concatenate(sample)[:, None], member)
        return {
            "called": model.predict(confidence["forget"][:, None]).astype(np.float64),
            "rows": np.array([rows]),
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """The share of each of J models."""
        called = np.stack([s["called"] for s in signals])
        share: Floats = called.mean(axis=1)
        others = share[1:]
        beside = f"; references {1 - others.max():.3f} to {1 - others.min():.3f}" if len(others) else ""
        return Scores(
            statistic=share,
            sampling_error=np.sqrt(share * (1 - share) / called.shape[1]),
            unit="share of forget rows called members",
            details=(
                f"published as MIA efficacy: {1 - share[0]:.3f}{beside}",
                f"fitted on {int(signals[0]['rows'][0])} retain and as many test rows",
            ),
        )
