"""What two processes must have in common for a unit to come to the same in both."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

from audit.record.version import VERSION

COMPARED = ("torch", "numpy", "scipy", "scikit-learn")


class Unlike(ValueError):
    """A worker has other versions, or another network, than the process that sent it a unit."""


def versions() -> dict[str, str]:
    """Of this tool and of what it computes with."""
    return {"unlearn-audit": VERSION, **{name: importlib.metadata.version(name) for name in COMPARED}}


def check_versions(theirs: Mapping[str, str]) -> None:
    """Raises Unlike where those of the process that sent a unit are others than those here."""
    mine = versions()
    unlike = [f"{name} {mine.get(name)} and not {value}" for name, value in theirs.items() if mine.get(name) != value]
    if unlike:
        raise Unlike(f"a worker has {', '.join(unlike)}: bring it to the versions of this machine")
