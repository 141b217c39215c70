"""The re-audit ledger: every look at one forget set spends its share of alpha (statistics.md 3.5).

Auditing again after an INCONCLUSIVE, or re-rolling the unlearning until one run passes, is optional stopping: five
uncorrected looks fail an honest retrain in 14 of 100 cases. Look l may spend alpha / (l (l + 1)); the sum over all
looks is alpha. The ledger is a JSON-lines file that the run names. Each entry holds the SHA-256 of the entry before
it, so that no entry can be changed or removed from the middle unnoticed; the last entry's digest stands in the
certificate, which shows a cut end.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from .errors import CouldNotRun
from .result import LookRecord, Record

GENESIS = "0" * 64


class Entry(Record):
    """One look.

    Attributes:
        look: number of this look at this forget set, from 1.
        time: when it was opened (UTC).
        forget: keyed digest of the forget set's rows in any order.
        unlearned: SHA-256 of the audited model.
        run_id: the run that looked.
        policy: its policy.
        share: part of the policy's alpha that this look may spend, 1 / (l (l + 1)).
        previous: ``digest`` of the entry before it, 64 zeros for the first.
        digest: SHA-256 of all of the above.
    """

    look: int
    time: str
    forget: str
    unlearned: str
    run_id: str
    policy: str
    share: float
    previous: str
    digest: str


def share(look: int) -> float:
    """1 / (l (l + 1)): 1/2, 1/6, 1/12, ... with sum 1."""
    return 1 / (look * (look + 1))


def read_ledger(path: Path) -> list[Entry]:
    """Read a ledger and check its chain; a missing file is an empty ledger.

    Raises:
        CouldNotRun: the file cannot be read, or an entry does not fit the one before it.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            return _checked(path, stream)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise CouldNotRun(f"cannot read the ledger {path} ({error}): name another with --ledger.") from error


def open_look(path: Path, *, forget: str, unlearned: str, run_id: str, policy: str) -> LookRecord:
    """Count this look before anything is scored; a run that is continued keeps its look.

    Args:
        path: the ledger; made where it is missing.
        forget: keyed digest of the forget set, from ``forget_digest``.
        unlearned: SHA-256 of the audited model.
        run_id: names the run.
        policy: name of the policy.

    Raises:
        CouldNotRun: the ledger cannot be written, or its chain is broken.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # two runs side by side must not take the same number
            stream.seek(0)
            entries = _checked(path, stream)
            mine = [entry for entry in entries if entry.forget == forget]
            found = next((entry for entry in mine if entry.run_id == run_id), None)
            if found is None:
                found = _entry(entries, len(mine) + 1, forget, unlearned, run_id, policy)
                stream.write(_line(found) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
    except (OSError, UnicodeDecodeError) as error:
        raise CouldNotRun(f"cannot use the ledger {path} ({error}): name another with --ledger.") from error
    return LookRecord(number=found.look, alpha=found.share, ledger_head=found.digest)


def forget_digest(rows: Sequence[bytes], key: bytes) -> str:
    """Keyed digest of the forget set's row hashes in any order: reordering the rows makes no new forget set."""
    digest = hashlib.blake2b(key=key[:64], digest_size=16)
    for row in sorted(rows):
        digest.update(row)
    return digest.hexdigest()


def _entry(entries: list[Entry], look: int, forget: str, unlearned: str, run_id: str, policy: str) -> Entry:
    fields = {
        "look": look,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "forget": forget,
        "unlearned": unlearned,
        "run_id": run_id,
        "policy": policy,
        "share": share(look),
        "previous": entries[-1].digest if entries else GENESIS,
    }
    return Entry.model_validate({**fields, "digest": _digest(fields)})


def _checked(path: Path, stream: IO[str]) -> list[Entry]:
    entries: list[Entry] = []
    looks: dict[str, int] = {}
    for number, line in enumerate(stream, 1):
        broken = CouldNotRun(
            f"{path}, line {number}: the ledger was edited (its chain of digests is broken). Restore it from a copy; a "
            "new ledger starts the count anew and says so in the certificate."
        )
        try:
            entry = Entry.model_validate_json(line)
        except ValidationError:
            raise broken from None
        fields = entry.model_dump(exclude={"digest"})
        looks[entry.forget] = looks.get(entry.forget, 0) + 1
        chained = entry.previous == (entries[-1].digest if entries else GENESIS)
        counted = entry.look == looks[entry.forget] and entry.share == share(entry.look)
        if not (chained and counted and entry.digest == _digest(fields)):
            raise broken
        entries.append(entry)
    return entries


def _digest(fields: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _line(entry: Entry) -> str:
    return json.dumps(entry.model_dump(), sort_keys=True)
