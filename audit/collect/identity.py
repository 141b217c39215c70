"""What names a run: a keyed digest of all that its findings depend on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from attacks.base import Attack
from audit.inputs.case import LoadedCase
from audit.record.digest import keyed_digest
from audit.record.version import VERSION


def run_identifier(case: LoadedCase, attacks: Sequence[Attack], *, policy_sha256: str, seed: int) -> str:
    """Digest of configuration and inputs under the project key: names the run directory, 16 hex digits.

    Paths, device, batch size and output folder do not enter: they change no finding.
    """
    document: dict[str, Any] = {
        "tool": VERSION,
        "policy": policy_sha256,
        "seed": seed,
        "arch": case.build.arch,
        "head": case.build.head,
        "claim": case.claim.model_dump(mode="json"),
        "data": case.fingerprints,
        "models": case.digests,
        "shadows": {name: dict(shadows.keys) for name, shadows in case.shadows.items()},
        "attacks": {a.name: [a.version, a.parameters] for a in attacks},
    }
    if case.build.decides():
        document["build"] = case.build.decides()
    if case.task.name != "classification":
        document["task"] = [case.task.name, list(case.task.declared.items())]
    if case.build.layers:
        document["layers"] = case.build.layers
    if case.architectures:  # of networks that a program holds
        document["architectures"] = case.architectures
    content = np.frombuffer(json.dumps(document, sort_keys=True).encode(), dtype=np.uint8)
    return keyed_digest(case.key, {"run": content})[:16]
