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
        return tomllib.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        raise ValueError(ascii(str(error))[1:-1][:300]) from None
