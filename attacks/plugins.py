"""Attacks of other packages: entry points of the group ``audit.attacks``, and where an attack comes from.

An entry point names a module that defines subclasses of `attacks.base.Attack`. Installing such a package is a decision
of whoever runs the audit; the record and the certificate name it with its version. ``AUDIT_NO_PLUGINS=1`` loads none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import metadata

GROUP = "audit.attacks"


@cache
def load_plugins() -> None:
    """Import every module that an installed package names in the entry-point group; once a process."""
    if os.environ.get("AUDIT_NO_PLUGINS", "") in ("", "0"):
        for entry in sorted(metadata.entry_points(group=GROUP)):
            entry.load()


def distribution_of(attack: type) -> str:
    """Name and version of the package that an attack comes from; "" for the attacks of this tool."""
    package = attack.__module__.partition(".")[0]
    if package == "attacks":
        return ""
    names = _distributions().get(package)
    return f"{names[0]} {metadata.version(names[0])}" if names else f"{package} (no installed package)"


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Distributions by package: it reads the files of every installed one, which takes half a second."""
    return metadata.packages_distributions()
