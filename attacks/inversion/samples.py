"""Pictures of deleted rows beside their reconstructions, kept only where ``--include-samples`` asks for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import ChartSpec, Floats, Ints, Plot, Signals

from .matching import is_picture

PAIRS = 4  # our choice: rows shown a model, those that came back best; each is two of the eight pictures of a grid
CHANNELS = 4  # more of them are no colours
KEY = "pictures"
GRID = ChartSpec(
    "grid",
    "Deleted rows and their reconstructions",
    plot=KEY,
    note="True pictures of the forget set, shown because --include-samples asked for them: this report is personal "
    "data. Each model's own best-matched rows; colours are averaged to grey.",
)
NO_PICTURES = (
    "no pictures to show (--include-samples): a row's input has no shape (channels, height, width) of at most four "
    "channels"
)
UNMOVED = "no pictures to show (--include-samples): the weights did not move"


def shown(
    found: Floats, rows: Floats, similarity: Floats, pairs: tuple[Ints, Ints], span: tuple[float, float]
) -> Floats:
    """Grey levels in [0, 1] of true picture and reconstruction, (t, 2, h, w), the best pairs first.

    Args:
        found: (k, ...) reconstructions.
        rows: (n, ...) inputs.
        similarity: (k, n) of both.
        pairs: which reconstruction belongs to which row, (m,) indices each.
        span: lowest and highest value of an input.

    Returns:
        t = 0 where rows are no pictures.
    """
    if not is_picture(rows.shape[1:]) or rows.shape[1] > CHANNELS:
        return np.zeros((0, 2, 1, 1))
    one, two = pairs
    best = np.argsort(-similarity[one, two], kind="stable")[:PAIRS]
    both = np.stack([rows[two[best]], found[one[best]]], axis=1).mean(axis=2)
    low, high = span
    return np.asarray(np.clip((both - low) / (high - low), 0, 1))


def plots(signals: Sequence[Signals]) -> dict[str, Plot]:
    """The grid of J models; nothing where the first has none. Models without pictures of their own are blank."""
    first = signals[0].get(KEY)
    if first is None or not len(first):
        return {}
    found = [s[KEY] if s[KEY].shape == first.shape else np.zeros_like(first) for s in signals]
    flat = np.stack(found).reshape(len(found), -1, *first.shape[2:])
    rows = tuple(f"{what} {k + 1}" for k in range(len(first)) for what in ("true", "found"))
    return {KEY: Plot(flat, rows=rows)}


def sentence(signals: Signals) -> tuple[str, ...]:
    """What is shown of the audited model, or why there is nothing to show; nothing where it was not asked for."""
    pictures = signals.get(KEY)
    if pictures is None:
        return ()
    if len(pictures):
        return (f"pictures of {len(pictures)} forget rows are kept (--include-samples): this run is personal data",)
    return (UNMOVED if signals["length"][0] == 0 else NO_PICTURES,)
