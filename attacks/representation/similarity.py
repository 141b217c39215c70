"""Similarity: are forget rows still arranged as in the original, beyond what holds of never-seen rows?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, ChartSpec, Floats, Ints, Plot, Scores, Signals, View
from attacks.calibration import FEATURES_REMEDY
from attacks.describe import beside, by_layer
from attacks.representation.kernels import centred_gram, cka, degenerate, procrustes
from attacks.representation.layers import compared, drawn, jackknife, layer_names, profiles, read, readable

PAIRWISE = 256  # our choice: rows whose Gram matrix is kept to compare the models, and rows of the standard error


class Similarity(Attack):
    """Debiased linear CKA to the original, and orthogonal Procrustes distance, per layer.

    Statistic, on the features: CKA to the original on forget rows minus CKA on holdout rows (class claims:
    never-seen rows of the forgotten and of the retained classes). Higher = what was forgotten is still arranged as in
    the original. The original gives 0, since it agrees with itself on both sides. Neither a high nor a low CKA means
    anything alone: head edits leave 1, and some methods move features farther than retraining does. The details give
    the levels, the depth profile and how much the models resemble each other.
    """

    name = "similarity"
    title = "Representation similarity to the original (CKA, Procrustes)"
    access = Access.FEATURES
    features_alone = True
    signal = "features"
    needs_original = True
    families = frozenset({"D1"})
    reads_layers = True
    source = (
        "Kornblith et al., arXiv 1905.00414; debiased: Song et al. 2012, JMLR 13; Are We Truly Forgetting?, 2503.06991"
    )
    charts = (
        ChartSpec(
            "lines", "CKA to the original by layer", x="layer", y="CKA, forget minus never-seen rows", plot="profile"
        ),
        DOTS,
    )
    efforts: ClassVar = {"quick": {"max_rows": 128}, "thorough": {"max_rows": 2_000}}

    def __init__(self, *, max_rows: int = 512) -> None:
        """Set the size.

        Args:
            max_rows: at most this many rows of each set, >= 16; memory grows with its square.
        """
        super().__init__()
        if max_rows < 16:
            raise ValueError("similarity: max_rows must be >= 16")
        self.parameters = {"max_rows": max_rows}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """CKA and Procrustes distance to the original by layer and set; Gram matrices of the features."""
        assert original is not None
        roles = (*compared(case), "retain")
        rows = {role: drawn(len(case.labels[role]), int(self.parameters["max_rows"]), rng) for role in roles}
        layers = [name for name in readable(view) if name in readable(original)]
        found = np.zeros((2, len(layers), len(roles)))
        for (i, layer), (j, role) in itertools.product(enumerate(layers), enumerate(roles)):
            mine, theirs = (read(one, role, layer)[rows[role]] for one in (view, original))
            found[:, i, j] = cka(centred_gram(mine), centred_gram(theirs)), procrustes(mine, theirs)
        signals = {"cka": found[0], "procrustes": found[1]}
        collapsed = False
        for j, role in enumerate(roles):
            mine, theirs = (one.features(role)[rows[role]] for one in (view, original))
            collapsed |= degenerate(mine)
            grams = centred_gram(mine), centred_gram(theirs)
            if j < 2:
                used = min(len(mine), PAIRWISE)
                error = jackknife(partial(_cka_of, *grams), used)[1]
                signals[f"error_{j}"] = np.array([error * np.sqrt(used / len(mine))])
            part = centred_gram(mine[:PAIRWISE])
            size = np.linalg.norm(part)
            signals[f"gram_{j}"] = (part / (size if size > 0 else 1.0)).astype(np.float32)
            signals[f"rows_{j}"] = np.array([len(mine)])
        return signals | {"collapsed": np.array([float(collapsed)])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Difference of the two similarities; levels, profile, and similarity to the references."""
        focus, other = compared(case)
        last = np.stack([s["cka"][-1] for s in signals])
        moved = np.stack([s["procrustes"][-1] for s in signals])
        error = np.sqrt(sum(np.array([s[f"error_{j}"][0] for s in signals]) ** 2 for j in range(2)))
        rows = [int(signals[0][f"rows_{j}"][0]) for j in range(3)]
        roles = (focus, other, "retain")
        details = [
            f"{role}, {n} rows: CKA to the original {beside(last[:, j])}, Procrustes distance {beside(moved[:, j])}"
            for j, (role, n) in enumerate(zip(roles, rows, strict=True))
        ]
        details += [_between(signals, j, role) for j, role in enumerate(roles) if len(signals) > 1]
        plots = {}
        layers = profiles([{"x": s["cka"][:, 0] - s["cka"][:, 1]} for s in signals], "x")
        if layers is not None:
            names = layer_names(layers.shape[1])
            details.append(f"CKA to the original, {focus} minus {other}, by layer: {by_layer(layers, names)}")
            plots["profile"] = Plot(layers, ticks=names)
        collapsed = signals[0]["collapsed"][0] > 0
        return Scores(
            statistic=last[:, 0] - last[:, 1],
            sampling_error=np.asarray(error),
            unit="CKA",
            invalid="the audited model's features are constant on a set: a similarity has no meaning"
            if collapsed
            else "",
            remedy=FEATURES_REMEDY if collapsed else (),
            details=tuple(details),
            plots=plots,
        )


def _cka_of(one: Floats, two: Floats, kept: Ints) -> float:
    """CKA on some of the rows."""
    block = np.ix_(kept, kept)
    return cka(one[block], two[block])


def _between(signals: Sequence[Signals], at: int, role: str) -> str:
    """How much the audited model resembles each reference, beside how much they resemble each other."""
    grams = [np.asarray(s[f"gram_{at}"], dtype=np.float64) for s in signals]
    mine = [cka(grams[0], other) for other in grams[1:]]
    theirs = [cka(a, b) for a, b in itertools.combinations(grams[1:], 2)]
    among = f"; among the references {min(theirs):.3f} to {max(theirs):.3f}" if theirs else ""
    return f"{role}: CKA to the references {min(mine):.3f} to {max(mine):.3f}{among}"
