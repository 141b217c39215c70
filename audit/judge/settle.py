"""What would settle an open figure, gate or family: numbers where numbers help, else what to do instead."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from attacks.base import Floats
from attacks.laws import normal_isf, normal_ppf, normal_sf, t_ppf
from audit.policy.policy import Policy
from audit.record.result import UtilityFigure
from audit.statistics.intervals import Estimate, sandwich_ranks
from audit.statistics.sample_size import (
    MOST_ROWS,
    POWER,
    auc_error,
    forget_rows_to_pass,
    holdout_rows_to_pass,
    references_to_pass,
    runs_to_pass,
    tail_rows_to_pass,
)

STEP = 1.1  # our choice: less than a tenth more rows settles nothing
LEAST_MARGIN = 0.01  # our choice: a smaller one takes tens of thousands of rows to keep, and none is proposed
MEMORISED = (
    "a larger forget set, more references, or a forget set with something memorised: the attack must first see it in "
    "the original"
)
INVALID = ("no number of rows or references: mend what the reason names, and run again",)
RECIPE = "retrain the references with the original's own recipe on the retain set"
MOST_RUNS = 50  # our choice: nobody unlearns more often
CHANCE = 3.0  # our choice: standard errors up to which an honest run may lie off
FURTHER = "unlearn the forgotten classes further"
DECIDES = "their mean decides"  # not the best of them
#: our choice of what costs least: words, files at hand, never-seen rows, models, more deletions
COSTS = (
    "audit score",
    "claim --access",
    "give the original",
    "group column",
    "holdout rows with the same",
    "holdout subjects with the same",
    "raw logits",
    "more test rows",
    "more retain rows",
    "retrain the references",
    "retrained references",
    "unlearned runs",
)


def cheapest_first(ways: Sequence[str]) -> tuple[str, ...]:
    """Ways to settle, without repetition, in the order of what they cost."""
    unique = dict.fromkeys(ways)
    return tuple(sorted(unique, key=lambda way: next((i for i, mark in enumerate(COSTS) if mark in way), len(COSTS))))


def _outside(deviation: float, what: str) -> tuple[str, ...]:
    do = "unlearn further" if deviation > 0 else "the forget set stands out as deleted, unlearn less hard"
    return (f"no number of {what}: the estimate itself is outside the margin; {do}",)


def _countless(what: str) -> str:
    return f"more {what} than could be gathered: the estimate is close to the margin"


def _both(rows: int, sizes: tuple[int, int], unit: str) -> str:
    rows = max(rows, math.ceil(STEP * sizes[0]))
    return f"about {rows} forget {unit} with {round(rows * sizes[1] / sizes[0])} holdout {unit}"


def more_rows(estimate: Estimate, sizes: tuple[int, int], margin: float, policy: Policy, unit: str) -> tuple[str, ...]:
    """Rows that would settle an AUC: holdout rows alone where that is enough (they cost no deletion), else both."""
    n_forget, n_holdout = sizes
    deviation, alpha = estimate.value - 0.5, policy.alpha
    if abs(deviation) >= margin:
        return _outside(deviation, unit)
    if estimate.se < 1e-12:
        return (f"no number of {unit}: the scores do not vary",)
    ways = []
    holdout = holdout_rows_to_pass(n_forget, n_holdout, deviation, margin, alpha, se=estimate.se)
    if holdout is not None:
        ways.append(f"about {max(holdout, math.ceil(STEP * n_holdout))} holdout {unit} with the same forget {unit}")
    rows = forget_rows_to_pass(n_forget, deviation, estimate.se, margin, alpha)
    if rows is not None:
        ways.append(_both(rows, sizes, unit))
    return tuple(ways) or (_countless(f"forget and holdout {unit}"),)


def more_tail_rows(forget: Floats, holdout: Floats, rate: float, policy: Policy, unit: str) -> tuple[str, ...]:
    """Rows that would settle a tail rate.

    Args:
        forget, holdout: scores, the tail in question on top.
        rate: the estimate.
        policy: thresholds.
        unit: rows or subjects.
    """
    if rate >= policy.tpr_margin:
        return _outside(1.0, unit)
    sizes, q = (len(forget), len(holdout)), policy.tpr_fpr
    rank = sandwich_ranks(len(holdout), q, policy.alpha / 2)[1]
    if rank is not None:  # what was caught at the bound's own threshold, carried back to the nominal one
        caught = float((forget >= np.sort(holdout)[::-1][rank - 1]).mean())
        reach = normal_isf(rank / (len(holdout) + 1)) - normal_isf(np.clip(caught, 1e-12, 1 - 1e-12))
        rate = max(rate, float(normal_sf(normal_isf(q) - reach)))
    rows = tail_rows_to_pass(*sizes, rate, q, policy.tpr_margin, policy.alpha)
    if rows is None:
        return (_countless(f"forget and holdout {unit}"),)
    return (_both(rows, sizes, unit),)


def more_models(
    estimate: Estimate, margin: float, runs: int, references: int, alpha: float, least: int = 2
) -> tuple[str, ...]:
    """References or unlearned runs that would settle a figure against references, each alone.

    ``least``: fewer runs than these the figure would not be averaged over.
    """
    if abs(estimate.value) >= margin:
        return _outside(estimate.value, "models")
    half = max(estimate.high - estimate.value, estimate.value - estimate.low)
    t = float(t_ppf(1 - alpha, references - 1))
    spread = half / t / math.sqrt(1 / runs + 1 / references)
    ways = []
    needed = references_to_pass(estimate.value, spread, margin, alpha, runs=runs)
    if needed is not None and needed > references:
        ways.append(f"about {needed} retrained references")
    needed = runs_to_pass(estimate.value, spread, references, margin, alpha)
    if needed is not None and needed > runs:
        needed = max(needed, least)
        ways.append(f"about {needed} unlearned runs of the procedure (--runs) with these references: {DECIDES}")
    return tuple(ways) or ("no number of references or runs: the spread between seeds exceeds the margin",)


def more_runs(
    value: float, spread: float, bound: float, errors: float, runs: int, references: int, least: int
) -> tuple[str, ...]:
    """Unlearned runs whose mean lies ``errors`` standard errors below ``bound``; unlearning further, besides.

    As many as give honest runs the usual power, and as suffice where the mean stays what it is, if any do. None where
    the mean is too far from 0 for chance.

    Args:
        value: mean of the runs so far.
        spread: standard deviation between seeds.
        bound: what must not be reached.
        errors: standard errors that the mean must lie below it.
        runs, references: how many there are.
        least: fewer runs the figure would not be averaged over.
    """
    further = (FURTHER,)
    if not value < CHANCE * spread * math.sqrt(1 / runs + 1 / references):
        return further
    goals = [(0.0, errors + float(normal_ppf(POWER))), (max(value, 0.0), errors)]
    # sqrt(1/J + 1/K) <= slack / (reach * spread); no J where the references alone leave no room
    rooms = [((bound - mean) / (reach * spread)) ** 2 - 1 / references for mean, reach in goals if mean < bound]
    counts = [math.ceil(1 / room) for room in rooms if room * MOST_RUNS >= 1]
    needed = max(least, *counts) if counts else 0
    if needed <= runs:
        return further
    return f"about {needed} unlearned runs of the procedure (--runs) with these references: {DECIDES}", *further


def enough_rows(sizes: tuple[int, int], policy: Policy, unit: str, *, tail: bool) -> tuple[str, ...]:
    """Where there are too few rows to judge at all: how many a model like an honest retrain would pass with."""
    least = (policy.min_forget_tail if tail else policy.min_forget, policy.min_holdout)
    start = max(sizes[0], 10), max(sizes[1], 10)
    if tail:
        rows = tail_rows_to_pass(*start, policy.tpr_fpr, policy.tpr_fpr, policy.tpr_margin, policy.alpha)
    else:
        rows = forget_rows_to_pass(start[0], 0.0, auc_error(*start), policy.auc_margin, policy.alpha)
    if rows is None:
        return (f"no number of {unit} would do: the policy's margin leaves no room for an honest model",)
    rows = max(rows, least[0], math.ceil(least[1] * start[0] / start[1]))
    return (
        f"about {rows} forget {unit} with {round(rows * start[1] / start[0])} holdout {unit}, for a PASS of an honest "
        f"model with power {POWER:g} ({least[0]} and {least[1]} to be judged at all)",
    )


def too_few(sizes: tuple[int, int], policy: Policy) -> tuple[str, tuple[str, ...]]:
    """Why so few rows are judged by no figure, and how many are needed; nothing where there are enough."""
    least = policy.min_forget, policy.min_holdout
    if sizes[0] >= least[0] and sizes[1] >= least[1]:
        return "", ()
    reason = f"the figures need {least[0]} forget and {least[1]} holdout rows, there are {sizes[0]} and {sizes[1]}"
    return reason, enough_rows(sizes, policy, "rows", tail=False)


def to_see(seen: Estimate | None, p: float, reach: float, policy: Policy) -> tuple[str, tuple[str, ...]]:
    """Why an attack is not covered, and what would help.

    Args:
        seen: how far the original lies from what is honest, with its interval; None where none exists.
        p: of the difference on the original.
        reach: the margin; the interval must lie above it.
        policy: thresholds.
    """
    if seen is None or p > policy.alpha:
        reason = "the attack does not see the forget set in the original clearly enough: its silence proves nothing"
        return reason, (MEMORISED,)
    found = (
        f"the attack sees the forget set in the original, but by {seen.value:.3g} ({seen.low:.3g} to {seen.high:.3g})"
    )
    if seen.value <= 0:
        reason = f"{found}, on the side of the never-seen rows: its silence proves nothing"
        return reason, (
            "see that the original's outputs on the forget set are those of its rows: what it was trained on must not "
            "look less familiar than never-seen rows",
        )
    reason = f"{found}, not surely by more than the margin of {reach:g}: to lie inside it would prove nothing"
    if seen.value > reach:
        return reason, ("a larger forget and holdout set: the original's whole interval must lie above the margin",)
    if seen.value < LEAST_MARGIN:
        return reason, (MEMORISED,)
    return reason, (f"a policy with a margin well below {seen.value:.2g}: in this one the original itself would fit",)


def utility_way(figure: UtilityFigure, alpha: float) -> str:
    """Rows that would show non-inferiority, if the difference is the one seen; else that the model must be mended."""
    slack = figure.estimate + figure.margin
    part = figure.name.startswith("worst")
    if part or slack <= 0:
        return "no number of rows: the loss itself is too large; mend the model"
    z = float(normal_ppf(1 - alpha))
    se = (figure.estimate - figure.difference.low) / z
    needed = figure.rows * (se * (z + float(normal_ppf(POWER))) / slack) ** 2
    which = "retain" if figure.name == "retain" else "test"
    if needed > MOST_ROWS:
        return _countless(f"{which} rows")
    rows = math.ceil(needed)
    return f"more {which} rows, about {rows} in place of {figure.rows}"
