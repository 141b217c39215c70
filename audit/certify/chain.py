"""The lines of a re-audit ledger: their records, and the chain of digests that holds them together."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from audit.errors import CouldNotRun, UsageError
from audit.judge.looks import share
from audit.record.attack_record import Record
from audit.record.digest import KEY_BYTES

GENESIS = "0" * 64


class Header(Record):
    """The first line.

    Attributes:
        ledger: version of the format.
        key: random key of the forget sets' digests, in hex.
        digest: SHA-256 of both.
    """

    ledger: int
    key: str
    digest: str


class Entry(Record):
    """One look.

    Attributes:
        look: number of this look at this forget set, from 1.
        time: when it was opened (UTC).
        forget: keyed digest of the forget set's rows in any order.
        unlearned: SHA-256 of the audited model.
        run_id: the run that looked.
        policy: name of its policy.
        policy_sha256: digest of its policy; "" in ledgers of an older version.
        share: part of the policy's alpha that this look may spend, 1 / (l (l + 1)).
        previous: ``digest`` of the line before it, 64 zeros where there is none.
        digest: SHA-256 of all of the above.
    """

    look: int
    time: str
    forget: str
    unlearned: str
    run_id: str
    policy: str
    policy_sha256: str = ""
    share: float
    previous: str
    digest: str


@dataclass(frozen=True)
class Ledger:
    """A ledger whose chain holds.

    Attributes:
        header: its key; None in a ledger of an older version, and where it is empty.
        entries: the looks.
        unended: the last look has lost the end of its line.
        torn: behind the last look lies the beginning of a line whose writing was interrupted.
    """

    header: Header | None
    entries: tuple[Entry, ...]
    unended: bool = False
    torn: bool = False

    @property
    def head(self) -> str:
        """Digest of the last line."""
        if self.entries:
            return self.entries[-1].digest
        return GENESIS if self.header is None else self.header.digest


def new_header() -> Header:
    """A random key for a new ledger."""
    fields = {"ledger": 1, "key": secrets.token_hex(KEY_BYTES)}
    return Header.model_validate({**fields, "digest": digest(fields)})


def checked(path: Path, content: bytes) -> Ledger:
    """Read all lines of a ledger and check that each fits the one before it.

    A last line without its end is an interrupted append, and no edit. Where it is a look that fits, it counts: only
    its end was lost. Else it was never counted, and is left out.

    Args:
        path: of the ledger, for messages.
        content: its bytes.

    Raises:
        UsageError: this is no ledger.
        CouldNotRun: a line does not fit.
    """
    *lines, rest = content.split(b"\n")
    ledger = _chained(path, lines)
    if not rest:
        return ledger
    if not lines and not _begun(rest):
        _chained(path, [rest])  # raises where it is no ledger
    try:
        return replace(_chained(path, [*lines, rest]), unended=True)
    except (CouldNotRun, UsageError):
        return replace(ledger, torn=True)


def _begun(rest: bytes) -> bool:
    """Could a header have been interrupted here? Zeros are what a power failure leaves of a file that had grown."""
    pattern = line(new_header())
    hexadecimal = set(b"0123456789abcdef")
    same = (a == b or {a, b} <= hexadecimal for a, b in zip(rest, pattern, strict=False))
    return not rest.strip(b"\0") or (len(rest) < len(pattern) and all(same))


def _chained(path: Path, lines: Sequence[bytes]) -> Ledger:
    """Whole lines as a ledger."""
    header = _header(path, lines[0]) if lines else None
    start = 0 if header is None else 1
    entries: list[Entry] = []
    looks: dict[str, int] = {}
    for number, text in enumerate(lines[start:], start + 1):
        try:
            entry = Entry.model_validate_json(text)
        except ValidationError:
            raise _broken(path, number) from None
        looks[entry.forget] = looks.get(entry.forget, 0) + 1
        chained = entry.previous == Ledger(header, tuple(entries[-1:])).head
        counted = entry.look == looks[entry.forget] and entry.share == share(entry.look)
        if not (chained and counted and entry.digest == digest(_fields(entry))):
            raise _broken(path, number)
        entries.append(entry)
    return Ledger(header, tuple(entries))


def _header(path: Path, text: bytes) -> Header | None:
    """The key of a ledger; None in a ledger of an older version, which begins with a look."""
    try:
        header = Header.model_validate_json(text)
    except ValidationError:
        try:
            Entry.model_validate_json(text)
        except ValidationError:
            raise no_ledger(path) from None
        return None
    if header.ledger != 1:
        raise UsageError(f"the ledger {path} is of a newer version: use the version of this tool that wrote it.")
    if header.digest != digest(header.model_dump(exclude={"digest"})) or len(header.key) != 2 * KEY_BYTES:
        raise _broken(path, 1)
    return header


def _fields(entry: Entry) -> dict[str, object]:
    """What the digest covers: an entry of an older version has no digest of its policy."""
    fields = entry.model_dump(exclude={"digest"})
    return fields if entry.policy_sha256 else {k: v for k, v in fields.items() if k != "policy_sha256"}


def digest(fields: dict[str, object]) -> str:
    """SHA-256 of a line's fields."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def line(record: Header | Entry) -> bytes:
    """A record as a line, without its end."""
    return json.dumps(record.model_dump(), sort_keys=True).encode()


def _broken(path: Path, line: int) -> CouldNotRun:
    return CouldNotRun(
        f"{path}, line {line}: the ledger was edited (its chain of digests is broken). Restore it from a copy; a new "
        "ledger starts the count anew and says so in the certificate."
    )


def no_ledger(path: Path) -> UsageError:
    """The file holds something else."""
    return UsageError(f"{path} is no ledger: name a ledger, or a file that does not exist yet, with --ledger.")
