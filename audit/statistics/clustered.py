"""AUC where rows come in clusters (data subjects): rows of one cluster are not independent."""

import numpy as np

from attacks.base import Floats, Ints

from .intervals import Estimate, auc_components, auc_estimate

ROUNDING = 1e-14  # of a variance whose terms cancel: an order of the rows decides on what is left


def auc_clustered(forget: Floats, holdout: Floats, forget_codes: Ints, holdout_codes: Ints, level: float) -> Estimate:
    """Row-level AUC of forget against holdout scores with Obuchowski's clustered standard error.

    Obuchowski 1997 (Biometrics 53). With V10(x) the share of holdout rows below x, V01(y) the share of forget rows
    above y (ties half), their sums V10_c, V01_c over the m_c and n_c rows of cluster c, and I_F, I_H, I clusters with
    forget rows, holdout rows, any rows:
    var = S10 / M + S01 / N + 2 S11 / (M N), S10 = I_F / ((I_F - 1) M) sum_c (V10_c - m_c A)^2, S01 alike,
    S11 = I / (I - 1) sum_c (V10_c - m_c A)(V01_c - n_c A). One code on both sides is one cluster. With one row per
    cluster this is DeLong's variance exactly. The interval is ``auc_delong``'s, with clusters in place of rows where
    the error is 0. It leans on many clusters: a 90 % interval held .87 to .90 at 30 + 60 clusters, .85 at 10 + 20
    (``auc_delong`` on the same rows: .43 to .64).

    Args:
        forget: (n_F,) scores.
        holdout: (n_H,) scores.
        forget_codes: (n_F,) cluster of each row.
        holdout_codes: (n_H,) cluster of each row.
        level: coverage, in (0, 1).

    Raises:
        ValueError: fewer than two clusters on a side, codes of another length than the scores, or non-finite scores.
    """
    if np.shape(forget_codes) != np.shape(forget) or np.shape(holdout_codes) != np.shape(holdout):
        raise ValueError("auc_clustered needs one cluster code per score")
    if not (np.isfinite(forget).all() and np.isfinite(holdout).all()):
        raise ValueError("auc_clustered needs finite scores")
    forget_clusters, holdout_clusters = len(np.unique(forget_codes)), len(np.unique(holdout_codes))
    if min(forget_clusters, holdout_clusters) < 2:
        raise ValueError("auc_clustered needs at least two clusters on each side")
    over_holdout, below_forget = auc_components(forget, holdout)
    auc = float(over_holdout.mean())
    names, index = np.unique(np.concatenate([forget_codes, holdout_codes]), return_inverse=True)
    m, n = len(forget), len(holdout)
    ten = np.bincount(index[:m], weights=over_holdout - auc, minlength=len(names))
    one = np.bincount(index[m:], weights=below_forget - auc, minlength=len(names))
    variance = (
        _factor(forget_clusters) * float(ten @ ten) / m**2
        + _factor(holdout_clusters) * float(one @ one) / n**2
        + 2 * _factor(len(names)) * float(ten @ one) / (m * n)
    )
    se = float(np.sqrt(variance)) if variance > ROUNDING else 0.0
    return auc_estimate(auc, se, min(forget_clusters, holdout_clusters), level)


def _factor(clusters: int) -> float:
    return clusters / (clusters - 1)
