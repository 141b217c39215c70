"""A proposal for scores with names of their own: which way each tells what was trained on. For `audit init`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from attacks.tasks.scores import HIGHER, LOWER, VOCABULARY
from audit.statistics.intervals import auc_interval

from .npz import read_npz
from .scores import FEATURES, KEY, Array, are_scores, of_tokens

LEVEL = 0.99  # our choice: of the interval that must lie on one side of .5


def directions_proposed(models: Mapping[str, Path]) -> list[str]:
    """Lines of the ``[scores]`` table: a direction of each signal that the vocabulary does not know.

    A model was trained on its retain rows and never saw its test or holdout rows: where the two differ clearly, the
    side of the retain rows is proposed, else none is. Forget rows are not looked at.

    Args:
        models: by role; the first one that is there of ``original`` and ``unlearned`` is read.
    """
    path = models.get("original") or models.get("unlearned")
    if path is None or path.suffix != ".npz":
        return []
    try:
        arrays = read_npz(path)
    except ValueError:  # `audit run` and `audit inspect` say why
        return []
    if not are_scores(arrays) or of_tokens(arrays):
        return []
    matches = [match for key in arrays if (match := KEY.fullmatch(key))]
    names = dict.fromkeys(match["signal"] for match in matches)
    return [_line(name, arrays) for name in names if name not in (*VOCABULARY, FEATURES)]


def _line(name: str, arrays: Mapping[str, Array]) -> str:
    retain = arrays.get(f"retain.{name}")
    unseen = next((arrays[f"{role}.{name}"] for role in ("test", "holdout") if f"{role}.{name}" in arrays), None)
    if _usable(retain) and _usable(unseen):
        found = auc_interval(np.asarray(retain, float), np.asarray(unseen, float), LEVEL)
        if found.low > 0.5 or found.high < 0.5:
            way = HIGHER if found.low > 0.5 else LOWER
            return f'{name} = "{way}"   # a proposal: retain rows score {way} than rows that no model saw; check it'
    return f'# {name} = "lower"   # or "higher": whichever is more like a member; it must be declared'


def _usable(values: Array | None) -> bool:
    if values is None or values.ndim != 1 or not len(values) or values.dtype.kind not in "biuf":
        return False
    return bool(np.isfinite(values).all())
