"""`audit.export`: from loaders, frames and modules of a program to the files that the command line takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.errors import InputError, UsageError

if TYPE_CHECKING:
    from audit.inputs.raw import Raw

Array = np.ndarray[Any, Any]
ROWS = 512  # rows a forward pass; our choice


def export(
    model: Any, data: Any, path: str | os.PathLike[str], *, role: str | None = None, label: str | None = None
) -> Path:
    """Write a model's outputs on data sets, or the data sets themselves, as ``.npz`` files.

    Rows are in the order of the data sets, whatever a loader shuffles, so that outputs and labels belong together.
    With a model: one file with an array of outputs a set, as ``--unlearned`` and ``--original`` take it. With None in
    place of the model: a folder with ``forget.npz``, ``retain.npz``, ... (``x``, ``y``), as ``--forget`` takes it.

    Args:
        model: a network in evaluation mode, any function from inputs (b, ...) to outputs (b, classes), or None.
        data: by role (``forget``, ``retain``, ``holdout``, ``test``), each a loader or data set of torch, a frame, or
            arrays; or one set, whose ``role`` is named.
        path: the ``.npz`` file of outputs, or the folder of data sets.
        role: of one set.
        label: column of the labels in frames.

    Returns:
        the file or folder that was written.

    Raises:
        InputError: a set or the model cannot be read; with the remedy.
        UsageError: the arguments do not fit.
    """
    from audit.inputs.config import DATA_ROLES
    from audit.inputs.held import raw_of
    from audit.inputs.options import DataOptions

    sets = {role: data} if role is not None else data
    if not isinstance(sets, Mapping) or not sets or not set(sets) <= set(DATA_ROLES):
        raise UsageError(f"give the data sets by role ({', '.join(DATA_ROLES)}), or one set and its role.")
    if model is not None and not callable(model):
        raise UsageError(f"the model is a {type(model).__name__}: give a network, a function of inputs, or None.")
    if getattr(model, "training", False):
        raise InputError(["the model is in training mode: call model.eval() before exporting its outputs"])
    target = Path(path)
    try:
        raws = {name: raw_of(source, f"the {name} set", DataOptions(label=label)) for name, source in sets.items()}
        if model is None:
            return _data(raws, target)
        return _written(target, {name: _outputs(model, raw, f"the {name} set") for name, raw in raws.items()})
    except ValueError as error:
        raise InputError(str(error).splitlines()) from error


def _data(raws: Mapping[str, Raw], folder: Path) -> Path:
    """One file a set. Raises UsageError where one stands there already."""
    from audit.inputs.checks import check_keys

    for name, raw in raws.items():
        check_keys(raw.arrays, f"the {name} set", need_inputs=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in raws.items():
        _written(folder / f"{name}.npz", raw.arrays)
    return folder


def _written(path: Path, arrays: Mapping[str, Array]) -> Path:
    if path.suffix != ".npz":
        raise UsageError(f"{path}: outputs are written as .npz: name such a file.")
    try:
        with path.open("xb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]  # names of arrays
    except FileExistsError:
        raise UsageError(f"{path} exists: remove it or name another file.") from None
    return path


def _outputs(model: Callable[[Any], Any], raw: Raw, where: str) -> Array:
    """Outputs (n, classes) in blocks of rows."""
    from audit.inputs.npz import array_of

    parts = [array_of(_called(model, block), f"{where}: the output") for block in _blocks(raw, where)]
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) != 1 or any(len(shape) > 1 for shape in shapes):
        raise ValueError(
            f"{where}: the model's outputs have shapes {sorted(shapes)} a row, not (classes,): give a function that "
            "returns them (lambda x: model(x).logits)"
        )
    return np.concatenate(parts)


def _blocks(raw: Raw, where: str) -> Iterator[Any]:
    inputs = {key: array for key, array in raw.arrays.items() if key == "x" or key.startswith("x.")}
    if not inputs:
        raise ValueError(f"{where} has no inputs: give x")
    rows = len(next(iter(inputs.values())))
    for start in range(0, rows, ROWS):
        block = {key: array[start : start + ROWS] for key, array in inputs.items()}
        yield block["x"] if "x" in block else {key[2:]: part for key, part in block.items()}


def _called(model: Callable[[Any], Any], block: Any) -> Any:
    """A network gets tensors of its own type on its device, any other function arrays."""
    if not hasattr(model, "state_dict"):
        return model(block)
    import torch

    first = next(iter(model.parameters()), torch.zeros(0))  # type: ignore[attr-defined]

    def tensor(array: Array) -> torch.Tensor:
        kind = first.dtype if array.dtype.kind == "f" else torch.int64
        return torch.as_tensor(np.ascontiguousarray(array)).to(first.device, kind)

    with torch.no_grad():
        found = model({key: tensor(part) for key, part in block.items()} if isinstance(block, dict) else tensor(block))
    if not isinstance(found, torch.Tensor):
        raise ValueError(
            f"the model returns a {type(found).__name__}: give a function that returns the outputs alone (lambda x: "
            "model(x).logits)"
        )
    return found
