"""LightGBM classifiers in text files: their raw scores, which are logits (extra ``lightgbm``)."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from audit.inputs.called import CalledTarget
from audit.inputs.naming import shown
from audit.inputs.usercode import describe

from .formats import OTHERWISE, as_table, library
from .lightgbm_text import sound

FIRST = b"tree\n"
_SILENT = logging.Logger("audit.lightgbm", logging.CRITICAL)
OBJECTIVES = ("binary", "multiclass", "multiclassova")


def load(path: Path, content: bytes, sha256: str) -> CalledTarget:
    """A booster at black-box access.

    Args:
        path: for messages.
        content: the file.
        sha256: its digest.

    Raises:
        ValueError: with the remedy.
    """
    if not content.startswith(FIRST):
        raise ValueError(f"{path} is no LightGBM text model: save it with booster.save_model")
    lightgbm = library("lightgbm", "lightgbm", path)
    lightgbm.register_logger(_SILENT)  # else it prints on standard output, where others read the verdict
    try:
        text = content.decode("utf-8")
        if not sound(content.decode("latin-1")):  # a character a byte: its sizes count bytes
            raise ValueError("its trees are not what its header says")
        booster = lightgbm.Booster(model_str=text)
    except Exception as error:  # noqa: BLE001 - a parser of the library's
        message = f"{path} is no readable LightGBM model ({describe(error)}): save it with booster.save_model"
        raise ValueError(message) from None
    named = re.search(r"^objective=(\S+)(.*)$", text, re.MULTILINE)
    objective = named[1] if named else "none"
    if objective not in OBJECTIVES:
        raise ValueError(
            f"{path} was trained with the objective {shown(objective)}: classifiers are audited, one of "
            f"{', '.join(OBJECTIVES)}; {OTHERWISE}"
        )
    sigmoid = re.search(r"sigmoid:(\S+)", named[2] if named else "")
    scale = float(sigmoid[1]) if sigmoid else 1.0  # the library divides by it in training

    def call(inputs: Any) -> np.ndarray[Any, Any]:
        return scale * np.asarray(booster.predict(as_table(inputs, "LightGBM"), raw_score=True))

    return CalledTarget(call, sha256, f"LightGBM, {objective}, raw scores")
