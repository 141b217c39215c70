"""The passphrase of a signing key: from the environment, from a file descriptor, or typed in."""

from __future__ import annotations

import getpass
import os
import sys

from audit.errors import UsageError

VARIABLE, DESCRIPTOR = "AUDIT_KEY_PASSPHRASE", "AUDIT_KEY_PASSPHRASE_FD"
LONGEST = 1024  # bytes


def passphrase(what: str, *, twice: bool = False) -> bytes:
    """The passphrase, from the first of: ``AUDIT_KEY_PASSPHRASE``, the open file descriptor whose number stands in
    ``AUDIT_KEY_PASSPHRASE_FD`` (its first line), the terminal.

    Args:
        what: what it is for, for the prompt and the message.
        twice: ask twice on a terminal, for a new key.

    Raises:
        UsageError: there is none, it is empty, or it is too long.
    """
    given = os.environ.get(VARIABLE)
    if given is None and os.environ.get(DESCRIPTOR):
        given = _from_descriptor(os.environ[DESCRIPTOR])
    if given is None:
        given = _typed(what, twice=twice)
    content = given.encode("utf-8", "surrogateescape")
    if not content or len(content) > LONGEST:
        raise UsageError(f"the passphrase of {what} is empty or longer than {LONGEST} bytes: choose another.")
    return content


def _from_descriptor(number: str) -> str:
    try:
        with os.fdopen(int(number), "rb") as stream:
            return stream.readline(LONGEST + 2).rstrip(b"\r\n").decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        raise UsageError(f"{DESCRIPTOR}={number!a} is no open file descriptor: open it for this process.") from None


def _typed(what: str, *, twice: bool) -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} needs a passphrase and there is no terminal to ask on: set {VARIABLE}, or {DESCRIPTOR} to the "
            "number of an open file descriptor, or make a key without one with audit keygen."
        )
    first = getpass.getpass(f"passphrase of {what}: ")
    if twice and getpass.getpass("again: ") != first:
        raise UsageError("the two passphrases differ: try again.")
    return first
