"""The user's own functions, named as ``package.module:function``: found, and their errors put into one line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def describe(error: BaseException) -> str:
    """Type and first line of an error of code that is not ours."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"


def named_function(said: str, spec: str) -> Callable[..., Any]:
    """Import the function, also from the working directory.

    Args:
        said: where the user named it, the start of every message: ``--arch package.module:function``.
        spec: ``package.module:function``.

    Raises:
        ValueError: with the remedy.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise ValueError(f"{said} is not of the form package.module:function")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
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
