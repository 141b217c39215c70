"""ONNX models by onnxruntime on the CPU; external data is refused, for it names files (extra ``onnx``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attacks.base import Inputs
from audit.inputs.called import CalledTarget
from audit.inputs.forward import LOGITS
from audit.inputs.naming import listed, shown
from audit.inputs.usercode import describe

from .formats import library

KINDS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")


def load(path: Path, content: bytes, sha256: str, output: str | None) -> CalledTarget:
    """A model at black-box access.

    Args:
        path: for messages.
        content: the file.
        sha256: its digest.
        output: name or position of the logits among its outputs; None = the only one of floats, or the one named so.

    Raises:
        ValueError: with the remedy.
    """
    onnx, runtime = library("onnx", "onnx", path), library("onnxruntime", "onnx", path)
    try:
        model = onnx.load_model_from_string(content)
        outside = sorted(set(_outside(model)))
    except Exception as error:  # noqa: BLE001 - a parser of the library's
        raise ValueError(f"{path} is no readable ONNX model ({describe(error)}): export it again") from None
    if outside:
        raise ValueError(
            f"{path} keeps its weights in other files ({listed(outside)}), which are not read: save it as one file "
            "(onnx.save_model(..., save_as_external_data=False))"
        )
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # fatal: what is wrong is raised
    options.use_deterministic_compute = True
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - a loader of the library's
        raise ValueError(f"{path} cannot be run by onnxruntime ({describe(error)}): export it again") from None
    chosen = _chosen(path, session.get_outputs(), output)
    declared = {put.name: put for put in session.get_inputs()}
    odd = [name for name, put in declared.items() if put.type not in KINDS]
    if odd:
        raise ValueError(f"{path} takes inputs of an odd type ({listed(odd)}): export it with tensors of numbers")

    def call(inputs: Inputs) -> np.ndarray[Any, Any]:
        rows = _fed(declared, inputs)
        return _in_batches(lambda part: session.run([chosen], part)[0], rows, _fixed(declared))

    steps = () if len(session.get_outputs()) == 1 else (f"its output {shown(chosen)} is taken",)
    return CalledTarget(call, sha256, "ONNX", steps=steps)


def _outside(message: Any) -> Iterator[str]:
    """Files that tensors of a model name, wherever in it they stand."""
    if message.DESCRIPTOR.name == "TensorProto":
        if message.data_location == 1 or message.external_data:
            yield next((entry.value for entry in message.external_data if entry.key == "location"), "?")
        return
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in value if hasattr(value, "__len__") and not hasattr(value, "DESCRIPTOR") else [value]:
                yield from _outside(part)


def _chosen(path: Path, outputs: Any, output: str | None) -> str:
    floats = [put.name for put in outputs if put.type in FLOATS]
    if output is not None:
        by_place = dict(enumerate(put.name for put in outputs))
        name = by_place.get(int(output), output) if output.isdigit() else output
        if name not in floats:
            raise ValueError(f"{path} has no output of floats {shown(output)}: choose one of {listed(floats)}")
        return str(name)
    if len(floats) == 1:
        return str(floats[0])
    if LOGITS in floats:
        return LOGITS
    if not floats:
        raise ValueError(f"{path} has no output that is a tensor of floats: export it without ZipMap (zipmap=False)")
    raise ValueError(f"{path} has several outputs: name the logits with --output, one of {listed(floats)}")


def _fed(declared: Mapping[str, Any], inputs: Inputs) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs by name in the types that the model declares."""
    given = dict(inputs) if isinstance(inputs, Mapping) else {next(iter(declared)): inputs}
    if given.keys() != declared.keys():
        raise ValueError(f"it takes {listed(list(declared))}, the data give {listed(list(given))}: name them alike")
    return {name: np.ascontiguousarray(array, KINDS[declared[name].type]) for name, array in given.items()}


def _fixed(declared: Mapping[str, Any]) -> int | None:
    """The number of rows that the model takes at once, where it takes that alone."""
    sizes = [put.shape[0] for put in declared.values() if put.shape and isinstance(put.shape[0], int)]
    return sizes[0] if sizes and sizes[0] > 0 else None


def _in_batches(run: Any, rows: Mapping[str, Any], size: int | None) -> np.ndarray[Any, Any]:
    count = len(next(iter(rows.values())))
    if size is None:
        return np.asarray(run(dict(rows)))
    found = []
    for start in range(0, count, size):
        index = np.minimum(np.arange(start, start + size), count - 1)  # the last row fills the last batch
        found.append(np.asarray(run({name: array[index] for name, array in rows.items()}))[: count - start])
    return np.concatenate(found)
