"""Scores in place of a model: named numbers a row, ``<set>.<signal>`` (n,) in an ``.npz`` file or a mapping.

Optional: ``<set>@<query>.<signal>``, answers to changed inputs, and ``<set>.features`` (n, d).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attacks.base import Access, Floats
from attacks.tasks.scores import HIGHER, LACKED, LACKED_WORDS, LEFT_OUT, directions, limits, limits_words

from .config import DATA_ROLES
from .data import Arrays, positions
from .naming import listed, shown
from .outputs import PrecomputedOutputs
from .targets import Target

Array = np.ndarray[Any, Any]
FEATURES = "features"
KEY = re.compile(rf"(?P<set>{'|'.join(DATA_ROLES)})(@(?P<query>[^@]+))?\.(?P<signal>[A-Za-z_]\w{{0,63}})", re.ASCII)
FORM = "<set>.<signal>, as in forget.nll"
LONGEST = 2000  # characters of what an import left out; its own sentences have a few hundred
TOKENS = "holds log-probabilities of tokens: `audit import tokens` makes scores of them, and those are audited"


def are_scores(arrays: Mapping[str, Array]) -> bool:
    """Keys of scores, and none of logits."""
    return bool(arrays) and all(KEY.fullmatch(key) for key in arrays)


def of_tokens(arrays: Mapping[str, Array]) -> bool:
    """Keys as `audit import tokens` reads them, where rows of several lengths follow one another."""
    found = {key.partition(".")[2] for key in arrays}
    return {"logprobs", "offsets"} <= found


@dataclass(frozen=True)
class StoredScores(PrecomputedOutputs):
    """Scores of one model: the outputs of a set are its signals, each turned so that higher = more like a member.

    Attributes:
        declared: direction of each signal by name, the leading one first.
    """

    declared: Mapping[str, str] | None = None
    class_logits: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of the signals, the leading one first."""
        return tuple(self.declared or ())

    @property
    def with_features(self) -> bool:
        """It holds features."""
        return self.access >= Access.FEATURES

    @property
    def queries(self) -> frozenset[str]:
        """Changes of the inputs that some set was asked with."""
        found = (KEY.fullmatch(key) for key in self.state)
        return frozenset(match["query"] for match in found if match and match["query"])

    def outputs(self, role: str, data: Arrays, batch_size: int) -> tuple[Floats, Floats | None]:  # noqa: ARG002
        """Signals (n, S) and features (n, d) or None of a set, or of a set and a query (``<set>@<query>``).

        Raises:
            ValueError: a key is missing, or does not fit the data.
        """
        absent = [f"{role}.{name}" for name in self.names if f"{role}.{name}" not in self.state]
        if absent:
            raise ValueError(f"no {listed(absent)}: every set needs every signal; add the keys")
        columns = []
        for name, direction in (self.declared or {}).items():
            values = np.asarray(self.state[f"{role}.{name}"], dtype=np.float64)
            if len(values) != len(data):
                raise ValueError(f"{role}.{name} has {len(values)} rows, the {role} set {len(data)}: align them")
            columns.append(values if direction == HIGHER else -values)
        features = self.state.get(f"{role}.{FEATURES}")
        if features is not None and len(features) != len(data):
            raise ValueError(f"{role}.{FEATURES} has {len(features)} rows, the {role} set {len(data)}: align them")
        return np.column_stack(columns), None if features is None else np.asarray(features, dtype=np.float64)

    def answers(self, source: str, query: str) -> bool:
        """It holds every signal of a set under an augmentation query."""
        return all(f"{source}@{query}.{name}" in self.state for name in self.names)


def scores_target(arrays: Mapping[str, Array], where: str, declared: Mapping[str, str]) -> StoredScores:
    """Scores as something to audit.

    Args:
        arrays: by key.
        where: file or object, for messages.
        declared: directions of own names, and which signal leads.

    Raises:
        ValueError: with every problem of the arrays, each with its remedy.
    """
    if of_tokens(arrays):
        raise ValueError(f"{where} {TOKENS}")
    keys = {key: KEY.fullmatch(key) for key in arrays}
    problems = []
    odd = [key for key, match in keys.items() if match is None]
    if odd or not arrays:
        sets = ", ".join(DATA_ROLES)
        problems.append(f"{where}: {listed(odd) or 'no array'} is no key of scores: use {FORM}; the sets are {sets}")
    for key, match in keys.items():
        if match is not None:
            problems += _wrong(arrays[key], f"{where}: {key}", match["signal"])
    names = list(dict.fromkeys(m["signal"] for m in keys.values() if m and m["signal"] != FEATURES))
    order: dict[str, str] = {}
    try:
        order = directions(names, declared)
    except ValueError as error:
        problems.append(f"{where}: {error}")
    if problems:
        raise ValueError("; ".join(problems))
    featured = {m["set"] for m in keys.values() if m and m["signal"] == FEATURES}
    everywhere = featured >= {m["set"] for m in keys.values() if m}
    return StoredScores(arrays, Access.FEATURES if everywhere else Access.LOGITS, declared=order)


def _wrong(array: Array, where: str, signal: str) -> list[str]:
    """What is wrong with one array."""
    features = signal == FEATURES
    wanted = 2 if features else 1
    if array.ndim != wanted or array.dtype.kind not in "biuf":
        form = "(n, d)" if features else "(n,), one number a row"
        return [f"{where} is {array.dtype} {array.shape}: save numbers of shape {form}"]
    values = array.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        return [f"{where} holds NaN or infinite values in {positions(~finite)}: leave such rows out of all models"]
    low, high = limits(signal)
    outside = (values < low) | (values > high)
    if not outside.any():
        return []
    what = f"{where} has values that are not {limits_words(signal)} in {positions(outside)}"
    return [f"{what}: {signal} cannot be such; turn or mend"]


def scores_of(models: Mapping[str, Target], problems: list[str]) -> dict[str, StoredScores]:
    """The models that are scores; what does not fit together is added to ``problems``."""
    found = {name: model for name, model in models.items() if isinstance(model, StoredScores)}
    others = [name for name in models if name not in found]
    if found and others:
        problems.append(f"{listed(others)} hold no scores, {listed(list(found))} do: give all models as scores")
    kinds = {model.names for model in found.values()}
    if len(kinds) > 1:
        told = "; ".join(f"{name}: {', '.join(map(shown, sorted(model.names)))}" for name, model in found.items())
        problems.append(f"the models have different signals ({told}): give the same signals of every model")
    return found


def left_out_words(declared: Mapping[str, str]) -> tuple[str, ...]:
    """What an import left out, as ``[scores]`` says; for the assumptions of the record."""
    words = {LEFT_OUT: "left out when the logs were imported, as its audit.toml says: ", LACKED: LACKED_WORDS}
    return tuple(f"{begin}{shown(declared[key], LONGEST)}" for key, begin in words.items() if declared.get(key))


def common_queries(models: Sequence[StoredScores], sources: Sequence[str]) -> tuple[str, ...]:
    """Queries that every model answers on the sets of both sides."""
    asked = frozenset.intersection(*(model.queries for model in models)) if models else frozenset()
    return tuple(sorted(q for q in asked if all(m.answers(source, q) for m in models for source in sources)))
