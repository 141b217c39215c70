"""What an attack returns, checked and made read-only."""

from __future__ import annotations

from typing import Any

import numpy as np

NO_SIGNAL = "a signal is not finite numbers"


class Malformed(ValueError):
    """An attack returned what is no signal or score. The text is ours and quotes no data."""


def frozen(attack: str, key: str, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array as it was given, if it is finite numbers.

    Raises:
        Malformed: it is something else.
    """
    array = np.array(value)
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise Malformed(f"{attack}: signal {key!r} is not finite numbers" if key.isidentifier() else NO_SIGNAL)
    array.setflags(write=False)
    return array
