"""The user's own functions ``train`` and ``unlearn``: how they are called, and what they must leave as it was."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from audit.models import import_factory

from .jobs import Pool
from .problems import TrainingError, describe, is_out_of_memory
from .single import first_bad, noise_seed, seeded


class Rows(torch.utils.data.Dataset[Any]):
    """Training rows as a user's function gets them.

    Attributes:
        x: tensor (n, ...) or a mapping of such; floats as float32, integers as int64.
        y: labels (n,), int64.
    """

    def __init__(self, pool: Pool, device: str) -> None:
        tensors = {name: torch.tensor(array, device=device) for name, array in pool.arrays().items()}
        self.y = tensors.pop("y")
        self.x: Any = tensors["x"] if "x" in tensors else {name[2:]: t for name, t in tensors.items()}

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: Any) -> tuple[Any, torch.Tensor]:
        if isinstance(self.x, Mapping):
            return {name: tensor[index] for name, tensor in self.x.items()}, self.y[index]
        return self.x[index], self.y[index]

    def digest(self) -> str:
        """Digest of the content, to see whether somebody changed it."""
        found = hashlib.sha256()
        parts = dict(self.x) if isinstance(self.x, Mapping) else {"x": self.x}
        for name, tensor in (*sorted(parts.items()), ("y", self.y)):
            found.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()


def source_digest(target: str) -> str:
    """SHA-256 of the source file that holds ``package.module:function``; of nothing where it has none.

    Raises:
        TrainingError: it cannot be imported.
    """
    try:
        import_factory(target)
    except ValueError as error:
        raise TrainingError(str(error).replace("--arch ", "")) from error
    try:
        file = inspect.getsourcefile(importlib.import_module(target.partition(":")[0]))
        return hashlib.sha256(Path(file).read_bytes() if file else b"").hexdigest()
    except (OSError, TypeError):
        return hashlib.sha256(b"").hexdigest()


def call(line: str, target: str, module: torch.nn.Module, data: Mapping[str, Rows], seed: int, device: str) -> Any:
    """Call a user's function on a model and named data; return its model in eval mode.

    Args:
        line: key of the recipe, ``train`` or ``unlearn``, for messages.
        target: ``package.module:function``.
        module: the model, which the function may change.
        data: the function's data arguments, in order.
        seed: of the model.
        device: where it runs.

    Raises:
        TrainingError: it raises, returns something else than such a model, changes its data, or diverges.
    """
    where = f'[recipe] {line} = "{target}"'
    function = import_factory(target)
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    before = {name: rows.digest() for name, rows in data.items()}
    try:
        with seeded(noise_seed(seed), device):
            result: Any = function(module, *data.values(), seed)  # type: ignore[call-arg]
    except (Exception, SystemExit) as error:
        remedy = "train on smaller batches" if is_out_of_memory(error) else "repair it"
        raise TrainingError(f"{where} fails ({describe(error)}): {remedy}") from error
    changed = [name for name, rows in data.items() if rows.digest() != before[name]]
    if changed:
        raise TrainingError(f"{where} modifies its input {', '.join(changed)}: work on a copy")
    if not isinstance(result, torch.nn.Module):
        raise TrainingError(f"{where} returns a {type(result).__name__}: it must return the model, a torch.nn.Module")
    if {name: tuple(tensor.shape) for name, tensor in result.state_dict().items()} != shapes:
        raise TrainingError(f"{where} returns a model of another architecture: return one built by --arch")
    bad = first_bad(result)
    if bad:
        raise TrainingError(f"{where} returns a model whose {bad} is not finite: lower its learning rate")
    return result.eval()
