"""Attribution: does the model still read forget rows by the same inputs as the original?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, ChartSpec, Floats, Ints, NotApplicable, Plot, Scores, Signals, View
from attacks.describe import beside, by_layer
from attacks.inputs import unless_continuous
from attacks.representation.gradients import Attributions, Maps
from attacks.representation.layers import compared, drawn, profiles
from attacks.signals import contrast

COMPLETE = 0.05  # our choice: largest completeness error of a map that counts
INCOMPLETE = 0.2  # our choice: share of maps that may be left out
NO_PATH = "needs one array of continuous inputs: discrete inputs have no path from a baseline"
TOO_ROUGH = "raise n_steps of this attack under [attacks.parameters.attribution]"


class Attribution(Attack):
    """Integrated gradients of a row's own logit (less the mean logit), compared with the original's.

    Two baselines: every input at the smallest value of the retain set, and the retain set's mean row. Per row the
    cosine between the maps of the model and of the original, averaged over the baselines. Statistic: its mean over
    forget rows minus its mean over holdout rows; class claims: never-seen rows of the forgotten classes minus those
    of the retained ones. Higher = the forgotten rows are still read as the original read them. The original itself
    gives 0: it agrees with itself on both sides. A masked or shifted logit changes no map.

    A map whose sum misses the change of the logit between baseline and row by more than ``COMPLETE`` is counted and
    left out. Networks with in-place activations are read on copies of their inputs. Memory: ``batch`` rows at once.
    """

    name = "attribution"
    title = "Shift of input attributions"
    access = Access.GRADIENTS
    needs_original = True
    families = frozenset({"D1"})
    source = "Sundararajan et al., Axiomatic Attribution for Deep Networks, arXiv 1703.01365; the comparison is ours"
    charts = (
        ChartSpec("lines", "Agreement of attributions by layer", x="layer", y="difference in cosine", plot="profile"),
        DOTS,
    )
    efforts: ClassVar = {"quick": {"max_rows": 16}, "thorough": {"max_rows": 256, "n_steps": 100}}

    def __init__(self, *, n_steps: int = 50, max_rows: int = 64, batch: int = 512) -> None:
        """Set the budget.

        Args:
            n_steps: points of the Gauss-Legendre rule, >= 10.
            max_rows: at most this many rows on each side, >= 16.
            batch: rows that pass forward and backward at once, >= 8.
        """
        super().__init__()
        if n_steps < 10 or max_rows < 16 or batch < 8:
            raise ValueError("attribution: n_steps must be >= 10, max_rows >= 16 and batch >= 8")
        self.parameters = {"n_steps": n_steps, "max_rows": max_rows, "batch": batch}

    def applicable(self, case: Case) -> str:
        """Discrete inputs have no path from a baseline."""
        return super().applicable(case) or unless_continuous(case, NO_PATH)

    def gradient_rows(self, case: Case) -> int:
        """Both sides, two baselines, every step, through the model and the original."""
        rows = sum(min(len(case.labels[role]), int(self.parameters["max_rows"])) for role in compared(case))
        return 2 * rows * (2 * int(self.parameters["n_steps"]) + 1)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Per row and baseline: cosine to the original's map, size of both maps, whether both are complete."""
        assert original is not None
        methods = [self._method(one, case) for one in (view, original)]
        signals: dict[str, Floats] = {}
        layers = []
        for side, role in zip(("focus", "other"), compared(case), strict=True):
            rows = drawn(len(case.labels[role]), int(self.parameters["max_rows"]), rng)
            x, y = inputs_of(case, role, rows), case.labels[role][rows]
            mine, theirs = (method.integrated(x, y) for method in methods)
            signals |= _compared_maps(side, mine, theirs)
            mine_l, theirs_l = (method.by_layer(x, y) for method in methods)
            layers.append([_cosine(a, b).mean() for a, b in zip(mine_l, theirs_l, strict=False) if a.shape == b.shape])
        return signals | {"layers": np.array(layers[0]) - np.array(layers[1])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Contrast of the cosines; the ratio of the maps' sizes and the profile over layers beside the references."""
        focus, other = compared(case)
        kept = {side: [_mean_of_complete(s, side) for s in signals] for side in ("focus", "other")}
        statistic, error = contrast(kept["focus"], kept["other"])
        complete = np.array([np.mean([s[f"{side}_complete"].mean() for side in kept]) for s in signals])
        sizes = {side: np.array([_residual(s, side) for s in signals]) for side in kept}
        details = [
            f"integrated gradients on {len(signals[0]['focus_complete'])} {focus} rows against "
            f"{len(signals[0]['other_complete'])} {other} rows, two baselines, {self.parameters['n_steps']} steps",
            f"maps left out, completeness error above {COMPLETE:.0%}: share {beside(1 - complete)}",
            f"size of the maps over the original's: {focus} {beside(sizes['focus'])}, {other} {beside(sizes['other'])}",
            f"cosine to the original's maps on {focus} rows {beside(np.array([v.mean() for v in kept['focus']]))}",
        ]
        plots = {}
        layers = profiles(signals, "layers")
        if layers is not None and layers.shape[1]:
            names = tuple(f"hidden {k}" for k in range(1, layers.shape[1] + 1))
            details.append(
                f"cosine of gradient x activation, {focus} minus {other}, by layer: {by_layer(layers, names)}"
            )
            plots["profile"] = Plot(layers, ticks=names)
        invalid = ""
        if 1 - complete[0] > INCOMPLETE:
            invalid = f"{1 - complete[0]:.0%} of the audited model's maps miss the change of the logit they explain"
        return Scores(
            statistic=statistic,
            sampling_error=error,
            unit="cosine",
            invalid=invalid,
            remedy=(TOO_ROUGH,) if invalid else (),
            details=tuple(details),
            plots=plots,
        )

    def _method(self, view: View, case: Case) -> Attributions:
        bank = inputs_of(case, "retain", np.arange(min(len(case.labels["retain"]), 5_000)))
        baselines = np.stack([np.full(bank.shape[1:], bank.min()), bank.mean(axis=0)])
        return Attributions(
            view, baselines, int(self.parameters["n_steps"]), min(int(self.parameters["batch"]), case.batch)
        )


def inputs_of(case: Case, role: str, rows: Ints) -> Floats:
    """Inputs of some rows, (n, ...) float64.

    Raises:
        NotApplicable: discrete inputs, or a mapping of arrays.
    """
    x = case.sets[role].batch(rows)
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        raise NotApplicable(NO_PATH)
    return np.asarray(x, dtype=np.float64)


def _compared_maps(side: str, mine: Maps, theirs: Maps) -> dict[str, Floats]:
    """Cosines (n, 2), sizes (n, 2) of both, and which maps are complete in both models (n, 2)."""
    complete = (mine.error <= COMPLETE) & (theirs.error <= COMPLETE)
    return {
        f"{side}_cosine": _cosine(mine.maps, theirs.maps),
        f"{side}_size": np.abs(mine.maps).sum(axis=2),
        f"{side}_original": np.abs(theirs.maps).sum(axis=2),
        f"{side}_complete": complete.astype(np.float64),
    }


def _cosine(one: Floats, two: Floats) -> Floats:
    """Cosine over the last axis; 0 where a map is zero."""
    size = np.linalg.norm(one, axis=-1) * np.linalg.norm(two, axis=-1)
    return np.asarray((one * two).sum(axis=-1) / np.where(size > 0, size, 1.0))


def _mean_of_complete(signals: Signals, side: str) -> Floats:
    """Mean cosine of each row over its complete maps; rows without one are left out, all count where none is."""
    cosine, complete = signals[f"{side}_cosine"], signals[f"{side}_complete"] > 0
    rows = complete.any(axis=1)
    if not rows.any():  # counted in the share that is left out: the result is then invalid
        return np.asarray(cosine.mean(axis=1))
    return np.asarray((cosine * complete)[rows].sum(axis=1) / complete[rows].sum(axis=1))


def _residual(signals: Signals, side: str) -> float:
    """Summed size of the maps over that of the original's, complete maps alone."""
    complete = signals[f"{side}_complete"]
    whole = float((signals[f"{side}_original"] * complete).sum())
    return float((signals[f"{side}_size"] * complete).sum()) / whole if whole > 0 else 0.0
