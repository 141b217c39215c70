"""The user's own functions, named as ``package.module:function``: found, and their errors put into one line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from audit.errors import CouldNotRun
from audit.record.digest import sha256_file

from .contained import Meddling, contained, timed


def describe(error: BaseException) -> str:
    """Type and first line of an error of code that is not ours."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"


def named_function(said: str, spec: str) -> Callable[..., Any]:
    """Import the function, also from the working directory.

    The module that the user names is taken from there first; everything else that is imported, then or later, is the
    library's or the tool's own before a file of the working directory can take its place.

    Args:
        said: where the user named it, the start of every message: ``--arch package.module:function``.
        spec: ``package.module:function``.

    Raises:
        ValueError: with the remedy.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise ValueError(f"{said} is not of the form package.module:function")
    try:
        with contained(said), timed(said):
            module = _import(module_name)
    except Meddling:
        raise
    except ImportError as error:
        raise ValueError(
            f"{said}: cannot import {module_name} ({error}): run from the folder that holds it, or install it"
        ) from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ValueError(f"{said}: importing {module_name} fails ({describe(error)}): repair it") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ValueError(f"{said}: {module_name} has no function {attribute!r}: name the function as it is written")
    return function  # type: ignore[no-any-return]


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and _Last(here) not in sys.meta_path:
        sys.meta_path.append(_Last(here))
    package = name.partition(".")[0]
    if package not in sys.modules and package not in sys.stdlib_module_names:
        _import_from(here, package)
    return importlib.import_module(name)


@dataclass(frozen=True)
class _Last:
    """Finds in a folder what nothing else finds: a file there must not shadow what the tool or a library imports.

    The end of ``sys.path`` would not do: packages that are installed to be edited are found after it.
    """

    folder: str

    def find_spec(self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [self.folder]) if path is None else None


def _import_from(folder: str, package: str) -> None:
    """Import a package or module of a folder before any other of its name; nothing where the folder has none."""
    spec = PathFinder.find_spec(package, [folder])
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(package, None)
        raise


def source_digest(spec: str) -> str:
    """SHA-256 of the source file of the module in ``package.module:name``, which has been imported."""
    file = getattr(sys.modules[spec.partition(":")[0]], "__file__", None)
    try:
        return sha256_file(Path(file)) if file else ""
    except CouldNotRun:  # a module in an archive
        return ""
