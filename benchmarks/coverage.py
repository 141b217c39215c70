"""C7: how often each interval of ``audit.statistics`` misses the truth, at the smallest sizes that a policy admits."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats

from audit.statistics.clustered import auc_clustered
from audit.statistics.epsilon import epsilon_bounds, mu_bounds, split_bounds
from audit.statistics.intervals import auc_delong, clopper_pearson, retained_share, shift, tpr_at_fpr
from audit.statistics.one_run import one_run_epsilon
from audit.statistics.subjects import worst_subject

MISSES = 0.05  #: of intervals at 95 %
APPROXIMATE = 0.07  #: what the design asks of an interval from a normal approximation (statistics.md C7)
ALPHA = 0.025  #: of each one-sided bound
Draw = Callable[[np.random.Generator], bool]


@dataclass(frozen=True)
class Interval:
    """One interval at one size: a function that draws data once and says whether the interval misses the truth."""

    name: str
    misses: Draw
    nominal: float = MISSES

    def count(self, draws: int, seed: int) -> int:
        """Misses in so many draws."""
        rng = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        return sum(self.misses(rng) for _ in range(draws))


def _delong(n_forget: int, n_holdout: int, auc: float, rng: np.random.Generator) -> bool:
    forget = rng.normal(np.sqrt(2) * stats.norm.ppf(auc), 1, n_forget)
    found = auc_delong(forget, rng.normal(size=n_holdout), 0.95)
    return not found.low <= auc <= found.high


def _clustered(clusters: int, rows: int, auc: float, rng: np.random.Generator) -> bool:
    """Half of a score's variance belongs to its cluster."""
    sides, codes = [], []
    for start, count in ((0, clusters), (clusters, 2 * clusters)):
        code = np.repeat(np.arange(start, start + count), rows)
        own = rng.normal(size=count)[code - start]
        sides.append((own + rng.normal(size=len(code))) / np.sqrt(2))
        codes.append(code)
    found = auc_clustered(sides[0] + np.sqrt(2) * stats.norm.ppf(auc), sides[1], codes[0], codes[1], 0.95)
    return not found.low <= auc <= found.high


def _binomial(n: int, p: float, rng: np.random.Generator) -> bool:
    low, high = clopper_pearson(int(rng.binomial(n, p)), n, 0.95)
    return not low <= p <= high


def _tail(n_forget: int, n_holdout: int, tpr: float, rng: np.random.Generator) -> bool:
    at = stats.norm.isf(0.05)
    found = tpr_at_fpr(rng.normal(at - stats.norm.isf(tpr), 1, n_forget), rng.normal(size=n_holdout), 0.05, 0.95)
    return not found.low <= tpr <= found.high


def _shift(references: int, runs: int, rng: np.random.Generator) -> bool:
    statistic = rng.normal(size=runs + references)
    statistic[:runs] += 2
    found = shift(statistic, 0.0, 0.95, runs)
    return not found.low <= 2 <= found.high


def _share(references: int, original: float, share: float, rng: np.random.Generator) -> bool:
    statistic = rng.normal(size=1 + references)
    statistic[0] += share * original
    found = retained_share(statistic, original + rng.normal(), 0.0, 0.95)
    return found is not None and not found.low <= share <= found.high  # None: all shares are possible


def _attack_loss(fpr: float, fnr: float) -> float:
    """Epsilon that an attack of these rates, or the same with its calls exchanged, shows."""
    ratios = ((1 - fnr) / fpr, (1 - fpr) / fnr)
    return float(np.log(max(*ratios, *(1 / ratio for ratio in ratios))))


def _epsilon(n_forget: int, n_holdout: int, fpr: float, fnr: float, rng: np.random.Generator) -> bool:
    wrong = int(rng.binomial(n_holdout, fpr)), n_holdout, int(rng.binomial(n_forget, fnr)), n_forget
    found = epsilon_bounds(*wrong, ALPHA)
    return not found.low <= _attack_loss(fpr, fnr) <= found.high


def _mu(n_forget: int, n_holdout: int, mu: float, rng: np.random.Generator) -> bool:
    fpr, fnr = 0.05, float(stats.norm.cdf(stats.norm.isf(0.05) - mu))
    wrong = int(rng.binomial(n_holdout, fpr)), n_holdout, int(rng.binomial(n_forget, fnr)), n_forget
    found = mu_bounds(*wrong, ALPHA)
    return not found.low <= mu <= found.high


def _split(n_forget: int, n_holdout: int, mu: float, rng: np.random.Generator) -> bool:
    """The lower bound holds for the mechanism, whatever rule was chosen."""
    found = split_bounds(rng.normal(mu, 1, n_forget), rng.normal(size=n_holdout), MISSES, rng)
    return found.mu.low > mu or (mu == 0 and found.epsilon.low > 0)


def _one_run(canaries: int, epsilon: float, rng: np.random.Generator) -> bool:
    correct = int(rng.binomial(canaries, 1 / (1 + np.exp(-epsilon))))  # randomised response
    return one_run_epsilon(canaries, canaries, correct, 0.0, MISSES) > epsilon


def _worst(references: int, raised: float, rng: np.random.Generator) -> bool:
    """20 subjects of 5 rows; one is raised. The bounds hold for whichever is picked."""
    codes = np.repeat(np.arange(20), 5)
    scores = rng.normal(size=(1 + references, 100)) + rng.normal(size=(1 + references, 20))[:, codes]
    scores[0] += raised * (codes == 7)
    found = worst_subject(scores, codes, MISSES)
    return found.low > raised * (found.code == 7)


def intervals() -> list[Interval]:
    """Every interval at its smallest sizes (statistics.md 2.4)."""
    found = [
        Interval(f"auc_delong, {n} and {m} rows, AUC {auc}", partial(_delong, n, m, auc), APPROXIMATE)
        for n, m, auc in ((30, 100, 0.5), (30, 100, 0.6), (30, 100, 0.9), (30, 100, 0.96), (200, 400, 0.6))
    ]
    found += [
        Interval(f"auc_clustered, 30 and 60 clusters of 5, AUC {auc}", partial(_clustered, 30, 5, auc), APPROXIMATE)
        for auc in (0.5, 0.6)
    ]
    found += [
        Interval(f"clopper_pearson, {n} trials, p {p}", partial(_binomial, n, p))
        for n, p in ((30, 0.05), (59, 0.05), (59, 0.15), (100, 0.5))
    ]
    found += [
        Interval(f"tpr_at_fpr, {n} and {m} rows, TPR {tpr} at 5 %", partial(_tail, n, m, tpr))
        for n, m, tpr in ((59, 100, 0.05), (59, 100, 0.15), (200, 400, 0.15))
    ]
    found += [Interval(f"shift, K={k}, J={j}", partial(_shift, k, j)) for k, j in ((4, 1), (5, 1), (8, 1), (5, 3))]
    found += [
        Interval(f"retained_share, K=8, share {share}, original {d} sd up", partial(_share, 8, d, share))
        for d, share in ((5, 0.0), (5, 0.25), (10, 0.25), (10, 1.0))
    ]
    found += [
        Interval(f"epsilon_bounds, {n} and {m} rows, FPR .05, FNR {fnr}", partial(_epsilon, n, m, 0.05, fnr))
        for n, m, fnr in ((59, 100, 0.95), (59, 100, 0.8), (200, 400, 0.5))
    ]
    found += [
        Interval(f"mu_bounds, {n} and {m} rows, mu {mu}", partial(_mu, n, m, mu))
        for n, m, mu in ((59, 100, 0.25), (200, 400, 1.0))
    ]
    found += [
        Interval(f"split_bounds, lower, {n} and {m} rows, mu {mu}", partial(_split, n, m, mu))
        for n, m, mu in ((60, 200, 0.0), (200, 400, 1.0))
    ]
    found += [
        Interval(f"one_run_epsilon, {m} canaries, epsilon {eps}", partial(_one_run, m, eps))
        for m, eps in ((50, 0.0), (50, 1.0), (1000, 1.0))
    ]
    found += [
        Interval(f"worst_subject, lower, K={k}, one raised by {d}", partial(_worst, k, d))
        for k, d in ((5, 0.0), (5, 2.0))
    ]
    return found
