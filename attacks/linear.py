"""The linear probe that all probes fit: a penalised logistic regression on standardised features."""

import warnings

import numpy as np

from .base import Floats, Ints
from .standard import standard_of


def probe_logits(
    features: Floats, labels: Ints, target: Floats, beside: Floats | None, penalty: float, n_classes: int
) -> Floats:
    """Logits (m, C) of a probe fitted on (features, labels); classes without a fit row rank last.

    Args:
        features: (n, d) of the fit rows.
        labels: (n,).
        target: (m, d) rows that are scored.
        beside: rows that floor the spread of each unit (`attacks.standard`); None = the fit rows themselves are rows
            that no model has seen.
        penalty: L2 penalty per fit row on standardised features, > 0.
        n_classes: C.
    """
    standard = standard_of(features, beside)
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probe = LogisticRegression(C=1 / (penalty * len(labels)), max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an unfinished fit is still the same rule for all
        probe.fit(standard(features), labels)
    decision = np.asarray(probe.decision_function(standard(target)))
    if decision.ndim == 1:
        decision = np.column_stack([-decision / 2, decision / 2])
    logits = np.repeat(decision.min(axis=1, keepdims=True) - 1.0, n_classes, axis=1)
    logits[:, probe.classes_] = decision
    return logits
