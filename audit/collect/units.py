"""The work units (attack, model) of one run: resumable, keyed by everything that they depend on."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from attacks.base import Attack, Case, NotApplicable, Signals
from audit.errors import AuditError
from audit.inputs.case import LoadedCase
from audit.inputs.contained import contained
from audit.record.attack_record import BUDGET, LEFT_OUT
from audit.record.digest import keyed_digest
from audit.record.files import read_arrays, save_arrays
from audit.record.readonce import read_once, sha256_of
from audit.record.rundir import RunDir
from audit.record.seal import is_ours, put_seal

from .events import Event, Notify, Status
from .evidence import AttackRun
from .failures import Failure, failure, skip
from .model_view import ModelView
from .suite import LAYERS
from .unit import generator

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


class OutOfTime(Exception):
    """No unit is started any more."""


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
        deadline: ``time.monotonic`` after which no unit is started; None = never.
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
        deadline: float | None = None,
    ) -> None:
        self._deadline = deadline
        self.layers = tuple(layers)
        self.views, self.shadows, self.case, self.context = views, shadows, case, context
        self.run_dir, self.key, self.seed, self.notify = run, key, seed, notify
        self.total = sum(len(self.views_of(attack)) for attack in attacks)
        self.signals: dict[tuple[str, str], Signals] = {}
        self.files: dict[tuple[str, str], tuple[str, str]] = {}  # name and SHA-256 of the bytes in hand
        self.done = 0
        self.workers = 0  # at work elsewhere
        self.elsewhere: dict[tuple[str, str], tuple[Status, str]] = {}  # how units went that other processes ran

    def expired(self) -> bool:
        """May no unit be started any more?"""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def there(self, attack: Attack, name: str, view: ModelView) -> bool:
        """Are the signals of a unit kept by an earlier run?"""
        return name in self.views_of(attack) and self._earlier(self._path(attack, name, view))[0] is not None

    def take(self, attack: Attack, name: str, found: Signals, seconds: float) -> None:
        """Keep the signals of a unit that another process ran."""
        self._keep(attack, name, self._path(attack, name, self.views_of(attack)[name]), found)
        self._note(attack, name, "done", "", seconds)

    def fail(self, attack: Attack, name: str, status: Status, failed: Failure, seconds: float) -> None:
        """Note that a unit did not run in another process, as if it had been tried here."""
        self._note(attack, name, status, self._kept(failed), seconds)

    def _note(self, attack: Attack, name: str, status: Status, reason: str, seconds: float) -> None:
        self.elsewhere[attack.name, name] = status, reason
        shown = len(self.elsewhere), self.total, len(self.views_of(attack))
        self.notify(Event("attack", attack.name, name, status, *shown, seconds, workers=self.workers))
        self._log(attack, name, status, reason, seconds)

    def _log(self, attack: Attack, name: str, status: Status, reason: str, seconds: float) -> None:
        took = round(seconds, 3)
        self.run_dir.log("unit", attack=attack.name, model=name, status=status, reason=reason, seconds=took)

    def run(self, attack: Attack) -> AttackRun:
        """Run one attack on every model; a skip or an error on any model is the attack's result."""
        views = self.views_of(attack)
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
            started, told = time.monotonic(), (attack.name, name) in self.elsewhere
            if not told:
                self.notify(Event("attack", attack.name, name, "running", self.done, self.total, len(views), 0.0))
            status, reason = self._tried(attack, name, view)  # a reason may be shared
            self.done += len(views) - at if reason else 1
            seconds = time.monotonic() - started
            if not told:
                self._log(attack, name, status, reason, seconds)
                self.notify(Event("attack", attack.name, name, status, self.done, self.total, len(views), seconds))
            if reason:
                self._forget(attack, views)
                kind: Literal["skipped", "error"] = "skipped" if status == "skipped" else "error"
                return AttackRun(**named, status=kind, reason=reason)
        return AttackRun(**named, status="ok")

    def views_of(self, attack: Attack) -> dict[str, ModelView]:
        """The models that an attack looks at: all under audit, and the shadow models of its design."""
        return {**self.views, **self.shadows.get(attack.design, {})}

    def _tried(self, attack: Attack, name: str, view: ModelView) -> tuple[Status, str]:
        """How a unit went, and why it did not run where it did not."""
        unit = attack.name, name
        if unit in self.elsewhere:
            if unit in self.files:  # in the order of the suite, whichever unit ended first
                self.signals[unit], self.files[unit] = self.signals.pop(unit), self.files.pop(unit)
            return self.elsewhere[unit]
        try:
            return self._unit(attack, name, view), ""
        except AuditError:
            raise
        except OutOfTime:
            return "skipped", LEFT_OUT + BUDGET
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
        path = self._path(attack, name, view)
        found, digest = self._earlier(path)
        if found is not None:
            self.signals[attack.name, name], self.files[attack.name, name] = found, (path.name, digest)
            return "reused"
        if self.expired():
            raise OutOfTime
        with contained("the network, or the attack,"):
            found = dict(attack.observe(view, original, self.case, generator(self.seed, attack.name)))
        self._keep(attack, name, path, found)
        return "done"

    def _path(self, attack: Attack, name: str, view: ModelView) -> Path:
        key = self._key(attack, view, self.views.get("original"))
        return self.run_dir.signals / f"{attack.name}-{name.replace('/', '-')}-{key}.npz"

    def _keep(self, attack: Attack, name: str, path: Path, found: Signals) -> None:
        digest = save_arrays(path, found)
        put_seal(path, self.key, digest)
        self.signals[attack.name, name], self.files[attack.name, name] = found, (path.name, digest)

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
