"""What a new judgement takes from a run besides its evidence: the data's commitments, the configuration, the key.

`audit score` believes nothing in a run directory that the project key did not seal. The key itself stays beside the
forget set; ``private/`` says where. Who edits the run can name another key there, but only one of the user's own that
lies outside the run, and what that key did not seal is refused.
"""

from __future__ import annotations

import hmac
import json
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.errors import CouldNotRun, UsageError
from audit.inputs.case import KEY_NAME
from audit.inputs.data import Arrays
from audit.record.digest import KEY_BYTES, load_or_create_key
from audit.record.files import write_private
from audit.record.readonce import read_once, sha256_of
from audit.record.rundir import RunDir
from audit.record.seal import seal

COMMITMENTS, SEAL, PROJECT = "commitments.json", "kept.seal", "project"
LONGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Kept:
    """Sealed companions of the evidence.

    Attributes:
        commitments: keyed digest of every data file, by role.
        settings: ``config.toml``.
    """

    commitments: Mapping[str, str]
    settings: Mapping[str, Any]

    def ledger(self) -> Path:
        """The ledger that the run's configuration names.

        Raises:
            UsageError: it names none.
        """
        try:
            return Path(self.settings["claim"]["ledger"])
        except (KeyError, TypeError):
            raise UsageError(
                "the run counted a look, but its config.toml names no ledger: name it with --ledger."
            ) from None


def keep(run: RunDir, files: Mapping[str, Arrays], settings: str, project: Path, key: bytes) -> Kept:
    """Commit to every data file under the run's own random key, seal what stands beside the evidence.

    `audit purge` destroys the run's key: from then on nobody can test a guess against the certificate.

    Args:
        run: the run.
        files: data by role.
        settings: ``config.toml`` as the run wrote it.
        project: folder whose ``.audit/`` holds the project key.
        key: the project key.
    """
    own = load_or_create_key(run.commitment_key)
    commitments = {role: data.fingerprint(own) for role, data in files.items()}
    content = json.dumps(commitments, sort_keys=True).encode()
    write_private(run.private / COMMITMENTS, content)
    write_private(run.private / PROJECT, str(project.resolve()).encode("utf-8", "surrogateescape"))
    write_private(run.private / SEAL, _seal(key, content, settings.encode()).encode())
    return Kept(commitments, tomllib.loads(settings))


def read_kept(run: RunDir, key: bytes) -> Kept:
    """Read what ``keep`` sealed, each file once.

    Raises:
        CouldNotRun: something is missing, or is not what the audit wrote.
    """
    try:
        commitments, settings = read_once(run.private / COMMITMENTS, LONGEST), read_once(run.config, LONGEST)
        found = read_once(run.private / SEAL, LONGEST)
    except OSError as error:
        raise CouldNotRun(f"{run.path} has lost {error.filename}: restore it, or run the audit again.") from error
    if not hmac.compare_digest(found, _seal(key, commitments, settings).encode()):
        raise CouldNotRun(
            f"{run.path}: config.toml or the commitments are not what the audit wrote under this project key: restore "
            "them from a copy, or run the audit again (the same command continues it)."
        )
    return Kept(json.loads(commitments), tomllib.loads(settings.decode()))


def _seal(key: bytes, commitments: bytes, settings: bytes) -> str:
    return seal(key, "kept", {COMMITMENTS: sha256_of(commitments), "config.toml": sha256_of(settings)})


def find_key(run: RunDir, project: Path | None = None) -> tuple[bytes, Path]:
    """The project key of a run and the folder that it was found in; it is never made here.

    Args:
        run: the run.
        project: the folder whose ``.audit/`` holds the key; by default the one that the run noted.

    Raises:
        UsageError: the key is not there, or is none that this user alone could have put there.
        CouldNotRun: the run does not say where its project is.
    """
    folder = project or _noted(run)
    path = folder / KEY_NAME
    try:
        found = path.lstat()
        key = read_once(path, KEY_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"the project key {path} cannot be read ({error.strerror}), and without it nothing shows that the evidence "
            "is what the audit wrote: name the folder whose .audit/ holds it (that of the forget set) with --project."
        ) from None
    if len(key) != KEY_BYTES:
        raise UsageError(f"{path} is no project key: name the folder whose .audit/ holds it with --project.")
    inside = path.resolve().is_relative_to(run.path.resolve())
    if inside or not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.geteuid():
        raise UsageError(
            f"the project key {path} may be known to others (it lies in the run, is a link, or is not yours alone): "
            f"name your own project folder with --project, or `chmod 600 {path}` if it is."
        )
    return key, folder


def _noted(run: RunDir) -> Path:
    if not run.private.exists():
        raise CouldNotRun(
            f"{run.path} has no private part (purged, or no run): a purged run can be reported and verified, but "
            "not judged again."
        )
    try:
        noted = os.fsdecode(read_once(run.private / PROJECT, LONGEST))
        if "\0" in noted:
            raise CouldNotRun(
                f"{run.private / PROJECT} names no folder: name the one whose .audit/ it is with --project."
            )
        return Path(noted)
    except OSError:
        if not any(run.evidence.glob("*")):
            raise CouldNotRun(f"{run.path} holds no finished evidence: run the audit to its end first.") from None
        raise CouldNotRun(
            f"{run.path} was made by an older version or is not finished: nothing authenticates its evidence, so it is "
            "not judged again. Run the audit again: the same command makes it anew."
        ) from None
