"""Rows from the change of linear layers, by curvature and rank: pure functions, arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats

SMALLEST = 1e-12  # our choice: a bias entry below this share of its vector says nothing of the scale


def with_bias(x: Floats) -> Floats:
    """Rows with a last entry of 1, (n, d + 1)."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def deleted_gradient(x: Floats, moved: Floats, change: Floats, rows: int, penalty: float | Floats) -> Floats:
    """What the deleted rows added to the gradient, g = n E[x (f_o(x) - f_u(x))'] + penalty (theta_o - theta_u).

    Both models are minima of a sum of losses with the penalty ``penalty / 2 |theta|^2``, f is the mean that the loss
    fits (linear output, sigmoid or softmax), and E runs over never-seen rows in place of the retained ones. For the
    squared loss f_o - f_u = x'(theta_o - theta_u), so this is (n C + penalty I)(theta_o - theta_u) with the second
    moment C (Bertran et al., arXiv 2405.20272). With exact retained rows, g = sum of deleted x (y - f_o(x))'.

    Args:
        x: (m, p) never-seen rows, with their bias entry where the model has one.
        moved: (m, K) f_o(x) - f_u(x) on them.
        change: (p, K) theta_o - theta_u.
        rows: n, the number of rows that the models were fitted on, >= 1.
        penalty: >= 0, one number or (p, 1) where the bias entry has none; it sets sign and scale, so a wrong one
            there costs much.

    Returns:
        (p, K).
    """
    return np.asarray(rows / len(x) * x.T @ moved + penalty * change)


def rows_of(gradient: Floats, count: int) -> Floats:
    """Rows whose span a gradient sum x r' is: its leading left singular vectors, scaled to a bias entry of 1.

    Args:
        gradient: (d + 1, K), the bias entry last.
        count: rows sought, >= 1.

    Returns:
        (k, d) with k <= min(count, K); vectors without a bias entry (sign and scale unknown) are left out, so k may
        be 0. More than one row comes as a mixture: singular vectors are orthogonal, rows are not.
    """
    vectors, strength, _ = np.linalg.svd(gradient, full_matrices=False)
    kept = strength > np.finfo(float).eps * max(gradient.shape) * max(float(strength[0]), np.finfo(float).tiny)
    vectors = vectors[:, kept][:, :count]
    vectors = vectors[:, np.abs(vectors[-1]) > SMALLEST]
    return np.asarray((vectors[:-1] / vectors[-1]).T)


def stem_row(weight: Floats, bias: Floats) -> Floats:
    """The input of a first dense layer that took one gradient step on one row: x = dW' db / (db' db), (d,).

    Exact for one row and one step, whatever the loss and the layers above; a mixture otherwise. Phong et al. 2018,
    IEEE TIFS 13(5), section 3.

    Args:
        weight: (h, d) change of the weight.
        bias: (h,) change of the bias.

    Raises:
        ValueError: the bias did not change.
    """
    square = float(bias @ bias)
    if square == 0:
        raise ValueError("the bias did not change: no scale")
    return np.asarray(weight.T @ bias / square)
