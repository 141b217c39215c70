"""Which shadow models a run used: they were trained on forget rows, so a purge must find them in the store."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from audit.inputs.case import LoadedCase
from audit.inputs.training_order import TrainingOrder
from audit.record.files import sweep, write_bytes
from audit.record.rundir import RunDir

from .jobs import MODES
from .references import addresses_of
from .shadows import make_design
from .store import discard, is_address, model_path

SHADOW_LIST = "shadows.json"


def remember_shadows(run: RunDir, order: TrainingOrder, case: LoadedCase) -> None:
    """Note in ``private/`` which models of the store were trained on forget rows."""
    keys = {key for found in case.shadows.values() for key in found.keys.values()}
    if "unlearned" in case.shadows:  # and what the pipelines were before they unlearned
        design = make_design(case.files, case.selection, order.seed)
        addresses = addresses_of(order, design, case.key)
        pipelines = [design.pipeline(i) for i in range(order.wanted.pipelines)]
        keys |= {addresses.trained(job, mode) for job in pipelines for mode in MODES}
    if keys:
        document = {"store": str(order.store), "keys": sorted(keys)}
        write_bytes(run.private / SHADOW_LIST, json.dumps(document, sort_keys=True).encode(), private=True)


@dataclass(frozen=True)
class ShadowList:
    """What ``private/shadows.json`` names.

    Attributes:
        store: folder of the store; None where the file names none.
        keys: addresses of models; whatever is no address was left out.
    """

    store: Path | None = None
    keys: tuple[str, ...] = ()


def read_shadows(run: RunDir) -> ShadowList:
    """The shadow models of a run. The file is untrusted: nothing in it leads out of the store or stops a purge."""
    try:
        document = json.loads((run.private / SHADOW_LIST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ShadowList()
    if not isinstance(document, dict):
        return ShadowList()
    store, keys = document.get("store"), document.get("keys")
    if not isinstance(store, str) or not isinstance(keys, list) or "\0" in store:
        return ShadowList()
    return ShadowList(Path(store), tuple(key for key in keys if isinstance(key, str) and is_address(key)))


def destroy_shadows(found: ShadowList) -> int:
    """Remove the shadow models of a run from the store; return how many it had.

    Raises:
        CouldNotRun: one cannot be removed.
    """
    if found.store is None or not found.store.is_dir():
        return 0
    sweep(found.store)
    held = [key for key in found.keys if os.path.lexists(model_path(found.store, key))]
    discard(found.store, held)
    return len(held)
