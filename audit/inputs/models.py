"""Load models: torch checkpoints, precomputed outputs, and what `audit.inputs.adapters` loads. All models come here."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attacks.base import Access, Floats
from attacks.tasks import class_logits_of, reads_tokens
from audit.errors import CouldNotRun
from audit.record.readonce import read_once, sha256_of

from .adapters.formats import ADAPTERS, OUTPUT_SUFFIXES, adapter, is_folder, refuse_unknown, suffix_of
from .archive import Unsound, check_header, check_weights
from .called import CalledTarget
from .contained import Meddling, contained, timed
from .data import Arrays
from .npz import npz_of
from .plain_values import allowed, foreign
from .state import check_network, check_values, fit_state
from .stored import stored
from .targets import Target, TorchTarget
from .tokens import NETWORK, TokenReader
from .usercode import describe, named_function

if TYPE_CHECKING:
    import torch


def build_module(arch: str) -> torch.nn.Module:
    """Import and call the factory.

    Raises:
        ValueError: with the remedy.
    """
    import torch

    said = f"--arch {arch}"
    factory = named_function(said, arch)
    try:
        with contained(said), timed(said):
            module = factory()
    except Meddling:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ValueError(
            f"--arch {arch}: the function fails ({describe(error)}): it must build the model without arguments"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"--arch {arch} returns a {type(module).__name__}: it must return a torch.nn.Module")
    check_network(said, module)
    return module


def check_device(device: str) -> None:
    """Try the device.

    Raises:
        ValueError: with the remedy.
    """
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ValueError(f"--device {device} cannot be used ({describe(error)}): try --device cpu") from None


def load_model(
    path: Path,
    *,
    arch: str | None,
    device: str,
    head: str | None,
    trust_pickle: bool,
    state_key: str | None = None,
    output: str | None = None,
    predict: str | None = None,
    probabilities: bool = False,
    task: str = "",
    scores: Mapping[str, str] | None = None,
) -> tuple[Target, str]:
    """Load one model file or folder without running code from it; return it with the SHA-256 of what was loaded.

    Raises:
        ValueError: with every problem of this file, ending with the remedy.
    """
    suffix = suffix_of(path)
    if suffix in OUTPUT_SUFFIXES:
        content = content_of(path)
        arrays = npz_of(io.BytesIO(content), path)
        return stored(arrays, str(path), task, scores or {}, probabilities=probabilities), sha256_of(content)
    if predict is not None:
        return _asked(path, predict, probabilities)
    if is_folder(path):
        return _folder(path, device, head, output, task)
    refuse_unknown(path)
    content = content_of(path)
    digest = sha256_of(content)
    if suffix in ADAPTERS:
        more = (output,) if suffix == ".onnx" else ()
        target = adapter(path).load(path, content, digest, *more)
        target.probabilities |= probabilities
        return target, digest
    state = read_state(path, content, trust_pickle)
    if not isinstance(state, Mapping):
        return _checked_mode(path, state, device, head, output), digest
    if arch is None:
        raise ValueError(f"{path} holds weights only: name the function that builds the model with --arch")
    module = build_module(arch)
    steps = fit_state(str(path), module, state, state_key)
    return TorchTarget(module.eval(), device, head, output=output, factory=arch, steps=steps), digest


def set_task(model: Target, task: str) -> None:
    """Say what the outputs of a model mean.

    Args:
        model: as it was loaded.
        task: its name, "" = classification.

    Raises:
        ValueError: the task needs a network and the model is none; with the remedy.
    """
    if isinstance(model, (TorchTarget, CalledTarget)):
        model.class_logits = class_logits_of(task)
    if isinstance(model, TorchTarget):
        model.task, model.reader = task, TokenReader() if reads_tokens(task) else None
    elif reads_tokens(task):
        raise ValueError(f"{task} {NETWORK}")


def _asked(path: Path, predict: str, probabilities: bool) -> tuple[Target, str]:
    """A model that the user's own function asks."""
    from .adapters.predict_hook import load

    if not path.exists():
        raise ValueError(f"{path} does not exist: check the path")
    target = load(path, predict, probabilities=probabilities)
    return target, target.digest()


def _folder(path: Path, device: str, head: str | None, output: str | None, task: str) -> tuple[Target, str]:
    """A Hugging Face folder."""
    from .adapters.hf_folder import load

    with contained(str(path)):
        module, digest = load(path, causal=reads_tokens(task))
    kind = f"Hugging Face {type(module).__name__}"
    return TorchTarget(module, device, head, output=output, factory=kind), digest


def content_of(path: Path) -> bytes:
    """All bytes of a model file, so that no other file can take its place between its digest and its loading."""
    try:
        return read_once(path)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): give a readable file") from None


def read_state(path: Path, content: bytes, trust_pickle: bool) -> Any:
    """What a torch file holds, loaded without running code from it unless the user trusts it.

    Raises:
        ValueError: with the remedy.
    """
    import pickle

    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load

            check_header(content)
            return load(content)
        check_weights(content)
        with allowed():
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        if not trust_pickle:
            objects = foreign(content)
            what = f"a pickled object ({objects})" if objects else "a pickled object (or damaged)"
            raise ValueError(
                f"{path} is no plain state dict but {what}, and loading it would run code from the file: save the "
                "state dict alone (torch.save(model.state_dict(), ...)) or, if you made the file yourself, pass "
                "--trust-pickle"
            ) from None
    except Unsound as error:
        raise ValueError(f"{path} {error}") from None
    except MemoryError:
        raise ValueError(f"{path} does not fit into the memory of this machine: use a larger one") from None
    except Exception as error:  # noqa: BLE001 - torch and safetensors raise many types on damaged files
        raise ValueError(f"{path} is no readable model file ({describe(error)}): save it again") from None
    try:
        with contained(str(path)), timed(str(path)):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    except Meddling:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - code from the file, on the user's word
        raise ValueError(
            f"{path} cannot be unpickled ({describe(error)}): run where its classes can be imported, or save the "
            "state dict"
        ) from None


def _checked_mode(path: Path, module: Any, device: str, head: str | None, output: str | None) -> TorchTarget:
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"{path} holds a {type(module).__name__}: save a state dict or a torch module")
    if module.training:
        raise ValueError(f"{path} was saved in training mode: call model.eval() before saving it")
    check_network(str(path), module)
    check_values(str(path), module.state_dict())
    return TorchTarget(module, device, head, output=output)


@dataclass(frozen=True)
class StoredTarget:
    """A model that stays on disk: loaded for one forward pass at a time, for there may be hundreds.

    Each time it must be the file that it was the first time.
    """

    path: Path
    arch: str
    device: str
    head: str | None
    key: str
    sha256: str
    output: str | None = None
    task: str = ""
    access: Access = Access.LOGITS

    @property
    def state(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """Parameters and buffers by name."""
        return self._load().state

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:
        """Logits and features of a whole set, in batches."""
        return self._load().outputs(role, data, batch_size)

    def digest(self) -> str:
        """Digest of all that its content depends on."""
        return self.key

    def _load(self) -> Target:
        target, digest = load_model(
            self.path, arch=self.arch, device=self.device, head=self.head, trust_pickle=False, output=self.output
        )
        if digest != self.sha256:
            raise CouldNotRun(f"{self.path} changed after it was trained: see who writes there, and run again.")
        set_task(target, self.task)
        return target
