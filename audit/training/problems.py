"""What can go wrong in training, in words that name the line of the recipe and the remedy."""

from __future__ import annotations

from typing import Literal

from attacks.memory import is_out_of_memory
from audit.errors import AuditError, ExitCode
from audit.inputs.recipe import RecipeSection
from audit.inputs.usercode import describe


class TrainingError(AuditError):
    """No model can be trained this way: the recipe, a function of the user, the memory or a worker."""


class NotImportable(TrainingError):
    """A function that the recipe or ``--arch`` names cannot be had: nothing was run."""

    exit_code = ExitCode.USAGE


def diverged(recipe: RecipeSection, step: int, steps: int) -> str:
    """The loss, or a weight, of the built-in recipe is not finite after ``step`` of ``steps``."""
    return (
        f"training diverged: loss or weights are not finite at step {step} of {steps} with [recipe] lr = "
        f"{recipe.rate:g} ({recipe.optimizer}): lower lr, or add warmup"
    )


def out_of_memory(recipe: RecipeSection, line: Literal["built-in", "train", "unlearn"] = "built-in") -> str:
    """One model alone does not fit into memory."""
    if line != "built-in":
        spec = recipe.train if line == "train" else recipe.unlearn
        return f'out of memory in [recipe] {line} = "{spec}": use smaller batches there, or lower [recipe] workers'
    return f"out of memory with [recipe] batch_size = {recipe.batch_size}: lower batch_size, or workers"


def in_training(recipe: RecipeSection, error: BaseException) -> TrainingError:
    """What an error of the user's network, raised during training, means."""
    if isinstance(error, TrainingError):
        return error
    if is_out_of_memory(error):
        return TrainingError(out_of_memory(recipe))
    return TrainingError(f"the network of --arch fails in training ({describe(error)}): repair it")


def worker_killed(names: list[str]) -> str:
    """A process of the pool died."""
    return (
        f"a worker process was killed while training {' or '.join(names)}, most often because memory ran out: lower "
        "[recipe] workers or batch_size, and start again. The finished models are kept"
    )
