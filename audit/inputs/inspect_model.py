"""What `audit inspect` says of a model file or folder: nothing of it is run, and no data are needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attacks.tasks import by_scores, reads_tokens
from audit.errors import AuditError
from audit.record.digest import sha256_path

from .adapters.formats import ADAPTERS, OUTPUT_SUFFIXES, adapter, is_folder, refuse_unknown, suffix_of
from .inspect_stored import inspect_stored
from .models import build_module, content_of, read_state
from .naming import check_name, listed, shown
from .scores import FORM
from .seen import Seen
from .state import fit_state
from .usercode import describe
from .wrappings import state_dicts

BLACK_BOX = "asked with inputs as a black box: the attacks on outputs run, none that needs features or weights"
LIGHTNING = "pytorch-lightning_version"


def inspect_model(path: Path, arch: str | None = None, task: str = "") -> Seen:
    """What one model file or folder is to an audit.

    Args:
        path: of the file, or of a folder as Hugging Face saves it.
        arch: ``package.module:function`` that builds the network, so that its weights can be tried in it.
        task: what was declared; "" = what the file says.
    """
    try:
        check_name(path)
        if not path.exists():
            raise ValueError(f"{path} does not exist: check the path")
        found = _seen(path, arch, task)
        return Seen(found.kind, (*found.facts, f"sha256 {sha256_path(path)}"), found.uses, found.access, found.problems)
    except (AuditError, ValueError) as error:
        return Seen(_named(path), problems=(str(error),))
    except Exception as error:  # noqa: BLE001 - whatever a file makes fail is a problem of that file
        return Seen(_named(path), problems=(f"{path} cannot be read ({describe(error)}): save it again",))


def _named(path: Path) -> str:
    return "folder" if path.is_dir() else f"file {shown(suffix_of(path)) or 'without a suffix'}"


def _seen(path: Path, arch: str | None, task: str) -> Seen:
    suffix = suffix_of(path)
    if suffix in OUTPUT_SUFFIXES:
        return inspect_stored(path, content_of(path), task)
    if by_scores(task):
        raise ValueError(f"the task is {task}, and {path} holds none: save {FORM}, in an .npz file a model")
    if is_folder(path):
        return _folder(path, task)
    refuse_unknown(path)
    content = content_of(path)
    if suffix in ADAPTERS:
        return _asked(path, content)
    return _checkpoint(path, read_state(path, content, False), arch)


def _asked(path: Path, content: bytes) -> Seen:
    more = (None,) if suffix_of(path) == ".onnx" else ()
    target = adapter(path).load(path, content, "", *more)
    classes = target.names or target.classes or ()
    facts = () if not classes else (f"classes {listed([str(c) for c in classes])}",)
    named = ("its classes are found by the names of the data's labels",) if target.names else ()
    return Seen(target.kind, facts, (BLACK_BOX, *named, *target.steps), "logits")


def _folder(path: Path, task: str) -> Seen:
    from .adapters.hf_folder import load

    module, _ = load(path, causal=reads_tokens(task))
    facts = (f"{type(module).__name__}, {_sizes(module.state_dict())}",)
    return Seen("Hugging Face folder (safetensors)", facts, ("a network, no --arch needed",), "weights")


def _checkpoint(path: Path, state: Any, arch: str | None) -> Seen:
    if not isinstance(state, Mapping):
        raise ValueError(f"{path} holds a {type(state).__name__}: save a state dict")
    found = state_dicts(state)
    if not found:
        raise ValueError(f"{path} holds no tensors ({listed([str(key) for key in state])}): save a state dict")
    facts = [f"{f'under {shown(key)}' if key else 'at the top'}: {_sizes(part)}" for key, part in found.items()]
    beside = [str(key) for key, value in state.items() if not isinstance(value, Mapping)]
    if beside and "" not in found:
        facts.append(f"beside them {listed(beside)}, which are not read")
    where = next(iter(found))
    kind = "state dict" if "" in found else f"checkpoint, state dict under `{shown(where)}`"
    kind = f"PyTorch {kind}" if LIGHTNING not in state else f"Lightning {kind}"
    if len(found) > 1 and "" not in found:
        kind = f"{kind.partition(',')[0]}, {len(found)} mappings of tensors"
    if arch is None:
        uses = ("loaded into the network that --arch package.module:function builds (with --arch: does it fit?)",)
        return Seen(kind, tuple(facts), uses, "weights")
    try:
        steps = fit_state(str(path), build_module(arch), state)
    except ValueError as error:
        return Seen(kind, tuple(facts), (), "weights", (str(error),))
    return Seen(kind, tuple(facts), (f"loaded into the network of --arch {arch}", *steps), "weights")


def _sizes(state: Mapping[Any, Any]) -> str:
    """How many tensors and numbers, of which types, and the first names."""
    tensors = {str(name): value for name, value in state.items() if hasattr(value, "numel")}
    kinds = sorted({str(value.dtype).removeprefix("torch.") for value in tensors.values()})
    numbers = sum(int(np.prod(tuple(value.shape), dtype=np.int64)) for value in tensors.values())
    return f"{len(tensors)} tensors of {numbers} numbers ({', '.join(kinds)}): {listed(list(tensors), 4)}"
