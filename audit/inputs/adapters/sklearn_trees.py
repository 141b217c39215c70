"""Trees of scikit-learn, looked through before they are asked: their code follows the numbers in them unchecked.

skops trusts no tree by itself. Loading one runs no code, but a node that names a child or a column that is not there
would have the library read memory that is not the model's, and a node above itself would never end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .trees import walkable, within

#: compiled types, and plain ones that skops does not list, which are loaded and then checked here
TRUSTED = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
)
ENSEMBLES = ("tree_", "estimators_", "_predictors")  # attributes of what passes its columns on to trees


def damage(model: Any) -> str:
    """What is wrong with the trees of a model, "" where nothing is.

    Args:
        model: as loaded, never asked.
    """
    parts = list(_parts(model))
    widths = [
        int(part.n_features_in_)
        for part in parts
        if hasattr(part, "n_features_in_") and any(hasattr(part, name) for name in ENSEMBLES)
    ]
    columns = min(widths, default=0)
    for part in parts:
        kind = type(part).__name__
        if kind == "Tree" and not _sound(part, columns):
            return "a tree with nodes that it does not have"
        if kind == "TreePredictor" and not _sound_predictor(part, columns):
            return "a tree with nodes that it does not have"
    return ""


def _parts(model: Any) -> Iterator[Any]:
    """Every object inside, each once."""
    seen: set[int] = set()
    left = [model]
    while left:
        part = left.pop()
        if id(part) in seen or isinstance(part, (str, bytes, int, float, type(None), type)):
            continue
        seen.add(id(part))
        if isinstance(part, np.ndarray):
            left += part.ravel().tolist() if part.dtype.hasobject and part.dtype.names is None else []
        elif isinstance(part, dict):
            left += part.values()
        elif isinstance(part, (list, tuple, set)):
            left += part
        else:
            yield part
            left += getattr(part, "__dict__", {}).values()


def _sound(tree: Any, columns: int) -> bool:
    if not 0 < tree.node_count <= tree.capacity:  # before an array of its nodes is looked at
        return False
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != -1
    return bool((right[inner] >= 0).all()) and (
        walkable(left, np.where(inner, right, -1)) and within(feature[inner], min(columns, tree.n_features))
    )


def _sound_predictor(predictor: Any, columns: int) -> bool:
    nodes = predictor.nodes
    names = {"left", "right", "feature_idx", "is_leaf", "is_categorical", "bitset_idx"}
    if not isinstance(nodes, np.ndarray) or not names <= set(nodes.dtype.names or ()) or len(nodes) == 0:
        return False
    inner = nodes["is_leaf"] == 0
    chosen = nodes[inner]
    sets = chosen["bitset_idx"][chosen["is_categorical"] != 0]
    left, right = (np.where(inner, nodes[side].astype(np.int64), -1) for side in ("left", "right"))
    return (
        walkable(left, right)
        and within(chosen["feature_idx"], columns)
        and within(sets, min(len(predictor.raw_left_cat_bitsets), len(predictor.binned_left_cat_bitsets)))
    )
