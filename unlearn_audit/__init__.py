"""The same package under a name of its own: ``import unlearn_audit`` is ``import audit``.

Other projects are called ``audit``, too. Where one of them stands first on the path, this names its file; otherwise an
error would come from somewhere inside it.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_OURS = Path(__file__).resolve().parents[1] / "audit" / "__init__.py"


def _check() -> None:
    """Refuse another ``audit``.

    Raises:
        ImportError: the module that ``import audit`` finds is not the one beside this package.
    """
    loaded = sys.modules.get("audit")
    spec = find_spec("audit") if loaded is None else loaded.__spec__
    origin = getattr(spec, "origin", None)
    if origin is None or Path(origin).resolve() != _OURS:
        raise ImportError(
            f"another module named audit hides that of unlearn-audit: {origin or 'a folder without __init__.py'}. "
            "Uninstall it, rename it, or install unlearn-audit in an environment of its own."
        )


_check()


def main() -> None:
    """The command line."""
    from audit.__main__ import main as run

    run()


def __getattr__(name: str) -> Any:
    """What ``audit`` offers under this name."""
    return getattr(importlib.import_module("audit"), name)
