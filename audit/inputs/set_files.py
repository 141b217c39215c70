"""Read the data sets: every source by role to arrays that are checked, labels understood over all sets at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from attacks.tasks.base import Truth

from .alike import alike_width, check_layouts, same_columns
from .checks import check_keys, checked, rows_in
from .concepts import CONCEPTS
from .data import Arrays
from .gathered import Gathered, noted
from .given import DataSource, Given
from .held import raw_of
from .labels import numbered, plain
from .naming import listed
from .options import DataOptions, hook_of
from .pictures import prepared
from .raw import Raw
from .source import read_source
from .truths import targets_of
from .whole import divided

REQUIRED_DATA = ("forget", "retain")
NO_SET = "no {role} set: pass --{role} FILE.npz or put {role}.npz beside the forget set"
NO_FORGET = (
    "no forget set: pass --forget FILE.npz (of one data set: --data FILE --forget-index LIST), or name it under [data] "
    "in audit.toml; `audit init` looks for it by its name"
)


@dataclass(frozen=True)
class ReadSets:
    """The sets of a case.

    Attributes:
        files: data by role.
        said: what was understood while they were read, one line each.
        named: labels in the order of their numbers, where they are names; () where they are numbers.
    """

    files: dict[str, Arrays] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    named: tuple[str, ...] = ()


def read_sets(
    given: Mapping[str, DataSource],
    problems: list[str],
    *,
    need_inputs: bool,
    whole: DataSource | None = None,
    indices: Mapping[str, object] | None = None,
    options: DataOptions | None = None,
    truth: Truth = "classes",
) -> ReadSets:
    """All sets; what is wrong is added to ``problems``.

    Args:
        given: sources by role.
        problems: lines, each with its remedy.
        need_inputs: whether sets need inputs (precomputed outputs need none).
        whole: one data set that ``indices`` divide.
        indices: by role, a file or a list each.
        options: how they are read.
        truth: what the key ``y`` holds (`attacks.tasks.base.Task`).
    """
    options, indices = options or DataOptions(), indices or {}
    found, told = Gathered(), Gathered()
    raws: dict[str, tuple[str, Raw]] = {}
    for role, source in given.items():
        where = _place(role, source)
        with noted(found, where):
            raws[role] = where, _read(source, where, options)
    if whole is not None or indices:
        _divide(whole, indices, options, raws, found)
    same_columns(raws, found)
    read: dict[str, tuple[str, Raw]] = {}
    for role, (where, raw) in alike_width(raws, found).items():
        with noted(found, where):
            check_keys(raw.arrays, where, need_inputs=need_inputs, need_labels=truth != "optional")
            read[role] = where, prepared(raw, options, where)
    said: list[str] = []
    named: tuple[str, ...] = ()
    if truth in ("numbers", "flags"):
        files = _with_targets(read, truth, found, told)
    else:
        files, said, named = _with_labels(read, options, found, told)
    problems += _missing(given, whole, raws, found)
    problems += found.lines()
    check_layouts(files, problems)
    return ReadSets(files, (*told.lines(), *said), named)


def read_data(path: Path, *, need_inputs: bool, options: DataOptions | None = None) -> Arrays:
    """One set alone: its labels are class numbers, or names that it declares (``options.classes``).

    Raises:
        ValueError: with every problem of this set, each with its remedy, one a line.
    """
    where, options = str(path), options or DataOptions()
    raw = read_source(path, options, where)
    check_keys(raw.arrays, where, need_inputs=need_inputs)
    raw = prepared(raw, options, where)
    y = numbered({"given": plain(raw.arrays["y"], where)[0]}, options.classes)[0]["given"]
    return checked(raw.arrays, y, where)


def possible_sets(given: Given, role: str) -> list[Arrays]:
    """One set of a case as it was audited, without its models: labels that start at 1 may have been counted from 0.

    Raises:
        ValueError: a set cannot be read, or there is no such set; one problem a line, each with its remedy.
    """
    problems: list[str] = []
    read = read_sets(
        given.data,
        problems,
        need_inputs=False,
        whole=given.whole,
        indices=given.indices,
        options=given.options,
        truth=given.truth,
    )
    if not problems and role not in read.files:
        problems.append(f"the configuration names no {role} set: name that of the audit with --config")
    if problems:
        raise ValueError("\n".join(problems))
    found = read.files[role]
    return [found, replace(found, y=found.y - 1)]


def _place(role: str, source: DataSource) -> str:
    return str(source) if isinstance(source, Path) and hook_of(source) is None else f"the {role} set"


def _read(source: DataSource, where: str, options: DataOptions) -> Raw:
    return read_source(source, options, where) if isinstance(source, Path) else raw_of(source, where, options)


def _divide(
    whole: DataSource | None,
    indices: Mapping[str, object],
    options: DataOptions,
    raws: dict[str, tuple[str, Raw]],
    found: Gathered,
) -> None:
    """Put the sets that the index lists make of the one data set beside the others."""
    where = "--data" if whole is None else _place("whole data", whole)
    with noted(found, where):
        if whole is None:
            raise ValueError("an index list names rows of one data set: add --data FILE")
        twice = [role for role in (*indices, "retain") if role in raws]
        if twice:
            raise ValueError(f"the {twice[0]} set is given as a set and as rows of --data: give it in one way")
        sets, said = divided(_read(whole, where, options), indices)
        first = next(iter(sets))
        sets[first] = replace(sets[first], said=tuple(said))
        raws.update({role: (f"{where} ({role} rows)", raw) for role, raw in sets.items()})


def _missing(
    given: Mapping[str, DataSource], whole: DataSource | None, raws: Mapping[str, object], found: Gathered
) -> list[str]:
    """Sets that nothing was given for."""
    absent = [] if whole is not None else [role for role in REQUIRED_DATA if role not in given]
    problems = [NO_FORGET if role == "forget" else NO_SET.format(role=role) for role in absent]
    asked = {*given, *(raws if whole is not None else ())}
    if not asked & {"test", "holdout"} and not (whole is not None and found.lines()):
        problems.append(
            "no test set: pass --test FILE.npz or put test.npz beside the forget set, or a holdout set, which lends "
            "rows (rows split off the retain set were trained on and cannot serve)"
        )
    return problems


def _with_labels(
    read: Mapping[str, tuple[str, Raw]], options: DataOptions, found: Gathered, told: Gathered
) -> tuple[dict[str, Arrays], list[str], tuple[str, ...]]:
    """The checked sets; labels are one reading of all that are of the task."""
    labels: dict[str, np.ndarray[Any, Any]] = {}
    for role, (where, raw) in read.items():
        with noted(found, where):
            y = raw.arrays.get("y", np.zeros(rows_in(raw.arrays), dtype=np.int64))  # labels are optional there
            labels[role], note = plain(y, where)
            for line in (*raw.said, *([note] if note else [])):
                told.add(role, f"{role}: {line}")
    bare = [role for role, (_, raw) in read.items() if role != CONCEPTS and "y" not in raw.arrays]
    if bare and len(bare) < sum(role != CONCEPTS for role in read):  # a label would tell one side from the other
        found.add("labels", f"{listed(bare)} have no y, the other sets do: give y in all sets or in none")
    said: list[str] = []
    named: tuple[str, ...] = ()
    task = {role: y for role, y in labels.items() if role != CONCEPTS}
    with noted(found, "labels"):
        numbers, said, named = numbered(task, options.classes)
        labels.update(numbers)
    files: dict[str, Arrays] = {}
    for role, y in labels.items():
        where, raw = read[role]
        with noted(found, where):
            if y.dtype.kind != "i" and role == CONCEPTS:
                raise ValueError(f"{where}: y must be integer concept numbers: number the concepts from 1")
            if y.dtype.kind != "i":
                continue  # names that could not be numbered: said above
            files[role] = checked(raw.arrays, y, where)
    return files, said, named


def _with_targets(
    read: Mapping[str, tuple[str, Raw]], truth: Truth, found: Gathered, told: Gathered
) -> dict[str, Arrays]:
    """The checked sets of a task whose rows have numbers or flags in place of classes."""
    files: dict[str, Arrays] = {}
    for role, (where, raw) in read.items():
        with noted(found, where):
            for line in raw.said:
                told.add(role, f"{role}: {line}")
            targets = targets_of(raw.arrays["y"], truth, where)
            files[role] = checked(raw.arrays, np.zeros(len(targets), dtype=np.int64), where, targets)
    widths = {role: data.targets.shape[1] for role, data in files.items() if data.targets is not None}
    if len(set(widths.values())) > 1:
        found.add("labels", f"the sets have different numbers of targets a row ({widths}): save them alike")
    return files
