"""Scores: any model of any framework by named numbers a row, turned so that higher = more like a member."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Array, Floats, Task, Truth, Unit

LEAD = "lead"  # stands among the declared directions and names the signal that leads
LEFT_OUT = "left-out"  # stands there too: what an import left out, in words. No name of a signal has a hyphen
LACKED = "unlearned-lacks"  # and there: rows that the audited model's log alone lacks, in words
LACKED_WORDS = "the audited model's log alone lacks "  # how the assumption begins that the record then has
LOWER, HIGHER = "lower", "higher"
MEAN_LOSS = "nll"  # exp of its mean is a perplexity
LEAST = 1e-12  # probabilities are kept this far from 0 and 1, where their logarithm has no value
SMALL = 0.01  # our choice, measured on forests: of a typical error; smaller ones are luck, and not told apart by orders


@dataclass(frozen=True)
class Meaning:
    """What a signal of the vocabulary is.

    Attributes:
        direction: ``lower`` or ``higher`` = more like a member.
        words: what it is.
        figure: of the utility gate, where its mean says how good the model is; else "".
        best: mean of a perfect model, turned so that higher is better; None: there is none.
        scale: how it is read: ``plain``, ``log`` (minus the logarithm of an error) or ``logit`` (of a probability).
    """

    direction: str
    words: str
    figure: str = ""
    best: float | None = 1.0
    scale: str = "plain"


#: the vocabulary; where several are given the first one leads
VOCABULARY: dict[str, Meaning] = {
    "nll": Meaning(LOWER, "mean negative log-likelihood, in nats", "log-likelihood", 0.0),
    "nll_sum": Meaning(
        LOWER, "negative log-likelihood of an answer, a sum over its tokens, in nats", "log-likelihood", 0.0
    ),
    "min_k_pp": Meaning(HIGHER, "min-k++: mean of the least likely tokens, standardised"),
    "min_k": Meaning(HIGHER, "min-k: mean log-probability of the least likely tokens"),
    "zlib_nll": Meaning(LOWER, "negative log-likelihood over compressed length"),
    "log_density": Meaning(HIGHER, "log-density, in nats", "log-density", None),
    "p_target": Meaning(HIGHER, "probability of the true answer", "probability of the true answer", scale="logit"),
    "margin": Meaning(HIGHER, "score of the true answer over the best other one"),
    "squared_error": Meaning(
        LOWER, "squared error", "squared error, turned and in units of the baseline's", 0.0, "log"
    ),
    "abs_error": Meaning(LOWER, "absolute error", "absolute error, turned and in units of the baseline's", 0.0, "log"),
    "truth_ratio": Meaning(LOWER, "probability of wrong answers over that of the true one"),
    "rank": Meaning(LOWER, "rank of the true item, 1 = first", "reciprocal rank", scale="log"),
    "rouge_l": Meaning(HIGHER, "ROUGE-L of the answer", "ROUGE-L"),
    "correct": Meaning(HIGHER, "is the answer right? 0 or 1", "accuracy"),
}
MOST = 1e30  # our choice: no score is larger in size, and the squares of many such values still have a finite sum
#: smallest and largest value that a signal can have
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("squared_error", "abs_error", "nll", "nll_sum"), (0.0, float("inf"))),
    **dict.fromkeys(("p_target", "correct", "rouge_l"), (0.0, 1.0)),
    "rank": (1.0, float("inf")),
}
#: whose mean is the utility figure, best first
UTILITY = ("correct", "rouge_l", "p_target", "rank", "squared_error", "abs_error", MEAN_LOSS, "nll_sum", "log_density")
ERRORS = ("squared_error", "abs_error")
PROBABLE = (MEAN_LOSS, "nll_sum")  # of which the likelihood of a row is known, not its density


def limits(signal: str) -> tuple[float, float]:
    """Smallest and largest value that a signal can have; none is larger in size than ``MOST``."""
    low, high = RANGES.get(signal, (-MOST, MOST))
    return low, min(high, MOST)


def limits_words(signal: str) -> str:
    """The same in words."""
    low, high = limits(signal)
    return f"from {low:g} to {high:g}"


def directions(names: list[str], declared: Mapping[str, str]) -> dict[str, str]:
    """Direction of each signal by name, the leading one first.

    Args:
        names: of the signals that were given.
        declared: directions of own names, under ``lead`` which signal leads, under ``left-out`` and
            ``unlearned-lacks`` sentences.

    Raises:
        ValueError: a signal without direction, a wrong one, or a leading signal that was not given.
    """
    own = {name: word for name, word in declared.items() if name not in (LEAD, LEFT_OUT, LACKED)}
    wrong = sorted(name for name, word in own.items() if word not in (LOWER, HIGHER))
    wrong += sorted(name for name, word in own.items() if name in VOCABULARY and word != VOCABULARY[name].direction)
    if wrong:
        raise ValueError(
            f'[scores] {", ".join(wrong)}: say "lower" or "higher", whichever is more like a member; names of the '
            "vocabulary have theirs"
        )
    unknown = sorted(name for name in names if name not in VOCABULARY and name not in own)
    if unknown:
        raise ValueError(
            f'the signals {", ".join(unknown)} have no direction: declare it, [scores] {unknown[0]} = "lower" (lower = '
            f'more like a member) or "higher", or use a name of the vocabulary ({", ".join(VOCABULARY)})'
        )
    order = [name for name in (*VOCABULARY, *own) if name in names]
    lead = declared.get(LEAD, order[0] if order else "")
    if lead not in order:
        raise ValueError(f"[scores] lead = {lead!r} is no signal of the files: they hold {', '.join(order) or 'none'}")
    order = [lead, *(name for name in order if name != lead)]
    return {name: own.get(name) or VOCABULARY[name].direction for name in order}


class Scores(Task):
    """Outputs (n, S): signals turned so that higher = more like a member, the leading one first.

    The leading signal decides. Of the others a trace blocks PASS (`audit.judge.signals`).

    Args:
        declared: direction of each signal by name, the leading one first.
        with_features: the models give features, too.
    """

    name = "scores"
    words = "scores of rows"
    stored = "scores by set"
    by_scores: ClassVar[bool] = True
    truth: ClassVar[Truth] = "optional"

    def __init__(self, declared: Mapping[str, str], *, with_features: bool = False) -> None:
        if not declared:
            raise ValueError("scores need one signal at least")
        self._declared = dict(declared)
        self.lead = next(iter(self._declared))
        offered = {"confidence"} | ({"features"} if with_features else set())
        self.signals = frozenset(offered | ({"log_likelihood"} if self.lead in PROBABLE else set()))
        self._judged = next((name for name in UTILITY if name in self._declared), "")
        self.relative = self._judged in ERRORS
        self.loss_figure = "perplexity (exp of the mean nll)" if MEAN_LOSS in self._declared else ""
        if self._judged:
            self.figure, self.best = VOCABULARY[self._judged].figure, VOCABULARY[self._judged].best
        else:
            self.no_figure = f"no signal says how good the model is: give one of {', '.join(UTILITY)}"

    def outputs_words(self) -> str:
        """The signals by name, the leading one first."""
        return f"{self.words} alone ({', '.join(self._declared)})"

    @property
    def declared(self) -> dict[str, str]:
        """Direction of each signal by name, the leading one first."""
        return dict(self._declared)

    def said(self) -> tuple[str, ...]:
        """Which signals there are, their directions, and which one decides."""
        listed = ", ".join(f"{name} ({direction} = more like a member)" for name, direction in self._declared.items())
        lines = [f"scores of rows in place of outputs: {listed}; {self.lead} decides, the others can block a PASS"]
        return (*lines, "that scores are what their names say is believed as it was declared")

    def unit(self, outputs: Floats, truth: Array) -> Unit:
        """A typical error, where the leading signal is one; other scores stay as they are."""
        return _typical(-self._column(outputs, self.lead)) if self._scale(self.lead) == "log" else 0.0

    def confidence(self, outputs: Floats, truth: Array, unit: Unit = 0.0) -> Floats:
        """The leading signal, on the scale on which it is about Gaussian over models."""
        return self._read(outputs, self.lead, float(np.max(unit)))

    def further(self, outputs: Floats, truth: Array) -> dict[str, Floats]:
        """The other signals by name, on theirs."""
        return {name: self._read(outputs, name) for name in self._declared if name != self.lead}

    def log_likelihood(self, outputs: Floats, truth: Array, unit: Unit, temperature: float = 1.0) -> Floats:
        """Minus the leading signal, which is a negative log-likelihood."""
        return np.minimum(self._column(outputs, self.lead), 0.0) / temperature

    def quality(self, outputs: Floats, truth: Array) -> Array | None:
        """The first signal whose mean says how good a model is."""
        if not self._judged:
            return None
        found = self._column(outputs, self._judged)
        return 1 / np.maximum(-found, 1.0) if self._judged == "rank" else found

    def loss(self, outputs: Floats, truth: Array) -> float:
        """The mean of ``nll``, where there is one."""
        if MEAN_LOSS not in self._declared or not len(outputs):
            return super().loss(outputs, truth)
        return -float(self._column(outputs, MEAN_LOSS).mean())

    def printed_loss(self, loss: float) -> float:
        """Perplexity: exp of the mean over rows."""
        return math.exp(min(loss, 500.0))

    def compared(self, outputs: Floats) -> Floats:
        """The leading signal alone: others stand in other units."""
        return self._read(outputs, self.lead)[:, None]

    def errors(self, outputs: Floats, truth: Array) -> Floats:
        """The leading signal."""
        return self.confidence(outputs, truth)[:, None]

    def _column(self, outputs: Floats, name: str) -> Floats:
        return np.asarray(outputs[:, list(self._declared).index(name)])

    def _scale(self, name: str) -> str:
        return VOCABULARY[name].scale if name in VOCABULARY else "plain"

    def _read(self, outputs: Floats, name: str, unit: float = 0.0) -> Floats:
        values, scale = self._column(outputs, name), self._scale(name)
        if scale == "log":
            floor = SMALL * (unit or _typical(-values))
            return -np.log(np.maximum(-values, 0.0) + max(floor, float(np.finfo(float).tiny)))
        if scale == "logit":
            p = np.clip(values, LEAST, 1 - LEAST)
            return np.asarray(np.log(p) - np.log1p(-p))
        return values


def _typical(errors: Floats) -> float:
    """Median of what is not zero; 0 where all are."""
    positive = errors[errors > 0]
    return float(np.median(positive)) if len(positive) else 0.0
