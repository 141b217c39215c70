"""A resolved configuration written as ``audit.toml``, so that the same audit can be asked for again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .config import Config


def to_toml(config: Config) -> str:
    """The resolved configuration as ``audit.toml`` (paths as given to this run)."""
    document = config.model_dump(mode="json", exclude_none=True)
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for section, table in document.items():
        if isinstance(table, dict):
            lines += _table(section, table)
    return "\n".join(lines) + "\n"


def _table(name: str, table: Mapping[str, Any]) -> list[str]:
    """A table with the tables inside it; empty ones inside are left out."""
    plain = [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    tables = {f"{name}.{key}": value for key, value in table.items() if isinstance(value, dict)}
    inside = [line for path, value in tables.items() for line in _table(path, value)]
    own = ["", f"[{name}]", *plain] if plain or "." not in name else []
    return [*own, *inside]


def _value(value: object) -> str:
    """Strings, numbers, booleans and lists are written alike in TOML and JSON."""
    return json.dumps(value, ensure_ascii=False)
