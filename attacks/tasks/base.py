"""The seam of all tasks: what outputs mean. An attack names the signal it needs, a task the signals it offers.

Nothing else branches on the task: attacks and the audit ask the task of the case. Everything here is a function of
arrays; what a row's answer is compared with (its *truth*) is its class, its numbers, its flags, or nothing at all.

Adding a task: one file in ``attacks/tasks``, its name in the three lists that CONTRIBUTING.md names, one test.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from attacks.case import ClaimKind

Floats = npt.NDArray[np.float64]
Array = np.ndarray[Any, Any]
#: a model's own unit: one number, or one a column of its outputs; 0 = outputs stay as they are
Unit = float | Floats
Truth = Literal["classes", "numbers", "flags", "optional"]

#: what an attack may need of the rows of one model, and in which words its absence is said
SIGNALS: dict[str, str] = {
    "class_logits": "logits of classes",
    "confidence": "one number a row that says how sure the model is of it",
    "log_likelihood": "the log-likelihood of each row",
    "features": "features of each row",
    "truth": "something that rows are labelled with, for a probe to learn",
    "loss": "a loss of each row that training can lower",
    "numbers": "predicted numbers and the true ones",
}


class Task(ABC):
    """What outputs mean.

    Attributes:
        name: in the configuration and the record.
        words: what a model gives for a row, in words.
        figure: of the utility gate, in words; "" where there is none.
        no_figure: why there is none.
        best: the figure of a perfect model; None: there is none.
        relative: ``quality`` is in units of its mean on the baseline models.
        truth: what the key ``y`` of a data set holds.
        stored: what a file of outputs by set holds, in words.
        class_logits: one column of outputs is the logit of the second of two classes.
        by_scores: models are given by files of scores, and by nothing else.
        reads_tokens: rows are tokens, of which networks give logits each; `audit.inputs.tokens` makes outputs of them.
        claims: kinds of claims that have a meaning.
        signals: of ``SIGNALS``, what it offers.
        unread: what networks hold and no attack reads of them; blocks PASS where more than outputs is claimed.
        loss_figure: what papers print of ``loss``, in words; "" = nothing.
        loss_name: of ``training_loss``, as ``[recipe] loss`` names it; "" = the audit trains no such models.
        unit_roles: sets whose rows set a model's own unit.
    """

    name: ClassVar[str]
    words: ClassVar[str]
    truth: ClassVar[Truth]
    figure: str = ""
    no_figure: str = ""
    best: float | None = 1.0
    relative: bool = False
    stored: ClassVar[str] = "outputs by set"
    class_logits: ClassVar[bool] = False
    by_scores: ClassVar[bool] = False
    reads_tokens: ClassVar[bool] = False
    claims: ClassVar[frozenset[ClaimKind]] = frozenset({"random", "subject", "other"})
    signals: frozenset[str] = frozenset()
    unread: ClassVar[str] = ""
    loss_figure: str = ""
    loss_name: ClassVar[str] = ""
    unit_roles: ClassVar[tuple[str, ...]] = ("auxiliary",)

    def outputs_words(self) -> str:
        """What the verdict is about beside logits of classes, for its scope."""
        return f"{self.words} ({self.name})"

    @property
    def declared(self) -> dict[str, str]:
        """Direction of each signal by name, the leading one first: of scores alone."""
        return {}

    def refuses(self, signal: str) -> str:
        """Why an attack that needs a signal ("": none) has no meaning here, or ""."""
        if not signal or signal in self.signals:
            return ""
        return f"has no meaning for {self.name}: it needs {SIGNALS[signal]}"

    def said(self) -> tuple[str, ...]:
        """What is assumed of the outputs, in sentences for the record."""
        return ()

    def misfits(self, width: int, targets: Mapping[str, Floats | None]) -> list[str]:
        """Problems: labels that the models' outputs, ``width`` a row, do not fit; with the remedy."""
        return [
            f"y of the {role} set has {values.shape[1]} {self.truth} a row, the models give {width}: save them alike"
            for role, values in targets.items()
            if width and values is not None and values.shape[1] != width
        ]

    @abstractmethod
    def unit(self, outputs: Floats, truth: Array) -> Unit:
        """A model's own unit, from its outputs (m, C) on rows that none of the models compared was trained on, or on
        both sides alike; > 0, or 0 where outputs stay as they are."""

    @abstractmethod
    def confidence(self, outputs: Floats, truth: Array, unit: Unit = 0.0) -> Floats:
        """How sure a model is of each row, (n,); higher = more like a member. Unbounded, about Gaussian over models.

        Args:
            outputs: (n, C).
            truth: (n,) or (n, k).
            unit: of ``unit``; 0 = there is none.
        """

    @abstractmethod
    def quality(self, outputs: Floats, truth: Array) -> Array | None:
        """How good each answer is, (n,), higher = better, at most ``best``; its mean is ``figure``. None: not known.

        Args:
            outputs: (n, C), of all rows that the figure is about.
            truth: (n,) or (n, k).
        """

    def compared(self, outputs: Floats) -> Floats:
        """What two models are compared by, to find copies, (n, C) in one unit."""
        return outputs

    def mean_quality(self, outputs: Floats, truth: Array) -> float:
        """The figure, ``quality`` averaged over rows; 0 where it is not known."""
        found = self.quality(outputs, truth)
        return 0.0 if found is None else float(np.mean(found))

    def constant(self, truth: Array) -> float | None:
        """Mean quality of the best constant answer, by which answers are shown to know the truth; None: not checked
        like this."""
        return None

    @abstractmethod
    def errors(self, outputs: Floats, truth: Array) -> Floats:
        """Outputs less what they should be, (n, C): answers of two models are compared by these."""

    def further(self, outputs: Floats, truth: Array) -> dict[str, Floats]:
        """Signals beside ``confidence`` that must show no trace either, by name, (n,); higher = more like a member."""
        return {}

    def loss(self, outputs: Floats, truth: Array) -> float:
        """Mean loss of the rows, for the record: minus the mean quality, where a task has nothing better."""
        return -self.mean_quality(outputs, truth) if len(truth) else 0.0

    def printed_loss(self, loss: float) -> float:
        """The mean loss as papers print it (``loss_figure``)."""
        return loss

    def log_likelihood(self, outputs: Floats, truth: Array, unit: Unit, temperature: float = 1.0) -> Floats:
        """Log-likelihood of each row, (n,), at most 0; offered with the signal of this name."""
        raise NotImplementedError(self.refuses("log_likelihood"))

    def mismatch(self, width: int, truth: Array) -> str:
        """Why a network with ``width`` outputs a row cannot be trained on such labels, with the remedy; or ""."""
        columns = truth.reshape(len(truth), -1).shape[1]
        if columns == width:
            return ""
        return f"the network has {width} outputs a row and y {columns} columns: build a network with an output for each"

    def training_loss(self, outputs: Any, truth: Any, reduction: str = "sum", smoothing: float = 0.0) -> Any:
        """The loss that training lowers (torch, differentiable); offered with ``loss``.

        Args:
            outputs: (n, C).
            truth: (n,) or (n, k).
            reduction: over rows, as torch has it: ``sum``, ``mean``, or ``none`` = (n,).
            smoothing: of labels, in [0, 1): of classes alone.
        """
        raise NotImplementedError(self.refuses("loss"))

    def probe(
        self, features: Floats, truth: Array, target: Floats, beside: Floats | None, penalty: float, width: int
    ) -> Floats:
        """Outputs (m, C) on ``target`` of a linear probe fitted on features and truth; offered with ``truth``.

        Args:
            features: (n, d) of the fit rows.
            truth: of the fit rows.
            target: (m, d) rows that are scored.
            beside: rows that floor the spread of each unit (`attacks.standard`).
            penalty: L2 penalty per fit row on standardised features, > 0.
            width: C.
        """
        raise NotImplementedError(self.refuses("truth"))

    def columns(self, truth: Array, width: int) -> Floats:
        """Truth as columns (n, k) of a design matrix."""
        return np.asarray(truth, dtype=np.float64).reshape(len(truth), -1)


def reduced(rows: Any, reduction: str) -> Any:
    """Losses of rows (n,) as torch reduces them: ``none``, ``sum`` or ``mean``."""
    return rows if reduction == "none" else getattr(rows, reduction)()
