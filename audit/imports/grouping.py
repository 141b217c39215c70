"""Authors, documents or users of rows, as the user names them: what a claim counts by must not get lost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from audit.errors import InputError
from audit.inputs.naming import shown

from .layout import Log, mapping, read_json

POSITION = re.compile(r"(?:row|pop)?(\d+)")


def add_groups(logs: Mapping[str, Log], size: int | None, groups: Path | None, named: Log) -> None:
    """Give the rows of all logs their groups.

    Args:
        logs: by model.
        size: so many rows of a set in a row are of one author; None = not known. Ids are positions then.
        groups: file of JSON, ``{set: {id: author}}``, or None.
        named: takes the digest of that file.

    Raises:
        InputError: ids are no positions, or the file cannot be read.
    """
    if size is not None:
        for log in logs.values():
            for role, rows in log.sets.items():
                for key in dict.fromkeys(key for column in rows.signals.values() for key in column):
                    rows.groups[key] = f"{role}-{_position(key, role) // size}"
    if groups is None:
        return
    try:
        for role, authors in read_json(groups, named).items():
            for key, author in mapping(authors, f"{groups}: {role}").items():
                for log in logs.values():
                    if role in log.sets:
                        log.sets[role].groups[key] = str(author)
    except ValueError as error:
        raise InputError([str(error)]) from None


def refuse_ungrouped(groups: Mapping[str, Sequence[str]]) -> None:
    """Groups were asked for: the forget set has them, and no other set has some.

    Args:
        groups: of each set, one a row; "" = none.

    Raises:
        InputError: rows without one; a claim by author would become one by row, which finds too much in too few.
    """
    lacking = [
        f"{role}: {sum(not group for group in found)} of {len(found)} rows name no author: correct --group-key, "
        "--groups or --group-size, or leave it out (not every layout has a field for it)"
        for role, found in groups.items()
        if not all(found) and (role == "forget" or any(found))
    ]
    if lacking:
        raise InputError(lacking)


def _position(key: str, role: str) -> int:
    found = POSITION.fullmatch(key)
    if found is None:
        raise InputError([f"{role}: the id {shown(key)} is no position, so --group-size says nothing: --groups"])
    return int(found[1])
