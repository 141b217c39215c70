"""xgboost classifiers in .json and .ubj files: their margins, which are logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from audit.inputs.called import CalledTarget
from audit.inputs.naming import shown
from audit.inputs.usercode import describe

from .formats import as_table, library

OBJECTIVES = ("binary:logistic", "binary:logitraw", "multi:softprob", "multi:softmax")


def load(path: Path, content: bytes, sha256: str) -> CalledTarget:
    """A booster at black-box access.

    Args:
        path: for messages.
        content: the file.
        sha256: its digest.

    Raises:
        ValueError: with the remedy.
    """
    xgboost = library("xgboost", "xgboost", path)
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(content))
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    except Exception as error:  # noqa: BLE001 - a parser of the library's
        raise ValueError(f"{path} is no readable xgboost model ({describe(error)}): save it with save_model") from None
    if objective not in OBJECTIVES:
        raise ValueError(
            f"{path} was trained with the objective {shown(objective)}: classifiers are audited, one of "
            f"{', '.join(OBJECTIVES)}"
        )
    best = booster.attr("best_iteration")
    rounds = (0, int(best) + 1) if best and best.isdigit() else (0, 0)

    def call(inputs: Any) -> np.ndarray[Any, Any]:
        table = xgboost.DMatrix(
            as_table(inputs, "xgboost"),
            feature_names=booster.feature_names,
            feature_types=booster.feature_types,
            enable_categorical=True,
        )
        return np.asarray(booster.predict(table, output_margin=True, iteration_range=rounds))

    steps = (f"trees up to its best round, {rounds[1] - 1}, as predict takes them",) if rounds[1] else ()
    return CalledTarget(call, sha256, f"xgboost, {objective}, margins", steps=steps)
