"""Which shadow models a run used: they were trained on forget rows, so a purge must find them in the store."""

from __future__ import annotations

import json
from pathlib import Path

from audit.inputs.case import LoadedCase
from audit.inputs.order import Order
from audit.record.files import write_bytes
from audit.record.rundir import RunDir

from .jobs import MODES
from .references import addresses_of
from .shadows import make_design
from .store import Store

SHADOW_LIST = "shadows.json"


def remember_shadows(run: RunDir, order: Order, case: LoadedCase) -> None:
    """Note in ``private/`` which models of the store were trained on forget rows."""
    keys = {key for found in case.shadows.values() for key in found.keys.values()}
    if "unlearned" in case.shadows:  # and what the pipelines were before they unlearned
        design = make_design(case.files, case.selection, order.seed)
        addresses = addresses_of(order, design, case.key)
        pipelines = [design.pipeline(i) for i in range(order.wanted.pipelines)]
        keys |= {addresses.trained(job, mode) for job in pipelines for mode in MODES}
    if keys:
        document = {"store": str(order.store), "keys": sorted(keys)}
        write_bytes(run.private / SHADOW_LIST, json.dumps(document, sort_keys=True).encode())


def destroy_shadows(run: RunDir) -> int:
    """Remove the shadow models of a run from the store; return how many it had."""
    try:
        document = json.loads((run.private / SHADOW_LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    if Path(document["store"]).is_dir():
        store = Store(Path(document["store"]))
        held = [key for key in document["keys"] if store.path(key).is_file()]
        store.discard(held)
        return len(held)
    return 0
