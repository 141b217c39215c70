"""From files to the sets of a claim: which rows serve as forget, holdout, retain, test and auxiliary set."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attacks.base import Bools, ClaimKind, Ints
from audit.record.inputs import ClaimRecord

from .concepts import CONCEPTS
from .config import ClaimSection, Provenance
from .data import Arrays

HASH = np.dtype("S32")  # compares all 32 bytes: those that it drops, zeros at the end, every digest has in full
Hashes = np.ndarray[Any, Any]
AUXILIARY_SHARE = 4  # our choice: where no auxiliary set is given, every fourth test row (by content) becomes it

Grants = Literal["labels", "logits", "features"]  # the most that the models given let an adversary have

SHOWN = 60  # characters of an id in a message


@dataclass(frozen=True)
class Selection:
    """Rows of a file that make up one set."""

    source: str
    rows: Ints


@dataclass(frozen=True)
class Sets:
    """The sets of a case as rows of its files, and what was assumed on the way."""

    claim: ClaimRecord
    selection: dict[str, Selection]
    assumptions: tuple[str, ...]


def infer_claim(
    section: ClaimSection, files: dict[str, Arrays], *, grants: Grants, provenance: Provenance = "exact"
) -> tuple[ClaimRecord, list[str]]:
    """Fill in what the declaration leaves open; return the claim and the problems found.

    A forget set whose labels are all missing from the retain set is a class claim; one with a ``group`` column a
    subject claim; any other a random one. The split is assumed, the access the most that the models grant.
    """
    forget, retain = files["forget"], files["retain"]
    absent = tuple(sorted(set(np.unique(forget.y).tolist()) - set(np.unique(retain.y).tolist())))
    all_absent = len(absent) == len(np.unique(forget.y))
    inferred: list[str] = []
    kind: ClaimKind | None = section.kind
    if kind is None:
        kind = "class" if all_absent else "subject" if forget.group is not None else "random"
        why = {
            "class": "every label of the forget set is missing from the retain set",
            "subject": "the forget set has a group column",
        }.get(kind, "the forget set's labels also stand in the retain set")
        inferred.append(f"claim kind {kind}: {why}")
    problems = []
    if kind == "class" and not all_absent:
        problems.append(
            f"a class claim, but the retain set still holds rows of the forgotten labels "
            f"{sorted(set(np.unique(forget.y).tolist()) - set(absent))}: remove them or declare --claim random"
        )
    split = section.split
    if split is None:
        split = "assumed"
        inferred.append("split assumed: nobody attested that the holdout set is a random companion of the forget set")
    access = section.access
    if access is None:
        access = grants
        inferred.append(f"access {access}: the most that these models grant and this suite covers")
    record = ClaimRecord(
        kind=kind,
        split=split,
        access=access,
        classes=absent if kind == "class" else (),
        public_layers=section.public_layers,
        strata=section.strata,
        provenance=provenance,
        release=section.release,
        looks="single" if section.ledger is None else "ledger",
        inferred=tuple(inferred),
    )
    return record, problems


def assign(claim: ClaimRecord, files: dict[str, Arrays]) -> Sets:
    """Choose the rows of every set by fixed rules that look at no score."""
    assumptions: list[str] = []
    if claim.public_layers:
        layers = ", ".join(claim.public_layers)
        assumptions.append(f"public_layers: {layers} are declared as never trained on the forget set; not checked")
    source = "test" if "test" in files else "holdout"
    test_file = files[source]
    in_class = np.isin(test_file.y, claim.classes)
    test_rows = np.flatnonzero(~in_class)
    lent = np.empty(0, dtype=np.int64)
    if source == "holdout":
        test_rows = lent = lent_rows(claim, test_file)
        assumptions.append(_lent(claim, test_file, len(lent)))
    selection = {role: Selection(role, np.arange(len(files[role]))) for role in ("forget", "retain")}
    if "auxiliary" in files:
        auxiliary = files["auxiliary"]
        selection["auxiliary"] = Selection("auxiliary", np.flatnonzero(~np.isin(auxiliary.y, claim.classes)))
    else:
        chosen = _content_rank(test_file)[test_rows] % AUXILIARY_SHARE == 0
        chosen &= not chosen.all()  # a single row stays a test row
        selection["auxiliary"] = Selection(source, test_rows[chosen])
        test_rows = test_rows[~chosen]
        assumptions.append(
            f"no auxiliary set given: {int(chosen.sum())} test rows, chosen by their content, check the fits and "
            "take part in no test"
        )
    selection["test"] = Selection(source, test_rows)
    if CONCEPTS in files:
        selection[CONCEPTS] = Selection(CONCEPTS, np.arange(len(files[CONCEPTS])))
    if "holdout" in files:
        rows = np.setdiff1d(np.arange(len(files["holdout"])), lent)
        if claim.kind == "class":
            rows = np.flatnonzero(np.isin(files["holdout"].y, claim.classes))
        selection["holdout"] = Selection("holdout", rows)
    elif claim.kind == "class":
        selection["holdout"] = Selection("test", np.flatnonzero(in_class))
        assumptions.append("no holdout set given: the test examples of the forgotten classes serve as holdout set")
    else:
        selection["holdout"] = Selection("test", test_rows)
        assumptions.append("no holdout set given: the test set serves as holdout set")
    return Sets(claim, selection, tuple(assumptions))


def lent_rows(claim: ClaimRecord, holdout: Arrays) -> Ints:
    """Rows of the holdout set that serve as test set where none is given: never-seen ones, chosen by content alone.

    Rows split off the retain set were trained on and could not serve. Of a class claim the rows of retained classes
    serve, which the holdout set has no use for; else every second row, or every second data subject of a subject claim.
    """
    if claim.kind == "class":
        return np.flatnonzero(~np.isin(holdout.y, claim.classes))
    if claim.kind == "subject" and holdout.group is not None:
        names = holdout.group.astype(str)
        ranked = sorted(set(names.tolist()), key=lambda name: hashlib.sha256(name.encode()).digest())
        return np.flatnonzero(np.isin(names, ranked[1::2]))
    return np.flatnonzero(_content_rank(holdout) % 2 == 1)


def _lent(claim: ClaimRecord, holdout: Arrays, count: int) -> str:
    what = f"no test set given: {count} of {len(holdout)} holdout rows"
    if claim.kind == "class":
        return f"{what}, those of retained classes, serve as test set"
    return (
        f"{what}, chosen by their content, serve as test set and no longer as holdout set: utility is measured on the "
        "pool of the forget set alone, and fewer holdout rows see less; a test set of its own costs nothing but rows"
    )


def _content_rank(data: Arrays) -> Ints:
    """Rank of each row by a hash of its content (of its position where there are no inputs): no order matters."""
    hashes = _hashes(data)
    if hashes is None:
        hashes = np.array([hashlib.sha256(str(i).encode()).digest() for i in range(len(data))], dtype=HASH)
    ranks = np.empty(len(data), dtype=np.int64)
    ranks[np.argsort(hashes, kind="stable")] = np.arange(len(data))
    return ranks


@dataclass(frozen=True)
class Overlap:
    """Rows that stand in two sets, by content."""

    role: str
    other: str
    dropped: int
    total: int


def drop_duplicates(sets: Sets, files: dict[str, Arrays]) -> tuple[Sets, list[Overlap]]:
    """Leave out of the per-example sets what also stands elsewhere under other ids.

    Forget rows that are also in retain (the model may know them), and holdout, test and auxiliary rows that are
    also in forget or retain (they are not never-seen). Repetitions within the forget and the holdout set: copies of
    one row are no independent evidence. Without inputs nothing can be compared.
    """
    hashes = {name: _hashes(data) for name, data in files.items()}
    ordered = {name: None if rows is None else np.sort(rows) for name, rows in hashes.items()}
    selection = dict(sets.selection)
    found: list[Overlap] = []

    def kept(role: str, other: str, keep: Bools) -> None:
        """Leave out the rows of a set that also stand in another one."""
        if not keep.all():
            found.append(Overlap(role, other, int((~keep).sum()), len(keep)))
            selection[role] = Selection(selection[role].source, selection[role].rows[keep])

    def content(role: str) -> Hashes | None:
        rows = hashes[selection[role].source]
        return None if rows is None else rows[selection[role].rows]

    for role, others in (
        ("forget", ("retain",)),
        ("holdout", ("retain", "forget")),
        ("test", ("retain", "forget")),
        ("auxiliary", ("retain", "forget")),
    ):
        for other in others:
            mine, theirs = content(role), ordered[other]
            if mine is not None and theirs is not None:
                kept(role, other, ~_among(mine, theirs))
    for role in ("forget", "holdout"):
        mine = content(role)
        if mine is not None:
            first = np.zeros(len(mine), dtype=bool)
            first[np.unique(mine, return_index=True)[1]] = True
            kept(role, role, first)
    return Sets(sets.claim, selection, sets.assumptions), found


def _hashes(data: Arrays) -> Hashes | None:
    """``Arrays.hashes`` as one array, for there may be millions; None without inputs."""
    return None if data.x is None else np.fromiter(data.hashes(), dtype=HASH, count=len(data))


def _among(values: Hashes, ordered: Hashes) -> Bools:
    """Which values stand among sorted ones."""
    at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[at] == values)


def shared_ids(files: dict[str, Arrays]) -> list[str]:
    """Problems: forget ids that also stand in another set, or twice in their own."""
    problems = []
    forget = files["forget"].ids
    for role, data in files.items():
        if data.ids is None or role == CONCEPTS:
            continue
        repeated = [value for value, count in Counter(_names(data.ids)).items() if count > 1]
        if repeated:
            problems.append(
                f"{len(repeated)} ids stand more than once in the {role} set (first: {repeated[0][:SHOWN]!r}): make "
                "them unique"
            )
        if role != "forget" and forget is not None:
            common = sorted(set(_names(forget)) & set(_names(data.ids)))
            if common:
                problems.append(
                    f"{len(common)} ids of the forget set also stand in the {role} set (first: {common[0][:SHOWN]!r}): "
                    f"remove them from the {role} set"
                )
    return problems


def _names(ids: np.ndarray[Any, Any]) -> list[str]:
    """Ids as text: 7 in one file and "7" in another are the same row."""
    return [str(value) for value in ids.tolist()]
