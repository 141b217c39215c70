"""Copies that are trained at once: turns and smaller blocks where memory runs out, with the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attacks.recovery import clones
from attacks.recovery.clones import Clones
from audit.inputs.network import PrivateNetwork
from audit.inputs.targets import TorchTarget

RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.random((2, 16, 6)).astype(np.float32))
Y = RNG.integers(0, 3, (2, 16))


class Tight(PrivateNetwork):
    """Runs out of memory on more than ``room`` rows, or under ``vmap``, as a GPU would."""

    room, stacks = 10**9, True

    def functional(self, state: Mapping[str, Any], x: Any) -> Any:
        if len(x) > self.room or (not self.stacks and torch._C._functorch.is_batchedtensor(state["0.weight"])):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().functional(state, x)


def network() -> Tight:
    torch.manual_seed(0)
    return Tight(TorchTarget(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval(), "cpu", None))


def trained(own: Tight) -> Clones:
    found = Clones(own, 2, 0.05)
    for _ in range(3):
        found.step(X, Y)
    return found


def test_copies_take_turns_where_all_do_not_fit() -> None:
    tight = network()
    tight.stacks = False
    at_once, in_turn = trained(network()), trained(tight)
    assert (at_once.together, in_turn.together) == (True, False)
    assert at_once.trained == in_turn.trained == 1.0
    for name, tensor in at_once.state.items():
        torch.testing.assert_close(in_turn.state[name], tensor, rtol=1e-5, atol=1e-6)


def test_rows_are_scored_in_blocks_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = trained(network())
    wanted = found.logits(lambda rows: X[0][rows], 16)
    found.network.room = 3  # type: ignore[attr-defined]
    np.testing.assert_allclose(found.logits(lambda rows: X[0][rows], 16), wanted, rtol=1e-6)
    assert found.block == 2
    assert clones.BLOCK > 16  # the first attempt took all


def test_one_row_or_one_copy_that_does_not_fit_is_an_error() -> None:
    found = trained(network())
    found.network.room = 0  # type: ignore[attr-defined]
    with pytest.raises(torch.cuda.OutOfMemoryError):
        found.logits(lambda rows: X[0][rows], 16)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        found.step(X, Y)
