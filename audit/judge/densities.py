"""Score distributions in bins that single nobody out."""

from __future__ import annotations

from typing import Literal

import numpy as np

from attacks.base import Floats
from audit.record.attack_record import Series

from .scored import Scored

Role = Literal["unlearned", "original", "reference"]
#: what the series of a role is called
MODELS: dict[Role, str] = {"unlearned": "unlearned", "original": "original", "reference": "mean of retrained"}
BINS = 30  # before joining
#: Rows of its side that a bin must hold (our choice; the threshold rule of statistical disclosure control, Hundepool
#: et al. 2012, with the usual count of 5). Who has the model can compute the score of any row: a bin with one row would
#: tell that it may well be in the set, a bin that is surely empty that it is not. So a bin shown empty has 0 to 4 rows.
LEAST = 5


def histograms(item: Scored, references: int) -> list[Series]:
    """Densities of forget and holdout scores on the unlearned model, the original and the references.

    All start from the same edges; each joins its own bins. Sides of fewer than ``LEAST`` rows are left
    out: even one bin would single them out.
    """
    sides, control = item.sides(), item.sides(control=True)
    if sides is None or min(side.shape[1] for side in sides) < LEAST:
        return []
    models: dict[Role, tuple[Floats, Floats]] = {"unlearned": (sides[0][:1], sides[1][:1])}
    if control is not None:
        models["original"] = (control[0][:1], control[1][:1])
    if references:
        models["reference"] = (sides[0][1:], sides[1][1:])
    edges = _edges([side for pair in models.values() for side in pair])
    found = []
    for role, pair in models.items():
        for name, side in (("forget", pair[0]), ("holdout", pair[1])):
            x, y = _density(side, edges)
            found.append(Series(name=MODELS[role], role=role, side=name, x=x, y=y))  # type: ignore[arg-type]
    return found


def _edges(sides: list[Floats]) -> Floats:
    """Round edges around the middle 99 % of every model's scores: no edge is the score of a row."""
    cuts = np.array([np.quantile(scores, (0.005, 0.995)) for side in sides for scores in side])
    low, high = float(cuts[:, 0].min()), float(cuts[:, 1].max())
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-6):  # one score for all
        width = max(abs(low) * 0.1, 0.1)
        low, high = low - width, high + width
    step = _round_step((high - low) / BINS)
    first, last = np.floor(low / step), np.ceil(high / step)
    return np.arange(first, max(last, first + 1) + 1) * step


def _round_step(width: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least ``width``."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= width * (1 - 1e-9)))


def _density(side: Floats, edges: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Edges and densities of one side, (models, rows): the mean over models, in bins of at least ``LEAST`` rows."""
    models, rows = side.shape
    counts = np.zeros(len(edges) - 1, dtype=np.int64)
    for scores in side:
        counts += np.bincount(np.searchsorted(edges[1:-1], scores, side="right"), minlength=len(counts))
    bins = _joined(counts.tolist(), LEAST * models)
    x = (float(edges[0]), *(float(edges[end]) for _, end in bins))
    y = tuple(count / models / rows / (b - a) for (count, _), a, b in zip(bins, x[:-1], x[1:], strict=True))
    return x, y


def _joined(counts: list[int], least: int) -> list[tuple[int, int]]:
    """Join thin neighbours; what stays thin goes to the nearest bin. (Count, index of the right edge) of each bin."""
    bins: list[tuple[int, int]] = []
    gathered = 0
    for end, count in enumerate(counts, 1):
        if gathered and count >= least:  # a full bin stands alone
            bins.append((gathered, end - 1))
            gathered = 0
        gathered += count
        if gathered == 0 or gathered >= least:
            bins.append((gathered, end))
            gathered = 0
    if gathered:
        bins.append((gathered, len(counts)))
    full = [i for i, (count, _) in enumerate(bins) if count >= least]
    given = [count if count >= least else 0 for count, _ in bins]
    for i, (count, _) in enumerate(bins):
        if 0 < count < least:
            given[min(full, key=lambda at: abs(at - i))] += count
    return [(count, end) for count, (_, end) in zip(given, bins, strict=True)]
