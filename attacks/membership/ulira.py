"""U-LiRA: shadow models that the user's own procedure made to forget a row, against models that never saw it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Bools, Case, Floats, NotApplicable, Scores, Signals, View
from attacks.laws import t_ppf
from attacks.scorers import lira, pipelines

from .common import by_side, enough_shadows, queried_confidence, stacked


class ULira(Attack):
    """Score: log N(s; trained, then unlearned) - log N(s; never trained) of the logit-scaled confidence s, per row.

    The strongest test of single rows: it knows what the procedure leaves behind. An exact procedure leaves both
    distributions alike, and then the score is noise. Coins fall on forget and holdout rows alike, so the score is
    symmetric. The details judge the procedure itself: each pipeline is scored by fits on all the others. The
    pipelines are the sampling unit of the intervals. The worst decile is chosen by fits on half of the pipelines and
    read on the other half; beside it stands what the uncorrected figure gives under permuted coins.
    Needs 16 pipelines.
    """

    name = "ulira"
    title = "Likelihood ratio of the unlearning procedure (U-LiRA)"
    access = Access.LOGITS
    signal = "confidence"
    symmetric = True
    rows_alone = True
    families = frozenset({"D2"})
    design = "unlearned"
    source = "Hayes et al., Inexact Unlearning Needs More Careful Evaluations, arXiv 2403.01218"
    charts = PER_EXAMPLE

    def __init__(self, *, halves: int = 20, permutations: int = 20) -> None:
        """Set the repetitions of the selection and of its null.

        Args:
            halves: random halves of the pipelines for the worst decile, >= 1 (our choice: 20).
            permutations: of the coins, for the null of the uncorrected worst decile, >= 1 (our choice: 20).
        """
        super().__init__()
        if halves < 1 or permutations < 1:
            raise ValueError("ulira: halves and permutations must be >= 1")
        self.parameters = {"halves": halves, "permutations": permutations}
        self._last: tuple[object, tuple[str, ...]] | None = None

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Logit-scaled confidence on forget and holdout rows."""
        return by_side(queried_confidence(view, case), case)

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Log-likelihood ratios of J models, and how well the procedure's traces can be told on other pipelines."""
        shadows = enough_shadows(case)
        observed = stacked(shadows.signals)
        try:
            fitted = lira.fit(observed, shadows.member)
            if self._last is None or self._last[0] is not shadows:
                self._last = (shadows, self._procedure(observed, shadows.member))
        except ValueError as error:
            raise NotApplicable(str(error)) from error
        own = stacked(signals)
        records = pipelines.record_p(own[0], observed, shadows.member)
        return Scores(examples=lira.in_blocks(own, fitted), details=self._last[1], records=records)

    def _procedure(self, observed: Floats, member: Bools) -> tuple[str, ...]:
        """Sentences on the procedure, from pipelines scored by fits on all the others."""
        rng = np.random.default_rng(0)
        ratios = lira.held_out(observed, member)
        hits = pipelines.hits(ratios, member)
        corrected = pipelines.worst_decile_corrected(observed, member, int(self.parameters["halves"]), rng)
        null = pipelines.worst_decile_null(observed, member, int(self.parameters["permutations"]), rng)
        auc = pipelines.aucs(ratios, member)
        return (
            f"the procedure, over {len(hits)} pipelines that were left out in turn: unlearned and never-seen rows are "
            f"told apart with accuracy {_mean(hits.mean(axis=1))}, AUC {_mean(auc)}",
            f"worst tenth of the rows: accuracy {corrected:.3f}, chosen and read on different pipelines; without that "
            f"correction {pipelines.worst_decile(hits):.3f}, against {null.mean():.3f} (at most {null.max():.3f}) "
            "under permuted coins",
        )


def _mean(values: Floats) -> str:
    half = float(t_ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / np.sqrt(len(values))
    return f"{values.mean():.3f} [{values.mean() - half:.3f}, {values.mean() + half:.3f}]"
