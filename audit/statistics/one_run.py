"""Privacy loss from one training run with canaries, each put in by a fair coin (Steinke, Nasr & Jagielski 2023).

arXiv 2305.08846, Corollary 5.4 and Appendix D. The attack guesses "in" or "out" for some of the canaries and may
abstain on the others; guesses may depend on all outputs, on no coin.
"""

import math

import numpy as np

HIGHEST = 700.0  # e^eps overflows beyond


def one_run_p(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """p-value of "the pipeline is (epsilon, delta)-DP" after ``correct`` of ``guesses`` guesses.

    p = P[Bin(r, q) >= v] + 2 m delta max_{1 <= i <= v} P[v > Bin(r, q) >= v - i] / i, q = e^eps / (1 + e^eps).

    Args:
        canaries: m >= 1, put in or left out by independent fair coins.
        guesses: r, in [0, m]; the others are abstentions. The number must not be tuned on the coins.
        correct: v, in [0, r].
        epsilon: >= 0.
        delta: in [0, 1].

    Returns:
        p in (0, 1].

    Raises:
        ValueError: arguments out of range.
    """
    from scipy import stats

    if canaries < 1 or not 0 <= correct <= guesses <= canaries:
        raise ValueError("one_run_p needs 0 <= correct <= guesses <= canaries and a canary")
    if not (epsilon >= 0 and 0 <= delta <= 1):
        raise ValueError("one_run_p needs epsilon >= 0 and 0 <= delta <= 1")
    if correct == 0:
        return 1.0
    accuracy = 1 / (1 + math.exp(-min(epsilon, HIGHEST)))
    p = float(stats.binom.sf(correct - 1, guesses, accuracy))
    if delta > 0:
        below = np.cumsum(stats.binom.pmf(np.arange(correct - 1, -1, -1), guesses, accuracy))
        p += 2 * canaries * delta * float((below / np.arange(1, correct + 1)).max())
    return min(1.0, max(p, float(np.finfo(float).tiny)))


def one_run_epsilon(canaries: int, guesses: int, correct: int, delta: float, beta: float) -> float:
    """Lower bound of epsilon with confidence 1 - beta: sup{eps: p(eps) <= beta}, 0 where p(0) > beta.

    Perfect guesses of all m canaries give logit(beta^(1/m)) at delta = 0: the ceiling of what m canaries can show.

    Args:
        canaries: m >= 1.
        guesses: r, in [0, m].
        correct: v, in [0, r].
        delta: in [0, 1].
        beta: in (0, 1).

    Raises:
        ValueError: arguments out of range.
    """
    from scipy import optimize

    if not 0 < beta < 1:
        raise ValueError("one_run_epsilon needs 0 < beta < 1")

    def excess(epsilon: float) -> float:
        return one_run_p(canaries, guesses, correct, epsilon, delta) - beta

    if excess(0.0) > 0:
        return 0.0
    high = 1.0
    while excess(high) <= 0:
        high *= 2
    return float(optimize.bisect(excess, 0.0, high, xtol=1e-10))
