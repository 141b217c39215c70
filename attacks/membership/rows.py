"""What the membership attacks on rows have in common."""

import numpy as np

from ..base import Case, Floats, Ints, NotApplicable, View
from ..signals import canonical, logit_confidence

MIN_SHADOWS = 16  # our choice: with fewer, about as many rows lack a model with and a model without them


def refuse_class(case: Case) -> None:
    """Raises NotApplicable for class claims: scores of rows say nothing about a class that is gone as a whole."""
    if case.kind == "class":
        raise NotApplicable("it tells single rows apart, which says nothing about a whole class")


def labels_of(case: Case) -> Ints:
    """Labels of forget and holdout rows, (n_F + n_H,)."""
    return np.concatenate([case.labels["forget"], case.labels["holdout"]])


def logits_of(view: View) -> Floats:
    """Logits on forget and holdout rows at a common temperature, (n_F + n_H, C)."""
    both = np.concatenate([view.logits("forget"), view.logits("holdout")])
    return canonical(both, both)


def confidence(view: View, case: Case) -> Floats:
    """Logit-scaled confidence on forget and holdout rows, the mean over the plain input and ``case.queries``, (n,).

    Augmentation queries: Carlini et al. 2022 (arXiv 2112.03570), section VI.C; their mean, not a joint Gaussian.
    """
    labels = labels_of(case)
    found = [logit_confidence(logits_of(view), labels)]
    for query in case.queries:
        both = np.concatenate([view.augmented("forget", query), view.augmented("holdout", query)])
        found.append(logit_confidence(canonical(both, both), labels))
    return np.asarray(np.mean(found, axis=0))


def enough_shadows(case: Case) -> tuple[int, int]:
    """Number of shadow models and the fewest with, or without, any one row.

    Raises:
        NotApplicable: fewer than ``MIN_SHADOWS``.
    """
    if case.shadows is None:
        raise NotApplicable("needs shadow models")
    count = len(case.shadows.member)
    if count < MIN_SHADOWS:
        raise NotApplicable(f"{count} shadow models are too few: train {MIN_SHADOWS} or more, better 64")
    inside = case.shadows.member.sum(axis=0)
    return count, int(np.minimum(inside, count - inside).min())
