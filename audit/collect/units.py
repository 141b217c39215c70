"""The work units (attack, model) of one run: resumable, keyed by everything that they depend on."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from attacks.base import Attack, Case, NotApplicable, Signals
from audit.errors import AuditError
from audit.inputs.case import LoadedCase
from audit.inputs.contained import contained
from audit.record.digest import keyed_digest
from audit.record.files import read_arrays, save_arrays
from audit.record.readonce import read_once, sha256_of
from audit.record.rundir import RunDir
from audit.record.seal import is_ours, put_seal

from .events import Event, Notify, Status
from .evidence import AttackRun
from .failures import Failure, failure, skip
from .observe import ModelView
from .suite import LAYERS

log = logging.getLogger("audit")

NO_SHADOWS = {
    "trained": "no shadow models: --train-shadows 64 trains them by the [recipe] of audit.toml",
    "unlearned": "no shadow pipelines: --train-pipelines 32 trains them by the [recipe] of audit.toml and lets your "
    "procedure (unlearn = ...) unlearn them",
}


def unit_context(case: LoadedCase, seed: int) -> dict[str, Any]:
    """What every unit of a case depends on, besides attack and models."""
    return {
        "data": case.fingerprints,
        # BatchNorm, dropout and data may hide an attack's dependence on rows: the selection belongs to the key
        "rows": keyed_digest(bytes(32), {role: chosen.rows for role, chosen in case.selection.items()}),
        "claim": [case.claim.kind, case.claim.classes],
        "queries": case.queries,
        "seed": seed,
        **({} if case.task.name == "classification" else {"task": [case.task.name, *case.task.declared.items()]}),
    }


class Units:
    """The work units (attack, model) of one run.

    Args:
        attacks: the suite, for the count of units.
        views: the models under audit.
        shadows: views of the shadow models by design.
        case: the case as attacks see it.
        context: ``unit_context``.
        run: where signals are kept.
        key: the project key; signals that it did not seal are none of ours and are computed anew.
        seed: of the run; each attack draws from a generator of its own, the same for every model.
        notify: told of every unit.
        layers: modules that the user named, to be read as hidden layers.
    """

    def __init__(
        self,
        attacks: Sequence[Attack],
        views: Mapping[str, ModelView],
        shadows: Mapping[str, Mapping[str, ModelView]],
        case: Case,
        context: Mapping[str, Any],
        run: RunDir,
        key: bytes,
        seed: int,
        notify: Notify,
        layers: Sequence[str] = (),
    ) -> None:
        self.layers = tuple(layers)
        self.views, self.shadows, self.case, self.context = views, shadows, case, context
        self.run_dir, self.key, self.seed, self.notify = run, key, seed, notify
        self.total = sum(len(self._views(attack)) for attack in attacks)
        self.signals: dict[tuple[str, str], Signals] = {}
        self.files: dict[tuple[str, str], tuple[str, str]] = {}  # name and SHA-256 of the bytes in hand
        self.done = 0

    def run(self, attack: Attack) -> AttackRun:
        """Run one attack on every model; a skip or an error on any model is the attack's result."""
        views = self._views(attack)
        parameters = {**attack.parameters}
        if attack.reads_layers and self.layers:  # recorded like a parameter: another choice reads something else
            parameters[LAYERS] = ",".join(self.layers)
        named: dict[str, Any] = {"name": attack.name, "version": attack.version, "parameters": parameters}
        if attack.design and attack.design not in self.shadows:
            self.done += len(views)
            reason = NO_SHADOWS[attack.design]
            self.run_dir.log("unit", attack=attack.name, model="", status="skipped", reason=reason)
            return AttackRun(**named, status="skipped", reason=reason)
        for at, (name, view) in enumerate(views.items()):
            started = time.monotonic()
            self.notify(Event("attack", attack.name, name, "running", self.done, self.total, len(views), 0.0))
            status, reason = self._tried(attack, name, view)  # a reason may be shared
            self.done += len(views) - at if reason else 1
            seconds = time.monotonic() - started
            self.run_dir.log(
                "unit", attack=attack.name, model=name, status=status, reason=reason, seconds=round(seconds, 3)
            )
            self.notify(Event("attack", attack.name, name, status, self.done, self.total, len(views), seconds))
            if reason:
                self._forget(attack, views)
                kind: Literal["skipped", "error"] = "skipped" if status == "skipped" else "error"
                return AttackRun(**named, status=kind, reason=reason)
        return AttackRun(**named, status="ok")

    def _views(self, attack: Attack) -> dict[str, ModelView]:
        """The models that an attack looks at: all under audit, and the shadow models of its design."""
        return {**self.views, **self.shadows.get(attack.design, {})}

    def _tried(self, attack: Attack, name: str, view: ModelView) -> tuple[Status, str]:
        """How a unit went, and why it did not run where it did not."""
        try:
            return self._unit(attack, name, view), ""
        except AuditError:
            raise
        except NotApplicable as reason:
            return "skipped", self._kept(skip(reason, type(attack), f"on {name}"))
        except Exception as error:
            log.exception("%s failed on %s", attack.name, name)
            return "error", self._kept(failure(error, type(attack), f"on {name}"))

    def _kept(self, failed: Failure) -> str:
        """What may be shared of a failure; the rest goes to ``private/errors.log``."""
        if failed.text:
            self.run_dir.keep_errors([(failed.title, failed.text)])
        return failed.reason

    def _forget(self, attack: Attack, views: Mapping[str, ModelView]) -> None:
        """No signal of an attack counts that did not run on every model."""
        for model in views:
            self.signals.pop((attack.name, model), None)
            self.files.pop((attack.name, model), None)

    def _unit(self, attack: Attack, name: str, view: ModelView) -> Literal["done", "reused"]:
        original = self.views.get("original")
        key = self._key(attack, view, original)
        path = self.run_dir.signals / f"{attack.name}-{name.replace('/', '-')}-{key}.npz"
        found, digest = self._earlier(path)
        status: Literal["done", "reused"] = "reused"
        if found is None:
            rng = np.random.default_rng([self.seed, int.from_bytes(attack.name.encode(), "big") % 2**63])
            with contained("the network, or the attack,"):
                found = dict(attack.observe(view, original, self.case, rng))
            digest = save_arrays(path, found)
            put_seal(path, self.key, digest)
            status = "done"
        self.signals[attack.name, name], self.files[attack.name, name] = found, (path.name, digest)
        return status

    def _earlier(self, path: Path) -> tuple[Signals | None, str]:
        """Signals of an interrupted run of the same case, with their digest; None where they are not ours."""
        try:
            content = read_once(path)
        except OSError:
            return None, ""
        digest = sha256_of(content)
        return (read_arrays(content) if is_ours(path, self.key, digest) else None), digest

    def _key(self, attack: Attack, view: ModelView, original: ModelView | None) -> str:
        parts = {
            "attack": [attack.name, attack.version, attack.parameters],
            "model": view.digest,
            "original": original.digest if original and attack.needs_original else None,
            **self.context,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
