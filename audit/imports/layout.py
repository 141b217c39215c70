"""What the reader of a layout gives: rows of named sets, each with an id and named signals; and how it reads values."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from attacks.tasks.scores import MOST
from audit.errors import brief
from audit.inputs.naming import shown
from audit.record.readonce import read_once, sha256_of

LARGEST = 2**31  # bytes of one log, our choice: it is held in memory, and parsed it takes about five times as much


@dataclass
class Rows:
    """Rows of one set, as one model was asked for them.

    Attributes:
        signals: by name, a number for each id; None where the log has null.
        origin: by name of the signal, what it was read from and whether it was turned, in words.
        groups: author, document or user of an id, where the log tells it.
        texts: what the row is in words, by id; private.
        checks: of an id, what must be the same in every model, for instance a hash of the document.
    """

    signals: dict[str, dict[str, float | None]] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, values: dict[str, float | None], origin: str) -> None:
        """One more signal, unless there is one of this name."""
        if values and name not in self.signals:
            self.signals[name], self.origin[name] = values, origin


@dataclass
class Log:
    """One model's log.

    Attributes:
        sets: rows by set.
        digests: SHA-256 of each file that was read, by its place in the folder that was given, ``<set>/<name>`` where
            a set has a file of its own, else its name: nothing of the user's other directories.
        said: what was left out, and why, or noticed, one line each.
        own: direction of signals that are not of the vocabulary.
    """

    sets: dict[str, Rows] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    own: dict[str, str] = field(default_factory=dict)

    def keep(self, name: str, digest: str) -> None:
        """The digest of a file. Raises ValueError where another one has that name already."""
        if self.digests.setdefault(name, digest) != digest:
            raise ValueError(f"{shown(name)} changed while it was read, or two files have that name: rename one")


class Layout(ABC):
    """How one tool writes what it measured.

    Attributes:
        name: on the command line.
        words: what is read, in one line for the help.
        sets: which name of the log each set is by default; "" where the user has to say it.
        meaning: what a name of the log is, for messages.
        global_ids: ids name rows of all sets; else those of one set, and the set's name is put before them.
    """

    name: ClassVar[str]
    words: ClassVar[str]
    sets: ClassVar[Mapping[str, str]]
    meaning: ClassVar[str]
    global_ids: ClassVar[bool] = False

    @abstractmethod
    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:
        """One model's log.

        Args:
            source: file or folder, as the user gave it.
            names: of the log, by set.
            group_key: field of a row that names its author, document or user; None = none.

        Raises:
            ValueError: with the file, the row, and the remedy.
        """


def read_bytes(path: Path, log: Log, name: str = "") -> bytes:
    """The bytes of a file; its digest is kept under ``name``, by default that of the file.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        content = read_once(path, LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{shown(str(path))} cannot be read ({error.strerror}): name a readable file") from None
    if len(content) > LARGEST:
        raise ValueError(f"{shown(str(path))} is larger than 2 GiB: divide it by sets or leave generations out")
    log.keep(name or path.name, sha256_of(content))
    return content


def read_json(path: Path, log: Log, name: str = "") -> dict[str, Any]:
    """A file that holds one object of JSON.

    Raises:
        ValueError: it does not.
    """
    found = parsed(read_bytes(path, log, name), shown(str(path)))
    if not isinstance(found, dict):
        raise ValueError(f"{shown(str(path))} holds no object of JSON, but {brief(found)}: name the log itself")
    return found


def read_lines(path: Path, log: Log, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file with one a line (JSON Lines), each with the place for messages.

    Raises:
        ValueError: a line is no object.
    """
    for number, line in enumerate(read_bytes(path, log, name).splitlines(), 1):
        if line.strip():
            where = f"{shown(str(path))}, line {number}"
            found = parsed(line, where)
            if not isinstance(found, dict):
                raise ValueError(f"{where}: no object of JSON: one sample a line is expected")
            yield where, found


def parsed(content: bytes, where: str) -> Any:
    """JSON, whose keys stand once in an object.

    Raises:
        ValueError: it is none; ``where`` stands in the message.
    """
    try:
        return json.loads(content, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError(f"{where} nests without end: name the log itself") from None
    except ValueError as error:  # of JSON, of UTF-8, or a key that stands twice
        raise ValueError(f"{where} is no JSON ({brief(str(error))}): name the file as the tool wrote it") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {brief(twice)} stands twice")
    return found


def number(value: Any, where: str) -> float | None:
    """A finite number, also where it is written as text, as lm-evaluation-harness does; None for null.

    Raises:
        ValueError: anything else; NaN is no null, true no number, and none is larger in size than ``MOST``.
    """
    if value is None:
        return None
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(
            f"{where} is {brief(value)}, no finite number: evaluate that row again, or write null where it has no value"
        )
    if abs(found) > MOST:
        raise ValueError(f"{where} is {brief(value)}, larger in size than {MOST:g}: no score is; evaluate it again")
    return found


def mapping(value: Any, where: str) -> dict[str, Any]:
    """An object of JSON. Raises ValueError where it is none."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {brief(value)}, no object: name the file as the tool wrote it")
    return value


def within(path: Path, folder: Path) -> str:
    """The place of a file in the folder that was given, for the record; its name where the file itself was given."""
    return path.name if path == folder else path.relative_to(folder).as_posix()


def the_file(source: str, *names: str) -> Path:
    """The file that was named, or the one of these names in the folder that was.

    Raises:
        ValueError: there is none, or several.
    """
    path = Path(source)
    if not path.is_dir():
        return path
    found = [path / name for name in names if (path / name).is_file()]
    if len(found) != 1:
        held = ", ".join(p.name for p in found) or "none"
        raise ValueError(f"{shown(source)} holds {held} of {', '.join(names)}: name the file")
    return found[0]
