"""The exception tree and the exit codes.

AuditError
├── UsageError       2   a flag, config file or policy is wrong
├── InputError       2   the inputs cannot be audited; carries every problem found, each with its remedy
└── CouldNotRun      4   the environment failed (unwritable folder, full disk, broken run directory)

Every message ends with what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


#: characters of a value in a message
BRIEF = 200


class ExitCode(IntEnum):
    """Exit status of the ``audit`` command."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    COULD_NOT_RUN = 4
    INTERRUPTED = 130
    NOT_READ = 141  # 128 + SIGPIPE, as a shell says it


class AuditError(Exception):
    """Base of all errors that the command line reports without a traceback."""

    exit_code = ExitCode.COULD_NOT_RUN


class UsageError(AuditError):
    """A flag, a config file or a policy is wrong."""

    exit_code = ExitCode.USAGE


class CouldNotRun(AuditError):
    """The environment kept the audit from running."""


class InputError(AuditError):
    """The inputs cannot be audited.

    Args:
        problems: every problem found, one sentence each, ending with the remedy. Never empty.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  {i}. {text}" for i, text in enumerate(self.problems, 1))
        super().__init__(f"{count} problem{'s' if count != 1 else ''} with the inputs:\n{lines}")


def wrong_values(error: ValidationError) -> list[str]:
    """One line for each key or value that is wrong: ``section.key: what (got value)``."""
    return [_line(".".join(map(str, e["loc"])) or "document", e["type"], e["msg"], e["input"]) for e in error.errors()]


def brief(value: object) -> str:
    """A value as a message shows it: short, on one line, whatever it is."""
    try:
        text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or nested without end
        text = f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= BRIEF else f"{text[:BRIEF]}..."


def _line(place: str, kind: str, message: str, got: object) -> str:
    place = place if len(place) <= BRIEF and place.isprintable() else brief(place)
    if kind == "extra_forbidden":
        return f"{place}: there is no such key"
    shown = f" (got {brief(got)})" if isinstance(got, str | int | float | None) and kind != "json_invalid" else ""
    return f"{place}: {message.removeprefix('Value error, ')}{shown}"
