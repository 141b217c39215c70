"""UMA: can a small change of the input make the unlearned model say what the original said?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attacks.base import DOTS, Access, Attack, Bools, Case, ChartSpec, Floats, Ints, Plot, Scores, Signals, View
from attacks.inputs import unless_continuous
from attacks.signals import contrast, log_softmax

from .descent import Descent, cross_entropy, divergence
from .fragility import reported
from .inputs import DISCRETE, block, box_of, continuous, some_rows
from .masking import TOLERATED, unmasked
from .survival import first_reached, sentence, surviving

SWEEP = (0.0, 0.0125, 0.025, 0.05, 0.1, 0.2)  # our choice, as shares of the input range
PRIMARY = 0.05  # our choice: the share at which the statistic is read, fixed in advance
PRIMARY_AT = SWEEP.index(PRIMARY)
BALLS = SWEEP[1:]


class UnlearningMapping(Attack):
    """Projected gradient descent on the input towards the original's output, with a matched-target control.

    For each focus example (forget rows; never-seen rows of the forgotten classes in class claims) the smallest
    KL(original(x) || model(x + d)) over an L-infinity ball, for a sweep of radii. The same on the other side
    (holdout rows; never-seen rows of the retained classes) shows what a model that holds nothing special of the
    focus would give. Statistic: mean of exp(-KL), the agreement with the original's output in (0, 1], on the focus
    minus the same on the other side, at the radius fixed in advance; higher = more is left. (The KL itself grows
    with the confidence of a model and would tell a longer training from a shorter one.) Matched-target control:
    the other side's rows driven to the focus examples' targets. Every network yields to that at some radius; where
    it does here, the attack has no power and supports no PASS.

    Hard target beside it: the smallest radius at which the original's class is predicted, by the same points and by a
    descent of the cross-entropy from where they fail. Masked gradients: ``recovery.masking``.
    Radius 0 is read from the cached logits. Memory: one block of ``batch`` (row, radius) pairs.
    """

    name = "uma"
    title = "Unlearning mapping attack (UMA)"
    version = "3"  # 3: entries at the edge of the box go on moving, starts shared by the radii
    access = Access.GRADIENTS
    needs_original = True
    symmetric = False  # the target is the original's output
    source = "Xuan & Li, Verifying Robust Unlearning, arXiv 2504.14798; steps and step size are ours"
    efforts = {"quick": {"steps": 20, "restarts": 0}, "thorough": {"steps": 100, "restarts": 3}}  # noqa: RUF012
    charts = (
        ChartSpec(
            "lines",
            "Distance to the original's output under attack",
            x="L-infinity radius (share of the input range)",
            y="KL to the original's output (nats; low = it can be made to say the same)",
            plot="focus",
        ),
        ChartSpec(
            "lines",
            "Rows that do not yet say the original's class",
            x="L-infinity radius (share of the input range)",
            y="share of rows",
            plot="survival",
            note="Rows that no radius reaches are censored at the last one.",
        ),
        DOTS,
    )

    def __init__(
        self, *, steps: int = 40, restarts: int = 1, max_rows: int = 64, reached: float = 0.1, batch: int = 512
    ) -> None:
        """Set the budget.

        Args:
            steps: gradient steps per start, >= 1.
            restarts: random starts beside the start at d = 0, >= 0.
            max_rows: at most this many rows on each side, >= 8.
            reached: mean KL in nats, > 0, at which the matched-target control counts as reached (our choice).
            batch: (row, radius) pairs in one block, >= 1, at most the user's batch size: bounds the memory.
        """
        super().__init__()
        if steps < 1 or restarts < 0 or max_rows < 8 or reached <= 0 or batch < 1:
            raise ValueError("uma: steps must be >= 1, restarts >= 0, max_rows >= 8, reached > 0 and batch >= 1")
        self.parameters = {
            "steps": steps,
            "restarts": restarts,
            "max_rows": max_rows,
            "reached": reached,
            "batch": batch,
        }

    def applicable(self, case: Case) -> str:
        """A change of discrete inputs has no meaning."""
        return super().applicable(case) or unless_continuous(case, DISCRETE)

    def gradient_rows(self, case: Case) -> int:
        """Two sides at every radius above 0, the control at one; the soft target, and at most as many for the hard."""
        sides = ("holdout", "test") if case.kind == "class" else ("forget", "holdout")
        focus, other = (min(len(case.labels[role]), int(self.parameters["max_rows"])) for role in sides)
        starts = int(self.parameters["restarts"]) + 1
        return (2 * (focus + other) * len(BALLS) + other) * (int(self.parameters["steps"]) + 1) * starts

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Smallest KL per row and radius on both sides, the control's KL, and the first radius of the hard target."""
        assert original is not None
        roles = ("holdout", "test") if case.kind == "class" else ("forget", "holdout")
        limit, starts = int(self.parameters["max_rows"]), int(self.parameters["restarts"])
        focus, other = (_side(view, original, case, role, limit, starts, rng) for role in roles)
        batch = block(case, int(self.parameters["batch"]))
        descent = Descent(view, box_of(case), steps=int(self.parameters["steps"]), batch=batch)
        signals: dict[str, Floats | Ints] = {}
        masked = np.zeros(2)
        for name, side in (("focus", focus), ("other", other)):
            soft = unmasked(descent, original, side.x, side.log_target, side.plain, BALLS, side.starts, divergence)
            nested = np.fmin.accumulate(np.column_stack([side.plain, soft.found.loss]), axis=1)
            hit = np.column_stack([side.agrees, soft.found.hit])
            signals |= {name: nested, f"{name}_first": first_reached(_hardened(descent, side, hit))}
            if name == "focus":
                masked = np.array([soft.before, soft.after])
        wanted = focus.log_target[np.arange(len(other.x)) % len(focus.x)]
        matched = descent.run(other.x, wanted, (PRIMARY,), other.starts, divergence).loss[:, 0]
        unmoved = _kl(wanted, other.log_own)
        return signals | {
            "matched": np.fmin(matched, unmoved),
            "masked": masked,
            "passes": np.array([float(descent.passes)]),
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Contrast of the two sides at the fixed radius; curves over the sweep."""
        agreement = {side: [np.exp(-s[side][:, PRIMARY_AT]) for s in signals] for side in ("focus", "other")}
        statistic, error = contrast(agreement["focus"], agreement["other"])
        firsts = {side: [s[f"{side}_first"] for s in signals] for side in ("focus", "other")}
        survival = np.stack([[surviving(firsts[side][j], len(SWEEP)) for side in firsts] for j in range(len(signals))])
        matched, (before, after) = float(signals[0]["matched"].mean()), signals[0]["masked"]
        invalid = ""
        if after > TOLERATED:
            invalid = (
                f"gradients are masked: {after:.0%} of the focus rows have none, also along the logit margin, and "
                "changes found on the original do not carry over"
            )
        elif matched < float(self.parameters["reached"]):
            invalid = f"no power at radius {PRIMARY}: the matched-target control reaches its targets (KL {matched:.3f})"
        rows = (len(signals[0]["focus"]), len(signals[0]["other"]))
        return Scores(
            statistic=statistic,
            sampling_error=error,
            unit="agreement",
            invalid=invalid,
            plots={
                "focus": Plot(np.stack([s["focus"].mean(axis=0) for s in signals]), np.array(SWEEP)),
                "survival": Plot(survival, np.array(SWEEP), rows=("focus", "other side")),
            },
            details=(
                f"{rows[0]} focus rows against {rows[1]} others; statistic read at radius {PRIMARY}; "
                f"{signals[0]['passes'][0]:.0f} rows passed",
                f"matched-target control on the audited model: mean KL {matched:.3f} nats",
                reported(statistic, np.array([a.mean() for a in agreement["other"]])),
                sentence("focus rows brought to the original's class", firsts["focus"], SWEEP),
                sentence("rows of the other side", firsts["other"], SWEEP),
                f"focus rows without a gradient: {before:.0%}",
            ),
        )


@dataclass(frozen=True, eq=False)
class _Side:
    """Rows of one side: inputs, the original's log-probabilities and the model's own, and where descents start."""

    x: Floats
    log_target: Floats
    log_own: Floats
    starts: list[Floats | None]

    @property
    def plain(self) -> Floats:
        return _kl(self.log_target, self.log_own)

    @property
    def agrees(self) -> Bools:
        return np.asarray(self.log_target.argmax(axis=1) == self.log_own.argmax(axis=1))


def _kl(log_target: Floats, log_own: Floats) -> Floats:
    return np.asarray((np.exp(log_target) * (log_target - log_own)).sum(axis=1))


def _side(
    view: View, original: View, case: Case, role: str, limit: int, restarts: int, rng: np.random.Generator
) -> _Side:
    rows = some_rows(len(case.labels[role]), limit, rng)
    x = continuous(case, role, rows)
    starts: list[Floats | None] = [None, *(rng.uniform(-1, 1, size=x.shape) for _ in range(restarts))]
    return _Side(x, log_softmax(original.logits(role)[rows]), log_softmax(view.logits(role)[rows]), starts)


def _hardened(descent: Descent, side: _Side, hit: Bools) -> Bools:
    """Hits (m, len(SWEEP)) after descents of the cross-entropy for the rows that the fixed radius has not reached."""
    hit = np.logical_or.accumulate(hit, axis=1)
    left = np.flatnonzero(~hit[:, PRIMARY_AT])
    if len(left):
        starts = [None if start is None else start[left] for start in side.starts]
        found = descent.run(side.x[left], side.log_target[left], BALLS, starts, cross_entropy, until_hit=True)
        hit[left, 1:] |= found.hit
    return np.asarray(np.logical_or.accumulate(hit, axis=1))
