"""Any other model by a function of the user's: (path of the model, inputs) -> outputs, at black-box access."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attacks.base import Inputs
from audit.errors import CouldNotRun
from audit.inputs.called import CalledTarget
from audit.inputs.usercode import named_function
from audit.record.digest import sha256_path


def load(path: Path, predict: str, *, probabilities: bool) -> CalledTarget:
    """A model as the user's function asks it.

    Args:
        path: file or folder, which the function reads by itself; it must stay as it is.
        predict: ``package.module:function``.
        probabilities: the function gives probabilities, for nothing else is to be had.

    Raises:
        ValueError: with the remedy.
    """
    function = named_function(f"--predict {predict}", predict)
    try:
        sha256 = sha256_path(path)
    except CouldNotRun as error:
        raise ValueError(str(error)) from None

    def call(inputs: Inputs) -> np.ndarray[Any, Any]:
        found = function(path, inputs)
        if hasattr(found, "detach"):  # a tensor, wherever it lives
            found = found.detach().cpu().float().numpy()
        return np.asarray(found)

    return CalledTarget(
        call,
        sha256,
        f"asked by --predict {predict}",
        current=lambda: sha256_path(path),
        probabilities=probabilities,
    )
