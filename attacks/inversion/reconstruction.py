"""Gradient inversion: can deleted rows be reconstructed from the difference of the weights?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from attacks.base import DOTS, Access, Attack, Case, Scores, Signals, View

from . import samples
from .common import (
    NO_CHANGE,
    NO_CHANGE_REMEDY,
    beside,
    chance,
    difference,
    exposure,
    shares,
    unlike,
)
from .inverter import MODES, Inverter, Settings

MOST = 32  # rows that one difference is asked for at most
POWER = 1.645  # standard errors above chance that the planted rows must reach (our choice: 5 %, one-sided)
BLIND = "the search does not find rows that it planted on this network itself"
BLIND_REMEDY = ("give the search more steps (--effort thorough, or iterations, restarts of reconstruction)",)


class Reconstruction(Attack):
    """Inputs whose loss gradient at the original points along theta_u - theta_o, sought by signed Adam.

    All forget rows are sought at once (``max_rows`` of them, drawn, where there are more), with labels read off the
    change of the head. Statistic: mean exposure in bits of the forget rows among never-seen decoys, by the centred
    cosine to the nearest reconstruction; the same from theta_k - theta_o of each reference is the null. One planted
    ascent step on as many never-seen rows shows whether the search could have found them. Mode ``gradient`` inverts
    each row's own gradient at the model instead, which works on every network, an untrained one too: it tells nothing
    of forgetting. At most ``objective.BOUND`` numbers of gradients are held at once. Nothing but figures is kept,
    unless ``include_samples`` asks for pictures of a few rows beside their reconstructions.
    """

    name = "reconstruction"
    title = "Gradient inversion of the weight difference (pair release)"
    access = Access.WEIGHTS
    needs_original = True
    families = frozenset({"D1"})
    source = "Hu et al., Learn What You Want to Unlearn, arXiv 2404.03233; Geiping et al., arXiv 2003.14053"
    efforts: ClassVar = {"quick": {"iterations": 100, "restarts": 2}, "thorough": {"iterations": 1000, "restarts": 5}}
    charts = (DOTS, samples.GRID)

    def __init__(
        self,
        *,
        iterations: int = 200,
        restarts: int = 3,
        hypotheses: int = 2,
        rate: float = 0.04,
        tv: float = 0.01,
        l2: float = 0.0,
        steps: int = 1,
        step_rate: float = 0.01,
        max_rows: int = 16,
        mode: str = "difference",
        include_samples: bool = False,
    ) -> None:
        """Set the budget.

        Args:
            iterations: steps of the search, >= 1 (the public code takes 10,000; ours suit small networks).
            restarts: random starts of each label hypothesis, >= 1.
            hypotheses: labels tried where one row is sought, likeliest first, >= 1.
            rate: first step as a share of the input range, > 0.
            tv: weight of the total variation of pictures, >= 0.
            l2: weight of the squared distance of gradient and difference, >= 0 (0: their angle alone).
            steps: simulated steps of gradient ascent, >= 1; more than 1 are differentiated through.
            step_rate: their step size, > 0.
            max_rows: forget rows sought at most, in [1, 32].
            mode: "difference", or "gradient" for the rows' own gradients (informational).
            include_samples: keep pictures of at most ``samples.PAIRS`` forget rows and of what came back of them
                (``--include-samples``): record and report are then personal data.
        """
        super().__init__()
        if min(iterations, restarts, hypotheses, steps) < 1 or not 1 <= max_rows <= MOST:
            raise ValueError(
                "reconstruction: iterations, restarts, hypotheses, steps must be >= 1, max_rows in [1, 32]"
            )
        if min(rate, step_rate) <= 0 or min(tv, l2) < 0 or mode not in MODES:
            raise ValueError(f"reconstruction: rates must be > 0, tv and l2 >= 0, mode one of {MODES}")
        if include_samples not in (False, True):
            raise ValueError("reconstruction: include_samples must be true or false")
        self.settings = Settings(
            iterations, restarts, hypotheses, rate, tv, l2, steps, step_rate, max_rows, mode, bool(include_samples)
        )
        self.parameters = dict(vars(self.settings))

    def applicable(self, case: Case) -> str:
        """Rows of a deleted class are known by their class; a rank needs decoys, and a distance continuous inputs."""
        return unlike(case)

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: ARG002
        """Weights of the original's names and shapes."""
        assert original is not None
        difference(view, original)

    def gradient_rows(self, case: Case) -> int:
        """Both searches (the rows' and the planted rows'), twice differentiated."""
        one = self.settings
        rows = min(len(case.labels["forget"]), one.max_rows)
        starts = one.restarts * (min(one.hypotheses, case.n_classes) if rows == 1 or one.mode == "gradient" else 1)
        return 2 * 2 * (one.iterations + 1) * starts * rows * one.steps

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Cosines of forget rows and decoys to the nearest reconstruction, of the planted rows, and quality figures."""
        assert original is not None
        return Inverter(view, original, case, self.settings, rng).signals()

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Mean exposure of J pairs, beside quality figures and the planted control."""
        bits = np.stack([exposure(s["forget"], s["decoys"]) for s in signals])
        n, m = bits.shape[1], len(signals[0]["decoys"])
        level, spread = chance(m)
        first = np.array([(shares(s["forget"], s["decoys"]) <= 1 / (m + 1)).mean() for s in signals])
        figures = {key: np.array([s[key].mean() if len(s[key]) else 0.0 for s in signals]) for key in ("psnr", "ssim")}
        planted = exposure(signals[0]["planted"], signals[0]["decoys"])
        power = float(planted.mean()) > level + POWER * spread / len(planted) ** 0.5
        nothing = signals[0]["length"][0] == 0 and self.settings.mode == "difference"
        structure = f", SSIM {beside(figures['ssim'])}" if len(signals[0]["ssim"]) else ""
        return Scores(
            statistic=bits.mean(axis=1),
            sampling_error=np.full(len(bits), spread / n**0.5),
            unit="bits",
            invalid=NO_CHANGE if nothing else "" if power else BLIND,
            remedy=NO_CHANGE_REMEDY if nothing else () if power else BLIND_REMEDY,
            details=(
                f"{n} of {len(case.labels['forget'])} forget rows sought; mean exposure among {m} never-seen decoys "
                f"{beside(bits.mean(axis=1), 'bits')} (chance {level:.2f}), first of all {beside(first)}",
                f"matched to their rows: PSNR {beside(figures['psnr'], 'dB')}{structure}; labels inferred "
                f"{beside(np.array([float(s['labels'][0]) for s in signals]))}; cost at the end "
                f"{beside(np.array([float(s['cost'].mean()) for s in signals]))}",
                f"planted one-step ascent on {len(planted)} never-seen rows: mean exposure {planted.mean():.2f} bits",
                *samples.sentence(signals[0]),
                *self._meaning(),
            ),
            plots=samples.plots(signals),
        )

    def _meaning(self) -> tuple[str, ...]:
        if self.settings.mode == "gradient":
            return (
                "inverted were the rows' own gradients: that works on every network and says nothing of forgetting",
            )
        return ("risk of releasing both versions: one step of ascent gives its row away, retraining may as well",)
