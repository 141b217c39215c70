"""Plain values beside the weights of a checkpoint: known by their names, and read as nothing at all.

Training scripts keep NumPy scalars, settings and paths beside the weights. Torch's restricted reader refuses them. Here
their names are allowed, and each stands for an object that holds nothing: neither NumPy nor any other class is called
with what a file says, so that a lying shape costs nothing and nothing runs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .naming import listed


class Value:
    """A value that is not read."""

    def __init__(self, *_arguments: Any) -> None: ...

    def __new__(cls, *_arguments: Any) -> Value:  # noqa: D102 - objects are made with arguments, too
        return super().__new__(cls)

    def __setstate__(self, _state: Any) -> None: ...


class Entries:
    """A mapping, whose entries are read: there may be weights in it."""

    def __new__(cls, *_arguments: Any) -> dict[Any, Any]:  # type: ignore[misc]  # noqa: D102 - as torch's reader wants
        return {}


ARRAYS = ("scalar", "_reconstruct")
DTYPES = ("Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32")
VALUES = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ARRAYS),
    *("numpy.dtype", "numpy.ndarray", "numpy.bool_", "numpy.float64", "numpy.float32", "numpy.int64"),
    *(f"numpy.dtypes.{name}DType" for name in (*DTYPES, "Float64", "Str", "Bytes")),
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("list", "dict", "int", "float", "str")),
    *("argparse.Namespace", "types.SimpleNamespace"),
    *(f"pathlib.{name}Path" for name in ("", "Posix", "Windows")),
    *(f"pathlib.Pure{name}Path" for name in ("", "Posix", "Windows")),
    *(f"pathlib._local.{name}Path" for name in ("", "Posix", "Windows")),
    *("datetime.datetime", "datetime.timedelta", "datetime.date"),
    *("omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig", "omegaconf.nodes.AnyNode"),
    *("omegaconf.base.ContainerMetadata", "omegaconf.base.Metadata", "typing.Any", "typing.Union"),
)
MAPPINGS = (
    "collections.defaultdict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
)


@contextmanager
def allowed() -> Iterator[None]:
    """Torch's restricted reader takes the names above inside the block."""
    import torch

    names: list[Any] = [(Value, name) for name in VALUES]
    names += [(Entries, name) for name in MAPPINGS]
    with torch.serialization.safe_globals(names):
        yield


def foreign(content: bytes) -> str:
    """Names of what a checkpoint holds that is neither weights nor a plain value; "" where that cannot be told.

    Args:
        content: the file; none of it is loaded.
    """
    import torch

    try:
        with allowed():
            found = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(content))
    except Exception:  # noqa: BLE001 - damaged files fail in many ways, and older ones are not looked through
        return ""
    return listed(sorted(found))
