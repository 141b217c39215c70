"""One work unit, as any executor runs it: bytes in, bytes out, no shared folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.engine import worker
from audit.engine.versions import Unlike, check_versions, versions
from audit.engine.wire import as_array, decode, encode, state_bytes
from audit.inputs.contained import Meddling, contained
from audit.inputs.recipe import RecipeSection

from .descent import Batches
from .hooks import call_hook, import_sources
from .jobs import Job, Pool, Sources, pool_of, steps_of
from .problems import TrainingError, diverged, in_training
from .single import first_bad, fresh, train_single
from .streams import Stream

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Made:
    """What came of a unit: a model, or why there is none.

    Attributes:
        failed: "" or the message.
        state: the state dict as safetensors; empty after a failure.
        facts: loss of the last step (None with the user's functions), steps, seconds.
    """

    failed: str
    state: bytes
    facts: dict[str, Any]


def pack(
    recipe: RecipeSection,
    arch: str,
    sources: Sources,
    pool: Pool,
    job: Job,
    base: bytes | None,
    device: str,
    *,
    shared: bool = False,
) -> bytes:
    """Everything that a unit needs.

    Args:
        recipe: the recipe.
        arch: ``package.module:factory``.
        sources: digests of the sources here; a worker whose own differ refuses.
        pool: canonical pool.
        job: the model; without ``base`` it is trained, with it ``job.unlearn`` is unlearned.
        base: state dict of the trained model, as safetensors.
        device: where to train, unless the worker has a device of its own.
        shared: the pool is shared (``pack_pool``): its rows are named, not sent.
    """
    header = {
        "recipe": recipe.model_dump(mode="json", exclude_unset=True),
        "arch": arch,
        "sources": vars(sources),
        "seed": job.seed,
        "steps_rows": job.steps_rows,
        "device": device,
        "versions": versions(),
    }
    arrays = {"rows": job.rows} if shared else pool.take(job.rows).arrays()
    if base is not None and job.unlearn is not None:
        arrays = {**arrays, "base": as_array(base), "forget": np.isin(job.rows, job.unlearn)}
    return encode(header, arrays)


def pack_pool(pool: Pool) -> bytes:
    """The rows of all units."""
    return encode({}, pool.arrays())


def run_unit(key: str, payload: bytes, shared: Sequence[worker.Shared] = ()) -> bytes:  # noqa: ARG001 - a name
    """Train or unlearn one model.

    Args:
        key: address of the model.
        payload: from ``pack``.
        shared: of ``pack_pool``, where the payload names rows of it.

    Returns:
        bytes for ``unpack``. A failure of the training is an answer, not an exception.
    """
    header, arrays = decode(payload)
    start = time.perf_counter()
    if shared:
        pool = worker.held(shared[0], "pool", lambda content: pool_of(decode(content)[1]))
        arrays |= pool.take(arrays.pop("rows")).arrays()
    try:
        check_versions(header["versions"])
        recipe = RecipeSection(**header["recipe"])
        refuse_unlike(import_sources(recipe, header["arch"]), Sources(**header["sources"]), header["arch"])
        with worker.turn:
            module, facts = _make(recipe, header, arrays)
    except (TrainingError, Unlike) as error:
        return encode({"failed": str(error), "facts": {}}, {})
    facts["seconds"] = round(time.perf_counter() - start, 3)
    return encode({"failed": "", "facts": facts}, {"state": as_array(state_bytes(module))})


def refuse_unlike(here: Sources, there: Sources, arch: str) -> None:
    """Raises TrainingError where a worker has other source files than the process that sent a unit."""
    if here != there:
        raise TrainingError(
            f"the worker has other source files behind --arch {arch} or [recipe] than this process: "
            "bring both to the same version"
        )


def unpack(answer: bytes) -> Made:
    """What ``run_unit`` returned. Raises as ``decode`` does where it is something else."""
    header, arrays = decode(answer)
    return Made(header["failed"], arrays["state"].tobytes() if "state" in arrays else b"", header["facts"])


def _make(
    recipe: RecipeSection, header: dict[str, Any], arrays: dict[str, np.ndarray[Any, Any]]
) -> tuple[torch.nn.Module, dict[str, Any]]:
    device = worker.assigned or str(header["device"])
    pool, seed = pool_of(arrays), int(header["seed"])
    module = fresh(header["arch"], seed, device)
    if "base" in arrays:
        from safetensors.torch import load

        module.load_state_dict(load(arrays["base"].tobytes()))
        forget = np.flatnonzero(arrays["forget"])
        sets = {"forget": pool.take(forget), "retain": pool.take(np.flatnonzero(~arrays["forget"]))}
        return call_hook("unlearn", recipe, module.eval(), sets, seed, device), {"loss": None, "steps": None}
    if recipe.train is not None:
        return call_hook("train", recipe, module, {"data": pool}, seed, device), {"loss": None, "steps": None}
    return module, _train(recipe, module, pool, seed, header["steps_rows"], device)


def _train(
    recipe: RecipeSection, module: torch.nn.Module, pool: Pool, seed: int, nominal: int | None, device: str
) -> dict[str, Any]:
    """Train a module in place with the built-in recipe; raises TrainingError."""
    steps = steps_of(recipe, len(pool), nominal)
    try:
        batches = Batches(pool, recipe.augmentation, device)
        stream = Stream(np.arange(len(pool)), steps.batch, batches.ways, seed)
        with contained("the network of --arch"):
            result = train_single(recipe, module, batches, stream, steps, seed)
    except Meddling as error:
        raise TrainingError(str(error)) from error
    except (Exception, SystemExit) as error:  # the user's network may raise anything
        raise in_training(recipe, error) from error
    if result.diverged[0] or first_bad(module):
        raise TrainingError(diverged(recipe, int(result.diverged[0]) or steps.count, steps.count))
    return {"loss": float(result.loss[0]), "steps": steps.count}
