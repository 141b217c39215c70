"""The work units (attack, model) of one run: resumable, keyed by everything that they depend on."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from attacks.base import Attack, Case, NotApplicable, Signals
from audit.inputs.case import LoadedCase
from audit.inputs.config import Config
from audit.record.digest import keyed_digest
from audit.record.rundir import RunDir, load_arrays, save_arrays

from .evidence import AttackRun
from .observe import ModelView

log = logging.getLogger("audit")


@dataclass(frozen=True)
class Event:
    """Progress of a run: ``done`` of ``total`` work units, ``models`` of them per attack."""

    kind: Literal["train", "observe", "attack"]
    name: str
    model: str
    status: Literal["done", "reused", "skipped", "error"]
    done: int
    total: int
    models: int
    seconds: float


Notify = Callable[[Event], None]

NO_SHADOWS = {
    "trained": "no shadow models: --train-shadows 64 trains them by the [recipe] of audit.toml",
    "unlearned": "no shadow pipelines: --train-pipelines 32 trains them by the [recipe] of audit.toml and lets your "
    "procedure (unlearn = ...) unlearn them",
}


class Units:
    """The work units (attack, model) of one run."""

    def __init__(
        self,
        config: Config,
        case: LoadedCase,
        run: RunDir,
        attack_case: Case,
        views: dict[str, ModelView],
        notify: Notify,
        attacks: Sequence[Attack],
        shadows: Mapping[str, Mapping[str, ModelView]],
    ) -> None:
        self.config, self.case, self.run_dir, self.attack_case, self.views = config, case, run, attack_case, views
        self.notify, self.shadows = notify, shadows
        self.total = sum(len(self._views(attack)) for attack in attacks)
        self.signals: dict[tuple[str, str], Signals] = {}
        self.paths: dict[tuple[str, str], Path] = {}
        self.done = 0
        # BatchNorm, dropout and data may hide an attack's dependence on rows: the selection belongs to the key
        self.rows = keyed_digest(bytes(32), {role: chosen.rows for role, chosen in case.selection.items()})

    def run(self, attack: Attack) -> AttackRun:
        """Run one attack on every model; a skip or an error on any model is the attack's result."""
        views = self._views(attack)
        if attack.design and attack.design not in self.shadows:
            self.done += len(views)
            self.run_dir.log("unit", attack=attack.name, model="", status="skipped", reason=NO_SHADOWS[attack.design])
            return AttackRun(
                name=attack.name, parameters=attack.parameters, status="skipped", reason=NO_SHADOWS[attack.design]
            )
        for at, (name, view) in enumerate(views.items()):
            started = time.monotonic()
            status: Literal["done", "reused", "skipped", "error"] = "done"
            reason = ""
            try:
                status = self._unit(attack, name, view)
            except NotApplicable as skip:
                status, reason = "skipped", str(skip)
            except Exception as error:
                status, reason = "error", f"{type(error).__name__} on {name}: {error}"
                log.exception("%s failed on %s", attack.name, name)
            self.done += 1
            seconds = time.monotonic() - started
            self.run_dir.log(
                "unit", attack=attack.name, model=name, status=status, reason=reason, seconds=round(seconds, 3)
            )
            if reason:
                self.done += len(views) - 1 - at
            self.notify(Event("attack", attack.name, name, status, self.done, self.total, len(views), seconds))
            if reason:
                for model in views:
                    self.signals.pop((attack.name, model), None)
                    self.paths.pop((attack.name, model), None)
                kind: Literal["skipped", "error"] = "skipped" if status == "skipped" else "error"
                return AttackRun(name=attack.name, parameters=attack.parameters, status=kind, reason=reason)
        return AttackRun(name=attack.name, parameters=attack.parameters, status="ok")

    def _views(self, attack: Attack) -> dict[str, ModelView]:
        """The models that an attack looks at: all under audit, and the shadow models of its design."""
        return {**self.views, **self.shadows.get(attack.design, {})}

    def _unit(self, attack: Attack, name: str, view: ModelView) -> Literal["done", "reused"]:
        original = self.views.get("original")
        key = self._key(attack, view, original)
        path = self.run_dir.signals / f"{attack.name}-{name.replace('/', '-')}-{key}.npz"
        found = load_arrays(path)
        status: Literal["done", "reused"] = "reused"
        if found is None:
            rng = np.random.default_rng([self.config.seed, int.from_bytes(attack.name.encode(), "big") % 2**63])
            found = dict(attack.observe(view, original, self.attack_case, rng))
            save_arrays(path, found)
            status = "done"
        self.signals[attack.name, name], self.paths[attack.name, name] = found, path
        return status

    def _key(self, attack: Attack, view: ModelView, original: ModelView | None) -> str:
        parts = {
            "attack": [attack.name, attack.version, attack.parameters],
            "model": view.digest,
            "original": original.digest if original and attack.needs_original else None,
            "data": self.case.fingerprints,
            "rows": self.rows,
            "claim": [self.case.claim.kind, self.case.claim.classes],
            "queries": self.case.queries,
            "seed": self.config.seed,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
