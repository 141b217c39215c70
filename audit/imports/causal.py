"""Log-probabilities of tokens under a causal language model (torch), in batches of rows of about one length.

Memory: a batch holds its logits, their log-softmax and one product, (rows, length, vocabulary) in float32 each; about
``BUDGET`` together, unless one row alone needs more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .texts import Tokens

if TYPE_CHECKING:
    import torch

BUDGET = 2**29  # bytes, our choice
COPIES = 3  # of a batch's logits that are in memory at once


def batches(lengths: Sequence[int], vocabulary: int, budget: int = BUDGET) -> Iterator[list[int]]:
    """Rows in batches, the longest first, so that what does not fit into memory shows at once."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    while order:
        size = max(1, budget // (COPIES * 4 * vocabulary * lengths[order[0]]))
        yield order[:size]
        order = order[size:]


def log_probabilities(
    logits: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    rows: Sequence[Sequence[int]],
    begins: Sequence[int],
    vocabulary: int,
) -> list[Tokens]:
    """Log-probability of each row's tokens from ``begins`` on, with mean and variance over the vocabulary.

    Args:
        logits: tokens (b, t) and mask (b, t) -> logits (b, t, vocabulary), on any device; padding stands at the end.
        rows: token ids of each row.
        begins: position of the first token that is judged, > 0: the first token of a row has no probability.
        vocabulary: size.
    """
    import torch

    found: dict[int, Tokens] = {}
    lengths = [len(row) for row in rows]
    with torch.no_grad():
        for batch in batches(lengths, vocabulary):
            longest = lengths[batch[0]]
            tokens = torch.zeros((len(batch), longest), dtype=torch.long)
            mask = torch.zeros_like(tokens)
            for k, i in enumerate(batch):
                tokens[k, : lengths[i]] = torch.tensor(rows[i])
                mask[k, : lengths[i]] = 1
            logp = torch.log_softmax(logits(tokens, mask)[:, :-1].float(), dim=-1)
            own = logp.gather(2, tokens[:, 1:, None].to(logp.device))[:, :, 0]
            p = logp.exp()
            mean = (p * logp).nan_to_num(0.0).sum(-1)  # 0 * log 0 = 0
            second = (p * logp.square()).nan_to_num(0.0).sum(-1)
            for k, i in enumerate(batch):
                part = slice(begins[i] - 1, lengths[i] - 1)
                values = [_numbers(t[k, part]) for t in (own, mean, second - mean.square())]
                found[i] = Tokens(*values)
    return [found[i] for i in range(len(rows))]


def _numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(values.double().cpu().numpy())
