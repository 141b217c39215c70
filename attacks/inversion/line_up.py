"""The line-up: do the gradients of the forget rows point where the weights went?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Case, Floats, Ints, NotApplicable, Scores, Signals, View

from .common import (
    NO_CHANGE,
    NO_CHANGE_REMEDY,
    Difference,
    beside,
    chance,
    difference,
    exposure,
    inputs,
    row_by_row,
    unlike,
)
from .objective import Layerwise, Problems, Simulation, by_vmap, cosine

BOUND = 2**22  # numbers held at once: gradients of a batch of rows, 32 MB in float64
SIDES = ("forget", "holdout")


class LineUp(Attack):
    """Score: minus the cosine between a row's loss gradient at the original and theta_u - theta_o.

    A step that raises a row's loss moves along its gradient, so the cosine is high and the score low, like one of a
    row that is no member; retraining without the row does the same. It is the risk of releasing both versions, never
    evidence on the unlearned model alone: honest models that continue from an ancestor of the original stand out
    against references that were trained from scratch, so it gates nothing. At most ``BOUND`` gradient entries are held
    at once (one row's at least). Frozen layers and BatchNorm statistics do not count.
    """

    name = "line_up"
    title = "Line-up of row gradients with the weight difference (pair release)"
    access = Access.WEIGHTS
    needs_original = True
    families = frozenset({"D1"})
    source = "in the spirit of Salem et al., Updates-Leak, arXiv 1904.01067; the statistic is ours"
    charts = PER_EXAMPLE

    def __init__(self, *, resamples: int = 999) -> None:
        """Set the permutation test of the details.

        Args:
            resamples: permutations of forget against holdout rows, >= 99.
        """
        super().__init__()
        if resamples < 99:
            raise ValueError("line_up: resamples must be >= 99")
        self.parameters = {"resamples": resamples}

    def applicable(self, case: Case) -> str:
        """Rows of a deleted class are known by their class; a rank needs decoys, and a distance continuous inputs."""
        return unlike(case)

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: ARG002
        """Weights of the original's names and shapes."""
        assert original is not None
        difference(view, original)

    def gradient_rows(self, case: Case) -> int:
        """Every forget and holdout row once."""
        return sum(len(case.labels[role]) for role in SIDES)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Cosine of each row, and the two-sided permutation p of the difference between the sides' means."""
        assert original is not None
        found = difference(view, original)
        length = np.array([found.length])
        if length[0] == 0:
            return {role: np.zeros(len(case.labels[role])) for role in SIDES} | {"length": length, "p": np.ones(1)}
        sides = {role: self._cosines(original, found, case, role) for role in SIDES}
        p = permutation_p(sides["forget"], sides["holdout"], int(self.parameters["resamples"]), rng)
        return {**sides, "length": length, "p": np.array([p])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Minus the cosines of J pairs; details on ranks among the holdout rows, on both sides."""
        examples = -np.stack([np.concatenate([s[role] for role in SIDES]) for s in signals])
        m, n = len(signals[0]["holdout"]), len(signals[0]["forget"])
        raised, lowered = (
            np.array([exposure(sign * s["forget"], sign * s["holdout"]).mean() for s in signals]) for sign in (1, -1)
        )
        first = np.array([(s["forget"] > s["holdout"].max()).mean() for s in signals])
        gap = np.array([s["forget"].mean() - s["holdout"].mean() for s in signals])
        p = np.array([float(s["p"][0]) for s in signals])
        side = "towards a higher loss" if gap[0] > 0 else "towards a lower loss" if gap[0] < 0 else "nowhere"
        return Scores(
            examples=examples,
            invalid=NO_CHANGE if signals[0]["length"][0] == 0 else "",
            remedy=NO_CHANGE_REMEDY,
            details=(
                f"ranks of {n} forget rows among {m} never-seen decoys: mean exposure {beside(raised, 'bits')} on the "
                f"side of a raised loss, {beside(lowered, 'bits')} on the other (chance {chance(m)[0]:.2f})",
                f"share of forget rows before every decoy {beside(first)}",
                f"mean cosine of forget rows minus that of holdout rows {beside(gap)}: the weights went {side} of the "
                f"forget rows; permutation p {beside(p)}",
                "risk of releasing both versions: an honest retrain leaks here too, and one that continues from an "
                "ancestor of the original stands out against references trained from scratch",
            ),
        )

    def _cosines(self, original: View, found: Difference, case: Case, role: str) -> Floats:
        """(n,) cosines of the rows of a set, a batch at a time."""
        step = max(1, min(case.batch, BOUND // found.size))
        rows = np.arange(len(case.labels[role]))
        with row_by_row():
            parts = [_of_rows(original, found, case, role, rows[at : at + step]) for at in range(0, len(rows), step)]
        return np.concatenate(parts)


def permutation_p(one: Floats, two: Floats, resamples: int, rng: np.random.Generator) -> float:
    """Two-sided p in (0, 1] of the difference between the means of two sides, one row a side at least.

    SciPy's test refuses a side of one row, which is what a request of one row is.
    """
    pooled = np.concatenate([one, two])
    observed = abs(one.mean() - pooled.mean()) * (1 - 1e-12)  # equal draws count, whatever their rounding
    drawn = np.array([rng.permutation(pooled)[: len(one)].mean() for _ in range(resamples)])
    return float((1 + (np.abs(drawn - pooled.mean()) >= observed).sum()) / (resamples + 1))


def _of_rows(original: View, found: Difference, case: Case, role: str, rows: Ints) -> Floats:
    import torch

    x = original.tensor(inputs(case, role, rows)).double()[:, None].requires_grad_(True)
    y = torch.as_tensor(case.labels[role][rows], device=x.device)[:, None]
    target = {name: value[None] for name, value in found.change.items()}
    problems = Problems(found.network, found.before, target, y)
    layerwise = Layerwise(problems)
    one = Simulation()
    terms = layerwise.terms(x) if layerwise.fits(x, one) else by_vmap(problems, x, one)
    cosines = cosine(terms).detach()  # 0 for a row without gradient: it points nowhere
    if not bool(cosines.isfinite().all()):
        raise NotApplicable("gradients of the loss at the original are not finite")
    return np.asarray(cosines.cpu().numpy())
