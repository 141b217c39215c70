"""RMIA without the examples x population matrix: sort the population's ratios once, rank each example by bisection.

Zarifzadeh et al. 2024 (arXiv 2312.03262), equations 2 to 10. Same score, O((n + m) log m) time and O(n + m) memory.
All probabilities come as logarithms: a saturated p keeps its rank.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from attacks.base import Bools, Floats

from .lira import blocks

OFFLINE_A = 0.33  # as in the public code: how far an unseen example's probability would rise with training on it

Array = np.ndarray[Any, Any]


def share_dominated(examples: Floats, population: Floats, gamma: float = 1.0) -> Floats:
    """Share of population points z with ratio(x) / ratio(z) >= gamma; ties count half.

    Args:
        examples: log p(x) - log p_bar(x), shape (n,).
        population: log p(z) - log p_bar(z), shape (m,), m >= 1.
        gamma: > 0.

    Returns:
        (n,) in [0, 1]; higher = more like a member.
    """
    ordered = np.sort(population)
    shifted = examples - np.log(gamma)
    below = np.searchsorted(ordered, shifted, side="left")
    up_to = np.searchsorted(ordered, shifted, side="right")
    return np.asarray((below + up_to) / (2 * len(ordered)))


def log_mean(logs: Array) -> Floats:
    """Log of the mean of exp over models: (S, n) -> (n,), block by block."""
    found = np.empty(logs.shape[1])
    for part in blocks(logs.shape[1]):
        found[part] = np.log(np.maximum(np.exp(logs[:, part].astype(np.float64)).mean(axis=0), np.finfo(float).tiny))
    return found


def log_prior_offline(log_out: Floats, a: float = OFFLINE_A) -> Floats:
    """Log of ((1 + a) p_out + 1 - a) / 2: p_bar where no model was trained on the example.

    Args:
        log_out: log of the mean probability of models that never saw the example.
        a: in [0, 1].
    """
    return np.asarray(np.log(((1 + a) * np.exp(log_out) + 1 - a) / 2) if a < 1 else log_out)


def log_prior_online(shadows: Array, member: Array, a: float = OFFLINE_A) -> Floats:
    """Log of the mean of the IN models' and of the OUT models' mean probability, (n,).

    Args:
        shadows: log-probabilities of the label, (S, n).
        member: (S, n) booleans. An example with no model on one side takes what the offline line
            p_in = a p_out + 1 - a says of it: with four models that is one row in eight.
        a: in [0, 1].
    """
    found = np.empty(shadows.shape[1])
    for part in blocks(shadows.shape[1]):
        p, inside = np.exp(shadows[:, part].astype(np.float64)), member[:, part].astype(np.float64)
        count = inside.sum(axis=0)
        total_in, total = np.einsum("sb,sb->b", inside, p), p.sum(axis=0)
        mean_in = total_in / np.maximum(count, 1)
        mean_out = (total - total_in) / np.maximum(len(p) - count, 1)
        from_in = np.clip((mean_in - (1 - a)) / a, 0, 1) if a > 0 else mean_in
        mean_in, mean_out = (
            np.where(count > 0, mean_in, a * mean_out + 1 - a),
            np.where(count < len(p), mean_out, from_in),
        )
        found[part] = np.log(np.maximum((mean_in + mean_out) / 2, np.finfo(float).tiny))
    return found


def offline(
    target: Floats, references: Array, population: Floats, reference_population: Array, a: float = OFFLINE_A
) -> Floats:
    """Offline RMIA of one model against K models that saw neither examples nor population.

    Args:
        target: log-probabilities of the label under the model to score, (n,).
        references: the same under the references, (K, n).
        population: under the model to score, on points that no model saw, (m,).
        reference_population: (K, m).
        a: in [0, 1].

    Returns:
        (n,) in [0, 1].
    """
    own = target - log_prior_offline(log_mean(references), a)
    return share_dominated(own, population - log_prior_offline(log_mean(reference_population), a))


def leave_one_out(examples: Floats, population: Floats, a: float = OFFLINE_A) -> Floats:
    """Offline RMIA of each of J models against all the others, J >= 2: all are treated alike.

    Args:
        examples: (J, n) log-probabilities of the label.
        population: (J, m).
        a: in [0, 1].

    Returns:
        (J, n) in [0, 1].
    """
    own = examples - log_prior_offline(_log_mean_of_others(examples), a)
    points = population - log_prior_offline(_log_mean_of_others(population), a)
    return np.stack([share_dominated(x, z) for x, z in zip(own, points, strict=True)])


def _log_mean_of_others(logs: Floats) -> Floats:
    """Log of the mean of exp over all models but one: (J, n) -> (J, n).

    A sum before and a sum after each model: a total less its own would lose what is small beside it.
    """
    p = np.exp(logs)
    others = np.zeros_like(p)
    others[1:] += np.cumsum(p[:-1], axis=0)
    others[:-1] += np.cumsum(p[:0:-1], axis=0)[::-1]
    return np.asarray(np.log(np.maximum(others / (len(p) - 1), np.finfo(float).tiny)))


def online(
    targets: Floats, shadows: Array, member: Bools, population: Floats, shadow_population: Array, a: float = OFFLINE_A
) -> Floats:
    """Online RMIA of J models. Population points, which no model was trained on, take the offline p_bar.

    Args:
        targets: (J, n) log-probabilities of the label.
        shadows: (S, n).
        member: (S, n) booleans.
        population: (J, m).
        shadow_population: (S, m).
        a: in [0, 1].

    Returns:
        (J, n) in [0, 1].
    """
    own = targets - log_prior_online(shadows, member, a)
    points = population - log_prior_offline(log_mean(shadow_population), a)
    return np.stack([share_dominated(x, z) for x, z in zip(own, points, strict=True)])
