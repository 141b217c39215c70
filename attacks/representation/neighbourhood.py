"""Neighbourhood: do the features of a row lie closer to retained rows than never having seen it would explain?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Case, ChartSpec, Floats, Plot, Scores, Signals, View
from attacks.calibration import FEATURES_REMEDY, calibrated, out_of_line
from attacks.describe import beside, by_layer
from attacks.fits import fit_rows
from attacks.representation.layers import (
    FEATURES,
    drawn,
    layer_names,
    profiles,
    read,
    readable,
)
from attacks.signals import contrast
from attacks.standard import standard_of

BLOCK = 256  # rows whose cosines to the bank are held at once
WIDER = 20  # our choice: the second number of neighbours
NO_SIDE = "a known class lies nearer to the retained rows in one network, farther in another"
SIDES = ("forget", "holdout")
CONSTANT = "the features of the audited model do not vary over the rows that are scored"


class Neighbourhood(Attack):
    """Mean cosine of a row's standardised features to its k nearest retained rows, whatever their labels.

    The cosines of forget and holdout rows, calibrated on the references like the membership score; higher = closer to
    what the model was trained on. The same contrast layer by layer, not calibrated, stands in the details. Class claims
    are left out: on digits the side on which a known class lies changes from one network to the next. At most ``BLOCK``
    x ``max_rows`` cosines are held at once.
    """

    name = "neighbourhood"
    title = "Cosine to the nearest retained rows"
    access = Access.FEATURES
    features_alone = True
    signal = "features"
    symmetric = True
    reads_layers = True
    source = "in the spirit of RULER, arXiv 2605.27569; statistic and defaults are ours"
    charts = (
        *PER_EXAMPLE,
        ChartSpec("lines", "Neighbourhood cosine by layer", x="layer", y="difference in cosine", plot="profile"),
    )
    efforts: ClassVar = {"quick": {"max_rows": 1_000, "profile_rows": 128}, "thorough": {"max_rows": 20_000}}

    def __init__(self, *, k: int = 5, max_rows: int = 5_000, profile_rows: int = 512) -> None:
        """Set the neighbourhood and its limits.

        Args:
            k: nearest retained rows, >= 1.
            max_rows: at most this many retained rows to be near to, >= 50.
            profile_rows: at most this many rows a side for the profile over layers, >= 16.
        """
        super().__init__()
        if k < 1 or max_rows < 50 or profile_rows < 16:
            raise ValueError("neighbourhood: k must be >= 1, max_rows >= 50 and profile_rows >= 16")
        self.parameters = {"k": k, "max_rows": max_rows, "profile_rows": profile_rows}

    def applicable(self, case: Case) -> str:
        """A class that is known has no side of its own."""
        return NO_SIDE if case.kind == "class" else ""

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Cosines of every row of both sides for two numbers of neighbours, and the contrast of each layer."""
        bank, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        counts = (int(self.parameters["k"]), WIDER)
        signals: dict[str, Floats] = {}
        found = _cosines(read(view, "retain", FEATURES)[bank], [read(view, role, FEATURES) for role in SIDES], counts)
        for role, near in zip(SIDES, found, strict=True):
            signals |= {role: near[0], f"{role}_wider": near[1]}
        rows = [drawn(len(case.labels[role]), int(self.parameters["profile_rows"]), rng) for role in SIDES]
        layers = []
        for layer in readable(view):
            chosen = [read(view, role, layer)[index] for role, index in zip(SIDES, rows, strict=True)]
            near_each = _cosines(read(view, "retain", layer)[bank], chosen, counts[:1])
            layers.append(near_each[0][0].mean() - near_each[1][0].mean())
        return signals | {"layers": np.array(layers), "bank": np.array([len(bank)])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated cosines; the profile beside that of the references."""
        focus, other = SIDES
        rows = np.concatenate([signals[0][focus], signals[0][other]])
        wider, _ = contrast([s[f"{focus}_wider"] for s in signals], [s[f"{other}_wider"] for s in signals])
        details = [
            f"cosines to the {self.parameters['k']} nearest of {int(signals[0]['bank'][0])} retained rows, "
            f"{len(signals[0][focus])} {focus} rows against {len(signals[0][other])} {other} rows",
            f"{focus} minus {other} with {WIDER} neighbours: {beside(wider)}",
        ]
        plots = {}
        layers = profiles(signals, "layers")
        if layers is not None:
            names = layer_names(layers.shape[1])
            details.append(f"{focus} minus {other} by layer: {by_layer(layers, names)}")
            plots["profile"] = Plot(layers, ticks=names)
        labels = np.concatenate([case.labels[role] for role in (focus, other)])
        values = np.stack([np.concatenate([s[focus], s[other]]) for s in signals])
        examples = calibrated(values, labels)
        invalid = CONSTANT if np.ptp(rows) == 0 else out_of_line(examples, "features")
        return Scores(examples=examples, invalid=invalid, remedy=FEATURES_REMEDY, details=tuple(details), plots=plots)


def _cosines(bank: Floats, sides: Sequence[Floats], counts: Sequence[int]) -> list[list[Floats]]:
    """Mean cosine to the nearest bank rows: for each side, for each number of neighbours, (n,) in [-1, 1].

    Features are standardised unit by unit on the bank, with rows of both sides alike as floor of the spread.
    """
    standard = standard_of(bank, np.concatenate(list(sides)))
    near = unit_rows(standard(bank))
    return [nearest(unit_rows(standard(side)), near, counts) for side in sides]


def unit_rows(values: Floats) -> Floats:
    """Rows of length one, (n, d); a row of zeros stays one."""
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(norm > 0, norm, 1.0))


def nearest(rows: Floats, bank: Floats, counts: Sequence[int]) -> list[Floats]:
    """Mean cosine of unit rows (n, d) to their nearest unit bank rows (m, d), for each number of neighbours.

    At most ``BLOCK`` x m cosines are held; where the bank has fewer rows than neighbours are asked for, all count.
    """
    most = min(max(counts), len(bank))
    best = np.empty((len(rows), most))
    for start in range(0, len(rows), BLOCK):
        cosines = rows[start : start + BLOCK] @ bank.T
        top = np.partition(cosines, len(bank) - most, axis=1)[:, len(bank) - most :]
        best[start : start + BLOCK] = np.sort(top, axis=1)[:, ::-1]
    return [best[:, : min(count, most)].mean(axis=1) for count in counts]
