"""Merge what is configured: flag > ``AUDIT_*`` variable > ``audit.toml`` > standard names beside the forget set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audit.errors import UsageError, brief, wrong_values
from audit.record.readonce import read_once
from audit.record.toml import LONGEST, parse_toml

from .beside import fill_in, folder_of
from .config import DATA_ROLES, INDEX_ROLES, Config
from .naming import is_odd, shown
from .options import hook_of

CONFIG_NAME = "audit.toml"

_INDICES = tuple(f"{role}_index" for role in INDEX_ROLES)

#: flag name -> (section, key); section "" is the top level
OPTIONS: dict[str, tuple[str, str]] = (
    {role: ("data", role) for role in (*DATA_ROLES, "data", *_INDICES)}
    | {key: ("data", key) for key in ("label", "classes", "scale", "channels", "preprocess")}
    | {
        key: ("model", key)
        for key in (
            "original",
            "unlearned",
            "retrained",
            "provenance",
            "runs",
            "arch",
            "unlearned_arch",
            "state_key",
            "output",
            "head",
            "predict",
            "probabilities",
            "layers",
            "trust_pickle",
        )
    }
    | {key: ("claim", key) for key in ("strata", "release", "ledger")}
    | {"claim": ("claim", "kind"), "split": ("claim", "split"), "access": ("claim", "access")}
    | {"sign_key": ("certificate", "sign_key"), "max_minutes": ("training", "max_minutes")}
    | {f"train_{key}": ("training", key) for key in ("references", "shadows", "pipelines")}
    | {key: ("training", key) for key in ("max_references", "store")}
    | {key: ("engine", key) for key in ("executor", "workers")}
    | {"attacks": ("attacks", "run")}
    | {key: ("attacks", key) for key in ("skip", "effort", "include_samples")}
    | {key: ("", key) for key in ("policy", "seed", "device", "out", "batch_size", "task")}
)
SECTIONS = ("data", "model", "scores", "recipe", "training", "attacks", "claim", "engine", "certificate")


def template() -> str:
    """The commented ``audit.toml`` that `audit init` writes."""
    return (resources.files("audit.inputs") / CONFIG_NAME).read_text(encoding="utf-8")


def resolve(
    flags: Mapping[str, Any],
    config_file: Path | None = None,
    *,
    variables: Mapping[str, str] | None = None,
    search: bool = True,
    discover: bool = True,
    tell: Callable[[str], None] = lambda _line: None,
) -> tuple[Config, dict[str, str]]:
    """Merge flags, environment, file and discovery.

    Args:
        flags: option name (as in ``OPTIONS``) -> value; None or empty = not given.
        config_file: an explicit ``audit.toml``; else the one in the working directory. One that lies beside the data
            is never read: it came with them, and a configuration names code, keys and trust.
        variables: in place of the environment's.
        search: look for an ``audit.toml`` where none is named.
        discover: take what lies beside the forget set under the standard names.
        tell: called with a line on every configuration that was found, before anything that it names is loaded.

    Returns:
        the configuration with absolute paths, and where each option came from.

    Raises:
        UsageError: unknown keys, wrong values, or an unreadable file.
    """
    given = {name: value for name, value in flags.items() if value is not None and value is not False}
    given = {name: value for name, value in given.items() if value not in ([], ())}  # 0 is a value
    origin = dict.fromkeys(given, "flag")
    for name in OPTIONS:
        variable = (os.environ if variables is None else variables).get(f"AUDIT_{name.upper()}")
        if name not in given and variable:
            given[name] = variable.split(os.pathsep) if name in ("retrained", "runs") else variable
            origin[name] = f"AUDIT_{name.upper()}"
    base = Path.cwd()
    found = base / CONFIG_NAME
    path = config_file or (found if search and found.is_file() else None)
    if path is not None and is_odd(str(path)):
        raise UsageError(f"{shown(str(path))} has control characters in its name: rename the file.")
    document = _read_toml(path) if path else {}
    for line in _config_lines(path, document, named=config_file is not None):
        tell(line)
    if path:
        origin |= {name: path.name for name, where in OPTIONS.items() if name not in given and _has(document, where)}
        _make_absolute(document, path.resolve().parent)
    for name, value in given.items():
        section, key = OPTIONS[name]
        target = document.setdefault(section, {}) if section else document
        target[key] = _absolute(value, base) if name in _PATHS else value
    for line in _unread_lines(path, folder_of(document.get("data", {}))) if search else ():
        tell(line)
    if discover:
        fill_in(document, origin)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise UsageError(
            f"{_place(path)}:\n  " + "\n  ".join(wrong_values(error)) + "\nSee `audit init` for every key."
        ) from None
    _check_texts(config, _place(path))
    return config, origin


def _place(path: Path | None) -> str:
    return "configuration" if path is None else f"configuration ({shown(str(path))}, flags and variables)"


def _check_texts(config: Config, place: str) -> None:
    """Refuse control characters; names of data and model files are refused with all else that is wrong with them."""
    document = config.model_dump(
        mode="json", exclude={"data": True, "model": {"original", "unlearned", "retrained", "runs"}}
    )
    odd = [f"{key}: {shown(text)}" for key, text in _texts("", document) if is_odd(text)]
    if odd:
        raise UsageError(
            f"{place}:\n  " + "\n  ".join(odd) + "\nTake control characters, and bytes that are no UTF-8, out of it."
        )


def _texts(key: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text of a configuration with its key."""
    if isinstance(value, str):
        yield key, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        if isinstance(name, str) and is_odd(name):
            yield shown(f"{key}.{name}"), name
        yield from _texts(f"{key}.{shown(str(name))}".strip("."), item)


_PATHS = {
    *DATA_ROLES,
    "data",
    *_INDICES,
    "original",
    "unlearned",
    "retrained",
    "runs",
    "out",
    "sign_key",
    "ledger",
    "store",
}


def _config_lines(path: Path | None, document: Mapping[str, Any], *, named: bool) -> list[str]:
    """Which file was read and every key that it sets."""
    if path is None:
        return []
    where = "named by --config" if named else "found in the working directory"
    return [f"configuration: {path} ({where}) sets {', '.join(_keys(document)) or 'nothing'}"]


def _unread_lines(path: Path | None, folder: Path | None) -> list[str]:
    """A configuration that lies beside the data and was not read."""
    beside = folder / CONFIG_NAME if folder else None
    if beside is None or not beside.is_file() or (path is not None and beside.samefile(path)):
        return []
    return [f"not read: {beside} came with the data; if it is yours, name it with --config"]


def _keys(document: Mapping[str, Any]) -> list[str]:
    """Every key of a document; those that name code, keys or trust with their value."""
    found = []
    for name, value in document.items():
        for key, item in (value if isinstance(value, dict) else {"": value}).items():
            dotted = f"{name}.{key}" if key else name
            dotted = dotted if dotted.isprintable() else ascii(dotted)
            telling = dotted in _TELLING or (name == "data" and hook_of(item) is not None)
            found.append(f"{dotted} = {item!r}" if telling else dotted)
    return found


_TELLING = (
    *("data.preprocess", "model.arch", "model.unlearned_arch", "model.predict", "model.trust_pickle"),
    *("recipe.train", "recipe.unlearn", "certificate.sign_key", "policy"),
)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        document = parse_toml(read_once(path, LONGEST + 1))
    except OSError as error:
        raise UsageError(f"cannot read {shown(str(path))} ({error.strerror}): `audit init` writes one.") from None
    except ValueError as error:
        raise UsageError(f"{shown(str(path))} is no valid TOML ({error}): correct it.") from None
    for section in SECTIONS:
        if not isinstance(document.get(section, {}), dict):
            raise UsageError(f"{path}: {section} must be a table [{section}]. See `audit init` for every key.")
    for key in ("forget", "data"):
        given = document.get("data", {}).get(key, "")
        if not isinstance(given, str):
            raise UsageError(f"{path}: data.{key} must be one path in quotes, got {brief(given)}.")
    return document


def _has(document: dict[str, Any], where: tuple[str, str]) -> bool:
    section, key = where
    return key in (document.get(section, {}) if section else document)


def _absolute(value: Any, base: Path) -> Any:
    if isinstance(value, list | tuple):
        return [_absolute(item, base) for item in value]
    return str(value) if hook_of(value) else str(base / str(value))


def _make_absolute(document: dict[str, Any], base: Path) -> None:
    for name in _PATHS:
        section, key = OPTIONS[name]
        table = document.get(section) if section else document
        if isinstance(table, dict) and key in table:
            table[key] = _absolute(table[key], base)
    policy = document.get("policy")
    if isinstance(policy, str) and policy.endswith(".toml"):
        document["policy"] = str(base / policy)
