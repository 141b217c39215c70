"""What is wrong with a document of the user's, in words: the errors of its schema without the library's."""

from __future__ import annotations

from pydantic import ValidationError


def wrong_values(error: ValidationError) -> list[str]:
    """One line for each key or value that is wrong: ``section.key: what (got value)``."""
    return [_line(".".join(map(str, e["loc"])) or "document", e["type"], e["msg"], e["input"]) for e in error.errors()]


def _line(place: str, kind: str, message: str, got: object) -> str:
    if kind == "extra_forbidden":
        return f"{place}: there is no such key"
    shown = f" (got {got!r})" if isinstance(got, str | int | float | None) and kind != "json_invalid" else ""
    return f"{place}: {message.removeprefix('Value error, ')}{shown}"
