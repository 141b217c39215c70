"""Problems of several files as one list: the same problem of many files is one line that names them all."""

from __future__ import annotations

from audit.errors import AuditError

from .usercode import describe

#: files named in one line
MOST = 8
#: each missing file is a problem of its own
SINGLE = " does not exist"


class Gathered:
    """Problems in the order in which they were first met."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, where: str, message: str) -> None:
        """Keep a message that starts with the name of its file, ``where``; others are kept as they are."""
        rest = message.removeprefix(where)
        if rest == message or rest.startswith(SINGLE):
            self._places.setdefault(message, [])
        elif where not in self._places.setdefault(rest, []):
            self._places[rest].append(where)

    def lines(self) -> list[str]:
        """One line a problem."""
        return [f"{_named(places)}{rest}" for rest, places in self._places.items()]


def _named(places: list[str]) -> str:
    more = f" and {len(places) - MOST} more" if len(places) > MOST else ""
    return ", ".join(places[:MOST]) + more


class noted:  # noqa: N801 - a context manager, used like a function
    """Problems of one set are kept for the report of all."""

    def __init__(self, found: Gathered, where: str) -> None:
        self.found, self.where = found, where

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Keep the problem; errors of the tool itself and interruptions go on."""
        if error is None or isinstance(error, AuditError) or not isinstance(error, Exception):
            return False
        if isinstance(error, ValueError):
            for line in str(error).splitlines():
                self.found.add(self.where, line)
        else:  # whatever a file makes fail is a problem of that file
            self.found.add(self.where, f"{self.where} cannot be read ({describe(error)}): save it again")
        return True
