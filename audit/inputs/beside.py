"""What lies beside the forget set under the standard names: sets, models and retrains that nobody had to name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .adapters.formats import AMBIGUOUS, FOUND, is_folder, suffix_of
from .config import DATA_ROLES
from .options import hook_of

RETRAINED = re.compile(r"retrained(-\d+)?")


def folder_of(data: Mapping[str, Any]) -> Path | None:
    """The folder that the forget set, or the one data set, lies in; None where a function makes it."""
    given = [data[key] for key in ("forget", "data") if data.get(key) and hook_of(data[key]) is None]
    return Path(str(given[0])).parent if given else None


def fill_in(document: dict[str, Any], origin: dict[str, str]) -> None:
    """Fill in what lies beside the forget set under the standard names."""
    data, model = document.setdefault("data", {}), document.setdefault("model", {})
    folder = folder_of(data) if isinstance(data, dict) and isinstance(model, dict) else None
    if folder is None:
        return
    beside = str(data.get("forget") or data.get("data"))
    listed = [role for role in DATA_ROLES if f"{role}_index" in data] + (["retain"] if "data" in data else [])
    for role in [role for role in DATA_ROLES[1:] if role not in (*data, *listed)]:
        found = [folder / name for name in _standard_names(role, beside)]
        found = [path for path in found if path.is_file() or (path.is_dir() and Path(beside).is_dir())]
        if found:
            data[role], origin[role] = str(found[0]), "found beside the forget set"
    for role in ("original", "unlearned"):
        found = [folder / f"{role}{s}" for s in FOUND if (folder / f"{role}{s}").is_file()]
        found += [folder / role] if is_folder(folder / role) else []
        found = found or [folder / f"{role}{s}" for s in AMBIGUOUS if (folder / f"{role}{s}").is_file()]
        if role not in model and found:
            model[role], origin[role] = str(found[0]), "found beside the forget set"
    found = sorted(filter(_is_model, folder.glob("retrained*"))) if folder.is_dir() else []
    kind = Path(str(model.get("unlearned", ""))).suffix
    if not found and kind in AMBIGUOUS:
        found = sorted(path for path in folder.glob(f"retrained*{kind}") if RETRAINED.fullmatch(path.stem))
    if not model.get("retrained") and found:
        model["retrained"], origin["retrained"] = [str(p) for p in found], "found beside the forget set"


def _standard_names(role: str, forget: str) -> list[str]:
    """Names of a set beside the forget set: first in its format, then ``.npz``."""
    name = Path(forget).name
    first = [re.sub(r"(?<![a-z])forget(?![a-z])", role, name)] if re.search(r"(?<![a-z])forget(?![a-z])", name) else []
    return [*first, f"{role}{Path(forget).suffix}", f"{role}.npz"]


def _is_model(path: Path) -> bool:
    return is_folder(path) if path.is_dir() else suffix_of(path) in FOUND
