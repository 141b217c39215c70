"""One model at a time: fresh weights from a seed, and the built-in recipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from audit.inputs.models import build_module
from audit.inputs.recipe import RecipeSection

from .descent import Batches, Descent, descend
from .jobs import Steps
from .problems import TrainingError
from .streams import Stream

if TYPE_CHECKING:
    import torch

NOISE = 3  # the generator of dropout and the like, apart from that of the weights


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's generators for a block, and restore them after it: the caller's stay as they were."""
    import torch

    cuda = device.startswith("cuda")
    devices = [torch.device(device).index or 0] if cuda else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def noise_seed(*seeds: int) -> int:
    """Seed of the randomness during training, from the seeds of the models trained together."""
    return int(np.random.SeedSequence([*seeds, NOISE]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def fresh(arch: str, seed: int, device: str) -> torch.nn.Module:
    """Build a network with the weights of a seed, in training mode. They are drawn on the CPU, alike everywhere.

    Raises:
        TrainingError: the factory cannot be imported or fails.
    """
    try:
        with seeded(seed, "cpu"):
            return build_module(arch).to(device).train()
    except ValueError as error:
        raise TrainingError(str(error)) from error


def trained_parameters(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Parameters that are not frozen.

    Raises:
        TrainingError: there are none.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        raise TrainingError("the network of --arch has no parameters to train: return an ordinary, unfrozen network")
    return parameters


def train_single(
    recipe: RecipeSection, module: torch.nn.Module, batches: Batches, stream: Stream, steps: Steps, seed: int
) -> Descent:
    """Train a module in place with the built-in recipe and leave it in eval mode."""
    with seeded(noise_seed(seed), batches.device):
        result = descend(recipe, batches, module, trained_parameters(module), [stream], steps)
    module.eval()
    return result


def first_bad(module: torch.nn.Module) -> str:
    """Name of a parameter or buffer that is not finite, or ""."""
    import torch

    state = module.state_dict()
    if not state:
        return ""
    finite = torch.stack([torch.isfinite(t).all() for t in state.values()])  # one answer from the device for all
    return next((name for name, sound in zip(state, finite.tolist(), strict=True) if not sound), "")
