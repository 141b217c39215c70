"""Precomputed outputs in place of a model: one array of logits, or of predicted labels, a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attacks.base import Access, Floats
from audit.record.digest import state_digest

from .data import Arrays, positions
from .naming import listed, shown
from .votes import as_logits, step_of

LARGEST = 2**27  # our choice: entries of the logits that stand for the predicted labels of a set, one GiB
PEAK = 10.0  # logit of a predicted label where labels alone are known


@dataclass(frozen=True)
class PrecomputedOutputs:
    """No model at all: logits per set, from an ``.npz`` file with one array (n, C) per role."""

    state: Mapping[str, np.ndarray[Any, Any]]
    access: Access = Access.LOGITS
    #: of stored probabilities, in which they are given; 0 of logits
    step: float = 0.0
    #: one column is the logit of the second of two classes
    class_logits: bool = True

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:  # noqa: ARG002
        """The stored logits of a role. Raises ValueError where they are missing or do not fit the data."""
        if role not in self.state:
            raise ValueError(f"no logits for the {role} set: add the key {role!r}")
        logits = np.asarray(self.state[role], dtype=np.float64)
        if logits.ndim == 1:
            logits = logits[:, None]
        if len(logits) != len(data):
            raise ValueError(f"{len(logits)} rows of logits for {len(data)} rows of the {role} set: align them")
        if self.step:
            return as_logits(logits, self.step), None
        return _two_columns(logits) if self.class_logits else logits, None

    def answers(self, source: str, query: str) -> bool:
        """It holds the answers of a set to an augmentation query."""
        return f"{source}@{query}" in self.state

    @property
    def probabilities(self) -> bool:
        """Probabilities are stored, for nothing else was to be had."""
        return self.step > 0

    def digest(self) -> str:
        """Digest of the stored arrays."""
        return state_digest(self.state)


@dataclass(frozen=True)
class PrecomputedLabels(PrecomputedOutputs):
    """Predicted labels alone, from an ``.npz`` file with integers (n,) per role and the number ``n_classes``.

    A label stands as logits with one peak; attacks that need more than labels do not run on it.
    """

    access: Access = Access.LABELS

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:  # noqa: ARG002
        """One-hot logits (n, C) of the stored labels. Raises ValueError where they are missing or do not fit."""
        if role not in self.state:
            raise ValueError(f"no labels for the {role} set: add the key {role!r}")
        labels, classes = self.state[role], int(self.state["n_classes"])
        if len(labels) != len(data):
            raise ValueError(f"{len(labels)} labels for {len(data)} rows of the {role} set: align them")
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(f"labels of the {role} set lie outside 0 to {classes - 1} (n_classes): correct n_classes")
        if len(labels) * classes > LARGEST:
            raise ValueError(
                f"{len(labels)} predicted labels of {classes} classes take too much memory: correct n_classes, or give "
                f"fewer rows to the {role} set"
            )
        logits = np.zeros((len(labels), classes))
        logits[np.arange(len(labels)), labels] = PEAK
        return logits, None


def outputs_target(
    outputs: Mapping[str, np.ndarray[Any, Any]], where: str, *, probabilities: bool = False, class_logits: bool = True
) -> PrecomputedOutputs:
    """Outputs as something to audit: floats are logits (or probabilities), integers predicted labels.

    Args:
        outputs: (n, C) or (n,) by set, in the order of the data's rows.
        where: file or object, for messages.
        probabilities: floats are probabilities, for nothing else was to be had.
        class_logits: of the task: integers may be predicted labels, and one column the logit of a class.

    Raises:
        ValueError: with the remedy.
    """
    if class_logits and (
        "n_classes" in outputs or (outputs and all(array.dtype.kind in "iu" for array in outputs.values()))
    ):
        return _labels(outputs, where)
    bad = [k for k, a in outputs.items() if a.dtype.kind != "f" or a.ndim not in (1, 2) or not np.isfinite(a).all()]
    bad += [k for k, a in outputs.items() if a.ndim == 2 and a.shape[1] == 0 and k not in bad]
    if bad:
        holes = [
            f"{k} holds NaN or infinite values in {positions(~np.isfinite(outputs[k]))}"
            for k in bad
            if outputs[k].dtype.kind == "f" and outputs[k].ndim in (1, 2) and outputs[k].size
        ]
        raise ValueError(
            "; ".join([f"{where}: logits must be finite floats of shape (n, C); repair {listed(bad)}", *holes])
        )
    step = min(map(step_of, outputs.values())) if probabilities else 0.0
    return PrecomputedOutputs(outputs, step=step, class_logits=class_logits)


def _labels(outputs: Mapping[str, np.ndarray[Any, Any]], where: str) -> PrecomputedLabels:
    if "n_classes" not in outputs:
        raise ValueError(f"{where} holds integers, so predicted labels: add the number of classes as n_classes")
    classes = outputs["n_classes"]
    if classes.dtype.kind not in "iu" or classes.ndim != 0 or int(classes) < 2:
        what = f"{classes}" if classes.ndim == 0 else f"of shape {classes.shape}"
        raise ValueError(
            f"{where}: n_classes is {classes.dtype} {shown(what)}: save the number of classes as one integer, 2 or more"
        )
    bad = [name for name, array in outputs.items() if name != "n_classes" and array.ndim != 1]
    if bad:
        raise ValueError(f"{where}: predicted labels must have the shape (n,); repair {listed(bad)}")
    bad = [name for name, array in outputs.items() if array.dtype.kind not in "iu"]
    if bad:
        raise ValueError(
            f"{where} names n_classes, so it holds predicted labels, which are integers: repair {listed(bad)}, or "
            "leave n_classes out beside logits"
        )
    return PrecomputedLabels(outputs)


def _two_columns(logits: Floats) -> Floats:
    """One logit z becomes (0, z)."""
    return np.column_stack([np.zeros(len(logits)), logits]) if logits.shape[1] == 1 else logits
