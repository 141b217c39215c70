"""Transplant: put the original's later layers on the model's first ones; do they read what was unlearned?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, ChartSpec, Floats, Ints, NotApplicable, Plot, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.fits import fit_rows
from attacks.signals import contrast

from .blend import matching, renormalised
from .inputs import batches, passed
from .mapping import WELL_POSED, maps_of, searched
from .sides import beside, side_signals, sides_of
from .stitch import continued, entry_of, groups, spaced, swapped

MOST = 8  # our choice: depths of the plain transplant


class Transplant(Attack):
    """The original's layers from each depth on, attached to the audited model's first layers.

    Stitched: at every hidden layer that is a vector, an affine map fitted on retain rows leads from the model's
    activations to the original's (fits and penalties of ``feature_mapping``), and the original's own layers go on from
    there. A layer with positions would need a map for each and is left out and named. Plain: the parameters and buffers
    of the last k modules (in the order of registration) come from the original, without a map; BatchNorm statistics are
    taken anew on retain rows. Both show how deep the unlearning went: editing the last layers changes nothing before
    them. Score: mean over all depths, fixed in advance, of the confidence in the label at a common temperature,
    calibrated on the references depth by depth; class claims: mean over the depths of the class excess on never-seen
    rows of the forgotten classes minus the retained ones. Not symmetric: the original's layers know the forget rows.
    """

    name = "transplant"
    title = "Transplant of the original's later layers"
    access = Access.WEIGHTS
    needs_original = True
    families = frozenset({"D1"})
    reads_layers = True
    source = (
        "Bansal et al., Revisiting Model Stitching to Compare Neural Representations, arXiv 2106.07682; use is ours"
    )
    charts = (
        ChartSpec("lines", "Recovered by depth", x="where the original takes over", y="difference", plot="depth"),
        DOTS,
    )

    def __init__(self, *, max_rows: int = 2_000) -> None:
        """Set the fit's size.

        Args:
            max_rows: at most this many retain rows for maps and BatchNorm statistics, >= 100.
        """
        super().__init__()
        if max_rows < 100:
            raise ValueError("transplant: max_rows must be >= 100")
        self.parameters = {"max_rows": max_rows}

    def gradient_rows(self, case: Case) -> int:
        """Forward passes alone, a third of a gradient row each: both sides at eight depths, with half of the retain
        rows that BatchNorm would need, since the case does not say what the network is."""
        rows = min(len(case.labels["retain"]), int(self.parameters["max_rows"]))
        return MOST * (rows // 2 + sum(len(case.labels[side]) for side in sides_of(case))) // 3

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: ARG002
        """The original's architecture, and more than one module."""
        assert original is not None
        theirs = original.network()
        matching(theirs, view.network())
        if not original.layers() and len(groups(theirs.module.state_dict())) < 2:
            raise NotApplicable("one module alone: there is no depth to cut at")

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Signals on both sides by depth, (n, depths); how many depths are stitched, and how many cannot be.

        Raises:
            NotApplicable: another architecture than the original's, outputs alone, or no depth.
        """
        assert original is not None
        self.check_models(view, original, case)
        rows, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        stitched, refused, searching = [], 0, 0
        for layer in original.layers():
            try:
                stitched.append(_stitched(view, original, case, rows, layer))
                searching += searched(len(rows), view.activations("retain", layer).shape[1], case)
            except NotApplicable:
                refused += 1
        depths = [*stitched, *_plain(view, original, case, rows)]
        if not depths:
            raise NotApplicable("one module alone: there is no depth to cut at")
        found = {side: np.stack([depth[i] for depth in depths], axis=1) for i, side in enumerate(sides_of(case))}
        return found | {"fit": np.array([len(stitched), refused, len(rows)]), "searched": np.array([searching])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Mean over the depths."""
        sides = sides_of(case)
        stitched, refused, rows = (int(value) for value in signals[0]["fit"])
        gaps = np.stack([s[sides[0]].mean(axis=0) - s[sides[1]].mean(axis=0) for s in signals])
        names = [f"stitch {i + 1}" for i in range(stitched)]
        names += [f"plain {i + 1}" for i in range(gaps.shape[1] - stitched)]
        plots = {"depth": Plot(gaps, ticks=tuple(names))}
        details = (
            f"{stitched} layers stitched with maps fitted on {rows} retain rows, {refused} left out (they have "
            f"positions); {gaps.shape[1] - stitched} plain transplants",
            *_searched(signals[0], rows),
            *(f"{name}: {sides[0]} minus {sides[1]} rows {beside(gaps[:, i], '+.2f')}" for i, name in enumerate(names)),
        )
        if case.kind == "class":
            statistic, error = contrast(*([s[side].mean(axis=1) for s in signals] for side in sides))
            return Scores(statistic=statistic, sampling_error=error, unit="logits", plots=plots, details=details)
        values = np.concatenate([np.stack([s[side] for s in signals]) for side in sides], axis=1)
        labels = np.concatenate([case.labels[side] for side in sides])
        examples = np.mean([calibrated(values[:, :, i], labels) for i in range(values.shape[2])], axis=0)
        invalid = out_of_line(examples)
        return Scores(examples=examples, invalid=invalid, remedy=OUT_OF_LINE_REMEDY, plots=plots, details=details)


def _searched(signals: Signals, rows: int) -> tuple[str, ...]:
    """A sentence where maps of the audited model are under-determined; signals of earlier versions do not say."""
    count = int(signals.get("searched", np.zeros(1))[0])
    if not count:
        return ()
    return (
        f"under-determined: {count} of the maps have fewer than {WELL_POSED} fit rows a unit ({rows} rows); their "
        "penalties were searched by cross-validation",
    )


def _stitched(view: View, original: View, case: Case, rows: Ints, layer: str) -> list[Floats]:
    """Signals of both sides with the original's layers from ``layer`` on, behind a fitted map."""
    network = original.network()
    place = entry_of(original, network, case, layer)
    target = original.activations("retain", layer)[rows]
    mapping = maps_of(lambda role: view.activations(role, layer), target, rows, case)[0]
    logits = [
        continued(original, network, case, role, layer, place, mapping(view.activations(role, layer)))
        for role in sides_of(case)
    ]
    return side_signals(logits, case)


def _plain(view: View, original: View, case: Case, rows: Ints) -> Iterator[list[Floats]]:
    """Signals of both sides with the last k modules from the original."""
    front, back, mixed = view.network(), original.network(), view.network()
    for last in spaced(len(groups(front.module.state_dict())) - 1, MOST):
        mixed.module.load_state_dict(swapped(front, back, last))
        renormalised(mixed, batches(view, case, "retain", rows))
        yield side_signals([passed(view, mixed.forward, case, role) for role in sides_of(case)], case)
