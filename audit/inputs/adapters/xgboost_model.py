"""xgboost classifiers in .json and .ubj files: their margins, which are logits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from audit.inputs.called import CalledTarget
from audit.inputs.naming import shown
from audit.inputs.usercode import describe

from .formats import OTHERWISE, as_table, library
from .trees import walkable, within
from .ubjson import sound

OBJECTIVES = ("binary:logistic", "binary:logitraw", "multi:softprob", "multi:softmax")


_JSON = (b'"', b"}", b" ", b"\t", b"\r", b"\n")  # what may follow { in JSON; in UBJSON there stands a length
MOST_CLASSES = 100_000  # our choice: wider outputs are no classification that is audited here


def load(path: Path, content: bytes, sha256: str) -> CalledTarget:
    """A booster at black-box access.

    Args:
        path: for messages.
        content: the file.
        sha256: its digest.

    Raises:
        ValueError: with the remedy.
    """
    if not content.lstrip().startswith(b"{"):  # both forms begin so; the library ends the process on an empty file
        raise ValueError(f"{path} is no readable xgboost model (it does not begin as one): save it with save_model")
    xgboost = library("xgboost", "xgboost", path)
    booster = xgboost.Booster()
    try:
        if content.lstrip()[1:2] not in _JSON and not sound(content):
            raise ValueError("its lengths lead out of the file")
        if not _leaves(content):
            raise ValueError("its leaves hold more values than there are classes")
        booster.load_model(bytearray(content))
        if not _sound(json.loads(booster.save_raw("json"))["learner"]):
            raise ValueError("a tree leads to nodes, columns or classes that are not there")
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    except Exception as error:  # noqa: BLE001 - a parser of the library's
        raise ValueError(f"{path} is no readable xgboost model ({describe(error)}): save it with save_model") from None
    if objective not in OBJECTIVES:
        raise ValueError(
            f"{path} was trained with the objective {shown(objective)}: classifiers are audited, one of "
            f"{', '.join(OBJECTIVES)}; {OTHERWISE}"
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


def _leaves(content: bytes) -> bool:
    """Whether leaves hold one value, or one a class: the library reads as many as the file says, wherever they end."""
    text = rb'"?:?\s*"?(?:S[iUIlL].{1,8}?)?(\d+)'
    sizes = set(map(int, re.findall(rb"size_leaf_vector" + text, content, re.DOTALL)))
    classes = set(map(int, re.findall(rb"num_class" + text, content, re.DOTALL)))
    return sizes <= {0, 1} | classes


def _sound(learner: dict[str, Any]) -> bool:
    """Whether the trees of a model can be followed; a linear booster has none."""
    parameters = learner["learner_model_param"]
    classes, columns = max(int(parameters["num_class"]), 1), int(parameters["num_feature"])
    booster = learner["gradient_booster"]
    model = booster.get("gbtree", booster).get("model", {})
    trees = model.get("trees", [])
    return (
        classes <= MOST_CLASSES
        and (not trees or within(model["tree_info"], classes))
        and all(_sound_tree(tree, columns) for tree in trees)
    )


def _sound_tree(tree: dict[str, Any], columns: int) -> bool:
    left, right = np.asarray(tree["left_children"]), np.asarray(tree["right_children"])
    inner = left >= 0
    starts, sizes = (np.asarray(tree[f"categories_{key}"], dtype=np.int64) for key in ("segments", "sizes"))
    return (
        bool((inner == (right >= 0)).all())
        and walkable(left, right)
        and within(np.asarray(tree["split_indices"])[inner], columns)
        and bool((sizes >= 0).all() and (starts >= 0).all())
        and bool((starts + sizes <= len(tree["categories"])).all())
    )
