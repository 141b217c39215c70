"""What an audit looks at behind one interface: the protocol, and a torch network. Outputs: `audit.inputs.outputs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attacks.base import Access, Floats, Inputs, NotApplicable
from audit.record.digest import state_digest

from .contained import contained, forward_pass
from .data import Arrays
from .device import full_precision, to_device
from .forward import NoLogits, Passes
from .heads import Call, Head, NoHead, calls_of, candidates, chosen, parameters_of
from .layers import check_named, find_layers, pooled, reading
from .passes import Blocks, together
from .probabilities import last_activation
from .tensors import Passed, State, two_columns
from .tokens import TokenReader

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

    Args:
        module: the network.
        device: where it runs.
        head: name of its head, where it cannot be found.
        output: name or position of the logits among what it returns, where that cannot be told.
        factory: ``package.module:function`` that built it, "" where a program holds it.
        steps: what was done to load it, in words.

    Attributes:
        architecture: digest of the code of a network that a program holds; "" where a factory names it.
        unnamed: why that code cannot be named, "" where it can.
        task: what its outputs mean (`attacks.tasks`), "" = classification; `set_task` of `audit.inputs.models` says it.
        class_logits: one output is the logit of the second of two classes.
        headless: why it has no head, so that features and all that needs them are not to be had; "" where it has one,
            or where none was looked for yet.
        blocks: of rows that go through at once.
        reader: makes columns a row of what it gives for each token; None = it gives columns a row.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        device: str,
        head: str | None,
        *,
        output: str | None = None,
        factory: str = "",
        steps: tuple[str, ...] = (),
    ) -> None:
        import torch

        self.module = module.to(device)
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        self.architecture = self.unnamed = self.headless = self.task = ""
        self.class_logits = True
        self.device = torch.device(device)
        self.head_name, self.output, self.factory, self.steps = head, output, factory, steps
        self.blocks = Blocks(self.device)
        self.reader: TokenReader | None = None
        self._head: Head | None = None

    @property
    def access(self) -> Access:
        """Everything; without a head its outputs alone."""
        return Access.LOGITS if self.headless else Access.TRAIN

    @property
    def featured(self) -> bool:
        """It has features of rows: those of tokens are not read."""
        return not self.headless and self.reader is None

    @property
    def state(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """Parameters and buffers by name, as numpy arrays; each comes from the device when it is asked for."""
        return State(self.module)

    def digest(self) -> str:
        """Digest of parameters and buffers."""
        return state_digest(self.state)

    def tensor(self, x: np.ndarray[Any, Any]) -> torch.Tensor:
        """Floats in the type of the network's own, integers as int64, on the model's device."""
        import torch

        kind = self.float_type if x.dtype.kind == "f" else torch.int64
        return to_device(torch.as_tensor(np.ascontiguousarray(x)).to(kind), self.device)

    @property
    def float_type(self) -> torch.dtype:
        """Type of the first floats among the parameters; float32 where there are none."""
        import torch

        floats = (p.dtype for p in self.module.parameters() if p.is_floating_point())
        return next(floats, torch.float32)

    def forward(self, x: Any) -> Any:
        """Logits (b, C), C >= 2, differentiable in ``x``."""
        return two_columns(self._called(x)) if self.class_logits else self._called(x)

    def check_output(self, inputs: Inputs) -> None:
        """Check what the network returns for a batch, before its head is looked for.

        Raises:
            ValueError: the output is no finite (rows, classes) tensor, another one each time, or holds probabilities.
        """
        import torch

        try:
            with torch.no_grad(), full_precision():
                (first, calls), again = self._traced(inputs), self._called(self._input(inputs))
        except NoLogits:
            raise
        except ValueError as error:  # the user's forward pass: no check of ours
            raise RuntimeError(str(error)) from error
        if first.ndim != 2 or first.shape[1] == 0:
            raise ValueError(f"its output has shape {tuple(first.shape)}, not (rows, classes): wrap the model")
        if not torch.isfinite(first).all():
            raise ValueError("its output is not finite: export it again")
        if not torch.allclose(first, again, rtol=DETERMINISM, atol=DETERMINISM * float(first.abs().max())):
            raise ValueError("its output is not deterministic: switch off dropout and sampling in the forward pass")
        problem = last_activation(first, [found.out for found in calls]) if self.class_logits else ""
        if problem:
            raise ValueError(problem)

    def at_once(self, data: Arrays) -> int:
        """Rows of a set that one pass takes: all, or of tokens as many as memory is kept for."""
        if self.reader is None:
            return len(data)
        with full_precision(), forward_pass("a forward pass of the network"):
            return self.reader.rows(self._passes, self._input(data.batch(np.arange(1))))

    def looks_ahead(self, inputs: Inputs, tolerance: float) -> bool:
        """Whether logits of tokens depend on later tokens (`TokenReader.looks_ahead`); False of other rows."""
        if self.reader is None:
            return False
        with full_precision(), forward_pass("a forward pass of the network"):
            return self.reader.looks_ahead(self._passes, self._input(inputs), tolerance)

    def look_for_head(self, inputs: Inputs) -> None:
        """Find the head, or note why there is none: the network then grants its outputs alone."""
        if self.reader is not None:
            return
        try:
            self.find_head(inputs)
        except NoHead as reason:
            self.headless = str(reason)

    def call(self, inputs: Inputs) -> tuple[Floats, Floats | None]:
        """Logits and penultimate features (None without a head) of one batch, float64."""
        return self._call(inputs, (), outputs=False).on_host()[:2]

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
        with torch.no_grad(), full_precision():
            return find_layers(self.module, self.find_head(inputs).module, lambda: self._called(self._input(inputs)))

    def _call(self, inputs: Inputs, layers: Sequence[str], *, outputs: bool) -> Passed:
        """Logits, penultimate features and hidden layers of one batch, from one forward pass."""
        import torch

        head = self.find_head(inputs) if self.featured else None
        caught: list[torch.Tensor] = []
        handle = head and head.module.register_forward_pre_hook(lambda _module, args: caught.append(args[0]))
        try:
            with torch.no_grad(), full_precision(), reading(self.module, layers, outputs=outputs) as hidden:
                logits = self.forward(self._input(inputs))
        finally:
            if handle:
                handle.remove()
        features: torch.Tensor | None = None
        if head:
            if not caught:
                raise ValueError("the head is not called with what it reads: name another layer with --head")
            features = head.features(caught[-1])
            if len(features) != len(logits):
                raise ValueError(
                    f"the head's input has shape {tuple(caught[-1].shape)}, not (rows, features): name the final "
                    "linear layer on pooled features with --head"
                )
        modules = dict(self.module.named_modules())
        vectors = {
            name: pooled(hidden.get(name), len(logits), isinstance(modules[name], torch.nn.Linear)) for name in layers
        }
        return Passed(logits, features, vectors)

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:  # noqa: ARG002
        """Logits and features of a whole set, in batches."""
        return self.read(data, batch_size, (), outputs=False)[:2]

    def read(
        self, data: Arrays, batch_size: int, layers: Sequence[str], *, outputs: bool
    ) -> tuple[Floats, Floats | None, dict[str, Floats]]:
        """Logits, features (None without a head) and hidden layers (n, d) of a whole set, in batches, one pass for all.

        Args:
            data: the set.
            batch_size: rows at once.
            layers: of ``layers``.
            outputs: the layers' outputs are read, else what they read.
        """

        def one(inputs: Inputs) -> Passed:
            return self._call(inputs, layers, outputs=outputs)

        with contained("the network"):
            if self.reader is None:
                return together(self.blocks.passed(one, data, batch_size), layers)
            order = self.reader.order(data)
            answers = self.blocks.passed(one, data.take(order), min(batch_size, self.at_once(data)))
            columns, _, _ = together(answers, ())
            return columns[np.argsort(order)], None, {}

    def head(self) -> tuple[Floats, Floats]:
        """Weight (C, d) and bias (C,) of the head, C >= 2. Call after ``outputs``."""
        if self._head is None:
            raise ValueError("the head is unknown before the first forward pass")
        weight, bias = self._head.weights()
        one = not self.class_logits and self._head.outputs == 1
        return (weight[1:], bias[1:]) if one else (weight, bias)

    def head_parameters(self) -> frozenset[str]:
        """State-dict names that belong to the head. Call after ``outputs``."""
        return frozenset() if self._head is None else parameters_of(self.module, self._head)

    def find_head(self, inputs: Inputs) -> Head:
        """The named head, or the last layer called whose output is the model's output.

        Raises:
            NoHead: there is none that could be told.
        """
        import torch

        if self._head is not None:
            return self._head
        with torch.no_grad(), full_precision():
            output, calls = self._traced(inputs)
        self._head = chosen(self.module, self.head_name, output, calls)
        return self._head

    def _traced(self, inputs: Inputs) -> tuple[Any, list[Call]]:
        """The network's logits, and the calls of the layers that can be its head."""
        with calls_of(list(candidates(self.module).values())) as calls:
            return self._called(self._input(inputs)), calls

    def _called(self, x: Any) -> Any:
        """The logits of the network's own forward pass, which is the user's code."""
        try:
            with forward_pass("a forward pass of the network"):
                if self.reader is not None:
                    return self.reader.columns(self._passes, x)
                return self._passes(x)
        except NotApplicable as error:  # only an attack may say so, in words that are shared
            raise RuntimeError("the network raises NotApplicable") from error

    @property
    def _passes(self) -> Passes:
        return Passes(self.module, self.output)

    def _input(self, inputs: Inputs) -> Any:
        if isinstance(inputs, Mapping):
            return {name: self.tensor(array) for name, array in inputs.items()}
        return self.tensor(inputs)
