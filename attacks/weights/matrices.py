"""Weight matrices of two networks of one architecture, layer by layer, and networks between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attacks.base import Case, Floats, Ints, Network, NotApplicable, View

ANCESTRY = (
    "weights also move for an honest model that shares an ancestor with the original (continued training on retain "
    "rows), so against references trained from scratch this is no evidence: no built-in policy gates it"
)
MOST = 8  # our choice: blocks of a deep network
ROWS = 512  # our choice: rows that pass through a network at once


@dataclass(frozen=True, eq=False)
class Layer:
    """One weight matrix of two networks.

    Attributes:
        name: of the module.
        before: (out, in) of the original; kernels flattened.
        after: the same of the other network.
        kernel: positions of a kernel, 1 for linear layers.
    """

    name: str
    before: Floats
    after: Floats
    kernel: int = 1


def layers_of(view: View, original: View) -> list[Layer]:
    """Weight matrices of linear layers and convolutions, in the order of their definition, float64.

    Where a BatchNorm of as many channels is defined next, a filter's scale is free: its rows are brought to length one.
    Other rescalings (a ReLU network's units, up here and down there) are not undone.

    Raises:
        NotApplicable: no network, no weight matrix, or another architecture than the original's.
    """
    mine, theirs = (_weights(one.network()) for one in (view, original))
    if not theirs or [(n, w.shape) for n, w, _ in mine] != [(n, w.shape) for n, w, _ in theirs]:
        raise NotApplicable("needs weight matrices of the same names and shapes in the model and the original")
    found = []
    for (name, after, free), (_, before, _) in zip(mine, theirs, strict=True):
        pair = [matrix.reshape(len(matrix), -1) for matrix in (before, after)]
        if free:
            pair = [m / np.maximum(np.linalg.norm(m, axis=1, keepdims=True), np.finfo(float).tiny) for m in pair]
        found.append(Layer(name, pair[0], pair[1], int(np.prod(before.shape[2:]))))
    return found


def _weights(network: Network) -> list[tuple[str, Floats, bool]]:
    """Name, weight and "is its scale free?" of every linear layer and convolution."""
    from torch import nn

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    leaves = [(name, m) for name, m in network.module.named_modules() if not list(m.children())]
    following: list[Any] = [m for _, m in leaves[1:]] + [None]
    return [
        (name, _numpy(module.weight), _normalises(after, len(module.weight)))
        for (name, module), after in zip(leaves, following, strict=True)
        if isinstance(module, kinds)
    ]


def _normalises(module: Any, channels: int) -> bool:
    from torch import nn

    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return isinstance(module, kinds) and module.num_features == channels


def _numpy(tensor: Any) -> Floats:
    return np.asarray(tensor.detach().cpu().double().numpy())


def _batch_norms(network: Network) -> list[Any]:
    from torch.nn.modules.batchnorm import _BatchNorm

    return [m for m in network.module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


class Between:
    """Networks whose weights lie between those of a model and of the original, one at a time.

    Args:
        view: the model.
        original: of the same architecture.
        case: whose retain rows (at most 512, the first) re-estimate BatchNorm statistics.

    Raises:
        NotApplicable: another architecture.
    """

    def __init__(self, view: View, original: View, case: Case) -> None:
        self.view, self.original, self.case, self.network = view, original, case, view.network()
        self.mine = {k: v.detach().clone() for k, v in self.network.module.state_dict().items()}
        self.theirs = {k: v.detach().clone() for k, v in original.network().module.state_dict().items()}
        shapes = [{k: tuple(v.shape) for k, v in state.items()} for state in (self.mine, self.theirs)]
        if shapes[0] != shapes[1]:
            raise NotApplicable("needs the same names and shapes of weights in the model and the original")
        self._norms = _batch_norms(self.network)

    def blocks(self) -> list[list[str]]:
        """State-dict names by module in the order of definition, at most ``MOST`` blocks of neighbours.

        Modules without a weight matrix join the one before.
        """
        blocks: list[list[str]] = []
        last = ""
        for name in self.mine:
            module = name.rpartition(".")[0]
            matrix = any(k.rpartition(".")[0] == module and v.ndim > 1 for k, v in self.mine.items())
            if not blocks or (matrix and module != last):
                blocks.append([])
            last = module
            blocks[-1].append(name)
        parts = np.array_split(np.arange(len(blocks)), min(MOST, len(blocks)))
        return [[name for k in part for name in blocks[k]] for part in parts]

    def logits(self, share: Mapping[str, float], role: str, rows: Ints) -> Floats:
        """Logits (m, C) on ``rows`` of a set; weights are (1 - s) mine + s theirs, ``share`` gives s by name.

        The model without any share, and both ends of networks without BatchNorm, were asked by the shared forward pass.
        """
        import torch

        known = self._known(share)
        if known is not None:
            return known.logits(role)[rows]
        self.network.module.load_state_dict({**self.mine, **{k: self._mixed(k, s) for k, s in share.items()}})
        with torch.no_grad():
            self._estimate()
            size = min(ROWS, self.case.batch)
            parts = [
                _numpy(self.network.forward(self._input(role, rows[start : start + size])))
                for start in range(0, len(rows), size)
            ]
        return np.concatenate(parts)

    def _known(self, share: Mapping[str, float]) -> View | None:
        """The view whose stored logits are those of this network; None where it must be asked."""
        if not share:
            return self.view
        if self._norms:  # their statistics are taken anew, at the ends as well
            return None
        if not any(share.values()):
            return self.view
        whole = share.keys() >= self.mine.keys() and all(s == 1 for s in share.values())
        counters = [k for k, v in self.mine.items() if not v.is_floating_point()]
        return self.original if whole and all(self.mine[k].equal(self.theirs[k]) for k in counters) else None

    def _mixed(self, name: str, share: float) -> Any:
        """A tensor between the two networks; integers (counters) stay as they are."""
        mine, theirs = self.mine[name], self.theirs[name]
        return mine + share * (theirs - mine) if mine.is_floating_point() else mine

    def _estimate(self) -> None:
        """BatchNorm statistics of one pass over retain rows: those of either network fit neither."""
        for module in self._norms:
            module.reset_running_stats()
            module.momentum = None  # the plain average
            module.train()
        if self._norms:
            self.network.forward(self._input("retain", np.arange(min(ROWS, len(self.case.labels["retain"])))))
        for module in self._norms:
            module.eval()

    def _input(self, role: str, rows: Ints) -> Any:
        x = self.case.sets[role].batch(rows)
        if isinstance(x, Mapping):
            return {name: self.view.tensor(array) for name, array in x.items()}
        return self.view.tensor(x)
