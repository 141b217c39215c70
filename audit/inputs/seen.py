"""What `audit inspect` says of one file: what it holds, what an audit would do with it, and what keeps it out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """One file as the auditor sees it, without any audit.

    Attributes:
        kind: the format in words ("PyTorch checkpoint, state dict under `model_state_dict`").
        facts: what it holds, one line each.
        uses: what an audit would do with it, one line each, down to the flag or key that names it.
        access: the most that an adversary could be given of it (labels | logits | features | weights); "" for data.
        problems: why an audit would turn it away, each with its remedy.
    """

    kind: str
    facts: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    access: str = ""
    problems: tuple[str, ...] = ()
