"""The share of alpha that one look at a forget set may spend (statistics.md 3.5)."""

from __future__ import annotations


def share(look: int) -> float:
    """1 / (l (l + 1)) of look l >= 1: 1/2, 1/6, 1/12, ... with sum 1."""
    return 1 / (look * (look + 1))
