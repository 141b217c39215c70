"""Many models at once: their parameters and buffers stacked, one call of torch for all of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attacks.memory import is_out_of_memory
from audit.inputs.recipe import RecipeSection

from .descent import Batches, Descent, descend, losses_of
from .jobs import Job, Steps
from .single import fresh, noise_seed, seeded, trained_parameters
from .streams import Stream

if TYPE_CHECKING:
    import torch

CONTAINER = Path("/sys/fs/cgroup")  # the limit of the container, where there is one
MAX_GROUP = 128  # our choice: beyond it there is little left to gain
MEMORY_SHARE = 0.5  # our choice: of what is free
SLOTS = {"sgd": 1, "adam": 2, "adamw": 2}  # of the optimiser, for each parameter


class Stack:
    """Networks of one architecture with stacked parameters and buffers, trained together.

    Args:
        arch: ``package.module:factory``.
        seeds: one a network, K of them; each starts from the weights that it would have alone.
        device: where they are trained.
    """

    def __init__(self, arch: str, seeds: Sequence[int], device: str) -> None:
        import torch

        self.module = fresh(arch, seeds[0], "cpu")
        self.seeds, self.device = tuple(seeds), device
        trained_parameters(self.module)
        frozen = {name for name, p in self.module.named_parameters() if not p.requires_grad}
        networks = [fresh(arch, seed, "cpu") for seed in seeds]
        self.parameters = {
            name: torch.stack([dict(n.named_parameters())[name].detach() for n in networks])
            .to(device)
            .requires_grad_(name not in frozen)
            for name, _ in self.module.named_parameters()
        }
        self.buffers = {
            name: torch.stack([dict(n.named_buffers())[name] for n in networks]).to(device)
            for name, _ in self.module.named_buffers()
        }
        self.module.to(device)

    def forward(self, x: Any) -> torch.Tensor:
        """Logits (K * b, C) of K batches one behind the other; updates the buffers."""
        from torch.func import functional_call, vmap

        def call(
            parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], own: Any
        ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            state = {**parameters, **buffers}
            logits = functional_call(self.module, state, (own,))
            return logits, {name: state[name] for name in buffers}

        models = len(self.seeds)
        split = {n: t.view(models, -1, *t.shape[1:]) for n, t in x.items()} if isinstance(x, dict) else None
        own = x.view(models, -1, *x.shape[1:]) if split is None else split
        logits, buffers = vmap(call, randomness="different")(self.parameters, self.buffers, own)
        self.buffers = {name: tensor.detach() for name, tensor in buffers.items()}
        return logits.flatten(0, 1)

    def train(self, recipe: RecipeSection, batches: Batches, streams: Sequence[Stream], steps: Steps) -> Descent:
        """Train all of them with the built-in recipe."""
        trained = [p for p in self.parameters.values() if p.requires_grad]
        with seeded(noise_seed(*self.seeds), self.device):
            return descend(recipe, batches, self.forward, trained, streams, steps)

    def networks(self) -> Iterator[torch.nn.Module]:
        """Each network in turn, in eval mode: the same module, refilled."""
        import torch

        for k in range(len(self.seeds)):
            own = {**self.parameters, **self.buffers}
            with torch.no_grad():
                for name, tensor in (*self.module.named_parameters(), *self.module.named_buffers()):
                    tensor.copy_(own[name][k])
            yield self.module.eval()


def streams_of(jobs: Sequence[Job], steps: Steps, ways: int) -> list[Stream]:
    """The rows that each job's model sees."""
    return [Stream(job.rows, steps.batch, ways, job.seed) for job in jobs]


def group_limit(recipe: RecipeSection, arch: str, batches: Batches, job: Job, steps: Steps) -> int:
    """How many models fit into memory at once, from what one forward pass keeps for its gradient; 1 or more."""
    import torch

    module = fresh(arch, job.seed, batches.device)
    stream = Stream(job.rows, steps.batch, batches.ways, job.seed)
    index, change = (None if a is None else torch.from_numpy(a[0]).to(batches.device) for a in stream.take(1))
    assert index is not None
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    def same(tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    try:
        with seeded(job.seed, batches.device), torch.autograd.graph.saved_tensors_hooks(count, same):
            losses_of(recipe, module(batches.inputs(index, change)), batches.y[index], 1)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            return 1
        raise
    weights = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    # Weights, gradients, slots; activations with their gradients and the workspace of the kernels.
    one = int(weights * (2 + SLOTS[recipe.optimizer]) + 4 * kept)
    return max(1, min(MAX_GROUP, math.floor(MEMORY_SHARE * free_memory(batches.device) / max(1, one))))


def free_memory(device: str) -> int:
    """Bytes free on the device, or in the machine, within the limit of a container."""
    import torch

    if device.startswith("cuda"):  # what torch keeps of earlier work is free as well
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + kept)
    free = int(os.sysconf("SC_AVPHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):  # no such limit
        free = min(free, int((CONTAINER / "memory.max").read_text()) - int((CONTAINER / "memory.current").read_text()))
    return max(0, free)
