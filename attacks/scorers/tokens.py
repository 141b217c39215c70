"""Signals of texts from the log-probabilities of their tokens: pure functions of one row's arrays.

Definitions and their sources: mean log-likelihood; min-k (2310.16789); min-k++ (2404.02936); the ratio to the
compressed length (2012.07805, with the mean loss as its public code and MUSE have it); TOFU's truth ratio (2401.06121,
geometric mean over the wrong answers); ROUGE-L (recall, over words); extraction by greedy continuation (2202.07646).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np

from attacks.base import Floats

K = 0.2  # our choice of two in use (.2, .4): share of the least likely tokens
STEEPEST = 69.0  # largest exponent of a ratio, our choice: e**69 is just below the largest score that is taken, 1e30
LEAST_VARIANCE = 1e-6  # of log-probabilities over the vocabulary, as the public code of min-k++ has it


def nll(logprobs: Floats) -> float:
    """Mean negative log-likelihood of the tokens (t,), nats; t > 0. exp of its mean over texts is a perplexity."""
    return -float(np.mean(logprobs))


def min_k(values: Floats, k: float = K) -> float:
    """Mean of the lowest share ``k`` of (t,) values, one at least: of log-probabilities min-k, of ``standardised``
    ones min-k++."""
    count = max(1, int(len(values) * k))
    return float(np.sort(values)[:count].mean())


def standardised(logprobs: Floats, mean: Floats, variance: Floats) -> Floats:
    """Log-probabilities (t,) less their mean over the vocabulary under the model, by their standard deviation."""
    return np.asarray((logprobs - mean) / np.sqrt(np.maximum(variance, LEAST_VARIANCE)))


def zlib_nll(logprobs: Floats, text: str) -> float:
    """Mean negative log-likelihood over the bytes of the compressed text."""
    return nll(logprobs) / len(zlib.compress(text.encode("utf-8", "surrogatepass")))


def truth_ratio(right: float, wrong: Sequence[float]) -> float:
    """Probability of wrong answers (geometric mean) over that of the right one, each per token.

    Args:
        right: mean negative log-likelihood of the (paraphrased) right answer.
        wrong: of each wrong answer; one at least.
    """
    return math.exp(min(right - math.fsum(wrong) / len(wrong), STEEPEST))


def rouge_l(said: str, text: str) -> float:
    """ROUGE-L recall in [0, 1]: longest common subsequence of words over the words of the text; 0 without words."""
    a, b = said.lower().split(), text.lower().split()
    row = np.zeros(len(b) + 1, dtype=np.int64)
    words = np.array(b, dtype=object)
    for word in a:
        matched = np.where(words == word, row[:-1] + 1, 0) if len(b) else row[:0]
        row[1:] = np.maximum.accumulate(np.maximum(row[1:], matched))
    return float(row[-1]) / len(b) if b else 0.0
