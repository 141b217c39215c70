"""Causal language models on their weights: a row of tokens is read as its scores, and training lowers its loss."""

from __future__ import annotations

from typing import Any, ClassVar

from .base import reduced
from .scores import Scores, directions

#: of each row, from one forward pass (`attacks.scorers.tokens`); the first one leads
SIGNALS = ("nll", "min_k_pp", "min_k")


class CausalLM(Scores):
    """Outputs (n, 3): what the model's logits (n, t, vocabulary) say of the judged tokens of a row, turned so that
    higher = more like a member (`audit.inputs.tokens` reads them); the mean log-likelihood leads.

    It is the task of scores with a network behind it: families, calibration and gates are those of scores, and the
    attacks that train copies lower the mean negative log-likelihood of each row's judged tokens.
    """

    name = "causal-lm"
    words = "log-likelihoods of tokens"
    by_scores: ClassVar[bool] = False
    reads_tokens: ClassVar[bool] = True
    unread = "features and hidden layers of tokens"

    def __init__(self) -> None:
        super().__init__(directions(list(SIGNALS), {}))
        self.signals = self.signals | {"loss"}
        self.loss_figure = "perplexity"

    def outputs_words(self) -> str:
        """The signals by name, the leading one first."""
        return f"{self.words} ({', '.join(self.declared)}; {self.name})"

    def said(self) -> tuple[str, ...]:
        """What is read of a row, and what is not."""
        return (
            f"of each row {', '.join(self.declared)} of its judged tokens, from one forward pass; {self.lead} decides, "
            "the others can block a PASS",
            f"{self.unread} are not looked at",
        )

    def training_loss(self, outputs: Any, truth: Any, reduction: str = "sum", smoothing: float = 0.0) -> Any:
        """Mean negative log-likelihood of each row's judged tokens; rows have no other truth than their tokens."""
        return reduced(-outputs[:, 0], reduction)
