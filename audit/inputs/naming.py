"""Names of files and arrays: which are refused, and how any name is shown in a message of one line."""

from __future__ import annotations

import unicodedata
from pathlib import Path

#: control characters, halves of pairs (bytes of a name that are no UTF-8), line and paragraph separators
ODD = ("Cc", "Cs", "Zl", "Zp")
#: characters that turn the direction of what follows: a name would read as another
TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LONGEST = 200  # characters of a name in a message


def is_odd(name: str) -> bool:
    """Whether a name holds characters that no report and no terminal shows as they are."""
    return any(_odd(character) for character in name)


def check_name(path: Path) -> None:
    """Refuse the name of a file that no report and no terminal can show.

    Raises:
        ValueError: with the remedy.
    """
    if is_odd(str(path)):
        raise ValueError(
            f"{shown(str(path))} has control characters, or bytes that are no UTF-8, in its name: rename it"
        )


def shown(name: str, longest: int = LONGEST) -> str:
    """A name for a message: one line, nothing that a terminal obeys, and no more than ``longest`` characters."""
    safe = "".join(_escaped(character) if _odd(character) else character for character in name)
    return safe if len(safe) <= longest else f"{safe[:longest]}..."


def listed(names: list[str], most: int = 8) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + more


def safe_lines(text: str) -> str:
    """A message as a terminal may have it: line ends stay, all else that it would obey is escaped."""
    return "".join(c if c == "\n" or not _odd(c) else _escaped(c) for c in text)


def _odd(character: str) -> bool:
    return unicodedata.category(character) in ODD or character in TURNING


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
