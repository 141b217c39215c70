"""Models: torch state dicts and precomputed outputs behind one interface. The only file that loads model files."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attacks.base import Access, Floats, Inputs

from .data import Arrays, read_npz
from .digest import sha256_file, state_digest

if TYPE_CHECKING:
    import torch

TORCH_SUFFIXES = (".safetensors", ".pt", ".pth")
OUTPUT_SUFFIXES = (".npz",)
DETERMINISM = 1e-3  # our choice: relative difference of two forward passes of the same rows
Factory = Callable[[], "torch.nn.Module"]


class Target(Protocol):
    """One loaded model."""

    @property
    def access(self) -> Access:
        """The most that can be had of it."""

    @property
    def state(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """Named arrays: parameters and buffers, or stored outputs."""

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:
        """Logits (n, C) and penultimate features (n, d) or None on a set."""

    def digest(self) -> str:
        """Digest of the model's content as it is now."""


@dataclass(frozen=True)
class PrecomputedOutputs:
    """No model at all: logits per set, from an ``.npz`` file with one array (n, C) per role."""

    state: Mapping[str, np.ndarray[Any, Any]]
    access: Access = Access.LOGITS

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:  # noqa: ARG002
        """The stored logits of a role. Raises ValueError where they are missing or do not fit the data."""
        if role not in self.state:
            raise ValueError(f"no logits for the {role} set: add the key {role!r}")
        logits = np.asarray(self.state[role], dtype=np.float64)
        if logits.ndim == 1:
            logits = logits[:, None]
        if len(logits) != len(data):
            raise ValueError(f"{len(logits)} rows of logits for {len(data)} rows of the {role} set: align them")
        return _two_columns(logits), None

    def digest(self) -> str:
        """Digest of the stored arrays."""
        return state_digest(self.state)


class TorchTarget:
    """A torch classifier of any input shape, in eval mode with frozen parameters."""

    access = Access.TRAIN

    def __init__(self, module: torch.nn.Module, device: str, head: str | None) -> None:
        import torch

        self.module = module.to(device)
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        self.device = torch.device(device)
        self.head_name = head
        self._head: torch.nn.Linear | None = None

    @property
    def state(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """Parameters and buffers by name, as numpy arrays."""
        return {name: _numpy(tensor) for name, tensor in self.module.state_dict().items()}

    def digest(self) -> str:
        """Digest of parameters and buffers."""
        return state_digest(self.state)

    def tensor(self, x: np.ndarray[Any, Any]) -> torch.Tensor:
        """Floats as float32, integers as int64, on the model's device."""
        import torch

        kind = torch.float32 if x.dtype.kind == "f" else torch.int64
        return torch.as_tensor(np.ascontiguousarray(x)).to(self.device, kind)

    def forward(self, x: Any) -> Any:
        """Logits (b, C), C >= 2, differentiable in ``x``."""
        logits = self.module(x)
        if logits.ndim == 2 and logits.shape[1] == 1:
            import torch

            return torch.cat([torch.zeros_like(logits), logits], dim=1)
        return logits

    def check_output(self, inputs: Inputs) -> None:
        """Check what the network returns for a batch, before its head is looked for.

        Raises:
            ValueError: the output is no finite (rows, classes) tensor, or another one each time.
        """
        import torch

        try:
            with torch.no_grad():
                first, again = self.module(self._input(inputs)), self.module(self._input(inputs))
        except ValueError as error:  # the user's forward pass: no check of ours
            raise RuntimeError(str(error)) from error
        if not isinstance(first, torch.Tensor):
            raise ValueError(f"its output is a {type(first).__name__}, not a tensor (rows, classes): wrap the model")
        if first.ndim != 2 or first.shape[1] == 0:
            raise ValueError(f"its output has shape {tuple(first.shape)}, not (rows, classes): wrap the model")
        if not torch.isfinite(first).all():
            raise ValueError("its output is not finite: export it again")
        if not torch.allclose(first, again, rtol=DETERMINISM, atol=DETERMINISM * float(first.abs().max())):
            raise ValueError("its output is not deterministic: switch off dropout and sampling in the forward pass")

    def call(self, inputs: Inputs) -> tuple[Floats, Floats]:
        """Logits and penultimate features of one batch, float64."""
        import torch

        head = self.find_head(inputs)
        caught: list[torch.Tensor] = []
        handle = head.register_forward_pre_hook(lambda _module, args: caught.append(args[0]))
        try:
            with torch.no_grad():
                logits = self.forward(self._input(inputs))
        finally:
            handle.remove()
        features = caught[-1]
        if features.ndim != 2 or len(features) != len(logits):
            raise ValueError(
                f"the head's input has shape {tuple(features.shape)}, not (rows, features): name the final linear "
                "layer on pooled features with --head"
            )
        return logits.double().cpu().numpy(), features.double().cpu().numpy()

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:  # noqa: ARG002
        """Logits and features of a whole set, in batches."""
        parts = [
            self.call(data.batch(np.arange(start, min(start + batch_size, len(data)))))
            for start in range(0, len(data), batch_size)
        ]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def head(self) -> tuple[Floats, Floats]:
        """Weight (C, d) and bias (C,) of the head, C >= 2. Call after ``outputs``."""
        if self._head is None:
            raise ValueError("the head is unknown before the first forward pass")
        weight = _numpy(self._head.weight).astype(np.float64)
        bias = np.zeros(len(weight)) if self._head.bias is None else _numpy(self._head.bias).astype(np.float64)
        if len(weight) == 1:
            weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
        return weight, bias

    def head_parameters(self) -> frozenset[str]:
        """State-dict names that belong to the head. Call after ``outputs``."""
        names = [name for name, module in self.module.named_modules() if module is self._head]
        return frozenset(f"{name}.{part}" if name else part for name in names for part in ("weight", "bias"))

    def find_head(self, inputs: Inputs) -> torch.nn.Linear:
        """The named head, or the last linear layer called whose output is the model's output."""
        import torch

        if self._head is not None:
            return self._head
        linear = {n: m for n, m in self.module.named_modules() if isinstance(m, torch.nn.Linear)}
        if self.head_name is not None:
            if self.head_name not in linear:
                raise ValueError(
                    f"--head {self.head_name} is no linear layer of the model: choose one of "
                    f"{', '.join(linear) or '(none)'}"
                )
            self._head = linear[self.head_name]
            return self._head
        called: list[tuple[torch.nn.Linear, torch.Tensor]] = []
        handles = [
            m.register_forward_hook(lambda module, _args, out: called.append((module, out))) for m in linear.values()
        ]
        try:
            with torch.no_grad():
                output = self.module(self._input(inputs))
        finally:
            for handle in handles:
                handle.remove()
        for module, out in reversed(called):
            same = out.shape == output.shape
            if same and torch.allclose(torch.log_softmax(out, -1), torch.log_softmax(output, -1), atol=1e-4):
                self._head = module
                return module
        raise ValueError(
            "cannot find the head: no linear layer's output is the model's output. Name the final linear layer "
            f"with --head (linear layers: {', '.join(linear) or 'none'})"
        )

    def _input(self, inputs: Inputs) -> Any:
        if isinstance(inputs, Mapping):
            return {name: self.tensor(array) for name, array in inputs.items()}
        return self.tensor(inputs)


@dataclass(frozen=True)
class StoredTarget:
    """A model that stays on disk: loaded for one forward pass at a time, for there may be hundreds."""

    path: Path
    arch: str
    device: str
    head: str | None
    key: str
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
        return load_model(self.path, arch=self.arch, device=self.device, head=self.head, trust_pickle=False)[0]


def _numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    import torch

    tensor = tensor.detach().cpu()
    return tensor.float().numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


def _two_columns(logits: Floats) -> Floats:
    """One logit z becomes (0, z)."""
    return np.column_stack([np.zeros(len(logits)), logits]) if logits.shape[1] == 1 else logits


def import_factory(arch: str) -> Factory:
    """Import ``package.module:factory`` (the user's own code), also from the working directory.

    Raises:
        ValueError: with the remedy.
    """
    module_name, _, attribute = arch.partition(":")
    if not module_name or not attribute:
        raise ValueError(f"--arch {arch!r} is not of the form package.module:factory")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(
            f"--arch {arch}: cannot import {module_name} ({error}): run from the folder that holds it or install it"
        ) from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ValueError(f"--arch {arch}: importing {module_name} fails ({_describe(error)}): repair it") from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise ValueError(
            f"--arch {arch}: {module_name} has no function {attribute!r}: name the function that returns the model"
        )
    return factory  # type: ignore[no-any-return]


def build_module(arch: str) -> torch.nn.Module:
    """Import and call the factory.

    Raises:
        ValueError: with the remedy.
    """
    import torch

    factory = import_factory(arch)
    try:
        module = factory()
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ValueError(
            f"--arch {arch}: the function fails ({_describe(error)}): it must build the model without arguments"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"--arch {arch} returns a {type(module).__name__}: it must return a torch.nn.Module")
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
        raise ValueError(f"--device {device} cannot be used ({_describe(error)}): try --device cpu") from None


def _describe(error: BaseException) -> str:
    """Type and first line of an error of code that is not ours."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"


def load_model(
    path: Path, *, arch: str | None, device: str, head: str | None, trust_pickle: bool
) -> tuple[Target, str]:
    """Load one model file without running code from it; return it with the file's SHA-256.

    Raises:
        ValueError: with every problem of this file, ending with the remedy.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist: check the path")
    digest = sha256_file(path)
    if path.suffix in OUTPUT_SUFFIXES:
        outputs = read_npz(path)
        bad = [k for k, a in outputs.items() if a.dtype.kind != "f" or a.ndim not in (1, 2) or not np.isfinite(a).all()]
        bad += [k for k, a in outputs.items() if a.ndim == 2 and a.shape[1] == 0]
        if bad:
            raise ValueError(f"{path}: logits must be finite floats of shape (n, C); repair {', '.join(bad)}")
        return PrecomputedOutputs(outputs), digest
    if path.suffix not in TORCH_SUFFIXES:
        raise ValueError(f"{path}: unknown model format: use .safetensors, .pt, .pth, or .npz with logits")
    state = _read_state(path, trust_pickle)
    if not isinstance(state, Mapping):
        return _checked_mode(path, state, device, head), digest
    if arch is None:
        raise ValueError(f"{path} holds weights only: name the function that builds the model with --arch")
    module = build_module(arch)
    _fit_state(path, module, state)
    return TorchTarget(module.eval(), device, head), digest


def _read_state(path: Path, trust_pickle: bool) -> Any:
    import pickle

    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        if not trust_pickle:
            raise ValueError(
                f"{path} is no plain state dict but a pickled object (or damaged), and loading it would run code from "
                "the file: save the state dict (torch.save(model.state_dict(), ...)) or, if you made the file "
                "yourself, pass --trust-pickle"
            ) from None
    except Exception as error:  # noqa: BLE001 - torch and safetensors raise many types on damaged files
        raise ValueError(f"{path} is no readable model file ({_describe(error)}): save it again") from None
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - code from the file, on the user's word
        raise ValueError(
            f"{path} cannot be unpickled ({_describe(error)}): run where its classes can be imported, or save the "
            "state dict"
        ) from None


def _checked_mode(path: Path, module: Any, device: str, head: str | None) -> TorchTarget:
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"{path} holds a {type(module).__name__}: save a state dict or a torch module")
    if module.training:
        raise ValueError(f"{path} was saved in training mode: call model.eval() before saving it")
    return TorchTarget(module, device, head)


def _fit_state(path: Path, module: torch.nn.Module, state: Mapping[str, Any]) -> None:
    expected = module.state_dict()
    state = {str(key): value for key, value in state.items()}
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    shapes = [
        f"{k} is {_shape(state[k])}, the factory's is {_shape(expected[k])}"
        for k in sorted(expected.keys() & state.keys())
        if _shape(state[k]) != _shape(expected[k])
    ]
    parts = []
    if missing:
        parts.append(f"missing keys {', '.join(missing[:8])}{' ...' if len(missing) > 8 else ''}")
    if extra:
        parts.append(f"unexpected keys {', '.join(extra[:8])}{' ...' if len(extra) > 8 else ''}")
    parts += shapes[:8]
    if parts:
        raise ValueError(f"{path} does not fit the factory: {'; '.join(parts)}. Name the matching --arch")
    bad = [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if bad:
        raise ValueError(f"{path} holds NaN or infinite weights in {', '.join(bad[:8])}: export it again")
    module.load_state_dict(state)


def _shape(value: object) -> tuple[int, ...] | str:
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" if shape is None else tuple(shape)
