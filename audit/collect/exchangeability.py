"""The shift check: can a classifier that sees no model tell forget rows from holdout rows?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from attacks.base import Floats
from audit.inputs.data import Arrays

MAX_ROWS = 2_000  # our choice: rows per side that the blind classifier sees
MAX_COLUMNS = 4_096  # our choice: leading input values per row, shared by the parts of the inputs
FOLDS = 5
TREES = 100  # our choice: see docs/performance.md for what more would find and cost


def blind_scores(forget: Arrays, holdout: Arrays, seed: int) -> tuple[Floats, Floats] | None:
    """Cross-fitted scores of extremely randomised trees on raw inputs and labels: forget side and holdout side.

    Classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv 1610.06545) with the trees of Geurts et al. 2006.
    Inputs beyond ``MAX_COLUMNS`` values a row are cut, those of several parts (``x.<name>``) each at its share of them.

    Returns:
        The two score arrays, or None where there are no inputs or too few rows to fit.
    """
    if forget.x is None or holdout.x is None or min(len(forget), len(holdout)) < 2 * FOLDS:
        return None
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rng = np.random.default_rng([seed, 0xB11D])
    sides = []
    for data in (forget, holdout):
        rows = np.sort(rng.permutation(len(data))[:MAX_ROWS])
        sides.append(
            np.column_stack([_flat(data.take(rows)), data.y[rows] if data.targets is None else data.targets[rows]])
        )
    design = np.concatenate(sides)
    label = np.repeat([1, 0], [len(side) for side in sides])
    forest = ExtraTreesClassifier(  # in one thread: several add up the votes in any order, and bytes must agree
        n_estimators=TREES, min_samples_leaf=3, class_weight="balanced", random_state=seed % 2**32, n_jobs=1
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    scores = cross_val_predict(forest, design, label, cv=folds, method="predict_proba")[:, 1]
    return scores[label == 1], scores[label == 0]


def _flat(data: Arrays) -> Floats:
    """Leading values of each part of the inputs, an equal share of the columns each: none crowds another out."""
    parts = [data.x[key] for key in sorted(data.x)] if isinstance(data.x, Mapping) else [data.x]
    share = max(1, MAX_COLUMNS // len(parts))
    columns = [np.asarray(part).reshape(len(data), -1)[:, :share].astype(np.float64) for part in parts]
    return np.concatenate(columns, axis=1)[:, :MAX_COLUMNS]
