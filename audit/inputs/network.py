"""A private copy of a model's network, for attacks that train, cut or change it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from .contained import forward_pass
from .forward import Passes
from .targets import TorchTarget
from .tensors import two_columns

PASS = "a forward pass of the network"


class PrivateNetwork:
    """A deep copy in eval mode whose parameters take gradients (implements ``attacks.base.Network``).

    Args:
        target: the model; it is not touched.

    Attributes:
        rows: of rows of tokens, how many as wide as those given one pass takes; None = the caller's choice.
    """

    def __init__(self, target: TorchTarget) -> None:
        self.module = copy.deepcopy(target.module).eval()
        self._output, self._columns = target.output, two_columns if target.class_logits else _as_they_are
        self._reader = target.reader
        self.rows = None if target.reader is None else self._rows
        for parameter in self.module.parameters():
            parameter.requires_grad_(parameter.is_floating_point())

    def forward(self, x: Any) -> Any:
        """Logits (b, C), C >= 2; of rows of tokens the leading column alone."""
        return self._answer(Passes(self.module, self._output), x)

    def functional(self, state: Mapping[str, Any], x: Any) -> Any:
        """Logits (b, C) with other parameters and buffers; those that ``state`` lacks stay as they are."""
        return self._answer(Passes(self.module, self._output, state), x)

    def _answer(self, passes: Passes, x: Any) -> Any:
        with forward_pass(PASS):
            return self._columns(passes(x)) if self._reader is None else self._reader.likelihood(passes, x)

    def _rows(self, x: Any) -> int:
        assert self._reader is not None
        with forward_pass(PASS):
            return self._reader.rows(Passes(self.module, self._output), x)


def _as_they_are(outputs: Any) -> Any:
    return outputs
