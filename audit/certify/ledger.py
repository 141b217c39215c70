"""The re-audit ledger: every look at one forget set spends its share of alpha (statistics.md 3.5).

Auditing again after an INCONCLUSIVE, or re-rolling the unlearning until one run passes, is optional stopping: five
uncorrected looks fail an honest retrain in 14 of 100 cases. Look l may spend alpha / (l (l + 1)); the sum over all
looks is alpha. The ledger is a JSON-lines file that the run names. Each line holds the SHA-256 of the one before it,
so that no line can be changed or removed from the middle unnoticed; the last entry's digest stands in the
certificate, which shows a cut end.

Its first line holds a random key. Forget sets are counted by their digest under that key: one ledger counts the same
content anywhere, in a copied folder too. Ledgers without that line are of an older version and count under the
project key.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from audit.errors import UsageError
from audit.inputs.data import Arrays
from audit.judge.looks import share
from audit.record.lines import append_line, mend_end, open_lines, read_all
from audit.record.readonce import read_once
from audit.record.run_records import LookRecord

from .chain import GENESIS, Entry, Ledger, checked, line, new_header
from .chain import digest as chain_digest


def read_ledger(path: Path) -> Ledger:
    """Read a ledger and check its chain; a missing file is an empty ledger.

    Raises:
        UsageError: this is no ledger, or no file that can be read.
        CouldNotRun: a line does not fit the one before it.
    """
    try:
        return checked(path, read_once(path))
    except FileNotFoundError:
        return Ledger(None, ())
    except OSError as error:
        raise _unusable(path, error) from error


def check_ledger(path: Path) -> None:
    """Find out early whether looks can be counted here; nothing is written.

    Raises:
        UsageError, CouldNotRun: see ``read_ledger``; also a folder or file that cannot be written.
    """
    read_ledger(path)
    place = path if path.exists() else next(parent for parent in path.absolute().parents if parent.exists())
    if not os.access(place, os.W_OK) or (place != path and not place.is_dir()):
        raise UsageError(f"the ledger {path} cannot be written: name a file in a writable folder with --ledger.")


def open_look(
    path: Path, *, forget: Callable[[bytes | None], str], unlearned: str, run_id: str, policy: tuple[str, str]
) -> LookRecord:
    """Count this look before anything is scored; a run that is continued keeps its look.

    Args:
        path: the ledger; made where it is missing.
        forget: digest of the forget set under the ledger's key, or without one (None) under the project key.
        unlearned: SHA-256 of the audited model.
        run_id: names the run.
        policy: name and SHA-256 of the policy.

    Raises:
        UsageError: the ledger cannot be used.
        CouldNotRun: its chain is broken.
    """
    with _locked(path) as (descriptor, ledger):
        digest = forget(None if ledger.header is None else bytes.fromhex(ledger.header.key))
        return _counted(descriptor, ledger, digest, unlearned, run_id, policy)


def look_again(path: Path, *, head: str, policy: tuple[str, str]) -> LookRecord:
    """Count one more look of a run that is judged again under another policy.

    Args:
        path: the ledger that the run declared.
        head: digest of the entry of the run's own look.
        policy: name and SHA-256 of the policy.

    Raises:
        UsageError: the ledger cannot be used, or does not hold that entry.
        CouldNotRun: its chain is broken.
    """
    missing = UsageError(
        f"the ledger {path} does not hold the look of this run: restore it, or name where it lies now with --ledger."
    )
    if not path.is_file():
        raise missing
    with _locked(path) as (descriptor, ledger):
        first = next((entry for entry in ledger.entries if entry.digest == head), None)
        if first is None:
            raise missing
        return _counted(descriptor, ledger, first.forget, first.unlearned, first.run_id, policy)


def counted_as(data: Arrays, project_key: bytes) -> Callable[[bytes | None], str]:
    """The digest of a forget set under a ledger's key, or without one (None) under the project key."""

    def digest(key: bytes | None) -> str:
        used = key or project_key
        return forget_digest(data.row_hashes() or [data.fingerprint(used).encode()], used)

    return digest


def forget_digest(rows: Sequence[bytes], key: bytes) -> str:
    """Keyed digest of the forget set's row hashes in any order: reordering the rows makes no new forget set."""
    digest = hashlib.blake2b(key=key[:64], digest_size=16)
    for row in sorted(rows):
        digest.update(row)
    return digest.hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[tuple[int, Ledger]]:
    """The ledger open for appending, with a header: two runs side by side must not take the same number."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_lines(path, mode=0o600) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            ledger = checked(path, read_all(descriptor))
            if ledger.unended:
                append_line(descriptor, b"", sync=True)
            elif ledger.torn:
                mend_end(descriptor)
            if ledger.head == GENESIS:
                header = new_header()
                append_line(descriptor, line(header), sync=True)
                ledger = Ledger(header, ())
            yield descriptor, ledger
    except OSError as error:
        raise _unusable(path, error) from error


def _counted(
    descriptor: int, ledger: Ledger, forget: str, unlearned: str, run_id: str, policy: tuple[str, str]
) -> LookRecord:
    mine = [entry for entry in ledger.entries if entry.forget == forget]
    found = next((entry for entry in mine if entry.run_id == run_id and _same_policy(entry, policy)), None)
    if found is None:
        fields = {
            "look": len(mine) + 1,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "forget": forget,
            "unlearned": unlearned,
            "run_id": run_id,
            "policy": policy[0],
            "policy_sha256": policy[1],
            "share": share(len(mine) + 1),
            "previous": ledger.head,
        }
        found = Entry.model_validate({**fields, "digest": chain_digest(fields)})
        append_line(descriptor, line(found), sync=True)
    return LookRecord(number=found.look, alpha=found.share, ledger_head=found.digest)


def _same_policy(entry: Entry, policy: tuple[str, str]) -> bool:
    return entry.policy_sha256 == policy[1] if entry.policy_sha256 else entry.policy == policy[0]


def _unusable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot use {path} as a ledger ({error.strerror or error}): name a file with --ledger.")
