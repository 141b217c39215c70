"""Changes of the signals with a known size: leaks exactly at a margin, and seeds that differ by group.

Each returns the signals that it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import optimize

from attacks.base import Case, Floats, Signals
from attacks.calibration import calibrated, leave_one_out

AUC, TAIL, SHARE, FPR = 0.10, 0.15, 0.25, 0.05  #: margins of the policy ``standard`` (a test compares them)
FAR = 8.0  #: calibrated units that put a row into a tail for sure

AllSignals = Mapping[tuple[str, str], Signals]


@dataclass(frozen=True)
class Scene:
    """What a change may use: the audit's signals, those of all models of the world, the case and a generator."""

    signals: AllSignals
    world: AllSignals
    case: Case
    rng: np.random.Generator

    def references(self) -> list[str]:
        """Names of the references, in order."""
        names = {name for _, name in self.signals if name.startswith("retrained/")}
        return sorted(names, key=lambda name: int(name.partition("/")[2]))

    def rows(self, attack: str) -> tuple[Floats, Floats]:
        """Signals (J, n) of an attack, the audited model first; calibrated units per unit of its signal, (n_F,)."""
        parts = [self.signals[attack, name] for name in ("unlearned", *self.references())]
        rows = np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in parts])
        raised = rows.copy()
        raised[0] += 1
        scale = leave_one_out(raised)[0][0] - leave_one_out(rows)[0][0]
        return rows, scale[: len(self.case.labels["forget"])]

    def moved(self, by: Floats, attack: str) -> AllSignals:
        """The audited model's signal of the forget rows, moved."""
        mine = self.signals[attack, "unlearned"]
        return {(attack, "unlearned"): {**mine, "forget": mine["forget"] + by}}


Change = Callable[[Scene], AllSignals]


def auc_at_margin(scene: Scene, attack: str = "membership") -> AllSignals:
    """The forget rows' calibrated scores moved by the constant that makes the population AUC .5 + margin."""
    rows, scale = scene.rows(attack)
    labels = scene.case.labels
    scores = calibrated(rows, np.concatenate([labels["forget"], labels["holdout"]]))[0]
    ordered = np.sort(scores)

    def excess(shift: float) -> float:
        """AUC of the scores moved by ``shift`` against the scores themselves, minus the margin's."""
        return float(np.searchsorted(ordered, ordered + shift).mean()) / len(ordered) - 0.5 - AUC

    shift = float(optimize.brentq(excess, 0, float(np.ptp(scores)) + 1, xtol=1e-6))
    return scene.moved(shift / scale, attack)


def tail_at_margin(scene: Scene, sign: float, attack: str = "membership") -> AllSignals:
    """A share of forget rows, each by its own coin, far beyond one tail: population TPR = f + (1 - f) FPR = margin."""
    scale = scene.rows(attack)[1]
    chosen = scene.rng.random(len(scale)) < (TAIL - FPR) / (1 - FPR)
    return scene.moved(np.where(chosen, sign * FAR / scale, 0.0), attack)


def share_at_margin(scene: Scene) -> AllSignals:
    """Signals of an honest model plus ``SHARE`` times (another original - another honest model), row by row.

    The statistics are means over rows, so the expected share of the original's excess is ``SHARE`` exactly, and the
    seed noise is that of a model, a little more.
    """
    changed: dict[tuple[str, str], Signals] = {}
    for (attack, name), mine in scene.signals.items():
        if name == "unlearned":
            more, less = (scene.world[attack, other] for other in ("original/2", "honest/2"))
            keys = [key for key in mine if key.endswith(("holdout", "test"))]
            if attack == "membership":  # its single rows are another claim
                keys = [key for key in keys if key.startswith("class_")]
            changed[attack, name] = {**mine, **{key: mine[key] + SHARE * (more[key] - less[key]) for key in keys}}
    return changed


def interaction(scene: Scene, size: float) -> AllSignals:
    """Each model's forget rows moved alike by its own draw, ``size`` times the seed sd of one row."""
    names = list(dict.fromkeys(name for _, name in scene.signals))
    draws = dict(zip(names, scene.rng.standard_normal(len(names)), strict=True))
    changed: dict[tuple[str, str], Signals] = {}
    for attack in dict.fromkeys(attack for attack, _ in scene.signals):
        seeds = np.stack([scene.signals[attack, name]["forget"] for name in scene.references()])
        unit = float(np.sqrt(seeds.var(axis=0, ddof=1).mean()))
        for name in names:
            mine = scene.signals[attack, name]
            changed[attack, name] = {**mine, "forget": mine["forget"] + size * unit * draws[name]}
    return changed


CHANGES: dict[str, Change] = {
    "AUC at the margin": auc_at_margin,
    "upper tail at the margin": partial(tail_at_margin, sign=1.0),
    "lower tail at the margin": partial(tail_at_margin, sign=-1.0),
    "label AUC at the margin": partial(auc_at_margin, attack="label_only"),
    "label upper tail at the margin": partial(tail_at_margin, sign=1.0, attack="label_only"),
    "label lower tail at the margin": partial(tail_at_margin, sign=-1.0, attack="label_only"),
    "share at the margin": share_at_margin,
    "interaction .1": partial(interaction, size=0.1),
    "interaction .3": partial(interaction, size=0.3),
}
