"""What an audit looks at behind one interface: the protocol, and a torch network. Outputs: `audit.inputs.outputs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attacks.base import Access, Floats, Inputs, NotApplicable
from audit.record.digest import state_digest

from .contained import contained, forward_pass
from .data import Arrays
from .layers import check_named, find_layers, pooled, reading
from .probabilities import last_activation

if TYPE_CHECKING:
    import torch

DETERMINISM = 1e-3  # our choice: relative difference of two forward passes of the same rows


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


class TorchTarget:
    """A torch classifier of any input shape, in eval mode with frozen parameters.

    Attributes:
        architecture: digest of the code of a network that a program holds; "" where a factory names it.
        unnamed: why that code cannot be named, "" where it can.
    """

    access = Access.TRAIN

    def __init__(self, module: torch.nn.Module, device: str, head: str | None) -> None:
        import torch

        self.module = module.to(device)
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        self.architecture = self.unnamed = ""
        self.device = torch.device(device)
        self.head_name = head
        self._head: torch.nn.Linear | None = None

    @property
    def state(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """Parameters and buffers by name, as numpy arrays."""
        return {name: numpy_of(tensor) for name, tensor in self.module.state_dict().items()}

    def digest(self) -> str:
        """Digest of parameters and buffers."""
        return state_digest(self.state)

    def tensor(self, x: np.ndarray[Any, Any]) -> torch.Tensor:
        """Floats in the type of the network's own, integers as int64, on the model's device."""
        import torch

        kind = self.float_type if x.dtype.kind == "f" else torch.int64
        return torch.as_tensor(np.ascontiguousarray(x)).to(self.device, kind)

    @property
    def float_type(self) -> torch.dtype:
        """Type of the first floats among the parameters; float32 where there are none."""
        import torch

        floats = (p.dtype for p in self.module.parameters() if p.is_floating_point())
        return next(floats, torch.float32)

    def forward(self, x: Any) -> Any:
        """Logits (b, C), C >= 2, differentiable in ``x``."""
        return two_columns(self._called(x))

    def check_output(self, inputs: Inputs) -> None:
        """Check what the network returns for a batch, before its head is looked for.

        Raises:
            ValueError: the output is no finite (rows, classes) tensor, another one each time, or holds probabilities.
        """
        import torch

        try:
            with torch.no_grad():
                (first, layers), again = self._traced(inputs), self._called(self._input(inputs))
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
        problem = last_activation(first, [out for _, out in layers])
        if problem:
            raise ValueError(problem)

    def call(self, inputs: Inputs) -> tuple[Floats, Floats]:
        """Logits and penultimate features of one batch, float64."""
        return self._call(inputs, (), outputs=False)[:2]

    def layers(self, inputs: Inputs, named: Sequence[str]) -> tuple[str, ...]:
        """Hidden layers that attacks may read, in the order of their calls.

        Args:
            inputs: any batch.
            named: modules that the user chose, whose outputs are read; () = found, and what they read is read.
        """
        import torch

        if named:
            check_named(self.module, named)
            return tuple(named)
        with torch.no_grad():
            return find_layers(self.module, self.find_head(inputs), lambda: self._called(self._input(inputs)))

    def _call(
        self, inputs: Inputs, layers: Sequence[str], *, outputs: bool
    ) -> tuple[Floats, Floats, dict[str, Floats]]:
        """Logits, penultimate features and hidden layers of one batch, float64, from one forward pass."""
        import torch

        head = self.find_head(inputs)
        caught: list[torch.Tensor] = []
        handle = head.register_forward_pre_hook(lambda _module, args: caught.append(args[0]))
        try:
            with torch.no_grad(), reading(self.module, layers, outputs=outputs) as hidden:
                logits = self.forward(self._input(inputs))
        finally:
            handle.remove()
        features = caught[-1]
        if features.ndim != 2 or len(features) != len(logits):
            raise ValueError(
                f"the head's input has shape {tuple(features.shape)}, not (rows, features): name the final linear "
                "layer on pooled features with --head"
            )
        modules = dict(self.module.named_modules())
        vectors = {
            name: pooled(hidden.get(name), len(logits), isinstance(modules[name], torch.nn.Linear)) for name in layers
        }
        read = {name: vector.double().cpu().numpy() for name, vector in vectors.items()}
        return logits.double().cpu().numpy(), features.double().cpu().numpy(), read

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:  # noqa: ARG002
        """Logits and features of a whole set, in batches."""
        return self.read(data, batch_size, (), outputs=False)[:2]

    def read(
        self, data: Arrays, batch_size: int, layers: Sequence[str], *, outputs: bool
    ) -> tuple[Floats, Floats, dict[str, Floats]]:
        """Logits, features and hidden layers (n, d) of a whole set, in batches, one forward pass for all.

        Args:
            data: the set.
            batch_size: rows at once.
            layers: of ``layers``.
            outputs: the layers' outputs are read, else what they read.
        """
        with contained("the network"):
            parts = [
                self._call(data.batch(np.arange(start, min(start + batch_size, len(data)))), layers, outputs=outputs)
                for start in range(0, len(data), batch_size)
            ]
        hidden = {name: np.concatenate([p[2][name] for p in parts]) for name in layers}
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]), hidden

    def head(self) -> tuple[Floats, Floats]:
        """Weight (C, d) and bias (C,) of the head, C >= 2. Call after ``outputs``."""
        if self._head is None:
            raise ValueError("the head is unknown before the first forward pass")
        weight = numpy_of(self._head.weight).astype(np.float64)
        bias = np.zeros(len(weight)) if self._head.bias is None else numpy_of(self._head.bias).astype(np.float64)
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
        linear = self._linear()
        if self.head_name is not None:
            if self.head_name not in linear:
                raise ValueError(
                    f"--head {self.head_name} is no linear layer of the model: choose one of "
                    f"{', '.join(linear) or '(none)'}"
                )
            self._head = linear[self.head_name]
            return self._head
        with torch.no_grad():
            output, called = self._traced(inputs)
        for module, out in reversed(called):
            if out.shape == output.shape and torch.allclose(_comparable(out), _comparable(output), atol=1e-4):
                self._head = module
                return module
        raise ValueError(
            "cannot find the head: no linear layer's output is the model's output. Name the final linear layer "
            f"with --head (linear layers: {', '.join(linear) or 'none'})"
        )

    def _linear(self) -> dict[str, torch.nn.Linear]:
        import torch

        return {name: module for name, module in self.module.named_modules() if isinstance(module, torch.nn.Linear)}

    def _traced(self, inputs: Inputs) -> tuple[Any, list[tuple[torch.nn.Linear, torch.Tensor]]]:
        """The network's own output, and that of each of its linear layers in the order of their calls.

        As it left the layer: an activation may work in place.
        """
        called: list[tuple[torch.nn.Linear, torch.Tensor]] = []
        handles = [
            layer.register_forward_hook(lambda module, _args, out: called.append((module, out.clone())))
            for layer in self._linear().values()
        ]
        try:
            return self._called(self._input(inputs)), called
        finally:
            for handle in handles:
                handle.remove()

    def _called(self, x: Any) -> Any:
        """The network's own forward pass, which is the user's code."""
        try:
            with forward_pass("a forward pass of the network"):
                return self.module(x)
        except NotApplicable as error:  # only an attack may say so, in words that are shared
            raise RuntimeError("the network raises NotApplicable") from error

    def _input(self, inputs: Inputs) -> Any:
        if isinstance(inputs, Mapping):
            return {name: self.tensor(array) for name, array in inputs.items()}
        return self.tensor(inputs)


def two_columns(logits: torch.Tensor) -> torch.Tensor:
    """Logits (b, C) with C >= 2: one logit is that of the second of two classes."""
    if logits.ndim == 2 and logits.shape[1] == 1:
        import torch

        return torch.cat([torch.zeros_like(logits), logits], dim=1)
    return logits


def _comparable(output: torch.Tensor) -> torch.Tensor:
    """Outputs that are the same but for what a softmax does not see; one column has nothing to spare."""
    import torch

    output = output.float().cpu()
    return output if output.shape[-1] == 1 else torch.log_softmax(output, -1)


def numpy_of(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """A tensor as an array; bfloat16, which numpy lacks, as float32."""
    import torch

    tensor = tensor.detach().cpu()
    return tensor.float().numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()
