"""One work unit: train, or unlearn, one model. Bytes in, bytes out, no shared path; runs in any process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from attacks.base import Ints

from .jobs import Job, Pool, Sources, Steps, pool_of, steps_of
from .problems import TrainingError, describe, diverged, is_out_of_memory, out_of_memory
from .recipe import RecipeSection
from .wire import as_array, decode, encode, state_bytes

_device = ""  # of this worker, where its pool assigned one


def use_device(device: str) -> None:
    """Run every unit of this process on ``device``, with one thread where that is the CPU."""
    import torch

    global _device  # noqa: PLW0603 - a worker process has one device for its life
    _device = device
    if device == "cpu":
        torch.set_num_threads(1)


def pack(
    recipe: RecipeSection, arch: str, sources: Sources, pool: Pool, job: Job, device: str, base: bytes | None = None
) -> bytes:
    """The payload of a job: with ``base``, a trained state, the unit unlearns; without, it trains."""
    header = {
        "recipe": recipe.model_dump(mode="json", exclude_unset=True),
        "arch": arch,
        "sources": [sources.arch, sources.train, sources.unlearn],
        "name": job.name,
        "seed": job.seed,
        "steps_rows": job.steps_rows,
        "device": device,
    }
    arrays = dict(pool.take(job.rows).arrays())
    if base is not None and job.unlearn is not None:
        arrays["forget"] = np.isin(job.rows, job.unlearn)
        arrays["base"] = as_array(base)
    return encode(header, arrays)


def run_unit(key: str, payload: bytes) -> bytes:  # noqa: ARG001 - executors may place or log by the key
    """Do one unit.

    Returns:
        the state as safetensors with loss, steps and seconds; or the reason why there is none.
    """
    header, arrays = decode(payload)
    started = time.monotonic()
    recipe = RecipeSection.model_validate(header["recipe"])
    try:
        state, facts = _do(recipe, header, arrays)
    except TrainingError as error:
        return encode({"error": str(error)}, {})
    except Exception as error:  # noqa: BLE001 - one model's failure must not take the others along
        text = (
            out_of_memory(recipe)
            if is_out_of_memory(error)
            else f"training fails ({describe(error)}): repair the network"
        )
        return encode({"error": text}, {})
    return encode({**facts, "seconds": time.monotonic() - started}, {"state": as_array(state)})


def _do(
    recipe: RecipeSection, header: Mapping[str, Any], arrays: dict[str, np.ndarray[Any, Any]]
) -> tuple[bytes, dict[str, Any]]:
    from .descent import Batches
    from .hooks import Rows, call
    from .single import fresh, train_single
    from .streams import Stream

    _check_sources(recipe, header)
    device, seed = _device or str(header["device"]), int(header["seed"])
    base, forget = arrays.pop("base", None), arrays.pop("forget", None)
    pool = pool_of(arrays)
    module = fresh(str(header["arch"]), seed, device)
    if base is not None and forget is not None:
        return _unlearn(recipe, module, base.tobytes(), pool, np.asarray(forget), seed, device), {}
    if recipe.train is not None:
        trained = call("train", recipe.train, module, {"data": Rows(pool, device)}, seed, device)
        return state_bytes(trained), {}
    steps = steps_of(recipe, len(pool), header["steps_rows"])
    batches = Batches(pool, recipe.augmentation, device)
    stream = Stream(np.arange(len(pool)), steps.batch, batches.ways, seed)
    result = train_single(recipe, module, batches, stream, steps, seed)
    check_finite(recipe, int(result.diverged[0]), module, steps)
    return state_bytes(module), {"loss": float(result.loss[0]), "steps": steps.count}


def check_finite(recipe: RecipeSection, at: int, module: Any, steps: Steps) -> None:
    """Raises TrainingError where loss or weights are not finite; ``at`` is the first such step, 0 = none."""
    from .single import first_bad

    if at or first_bad(module):
        raise TrainingError(diverged(recipe, at or steps.count, steps.count))


def _unlearn(
    recipe: RecipeSection, module: Any, base: bytes, pool: Pool, forget: Ints, seed: int, device: str
) -> bytes:
    from safetensors.torch import load

    from .hooks import Rows, call

    module.load_state_dict(load(base))
    sides = {"forget": np.flatnonzero(forget), "retain": np.flatnonzero(~forget.astype(bool))}
    data = {name: Rows(pool.take(rows), device) for name, rows in sides.items()}
    return state_bytes(call("unlearn", str(recipe.unlearn), module.eval(), data, seed, device))


def _check_sources(recipe: RecipeSection, header: Mapping[str, Any]) -> None:
    """A worker elsewhere may have other code: what it trains would not be what its address says."""
    from .hooks import source_digest

    for target, expected in zip((header["arch"], recipe.train, recipe.unlearn), header["sources"], strict=True):
        if target is not None and source_digest(target) != expected:
            raise TrainingError(f"the worker has another version of {target}: install the same code there")
