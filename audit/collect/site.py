"""A case as a worker has it: data, models and their outputs from bytes, in memory alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attacks.base import Access, Case, Floats
from attacks.tasks import task_named
from audit.engine import worker
from audit.engine.versions import Unlike, check_versions, versions
from audit.engine.wire import as_array, decode, encode, state_bytes
from audit.engine.worker import Shared
from audit.inputs.case import LoadedCase
from audit.inputs.data import Arrays
from audit.inputs.models import StoredTarget, build_module, set_task
from audit.inputs.sets import Selection
from audit.inputs.state import fit_state
from audit.inputs.targets import Target, TorchTarget
from audit.inputs.usercode import source_digest

from .guard import flags
from .model_view import ModelView
from .observe import Layers, Observations

Array = np.ndarray[Any, Any]
NOWHERE = Path("memory")  # names of what is held; nothing is written


_sites = itertools.count()  # a number of its own for each case: two cases never share a view


class InMemory:
    """Arrays that stay in memory (implements ``Kept``): a worker leaves nothing of the forget set on a disk."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def keep(self, path: Path, values: Array) -> Array | None:
        """Keep an array as float32."""
        array = np.array(values, np.float32)
        array.setflags(write=False)
        self.arrays[path.name] = array
        return array

    def mapped(self, path: Path) -> Array | None:
        """An array that was kept, or None."""
        return self.arrays.get(path.name)


@dataclass(frozen=True, eq=False)
class Black:
    """A shadow model: its outputs alone, as ``StoredTarget`` gives them."""

    network: TorchTarget
    key: str
    access: Access = Access.LOGITS

    @property
    def state(self) -> Mapping[str, Array]:
        """Parameters and buffers by name."""
        return self.network.state

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:
        """Logits and features of a whole set, in batches."""
        return self.network.outputs(role, data, batch_size)

    def digest(self) -> str:
        """Digest of all that its content depends on."""
        return self.key


class Site:
    """One case on one worker.

    Attributes:
        case: as attacks see it.
        observations: of all models that this worker met.
    """

    def __init__(self, content: memoryview) -> None:
        header, arrays = decode(content)
        check_versions(header["versions"])
        files: dict[str, dict[str, Array]] = {source: {} for source in header["fingerprints"]}
        for at, (source, name) in enumerate(header["arrays"]):
            files[source][name] = arrays[f"a{at}"]
        self.files = {source: _data(named) for source, named in files.items()}
        self.selection = {
            role: Selection(source, arrays[f"r{at}"]) for at, (role, source) in enumerate(header["selection"])
        }
        sets = {role: self.files[chosen.source].take(chosen.rows) for role, chosen in self.selection.items()}
        self.case = Case(
            kind=header["kind"],
            classes=tuple(header["classes"]),
            sets=sets,
            labels={role: data.y for role, data in sets.items()},
            n_classes=header["n_classes"],
            queries=tuple(header["queries"]),
            task=task_named(*header["task"]),
            targets={role: data.targets for role, data in sets.items() if data.targets is not None},
            batch=header["batch"],
        )
        layers = Layers(header["layers"], tuple(header["named layers"]))
        self._arrays = InMemory()
        self.observations = Observations(
            NOWHERE, self.files, header["fingerprints"], header["batch"], self._arrays, layers
        )
        self._views = f"view of case {next(_sites)}"
        self._sent: dict[str, tuple[str, list[bool]]] = {}  # digest and flags of each network as it came

    def check_unchanged(self, *views: ModelView) -> None:
        """Raises Unlike where a forward pass or an attack changed a network, which must stay as it came."""
        for view in views:
            black = isinstance(view.target, Black)
            if not black and self._sent.get(view.digest) != (view.target.digest(), flags(view.target)):
                raise Unlike("a network was modified while it was looked at: no result of this run can be trusted")

    def view(self, model: Shared) -> ModelView:
        """A model as attacks see it."""
        return worker.held(model, self._views, self._view)

    def clear(self) -> None:
        """Forget what was observed: of other models nothing is kept."""
        self._arrays.arrays = {}

    @property
    def observed(self) -> dict[str, Array]:
        """What was observed since, by the names under which it is kept."""
        return self._arrays.arrays

    def know(self, outputs: Shared) -> None:
        """Take over what a model gave on all sets, in place of forward passes."""
        self._arrays.arrays |= worker.held(outputs, "outputs", unpack_outputs)

    def _view(self, content: memoryview) -> ModelView:
        header, arrays = decode(content)
        device = worker.assigned or str(header["device"])
        target = _target(header, arrays["state"].tobytes(), device)
        if not header["stored"]:
            self._sent[header["digest"]] = header["content"], flags(target)
        return ModelView(target, header["digest"], self.observations, self.selection)


def pack_case(case: LoadedCase, observations: Observations) -> bytes:
    """The case for ``Site``."""
    named = [(source, name, array) for source, data in case.files.items() for name, array in data.arrays().items()]
    chosen = list(case.selection.items())
    header = {
        "versions": versions(),
        "kind": case.claim.kind,
        "classes": case.claim.classes,
        "n_classes": case.n_classes,
        "queries": case.queries,
        "task": [case.task.name, case.task.declared],
        "fingerprints": case.fingerprints,
        "arrays": [(source, name) for source, name, _ in named],
        "selection": [(role, selection.source) for role, selection in chosen],
        "layers": observations.layers.wanted,
        "named layers": observations.layers.named,
        "batch": observations.batch_size,
    }
    arrays = {f"a{at}": array for at, (*_, array) in enumerate(named)}
    return encode(header, arrays | {f"r{at}": selection.rows for at, (_, selection) in enumerate(chosen)})


def pack_model(view: ModelView) -> bytes | None:
    """A model for ``Site.view``; None where no other process can build it."""
    target = view.target
    if isinstance(target, StoredTarget):
        state, content, made = target.path.read_bytes(), target.sha256, target.arch
        built = {"head": target.head, "output": target.output, "device": target.device, "stored": True}
    elif isinstance(target, TorchTarget) and ":" in target.factory and not target.unnamed:
        try:
            state = state_bytes(target.module)
        except (AttributeError, TypeError, ValueError):  # a state with more than tensors
            return None
        content, made = target.digest(), target.factory
        built = {"head": target.head_name, "output": target.output, "device": str(target.device), "stored": False}
    else:
        return None
    header = {
        **built,
        "task": target.task,
        "arch": made,
        "source": source_digest(made),
        "content": content,
        "digest": view.digest,
        "key": target.digest(),
    }
    return encode(header, {"state": as_array(state)})


def pack_outputs(named: Mapping[str, Array]) -> bytes:
    """What a model gave on all sets, by the names under which it is kept."""
    return encode({"names": list(named)}, {f"o{at}": array for at, array in enumerate(named.values())})


def unpack_outputs(content: bytes | memoryview) -> dict[str, Array]:
    """What ``pack_outputs`` packed."""
    header, arrays = decode(content)
    return {name: arrays[f"o{at}"] for at, name in enumerate(header["names"])}


def _target(header: Mapping[str, Any], state: bytes, device: str) -> Target:
    from safetensors.torch import load

    from audit.record.readonce import sha256_of

    module = build_module(header["arch"])
    if source_digest(header["arch"]) != header["source"]:
        raise Unlike(
            f"a worker has another source file behind --arch {header['arch']}: bring it to that of this machine"
        )
    fit_state("the model that was sent", module, load(state))
    network = TorchTarget(module.eval(), device, header["head"], output=header["output"], factory=header["arch"])
    set_task(network, header["task"])
    if (sha256_of(state) if header["stored"] else network.digest()) != header["content"]:
        raise Unlike("a worker's network is not the one that was sent: bring its code to the version of this machine")
    return Black(network, header["key"]) if header["stored"] else network


def _data(named: Mapping[str, Array]) -> Arrays:
    inputs = {name[2:]: array for name, array in named.items() if name.startswith("x.")}
    others = (named.get(key) for key in ("ids", "group", "request", "targets"))
    return Arrays(inputs or named.get("x"), named["y"], *others)
