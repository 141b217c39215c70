"""The clauses that an audit bears on, as data: ``frameworks/*.toml``, one file a framework."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from audit.errors import UsageError

_FOLDER = Path(__file__).parent / "frameworks"


class Rule(StrEnum):
    """Which part of a run bears on a clause. A fixed vocabulary: the files hold data, no logic."""

    VERDICT = "verdict"
    MEMBERSHIP = "membership"
    RECOVERY = "recovery"
    SINGLE_ROWS = "single_rows"
    POLICY = "policy"
    RELEASE = "release"
    RECORD = "record"
    ENVIRONMENT = "environment"
    INPUTS = "inputs"
    DERIVED = "derived"
    UNTESTED = "untested"
    ORGANISATION = "organisation"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClauseEntry(_Entry):
    """One clause: what it asks in our own words, and which evidence bears on it."""

    clause: str
    title: str
    asks: str
    evidence: Rule
    missing: str = Field(description="what no run of this tool can give")
    actor: str
    certainty: Literal["sure", "verify before printing"]
    checked_on: date | None = Field(default=None, description="when somebody compared it with the primary text")
    caveat: str = ""
    source: str = Field(default="", pattern="^(https://.*)?$", description="where it differs from the framework's")


class Framework(_Entry):
    """One law, standard or guidance."""

    id: str
    title: str
    source: str = Field(pattern="^https://")
    caveat: str
    clauses: tuple[ClauseEntry, ...] = Field(min_length=1)


@lru_cache(maxsize=1)
def frameworks() -> dict[str, Framework]:
    """All frameworks by id, in alphabetical order."""
    paths = sorted(_FOLDER.glob("*.toml"))
    return {p.stem: Framework.model_validate(tomllib.loads(p.read_text(encoding="utf-8"))) for p in paths}


def choose(ids: Iterable[str]) -> tuple[Framework, ...]:
    """The frameworks of these ids, all where none is named.

    Raises:
        UsageError: an id is unknown.
    """
    known = frameworks()
    wanted = list(dict.fromkeys(ids)) or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UsageError(f"no framework {', '.join(map(repr, unknown))}: choose from {', '.join(known)}.")
    return tuple(known[name] for name in wanted)
