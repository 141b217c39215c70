"""Online LiRA: the likelihood ratio of shadow models that were trained on a row and of those that were not."""

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Case, NotApplicable, Scores, Signals, View
from attacks.scorers import lira

from .common import by_side, enough_shadows, queried_confidence, stacked


class LiraOnline(Attack):
    """Score: log N(s; IN) - log N(s; OUT) of the logit-scaled confidence s, Gaussians per row from the shadow models.

    s is averaged over the augmentation queries of the recipe. Means are per row; each row's variance is shrunk to the
    pooled residual variance of its side. A row with fewer than two shadow models on a side borrows the mean
    difference of the other rows. Shadow coins fall on forget and holdout rows alike, so the score is symmetric.
    Needs 16 shadow models.
    """

    name = "lira_online"
    title = "Membership inference (online LiRA)"
    access = Access.LOGITS
    signal = "confidence"
    symmetric = True
    rows_alone = True
    families = frozenset({"D2"})
    design = "trained"
    source = "Carlini et al., Membership Inference Attacks From First Principles, arXiv 2112.03570"
    charts = PER_EXAMPLE

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Logit-scaled confidence on forget and holdout rows."""
        return by_side(queried_confidence(view, case), case)

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Log-likelihood ratios of J models, none of them a shadow model."""
        shadows = enough_shadows(case)
        try:
            fitted = lira.fit(stacked(shadows.signals), shadows.member)
        except ValueError as error:
            raise NotApplicable(str(error)) from error
        examples = lira.in_blocks(stacked(signals), fitted)
        details = [f"{len(shadows.signals)} shadow models; variance per row, shrunk to the pooled residual variance"]
        if fitted.few:
            details.append(f"{fitted.few} rows with fewer than 2 shadow models on a side use the pooled difference")
        return Scores(examples=examples, details=tuple(details))
