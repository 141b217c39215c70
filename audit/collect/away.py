"""Units of an audit run elsewhere: handed to a crew, and kept in the run as soon as each has ended."""

from __future__ import annotations

import json
import queue
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass, replace

from attacks.base import Attack
from audit.engine.crew import Crew, Kept
from audit.errors import CouldNotRun
from audit.inputs.case import LoadedCase
from audit.inputs.contained import begin, end
from audit.inputs.usercode import describe
from audit.record.readonce import sha256_of

from .events import Event, Notify
from .failures import Failure
from .model_view import ModelView
from .observe import Observations
from .site import pack_case, pack_model, pack_outputs, unpack_outputs
from .unit import attack_unit, observe_unit, unpack_signals
from .units import Units

Handed = Callable[[], Future[bytes]]


@dataclass(frozen=True, eq=False)
class Waiting:
    """A unit that is not handed over yet: what to call it, how to hand it over, and what to do with its answer."""

    name: str
    hand: Handed
    take: Callable[[bytes, float], None]
    wanted: Callable[[], bool] = lambda: True


class Away:
    """One run's units on a crew. Models that no other process can build stay here.

    Args:
        crew: who runs them.
        case: what is audited.
        observations: of this process; what workers observe is kept there.
        seed: of the run.
        notify: told of every forward pass.
    """

    def __init__(self, crew: Crew, case: LoadedCase, observations: Observations, seed: int, notify: Notify) -> None:
        self._notify, self._workers = notify, 0
        self._crew, self._case, self._observations, self._seed = crew, case, observations, seed
        self._shared: dict[str, Kept | None] = {}

    def observe(self, views: Mapping[str, ModelView]) -> None:
        """Have every model observed whose outputs are not there; one that fails is tried and told of by the audit."""
        self._run(self._passes(views))

    def attack(self, units: Units, attacks: Sequence[Attack]) -> None:
        """Have every attack run on every model whose signals are not there."""
        self._run(self._signals(units, attacks))

    def _passes(self, views: Mapping[str, ModelView]) -> Iterator[Waiting]:
        for at, (name, view) in enumerate(views.items()):
            if self._observations.known(view.target, view.digest) or self._model(view) is None:
                continue

            def hand(view: ModelView = view) -> Future[bytes]:
                parts = [self._packed_case(), self._model(view)]
                return self._crew.submit(observe_unit, view.digest, b"", [part for part in parts if part])

            def take(answer: bytes, seconds: float, name: str = name, at: int = at, view: ModelView = view) -> None:
                found = unpack_outputs(answer)
                if not self._observations.keep(view.digest, found):
                    return  # tried again here, and told of
                event = Event("observe", "forward pass", name, "done", at + 1, len(views), len(views), seconds)
                self._notify(replace(event, workers=self._workers))

            yield Waiting(f"forward pass of {name}", hand, take)

    def _signals(self, units: Units, attacks: Sequence[Attack]) -> Iterator[Waiting]:
        for attack in attacks:
            if attack.design and not self._case.queries:
                continue  # it reads outputs that are there: cheaper here than the sending of them
            failed: list[int] = []
            for at, (name, view) in enumerate(units.views_of(attack).items()):
                if units.expired() or units.there(attack, name, view):
                    continue  # before anything is packed and sent
                parts = self._parts(view, units.views.get("original"))
                if parts is None:
                    continue
                yield self._waiting(units, attack, name, at, parts, failed)

    def _waiting(
        self, units: Units, attack: Attack, name: str, at: int, parts: Mapping[str, Kept], failed: list[int]
    ) -> Waiting:
        order = {
            "attack": attack.name,
            "version": attack.version,
            "parameters": attack.parameters,
            "model": name,
            "seed": self._seed,
            "parts": list(parts),
        }
        payload = json.dumps(order).encode()
        key = sha256_of(json.dumps([order, [kept.key for kept in parts.values()]]).encode())

        def hand() -> Future[bytes]:
            return self._crew.submit(attack_unit, key, payload, list(parts.values()))

        def take(answer: bytes, seconds: float) -> None:
            header, signals = unpack_signals(answer)
            if header["status"] == "fatal":
                raise CouldNotRun(f"{attack.name} on {name}: {header['reason']}.")
            units.workers = self._workers
            if header["status"] == "done":
                units.take(attack, name, signals, seconds)
            else:
                failed.append(at)
                units.fail(attack, name, header["status"], Failure(**header["failure"]), seconds)

        return Waiting(
            f"{attack.name} on {name}",
            hand,
            take,
            lambda: not units.expired() and not any(other < at for other in failed),
        )

    def _parts(self, view: ModelView, original: ModelView | None) -> dict[str, Kept] | None:
        """What a unit reads; None where it cannot run elsewhere."""
        model = self._model(view)
        if model is None:
            return None
        parts = {"case": self._packed_case(), "model": model, "outputs": self._outputs(view)}
        if original is not None:
            first = self._model(original)
            if first is None:
                return None
            parts |= {"original": first, "outputs of original": self._outputs(original)}
        return {name: kept for name, kept in parts.items() if kept is not None}

    def _packed_case(self) -> Kept:
        found = self._share("case", lambda: pack_case(self._case, self._observations))
        assert found is not None
        return found

    def _model(self, view: ModelView) -> Kept | None:
        return self._share(f"model {view.digest}", lambda: pack_model(view))

    def _outputs(self, view: ModelView) -> Kept | None:
        known = self._observations.known(view.target, view.digest)
        return self._share(f"outputs {view.digest}", lambda: pack_outputs(known)) if known else None

    def _share(self, what: str, make: Callable[[], bytes | None]) -> Kept | None:
        if what not in self._shared:
            content = make()
            self._shared[what] = None if content is None else self._crew.share(sha256_of(content), content)
        return self._shared[what]

    def _run(self, waiting: Iterator[Waiting]) -> None:
        """Hand over as many as the crew takes at once; take each answer as it comes.

        Raises:
            CouldNotRun: a worker died as often as a unit is tried, or the cluster is gone. What has ended is kept.
        """
        running: dict[Future[bytes], tuple[Waiting, float]] = {}
        done: queue.SimpleQueue[Future[bytes]] = queue.SimpleQueue()
        more = True
        while more or running:
            while more and (not running or len(running) < self._crew.limit):
                unit = next(waiting, None)
                more = unit is not None
                if unit is not None and unit.wanted():
                    number = begin(unit.name)
                    future = unit.hand()
                    running[future] = unit, time.monotonic()
                    future.add_done_callback(lambda _f, number=number: end(number))  # type: ignore[misc]
                    future.add_done_callback(done.put)
            if running:
                future = done.get()
                self._workers = min(len(running), self._crew.limit)
                self._taken(*running.pop(future), future)

    def _taken(self, unit: Waiting, started: float, future: Future[bytes]) -> None:
        try:
            answer = future.result()
        except BrokenExecutor as error:
            raise CouldNotRun(
                f"a worker process was killed in {unit.name}, most often because memory ran out: lower --workers or "
                "--batch-size, and start again; what has ended is kept."
            ) from error
        except (Exception, SystemExit) as error:
            raise CouldNotRun(
                f"the {self._crew.name} workers fail in {unit.name} ({describe(error)}): repair them and start again; "
                "what has ended is kept."
            ) from error
        try:
            unit.take(answer, time.monotonic() - started)
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise CouldNotRun(f"a worker answers {unit.name} with something else ({describe(error)}).") from error
