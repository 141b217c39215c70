"""Evidence is scored by the version of each attack that made its signals, and by no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attacks.base import Attack
from audit.errors import CouldNotRun

from .evidence import Evidence


def refuse_other_versions(
    path: Path, evidence: Evidence, recorded: Mapping[str, str], suite: Mapping[str, type[Attack]]
) -> None:
    """Signals of one version of an attack mean nothing to another.

    Args:
        path: of the run, for the message.
        evidence: says which attacks ran, and of which version where a tool of this version wrote it.
        recorded: versions by attack as the run's record states them.
        suite: the attacks that are installed.

    Raises:
        CouldNotRun: an attack that ran is of another version now, or is not installed.
    """
    ran = {run.name: run.version or recorded.get(run.name, "") for run in evidence.facts.attacks if run.status == "ok"}
    now = {name: suite[name].version if name in suite else "" for name in ran}
    other = [
        f"{name} (version {was or 'unknown'} then, {now[name] or 'not installed'} now)"
        for name, was in ran.items()
        if was != now[name]
    ]
    if other:
        raise CouldNotRun(
            f"{path}: other versions of its attacks are installed now: {', '.join(other)}. Run the audit again, or "
            f"judge it with unlearn-audit {evidence.facts.tool_version}; record and certificate stay what they are."
        )
