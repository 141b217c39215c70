"""The model in hand when a certificate is verified: files, a network, or outputs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit.errors import UsageError


def in_hand(model: Any) -> tuple[list[Path], dict[str, str], str | None]:
    """Files; name by digest of what is no file; digest of a network's code.

    Raises:
        UsageError: it cannot be named, so that no certificate can be about it.
    """
    if isinstance(model, (str, os.PathLike)):
        return [Path(model)], {}, None
    if isinstance(model, Sequence) and all(isinstance(path, (str, os.PathLike)) for path in model):
        return [Path(path) for path in model], {}, None
    from audit.inputs.memory import arrays_of, described, target_of
    from audit.record.digest import state_digest

    try:
        if isinstance(model, Mapping):
            return [], {state_digest(arrays_of(model, "the outputs")): described(model)}, None
        network = target_of(model, "the model", "cpu", None)
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    if network.unnamed:
        raise UsageError(f"this network cannot be named, so no certificate is about it: {network.unnamed}.")
    return [], {network.digest(): described(model)}, network.architecture
