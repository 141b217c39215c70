"""What the attacks on a weight difference share: the difference itself, inputs as arrays, exposure among decoys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from attacks.base import Case, Floats, Ints, Network, NotApplicable, View
from attacks.inputs import unless_continuous

DECOYS = 99  # our choice: a rank among 99 never-seen rows can reach p = .01
CLASS_CLAIM = "publishing both versions reveals a deleted class whatever the method"
DISCRETE = "needs one array of continuous inputs: a row is compared with others by its distance"
NO_CHANGE = "the weights are those of the original in every layer: there is no difference to read"
NO_CHANGE_REMEDY = ("give the model after unlearning: this file holds the original's weights",)


@dataclass(frozen=True)
class Difference:
    """What unlearning did to the weights.

    Attributes:
        network: the original, a copy of one's own in float64.
        before: its floating parameters by name, detached.
        change: parameters of the audited model minus these, on the same device; buffers (BatchNorm statistics) are no
            parameters and left out.
    """

    network: Network
    before: dict[str, Any]
    change: dict[str, Any]

    @property
    def size(self) -> int:
        """Number of weights."""
        return sum(int(value.numel()) for value in self.before.values())

    @property
    def length(self) -> float:
        """Euclidean norm of the change; 0 where no weight moved."""
        return float(sum(float(value.double().square().sum()) for value in self.change.values()) ** 0.5)


def difference(view: View, original: View) -> Difference:
    """theta_model - theta_o over all floating parameters.

    Raises:
        NotApplicable: no network, parameters of other names or shapes than the original's, or weights not finite.
    """
    network = original.network()
    network.module.double()  # gradients of rows that the original is sure of vanish in the rounding of float32
    before, after = parameters(network), parameters(view.network())
    if before.keys() != after.keys() or any(before[name].shape != after[name].shape for name in before):
        raise NotApplicable("needs weights of the original's names and shapes: the networks differ in their layers")
    change = {name: after[name].to(value) - value for name, value in before.items()}
    if not all(bool(value.isfinite().all()) for value in change.values()):
        raise NotApplicable("the difference of the weights is not finite")
    return Difference(network, before, change)


def plain_attention() -> AbstractContextManager[None]:
    """Attention without its fused kernels, which have neither a derivative by row nor a second one."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH)


@contextmanager
def row_by_row() -> Iterator[None]:
    """Where rows are differentiated one by one: NotApplicable for networks that do not bear it.

    Branches on values, operations without a batching rule and casts of float64 raise errors in the network's own code.
    """
    import torch

    try:
        with plain_attention():
            yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise NotApplicable("the network cannot be differentiated row by row in float64 (torch.func)") from error


def parameters(network: Network) -> dict[str, Any]:
    """Floating parameters of a network by name, detached."""
    named = network.module.named_parameters()
    return {name: value.detach() for name, value in named if value.is_floating_point()}


def inputs(case: Case, role: str, rows: Ints) -> Floats:
    """Inputs of the rows of a set, (n, ...), float64.

    Raises:
        NotApplicable: mappings of arrays, or discrete inputs.
    """
    x = case.sets[role].batch(rows)
    if isinstance(x, Mapping) or x.dtype.kind != "f":
        raise NotApplicable(DISCRETE)
    return np.asarray(x, dtype=np.float64)


def too_few_decoys(case: Case) -> str:
    """ "" or why no row can be told from never-seen ones."""
    found = len(case.labels["holdout"])
    return "" if found >= DECOYS else f"needs {DECOYS} never-seen rows as decoys, there are {found}"


def unranked(case: Case) -> str:
    """Why single rows are not ranked among decoys, or "": rows of a deleted class are known by their class."""
    return CLASS_CLAIM if case.kind == "class" else too_few_decoys(case)


def unlike(case: Case) -> str:
    """The same where rows are compared by their distance, or the gradients at them, which want continuous inputs."""
    return unranked(case) or unless_continuous(case, DISCRETE)


def shares(scores: Floats, decoys: Floats) -> Floats:
    """Rank of each score among m decoys, p = (1 + #{decoy >= score}) / (m + 1), (n,) in (0, 1]; ties count against it.

    Args:
        scores: (n,), higher = stands out more.
        decoys: (m,).
    """
    at_least = len(decoys) - np.searchsorted(np.sort(decoys), scores, side="left")
    return np.asarray((1 + at_least) / (len(decoys) + 1))


def exposure(scores: Floats, decoys: Floats) -> Floats:
    """-log2 of ``shares``, bits in [0, log2(m + 1)]. Carlini et al. 2019 (arXiv 1802.08232), definition of exposure."""
    return np.asarray(-np.log2(shares(scores, decoys)))


def chance(decoys: int) -> tuple[float, float]:
    """Mean and standard deviation of the exposure of a row that is one more decoy (both about log2 e = 1.44 bits)."""
    bits = -np.log2(np.arange(1, decoys + 2) / (decoys + 1))
    return float(bits.mean()), float(bits.std())


def correlations(found: Floats, rows: Floats, centre: Floats) -> Floats:
    """Centred cosines between reconstructions and rows, (k, n) in [-1, 1]; 0 where one is the centre itself.

    Args:
        found: (k, d).
        rows: (n, d).
        centre: (d,), the mean of never-seen rows.
    """
    one, two = (part - centre for part in (found, rows))
    lengths = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(two, axis=1)[None]
    return np.asarray(np.divide(one @ two.T, lengths, out=np.zeros_like(lengths), where=lengths > 0))


def beside(values: Floats, unit: str = "") -> str:
    """The audited model's figure beside the references' range."""
    unit = f" {unit}" if unit else ""
    if len(values) == 1:
        return f"{values[0]:.3f}{unit}"
    return f"{values[0]:.3f}{unit} ({len(values) - 1} references {values[1:].min():.3f} to {values[1:].max():.3f})"
