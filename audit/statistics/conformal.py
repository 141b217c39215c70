"""Single records: conformal p-values and Benjamini-Yekutieli. Exploratory: a list to look at, no certificate.

Each p is exact where the unlearned model and its references are exchangeable. All share one unlearned model, so they
depend on each other in no known way: hence Benjamini-Yekutieli, not Benjamini-Hochberg.
"""

import math

import numpy as np

from attacks.base import Floats


def conformal_p(scores: Floats) -> Floats:
    """Rank of the unlearned model's score among the references', per example.

    p_i = (1 + #{k: z_k,i >= z_u,i}) / (K + 1): one-sided (high = remembered), ties count against discovery. The
    smallest value is 1 / (K + 1). Depends on ranks within an example only.

    Args:
        scores: (K + 1, n), the unlearned model in row 0, K >= 1, n >= 1.

    Returns:
        (n,) p-values in (0, 1].

    Raises:
        ValueError: no reference, no example, or non-finite scores.
    """
    if scores.ndim != 2 or len(scores) < 2 or scores.size == 0 or not np.isfinite(scores).all():
        raise ValueError("conformal_p needs finite scores of at least one reference and one example")
    return np.asarray((1 + (scores[1:] >= scores[0]).sum(axis=0)) / len(scores))


def benjamini_yekutieli(p: Floats) -> Floats:
    """Adjusted p-values: rejecting those <= q keeps the false discovery rate at q under any dependence.

    Benjamini & Yekutieli 2001: step-up, p_(i) n c(n) / i with c(n) = 1 + 1/2 + ... + 1/n.

    Args:
        p: (n,) in (0, 1], n >= 1.

    Raises:
        ValueError: empty input or values outside (0, 1].
    """
    from scipy import stats

    if p.size == 0 or not ((p > 0) & (p <= 1)).all():
        raise ValueError("benjamini_yekutieli needs p-values in (0, 1]")
    return np.asarray(stats.false_discovery_control(p, method="by"))


def needed_discoveries(n: int, references: int, q: float) -> int | None:
    """How many of n records must reach the smallest p at once before any is a discovery; None where n do not suffice.

    Smallest k with 1 / (K + 1) <= k q / (n c(n)). With n = 200, K = 64, q = .1: 181.

    Raises:
        ValueError: n or references below 1, or q outside (0, 1).
    """
    if n < 1 or references < 1 or not 0 < q < 1:
        raise ValueError("needed_discoveries needs n >= 1, references >= 1 and 0 < q < 1")
    harmonic = math.fsum(1 / i for i in range(1, n + 1))
    needed = math.ceil(n * harmonic / (q * (references + 1)) - 1e-9)
    return needed if needed <= n else None
