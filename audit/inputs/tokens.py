"""Rows of tokens through networks: what logits (rows, tokens, vocabulary) say of each, and nothing else kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attacks.base import Ints
from attacks.scorers.tokens import LEAST_VARIANCE, K

from .data import Arrays
from .forward import NoLogits, Passes, takes
from .spool import steps
from .token_rows import IDS, LABELS, MASK, judged_places, named

if TYPE_CHECKING:
    import torch

BUDGET = 2**29  # bytes of one forward pass, our choice
COPIES = 6  # of a batch's logits in float32 that are in memory at once: those judged, their log-softmax, products

#: what is said of models that are none, behind the name of the task
NETWORK = "needs a network (a Hugging Face folder, or weights with --arch): for stored scores leave --task out"


class TokenReader:
    """Reads rows of tokens through causal language models of one kind, several columns a row.

    Memory: blocks of rows whose logits, log-probabilities and products take about ``BUDGET`` (one row may need more).

    Attributes:
        vocabulary: columns of the logits; 0 before the first pass.
    """

    def __init__(self) -> None:
        self.vocabulary = 0

    def rows(self, passes: Passes, x: Any) -> int:
        """Rows as wide as ``x`` that one pass takes: the same whatever was read before, for bytes hang on it.

        Where the vocabulary is not known, one row of ``x`` goes through the network.
        """
        import torch

        parts = named(x)
        if not self.vocabulary:
            with torch.no_grad():
                self._logits(passes, {name: part[:1] for name, part in parts.items()})
        return max(1, BUDGET // (COPIES * 4 * self.vocabulary * int(parts[IDS].shape[1])))

    def order(self, data: Arrays) -> Ints:
        """Rows, the longest first: what does not fit into memory shows at once, and blocks hold little padding."""
        mask = named(data.x).get(MASK)
        if mask is None:
            return np.arange(len(data))
        lengths = np.concatenate([(mask[rows] != 0).sum(axis=1) for rows in steps(mask)])
        return np.argsort(-lengths, kind="stable").astype(np.int64)

    def looks_ahead(self, passes: Passes, x: Any, tolerance: float) -> bool:
        """Whether logits before the last token of a row move when that token is another: they must not know it.

        Args:
            passes: of the network.
            x: rows.
            tolerance: change of a logit that is rounding, relative to the largest of the row.
        """
        import torch

        parts = named(x)
        for i in range(len(parts[IDS])):
            row = {name: part[i : i + 1].clone() for name, part in parts.items() if name != LABELS}
            last = int(row[MASK].sum()) - 1 if MASK in row else row[IDS].shape[1] - 1
            with torch.no_grad():
                before = self._logits(passes, row)[:, :last].float()
                row[IDS][0, last] += -1 if row[IDS][0, last] > 0 else 1  # a number that the network knows
                after = self._logits(passes, row)[:, :last].float()
            limit = tolerance * float(before.nan_to_num(0.0, 0.0, 0.0).abs().max())
            if not torch.isclose(after, before, rtol=0.0, atol=limit, equal_nan=True).all():
                return True
        return False

    def columns(self, passes: Passes, x: Any) -> torch.Tensor:
        """Signals (b, 3) of rows: `attacks.tasks.causal_lm.SIGNALS`, higher = more like a member; in blocks."""
        import torch

        parts, size = named(x), self.rows(passes, x)
        blocks = [slice(start, start + size) for start in range(0, len(parts[IDS]), size)]
        return torch.cat([self._columns(passes, {name: part[rows] for name, part in parts.items()}) for rows in blocks])

    def _columns(self, passes: Passes, x: Mapping[str, Any]) -> torch.Tensor:
        import torch

        logits, tokens, judged = self._judged(passes, x)
        logp = torch.log_softmax(logits, dim=-1)
        own, p = logp.gather(1, tokens[:, None])[:, 0], logp.exp()
        mean = (p * logp).nan_to_num(0.0).sum(-1)  # 0 * log 0 = 0
        variance = (p * logp.square()).nan_to_num(0.0).sum(-1) - mean.square()
        standard = (own - mean) / variance.clamp(min=LEAST_VARIANCE).sqrt()
        return torch.stack([_mean(own, judged), _lowest(standard, judged), _lowest(own, judged)], dim=1)

    def likelihood(self, passes: Passes, x: Any) -> torch.Tensor:
        """The leading column alone, (b, 1): mean log-likelihood, differentiable in the weights of ``passes``.

        All rows go through at once, no more than ``rows`` says: gradients keep what was computed.
        """
        from torch.nn.functional import cross_entropy

        logits, tokens, judged = self._judged(passes, x)
        return _mean(-cross_entropy(logits, tokens, reduction="none"), judged)[:, None]

    def _judged(self, passes: Passes, x: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits (m, vocabulary) of the judged tokens of all rows, these tokens (m,), and where they stand (b, t)."""
        parts = _trimmed(named(x))
        logits, judged = self._logits(passes, parts), judged_places(parts)
        return logits[:, :-1][judged].float(), parts[IDS][:, 1:][judged], judged

    def _logits(self, passes: Passes, parts: Mapping[str, Any]) -> torch.Tensor:
        """Logits (b, t, vocabulary) of rows; raises NoLogits where the network gives none."""
        import torch

        ids = parts[IDS]
        asked = {name: parts[name] for name in (IDS, MASK) if name in parts}
        logits = passes(asked if takes(passes.module, tuple(asked)) else ids)
        if not isinstance(logits, torch.Tensor) or logits.ndim != 3 or logits.shape[:2] != ids.shape:
            shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise NoLogits(f"it gives {shape} for {tuple(ids.shape)} tokens, not (rows, tokens, vocabulary): wrap it")
        self.vocabulary = logits.shape[2]
        return logits


def _trimmed(parts: dict[str, Any]) -> dict[str, Any]:
    """The rows without the padding that all of them have, which would cost as much as tokens."""
    if MASK not in parts:
        return parts
    length = max(2, int(parts[MASK].sum(1).max()))
    return {name: part[:, :length] for name, part in parts.items()}


def _spread(values: torch.Tensor, judged: torch.Tensor, other: float) -> torch.Tensor:
    """Values (m,) of the judged tokens at their places, (b, t), and another one elsewhere."""
    return values.new_full(judged.shape, other).masked_scatter(judged, values)


def _mean(values: torch.Tensor, judged: torch.Tensor) -> torch.Tensor:
    """Mean of the judged values of each row, (b,)."""
    return _spread(values, judged, 0.0).sum(1) / judged.sum(1)


def _lowest(values: torch.Tensor, judged: torch.Tensor) -> torch.Tensor:
    """Mean of the lowest share ``K`` of the judged values of each row, one at least, (b,)."""
    import torch

    count = (judged.sum(1) * K).long().clamp(min=1)
    ordered = _spread(values, judged, torch.inf).sort(1).values
    taken = torch.arange(judged.shape[1], device=values.device) < count[:, None]
    return ordered.masked_fill(~taken, 0.0).sum(1) / count
