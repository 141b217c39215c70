"""Residual knowledge: is a row still recognised under small random changes more often than without training on it?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from attacks.base import PER_EXAMPLE, Access, Attack, Case, ChartSpec, Floats, Plot, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.inputs import unless_continuous
from attacks.signals import contrast, correct

from .noise import NO_FLOATS, SIZES, answers
from .sides import sides_of

RARE = 0.02  # our choice: below this rate of the references a ratio explodes, and the difference stands for it
RESAMPLES = 999


class ResidualKnowledge(Attack):
    """Share of small Gaussian changes under which a row's true label is predicted; nothing is optimised.

    With k of n draws right, the rate is (k + .5) / (n + 1). Score: the log-odds of the rate, averaged over the sizes
    and calibrated on the references, forget and holdout rows alike. Class claims: mean rate on never-seen rows of the
    forgotten classes minus that on the retained ones. Details: the residual-knowledge ratio of the source, r = rate of
    the audited model / mean rate of the references, as geometric mean over forget rows with a bootstrap interval over
    rows, beside the same on holdout rows (above 1: residual knowledge; below: over-unlearning). Rows on which the
    references' rate is below .02 are given as a difference of rates. The queries are those of ``attacks.queries``,
    cached and shared with ``flatness`` and ``label_only``.
    """

    name = "residual_knowledge"
    title = "Residual knowledge under small random changes"
    access = Access.LOGITS
    symmetric = True
    source = "The Unseen Threat: Residual Knowledge in Machine Unlearning under Perturbed Samples, arXiv 2601.22359"
    efforts = {"quick": {"draws": 2}, "thorough": {"draws": 32}}  # noqa: RUF012
    charts = (
        *PER_EXAMPLE,
        ChartSpec("lines", "Rate of the true label under noise", x="size of the noise", y="rate", plot="rate"),
    )

    def __init__(self, *, draws: int = 4) -> None:
        """Set the number of draws.

        Args:
            draws: directions at each size, >= 2.
        """
        super().__init__()
        if draws < 2:
            raise ValueError("residual_knowledge: draws must be >= 2")
        self.parameters = {"draws": draws}

    def applicable(self, case: Case) -> str:
        """Noise needs numbers to be added to."""
        return super().applicable(case) or unless_continuous(case, NO_FLOATS)

    def gradient_rows(self, case: Case) -> int:
        """Forward passes alone, a third of a gradient row each: every draw at every size."""
        return len(SIZES) * int(self.parameters["draws"]) * sum(len(case.labels[side]) for side in sides_of(case)) // 3

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Share of draws that keep the true label, (n, sizes) a side."""
        draws = int(self.parameters["draws"])
        found = {}
        for role in sides_of(case):
            kept = [correct(logits, case.labels[role]) for logits in answers(view, role, SIZES, draws)]
            found[role] = np.reshape(kept, (len(SIZES), draws, -1)).mean(axis=1).T
        return found

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated log-odds, or the class contrast; ratios to the references beside."""
        sides = sides_of(case)
        rates = {side: np.stack([self._rate(s[side]) for s in signals]) for side in sides}  # (J, n, sizes)
        curves = np.stack([rates[side].mean(axis=1) for side in sides], axis=1)
        plots = {"rate": Plot(curves, np.array(SIZES), rows=sides)}
        details = (
            f"{int(self.parameters['draws'])} draws at each of {len(SIZES)} sizes",
            *(_ratios(side, rates[side].mean(axis=2)) for side in sides),
        )
        if case.kind == "class":
            statistic, error = contrast(*(list(rates[side].mean(axis=2)) for side in sides))
            return Scores(statistic=statistic, sampling_error=error, unit="rate", plots=plots, details=details)
        odds = np.concatenate([special.logit(rates[side]).mean(axis=2) for side in sides], axis=1)
        try:
            examples = calibrated(odds, np.concatenate([case.labels[side] for side in sides]))
        except ValueError:
            reason = "the models agree on every row and draw: there is no scale"
            return Scores(examples=odds - np.median(odds, axis=0), invalid=reason, plots=plots, details=details)
        invalid = out_of_line(examples)
        return Scores(examples=examples, invalid=invalid, remedy=OUT_OF_LINE_REMEDY, plots=plots, details=details)

    def _rate(self, share: Floats) -> Floats:
        """(k + .5) / (n + 1), within (0, 1)."""
        draws = int(self.parameters["draws"])
        return np.asarray((share * draws + 0.5) / (draws + 1))


def _ratios(side: str, rates: Floats) -> str:
    """The ratio of the audited model's rate to the references' on one side, or the difference where those are rare."""
    if len(rates) == 1:
        return f"{side}: mean rate {rates[0].mean():.3f}, no reference"
    ours, theirs = rates[0], rates[1:].mean(axis=0)
    often = theirs >= RARE
    parts = []
    if often.sum() >= 2:
        logs = np.log(ours[often] / theirs[often])
        low, high = _interval(logs)
        parts.append(
            f"geometric mean of rate / references' rate {np.exp(logs.mean()):.3f} (95 % over {len(logs)} rows: "
            f"{np.exp(low):.3f} to {np.exp(high):.3f})"
        )
    if not often.all():
        gap = (ours - theirs)[~often]
        parts.append(
            f"{len(gap)} rows that the references hardly ever get right: difference of rates {gap.mean():+.3f}"
        )
    return f"{side}: " + "; ".join(parts or ["too few rows"])


def _interval(values: Floats) -> tuple[float, float]:
    """Bootstrap interval of a mean over rows, from a generator of its own: the same scores give the same sentence."""
    from scipy import stats

    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)
