"""Problems of several files as one list: the same problem of many files is one line that names them all."""

from __future__ import annotations

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
