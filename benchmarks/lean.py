"""Judgements of one evidence at several access levels, without what no verdict reads and without repetitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from audit.collect.evidence import Evidence
from audit.judge.families import run_families
from audit.statistics.remainder import visible_remainder

LEFT_OUT: dict[str, Any] = {"audit.judge.executed.charts": (), "audit.judge.judge.exploratory": []}
REMAINDER = "audit.judge.remainder.visible_remainder"
FAMILIES = ("audit.judge.judge.run_families", "audit.judge.weaker.run_families")


@contextmanager
def lean() -> Iterator[None]:
    """Judge one scoring under one policy faster; verdict, families and gates stay as they are (a test compares).

    Charts and exploratory findings are left out. The families of a weaker level are those of a claim of that level,
    and the resamples of the visible remainder are the same at every level: both are made once.
    """
    with ExitStack() as stack:
        for name, nothing in LEFT_OUT.items():
            stack.enter_context(patch(name, _returning(nothing)))
        stack.enter_context(patch(REMAINDER, _remembered(visible_remainder)))
        families = _by_access(run_families)
        for name in FAMILIES:
            stack.enter_context(patch(name, families))
        yield


def _returning(value: Any) -> Callable[..., Any]:
    def replaced(*_arguments: Any) -> Any:
        return value

    return replaced


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of arrays, numbers and a fresh generator, called once for each set of arguments."""
    known: dict[tuple[bytes, ...], Any] = {}

    def remembered(audited: Any, original: Any, fpr: float, level: float, rng: np.random.Generator) -> Any:
        parts = [*audited, *original, np.array([fpr, level])]
        key = (*(np.ascontiguousarray(part).tobytes() for part in parts), repr(rng.bit_generator.state).encode())
        if key not in known:
            known[key] = function(audited, original, fpr, level, rng)
        return known[key]

    return remembered


def _by_access(function: Callable[..., Any]) -> Callable[..., Any]:
    """The families, made once for each claimed access."""
    known: dict[str, Any] = {}

    def remembered(*arguments: Any) -> Any:
        (access,) = {item.facts.claim.access for item in arguments if isinstance(item, Evidence)}
        if access not in known:
            known[access] = function(*arguments)
        return known[access]

    return remembered
