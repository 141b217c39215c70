"""TOML that others wrote: whatever is wrong with it is one error, and no more is parsed than a person would write."""

from __future__ import annotations

import tomllib
from typing import Any

LONGEST = 256 * 1024  # bytes; the parser takes time that grows faster than the text


def parse_toml(content: bytes) -> dict[str, Any]:
    """The document that the bytes hold.

    Raises:
        ValueError: they are too many, no UTF-8, no TOML, nested too deeply, or hold a number of thousands of digits.
    """
    if len(content) > LONGEST:
        raise ValueError(f"more than {LONGEST} bytes")
    try:
        document = tomllib.loads(content.decode("utf-8"))
        if _beyond(document):
            raise ValueError("an integer of more than 64 bits")
        return document
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        raise ValueError(ascii(str(error))[1:-1][:300]) from None


def _beyond(value: object) -> bool:
    """Whether there is an integer that TOML does not admit."""
    if isinstance(value, dict | list):
        return any(_beyond(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not -(2**63) <= value < 2**63
