"""A stacked group of models: trained in this process, or as one unit on any worker. Bytes in, bytes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from attacks.memory import give_back, is_out_of_memory
from audit.engine import worker
from audit.engine.versions import Unlike, check_versions, versions
from audit.engine.wire import as_array, decode, encode, state_bytes
from audit.inputs.contained import Meddling, contained
from audit.inputs.recipe import RecipeSection
from audit.inputs.usercode import describe

from .descent import Batches
from .hooks import import_sources
from .jobs import Job, Sources, Steps, pool_of
from .problems import TrainingError, diverged
from .single import first_bad
from .stacked import Stack, streams_of
from .unit import Made, refuse_unlike


def train_group(
    recipe: RecipeSection, arch: str, device: str, batches: Batches, jobs: Sequence[Job], steps: Steps
) -> list[Made] | None:
    """Train a group; None where it does not fit into memory.

    Raises:
        TrainingError: the network cannot be stacked.
    """
    start = time.perf_counter()
    try:
        stack = Stack(arch, [job.seed for job in jobs], device)
        with contained("the network of --arch"):
            result = stack.train(recipe, batches, streams_of(jobs, steps, batches.ways), steps)
    except TrainingError:
        raise
    except Meddling as error:
        raise TrainingError(str(error)) from error
    except (Exception, SystemExit) as error:  # the user's network may raise anything
        if not is_out_of_memory(error):
            raise TrainingError(
                f'[recipe] engine = "vectorised" cannot train this network ({describe(error)}): use engine = "pool"'
            ) from error
        return None
    seconds, made = round((time.perf_counter() - start) / len(jobs), 3), []
    for module, loss, step in zip(stack.networks(), result.loss, result.diverged, strict=True):
        if step or first_bad(module):
            made.append(Made(diverged(recipe, int(step) or steps.count, steps.count), b"", {}))
        else:
            facts = {"loss": float(loss), "steps": steps.count, "seconds": seconds}
            made.append(Made("", state_bytes(module), facts))
    return made


def pack_group(
    recipe: RecipeSection, arch: str, sources: Sources, jobs: Sequence[Job], steps: Steps, device: str
) -> bytes:
    """Everything that a unit of a group needs beside the shared pool (``pack_pool``)."""
    header = {
        "recipe": recipe.model_dump(mode="json", exclude_unset=True),
        "arch": arch,
        "sources": vars(sources),
        "versions": versions(),
        "device": device,
        "steps": [steps.count, steps.batch],
        "jobs": [[job.name, job.seed, job.steps_rows] for job in jobs],
    }
    return encode(header, {f"rows{k}": job.rows for k, job in enumerate(jobs)})


def run_group(key: str, payload: bytes, shared: Sequence[worker.Shared]) -> bytes:  # noqa: ARG001 - a name
    """Train a group.

    Args:
        key: names it.
        payload: from ``pack_group``.
        shared: of ``pack_pool``.

    Returns:
        bytes for ``unpack_group``.
    """
    header, arrays = decode(payload)
    device = worker.assigned or str(header["device"])
    try:
        check_versions(header["versions"])
        recipe = RecipeSection(**header["recipe"])
        refuse_unlike(import_sources(recipe, header["arch"]), Sources(**header["sources"]), header["arch"])
        with worker.turn:
            batches = worker.held(
                shared[0],
                f"batches {recipe.augmentation} {recipe.output} {device}",
                lambda content: _on(content, recipe, device),
            )
            named = enumerate(header["jobs"])
            jobs = [Job(name, arrays[f"rows{k}"], seed, None, nominal) for k, (name, seed, nominal) in named]
            made = train_group(recipe, header["arch"], device, batches, jobs, Steps(*header["steps"]))
    except (TrainingError, Unlike) as error:
        return encode({"fatal": str(error)}, {})
    if made is None:
        give_back()
        return encode({"short": True}, {})
    answers = [[model.failed, model.facts] for model in made]
    return encode({"models": answers}, {f"state{k}": as_array(model.state) for k, model in enumerate(made)})


def unpack_group(answer: bytes) -> list[Made] | None:
    """What ``train_group`` returned on a worker.

    Raises:
        TrainingError: as there, or the worker is another than this process.
    """
    header, arrays = decode(answer)
    if "fatal" in header:
        raise TrainingError(header["fatal"])
    if "short" in header:
        return None
    return [Made(failed, arrays[f"state{k}"].tobytes(), facts) for k, (failed, facts) in enumerate(header["models"])]


def _on(content: Any, recipe: RecipeSection, device: str) -> Batches:
    return Batches(pool_of(decode(content)[1]), recipe.augmentation, device, recipe.output)
