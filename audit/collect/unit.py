"""One unit of an audit, as any worker runs it: forward passes of a model, or an attack on it. Bytes in, bytes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from attacks.base import Attack, NotApplicable, Signals
from audit.engine import worker
from audit.engine.versions import Unlike
from audit.engine.wire import decode, encode
from audit.engine.worker import Shared
from audit.errors import AuditError
from audit.inputs.contained import contained
from audit.inputs.device import full_precision

from .failures import failure, skip
from .site import Site, pack_outputs
from .suite import all_attacks


def generator(seed: int, attack: str) -> np.random.Generator:
    """What an attack draws from: the same for every model."""
    return np.random.default_rng([seed, int.from_bytes(attack.encode(), "big") % 2**63])


def observe_unit(key: str, payload: bytes, shared: Sequence[Shared]) -> bytes:  # noqa: ARG001 - clusters name units
    """Outputs of a model on every data file.

    Args:
        key: of the content.
        payload: empty.
        shared: case and model.

    Returns:
        bytes for ``Site.know``; without names where the model fails, which this machine then finds as well.
    """
    with worker.turn, full_precision():
        try:
            site = worker.held(shared[0], "case", Site)
            site.clear()
            view = site.view(shared[1])
            for source in site.files:
                site.observations.get(view.target, view.digest, source)
            site.check_unchanged(view)
        except Exception:  # noqa: BLE001 - whatever it is, it is met and told where the audit runs
            return pack_outputs({})
        return pack_outputs(site.observed)


def attack_unit(key: str, payload: bytes, shared: Sequence[Shared]) -> bytes:  # noqa: ARG001
    """Signals of an attack on a model.

    Args:
        key: of the content.
        payload: attack, parameters, names of the shared parts, seed.
        shared: in the payload's order: case, model, original, and outputs of both.

    Returns:
        bytes for ``unpack_signals``: signals, or why there are none.
    """
    order = json.loads(payload)
    parts = dict(zip(order["parts"], shared, strict=True))
    kind = all_attacks()[order["attack"]]
    where = f"on {order['model']}"
    with worker.turn, full_precision():
        try:
            signals = _observed(order, parts, kind)
            return encode(
                {"status": "done", "names": list(signals)}, {f"s{k}": a for k, a in enumerate(signals.values())}
            )
        except (AuditError, Unlike) as error:
            return encode({"status": "fatal", "reason": str(error)}, {})
        except NotApplicable as reason:
            return encode({"status": "skipped", "failure": asdict(skip(reason, kind, where))}, {})
        except Exception as error:  # noqa: BLE001 - an attack, or the user's network under it
            return encode({"status": "error", "failure": asdict(failure(error, kind, where))}, {})


def _observed(order: dict[str, Any], parts: dict[str, Shared], kind: type[Attack]) -> Signals:
    if kind.version != order["version"]:
        raise Unlike(f"a worker has {kind.name} {kind.version} and not {order['version']}: bring it to that version")
    site = worker.held(parts["case"], "case", Site)
    site.clear()
    for name in ("outputs", "outputs of original"):
        if name in parts:
            site.know(parts[name])
    view, original = site.view(parts["model"]), site.view(parts["original"]) if "original" in parts else None
    for known in (view, original):
        if known is not None and known.access > known.access.LOGITS:  # known outputs leave the head unknown
            known.target.look_for_head(site.files["forget"].batch(np.arange(1)))  # type: ignore[attr-defined]
    attack = kind(**order["parameters"])
    with contained("the network, or the attack,"):
        found = dict(attack.observe(view, original, site.case, generator(order["seed"], attack.name)))
    site.check_unchanged(*(known for known in (view, original) if known is not None))
    return found


def unpack_signals(answer: bytes) -> tuple[dict[str, Any], Signals]:
    """Header and signals of ``attack_unit``. Raises as ``decode`` does, or ValueError, where it is something else."""
    header, arrays = decode(answer)
    signals = {name: arrays[f"s{k}"] for k, name in enumerate(header.get("names", ()))}
    if not all(array.dtype.kind in "fiub" and np.isfinite(array).all() for array in signals.values()):
        raise ValueError("signals that are no finite numbers")
    return header, signals
