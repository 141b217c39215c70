"""LeakPro: ``data_objects/<attack id>.json``, ``signal_values`` and ``true_labels`` of one attack on one model.

The signal is higher for members. Positions alone say which row a value is of, so every model must have been attacked
on the same rows: as many, with the same true labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from attacks.tasks.scores import HIGHER
from audit.errors import brief

from .layout import Layout, Log, Rows, number, read_json
from .positions import positions_of

NEVER = "non-members"


class LeakPro(Layout):
    """One file a model; sets are lists of rows."""

    global_ids = True
    name = "leakpro"
    words = "data_objects/<attack id>.json of a membership attack on that model"
    sets: ClassVar = {"forget": "", "retain": "", "holdout": NEVER}
    meaning = f"file that lists row numbers (.npy, .json, .txt, .csv), or {NEVER}: rows whose true label is 0"

    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:  # noqa: ARG002
        """One attack."""
        log, path = Log(own={"signal": HIGHER}), Path(source)
        document = read_json(path, log)
        columns = {key: document.get(key) for key in ("signal_values", "true_labels")}
        wrong = [key for key, value in columns.items() if not isinstance(value, list)]
        if wrong:
            raise ValueError(f"{path} has no list {', '.join(wrong)}: name data_objects/<attack id>.json of the attack")
        signal, labels = columns["signal_values"] or [], columns["true_labels"] or []
        if len(signal) != len(labels):
            raise ValueError(f"{path} has {len(signal)} signal_values and {len(labels)} true_labels: run it again")
        for position, label in enumerate(labels):
            if label not in (0, 1):
                raise ValueError(f"{path}, row {position}: true_labels is {brief(label)}, 0 or 1 is expected")
        read = [number(value, f"{path}, row {position}, signal_values") for position, value in enumerate(signal)]
        known = {NEVER: np.flatnonzero(np.array(labels) == 0)}
        for role, index in positions_of(names, known, len(labels), log).items():
            column = {f"row{i}": read[i] for i in index.tolist()}
            log.sets[role] = Rows()
            log.sets[role].add("signal", column, "signal_values, as it is")
            log.sets[role].checks = {f"row{i}": f"{len(labels)} rows, label {labels[i]}" for i in index.tolist()}
        return log
