"""How data sets are read: what the ``[data]`` table says beside paths. Imports neither numpy nor torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

HOOK = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class DataOptions:
    """Declared by the user; what is silent is found where one reading alone is possible.

    Attributes:
        label: column of the labels in tables.
        inputs: columns that the model reads, in this order; () = all others.
        categories: levels of categorical columns, in the order of their codes.
        encoding: a categorical column becomes one column a level, or its code.
        classes: labels in the order of the model's outputs.
        scale: inputs are divided by it.
        mean, std: subtracted, and divided by, after that: one number, or one a channel.
        channels: ``last``: pictures are (height, width, channels), the network takes (channels, height, width).
        size: height and width that pictures are resized to.
        preprocess: ``package.module:function``, (b, ...) inputs to (b, ...) inputs.
    """

    label: str | None = None
    inputs: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    encoding: Literal["one-hot", "codes"] = "one-hot"
    classes: tuple[str | int, ...] = ()
    scale: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Literal["first", "last"] | None = None
    size: tuple[int, int] | None = None
    preprocess: str | None = None


def hook_of(source: object) -> str | None:
    """``package.module:function`` where a path is one: it has no folder and exactly one colon; else None."""
    text = str(source)
    return text if isinstance(source, (str, Path)) and HOOK.fullmatch(text) else None


def needs(package: str, extra: str, what: str) -> ValueError:
    """A package that a format needs is not installed."""
    return ValueError(f"{what} needs {package}: pip install 'unlearn-audit[{extra}]'")
