"""Work units and their answers as bytes: a JSON header and arrays in one ``.npz``. Reading runs no code."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

HEADER = "header"
Arrays = Mapping[str, np.ndarray[Any, Any]]


def encode(header: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Pack a header of JSON values and named arrays, none of them called ``header``."""
    stream = io.BytesIO()
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(stream, **{HEADER: text}, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def decode(content: bytes | memoryview) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Header and arrays of ``encode``.

    Raises:
        ValueError, KeyError, zipfile.BadZipFile: these bytes are something else.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(arrays.pop(HEADER).tobytes()), arrays


def state_bytes(module: torch.nn.Module) -> bytes:
    """The state dict of a module as safetensors."""
    import torch
    from safetensors.torch import save

    state = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)  # one copy, none shared
        for name, tensor in module.state_dict().items()
    }
    return save(state)


def as_array(content: bytes) -> np.ndarray[Any, Any]:
    """Bytes as an array, to be sent along."""
    return np.frombuffer(content, np.uint8)
