"""A model that is asked and not looked into: a function from inputs to outputs, whatever library is behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from attacks.base import Access, Floats, Inputs

from .contained import contained, timed
from .data import Arrays
from .spool import gathered
from .votes import as_logits, step_of

ABSENT = 30.0  # our choice: a class that a model does not know lies so far (in logits) below all that it knows
Ask = Callable[[Inputs], np.ndarray[Any, Any]]


class CalledTarget:
    """A classifier of any library at black-box access.

    Args:
        ask: outputs (n,) or (n, C) of a batch of inputs: logits, or probabilities.
        sha256: digest of its file or folder, as it was read.
        kind: what it is, in words ("ONNX model").
        current: digest of the file as it is now, where the library reads it by itself and later.
        probabilities: its outputs are probabilities, nothing else is to be had.
        step: smallest step of its probabilities, where it is known; else that of their type, or of their decimals.
        classes: number of the class that each column stands for; None = in order.
        names: label of the class that each column stands for, where the model was trained on text; they get their
            numbers from the labels of the data (`number`).
        steps: what was done to load it, in words.
    """

    access = Access.LOGITS
    #: nothing of it is compared tensor by tensor
    state: Mapping[str, np.ndarray[Any, Any]] = {}

    def __init__(
        self,
        ask: Ask,
        sha256: str,
        kind: str,
        *,
        current: Callable[[], str] | None = None,
        probabilities: bool = False,
        step: float | None = None,
        classes: tuple[int, ...] | None = None,
        names: tuple[str, ...] = (),
        steps: tuple[str, ...] = (),
    ) -> None:
        self._ask, self._sha256, self.kind, self._current = ask, sha256, kind, current
        self.probabilities, self.step, self.classes, self.steps = probabilities, step, classes, steps
        self.names = names
        #: what decides its outputs beside its file: the numbers of its names
        self.numbering = ""
        #: one column is the logit of the second of two classes (`attacks.tasks`)
        self.class_logits = True
        #: columns of its answers; more than its own where others know classes that it does not
        self.width: int | None = None if classes is None else max(classes) + 1

    def number(self, names: Sequence[str]) -> None:
        """Give its named classes the numbers of the data's labels.

        Args:
            names: of all classes in the order of their numbers; those of the model among them.
        """
        self.classes, self.width = tuple(names.index(name) for name in self.names), len(names)
        self.numbering = f"classes {self.classes} of {self.width}"

    def raw(self, data: Arrays, batch_size: int) -> np.ndarray[Any, Any]:
        """Its own outputs on a set, (n, C), C >= 1, in batches.

        Raises:
            ValueError: they are no finite numbers, one row a row.
        """
        with contained("the model"):
            return gathered(self._batches(data, batch_size), "outputs")

    def _batches(self, data: Arrays, batch_size: int) -> Iterator[np.ndarray[Any, Any]]:
        width = 0
        for start in range(0, len(data), batch_size):
            found = self._batch(data, start, min(start + batch_size, len(data)))
            if width not in (0, found.shape[1]):
                raise ValueError("the number of its outputs differs from batch to batch: give one column a class")
            width = found.shape[1]
            yield found

    def _batch(self, data: Arrays, start: int, stop: int) -> np.ndarray[Any, Any]:
        try:
            with timed("the model"):
                found = np.asarray(self._ask(data.batch(np.arange(start, stop))))
        except ValueError as error:  # of the library, or of the user's function: no check of ours
            raise RuntimeError(str(error)) from error
        if found.ndim == 1:
            found = found[:, None]
        if found.ndim != 2 or len(found) != stop - start or found.shape[1] == 0:
            raise ValueError(f"its output has shape {found.shape} for {stop - start} rows: give (rows, classes)")
        if found.dtype.kind != "f":
            raise ValueError(f"its output is {found.dtype}: give logits or probabilities as floats")
        if not np.isfinite(found).all():
            raise ValueError("its output is not finite: give logits without NaN and infinity")
        return found

    def learn_step(self, data: Arrays, batch_size: int) -> None:
        """Learn how finely its probabilities are given, from its outputs on never-seen rows; nothing for logits."""
        if self.probabilities and self.step is None:
            self.step = step_of(self.raw(data, batch_size))

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, None]:  # noqa: ARG002
        """Logits (n, C), C >= 2, of a whole set; probabilities as their logarithms (`audit.inputs.votes`)."""
        with contained("the model"):
            return gathered(map(self._logits, self._batches(data, batch_size)), "outputs"), None

    def _logits(self, raw: np.ndarray[Any, Any]) -> Floats:
        found = raw.astype(np.float64)
        if self.probabilities:
            found = as_logits(found, self.step or 0.0)
        elif found.shape[1] == 1 and self.class_logits:
            found = np.column_stack([np.zeros(len(found)), found])
        return self._widened(found)

    def _widened(self, logits: Floats) -> Floats:
        """One column a class of the task: those that the model never saw lie below all others."""
        if self.classes is None or self.width is None:
            return logits
        if logits.shape[1] != len(self.classes):
            raise ValueError(f"it gives {logits.shape[1]} columns for its {len(self.classes)} classes: save it again")
        wide = np.repeat(logits.min(axis=1, keepdims=True) - ABSENT, self.width, axis=1)
        wide[:, list(self.classes)] = logits
        return wide

    def digest(self) -> str:
        """Digest of its file, read again where the library reads it later."""
        return self._sha256 if self._current is None else self._current()
