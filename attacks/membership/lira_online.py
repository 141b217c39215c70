"""Online LiRA: a likelihood ratio per example between shadow models with and without it."""

from collections.abc import Sequence

import numpy as np

from ..base import Access, Attack, Case, Scores, Signals, View
from ..calibration import out_of_line
from ..scorers.lira import fit, in_blocks
from .rows import confidence, enough_shadows, refuse_class


class LiraOnline(Attack):
    """Online LiRA with shrunk variances, on shadow models with a fair coin for every row.

    Example score: log N(s; in) - log N(s; out) of the logit-scaled confidence s, averaged over the recipe's
    augmentations. Variances are shrunk towards the pooled within-example residual variance, IN and OUT apart, and
    come from the shadow models alone.
    """

    name = "lira_online"
    title = "Online LiRA (shadow models)"
    access = Access.LOGITS
    symmetric = True
    design = "trained"
    families = frozenset({"D2"})
    primary_for = frozenset({"random", "subject", "other"})
    source = "Carlini et al., Membership Inference Attacks From First Principles, arXiv 2112.03570, algorithm 1"
    chart = "roc"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Logit-scaled confidence on forget and holdout rows."""
        refuse_class(case)
        return {"rows": confidence(view, case)}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Log-likelihood ratios of J models."""
        count, fewest = enough_shadows(case)
        assert case.shadows is not None
        fitted = fit(np.stack([s["rows"] for s in case.shadows.signals]), case.shadows.member)
        examples = in_blocks(np.stack([s["rows"] for s in signals]), fitted)
        details = [f"{count} shadow models, at least {fewest} with and {fewest} without each row"]
        if fitted.few:
            details.append(f"{fitted.few} rows have fewer than two models on a side and take the mean difference")
        return Scores(examples=examples, invalid=out_of_line(examples), details=tuple(details))
