"""What lies in a folder, by name alone: sets, index lists, models, and functions that may build the network.

Nothing is opened but Python files, whose text is parsed and never run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .adapters.formats import AMBIGUOUS, FOUND, TORCH_SUFFIXES, is_folder, suffix_of
from .indices import SUFFIXES as INDEX_SUFFIXES
from .source import DATA_SUFFIXES

MOST = 2000  # files that are looked at; our choice
DEEP = 2  # folders below the first; our choice
LONGEST = 2**20  # bytes of a Python file; our choice
WORDS = {
    "forget": ("forget", "forgotten", "unlearn", "delete", "deleted"),
    "retain": ("retain", "remain", "remaining", "retained"),
    "holdout": ("holdout", "heldout", "shadow"),
    "test": ("test", "val", "valid", "validation"),
    "auxiliary": ("auxiliary", "aux"),
    "data": ("train", "data", "dataset", "full"),
}
MODELS = {
    "original": ("original", "pretrained", "base", "before", "full"),
    "retrained": ("retrained", "retrain", "gold", "scratch", "oracle"),
    "unlearned": ("unlearned", "unlearn", "forgotten", "after", "ul"),
}
OUTPUTS = {"original", "unlearned", "retrained", "retrain"}  # words of an .npz that holds outputs, not a set
INDEX = ("index", "indices", "idx", "ids", "mask", "list", "split")


@dataclass
class Detected:
    """Paths by what they seem to be; several candidates stand in ``unclear``.

    Attributes:
        sets: by role, and ``data``.
        indices: by role.
        models: ``original``, ``unlearned``.
        retrained: references.
        arch: functions without arguments, as ``module:function``.
        unclear: what has several candidates, each with its paths.
    """

    sets: dict[str, Path] = field(default_factory=dict)
    indices: dict[str, Path] = field(default_factory=dict)
    models: dict[str, Path] = field(default_factory=dict)
    retrained: list[Path] = field(default_factory=list)
    arch: list[str] = field(default_factory=list)
    unclear: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """What an audit cannot be planned without, as keys of ``audit.toml``."""
        data = "forget" in self.sets or ("data" in self.sets and "forget" in self.indices)
        absent = [] if data else ["forget_index" if "data" in self.sets else "forget"]
        absent += [] if "unlearned" in self.models else ["unlearned"]
        return absent + (["arch"] if self.weights_alone and len(self.arch) != 1 else [])

    @property
    def weights_alone(self) -> bool:
        """A model is a file of weights, which a function of the user's builds the network for."""
        return any(suffix_of(path) in TORCH_SUFFIXES for path in (*self.models.values(), *self.retrained))


def detect(folder: Path) -> Detected:
    """What seems to lie in a folder."""
    found = Detected()
    candidates: dict[tuple[str, str], list[Path]] = {}
    for path in _walk(folder):
        place = _place(path)
        if place is not None:
            candidates.setdefault(place, []).append(path)
    for (kind, role), paths in candidates.items():
        if kind == "model" and role == "retrained":
            found.retrained = paths
        elif len(_nearest(paths)) == 1:
            target = {"set": found.sets, "index": found.indices, "model": found.models}[kind]
            target[role] = _nearest(paths)[0]
        else:
            found.unclear[f"{role} {kind}"] = paths
    if "forget" in found.sets:  # sets by role: a whole one beside them is what they were cut from
        found.sets.pop("data", None)
        found.indices.clear()
    found.arch = sorted(name for path in sorted(folder.glob("*.py")) for name in _factories(path))
    return found


def _nearest(paths: list[Path]) -> list[Path]:
    """Those in the upper folder; of one name the first format that is looked for."""
    least = min(len(path.parts) for path in paths)
    near = [path for path in paths if len(path.parts) == least]
    stems = {path.stem for path in near}
    return near[:1] if len(stems) == 1 else near


def _walk(folder: Path) -> Iterable[Path]:
    """Files and folders below, the upper ones first, in the order of their names; hidden ones and runs are left out."""
    level, seen = [folder], 0
    for _ in range(DEEP + 1):
        below: list[Path] = []
        for place in level:
            for path in sorted(place.iterdir()):
                seen += 1
                if seen > MOST or path.name.startswith((".", "_")) or path.name == "runs":
                    continue
                yield path
                if path.is_dir() and _place(path) is None:
                    below.append(path)
        level = below


def _place(path: Path) -> tuple[str, str] | None:
    """Kind and role by the words of the name."""
    words = [word for word in re.split(r"[^a-z]+", path.name.lower().removesuffix(suffix_of(path))) if word]
    suffix = suffix_of(path)
    if path.is_dir():
        if is_folder(path):
            return _role("model", words, MODELS)
        return _role("set", words, WORDS) if is_set(path) else None
    if suffix in INDEX_SUFFIXES and set(words) & set(INDEX):
        return _role("index", words, WORDS)
    if suffix in FOUND and suffix not in DATA_SUFFIXES:
        return _role("model", words, MODELS)
    if suffix in AMBIGUOUS and len(words) == 1 and words[0] in MODELS:  # the standard name alone, and no other model's
        return None if any(path.with_suffix(other).exists() for other in FOUND) else ("model", words[0])
    if suffix == ".npz":
        return _role("model", words, MODELS) if set(words) & OUTPUTS else _role("set", words, WORDS)
    if suffix == ".npy":
        return _role("set", words, WORDS) if set(words) & {"x", "images", "inputs", "features"} else None
    return _role("set", words, WORDS) if suffix in DATA_SUFFIXES else None


def is_set(path: Path) -> bool:
    """A folder that is one data set."""
    from .formats.hf import is_saved
    from .formats.images import is_folder_of_pictures

    return is_saved(path) or is_folder_of_pictures(path)


def _role(kind: str, words: list[str], known: Mapping[str, tuple[str, ...]]) -> tuple[str, str] | None:
    roles = [role for role, names in known.items() if set(words) & set(names)]
    if len(roles) > 1 and "data" in roles:  # x_train_forget is no train set
        roles.remove("data")
    return (kind, roles[0]) if len(roles) == 1 else None


def _factories(path: Path) -> list[str]:
    """What may build a network without an argument: functions, else classes; the file is parsed, never run."""
    try:
        if path.stat().st_size > LONGEST:
            return []
        tree = ast.parse(path.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and _builds(node)]
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and _is_network(node)]
    return [f"{path.stem}:{name}" for name in functions or classes]


def _needed(function: ast.FunctionDef) -> int:
    """How many arguments a call has to give."""
    arguments = function.args
    needed = len(arguments.args) + len(arguments.posonlyargs) - len(arguments.defaults)
    return needed + sum(default is None for default in arguments.kw_defaults)


def _is_network(node: ast.ClassDef) -> bool:
    """A class of networks whose instances need no argument beside ``self``; those made of others come with them."""
    starts = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"]
    return any("Module" in ast.unparse(base) for base in node.bases) and all(_needed(start) <= 1 for start in starts)


def _builds(function: ast.FunctionDef) -> bool:
    said = ast.unparse(function.returns) if function.returns else ""
    return not _needed(function) and not function.name.startswith("_") and (
        "Module" in said or bool(re.search(r"make|build|net|model|create|get", function.name.lower()))
    )  # fmt: skip
