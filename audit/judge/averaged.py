"""Figures that average the runs of a procedure: which models count, what supports no PASS, how many more would do."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from attacks.base import Floats
from audit.statistics.intervals import Estimate

from .equivalence import Context
from .families import least_runs
from .scored import Scored
from .settle import more_models

OTHER_RUN = "where another run takes the place of this one, declare both looks (--ledger)"
OWN_REMEDY = ("unlearn this run further", OTHER_RUN)


class Validity(TypedDict):
    """Why a figure supports no PASS ("" where it may), and what to do about it."""

    invalid: str
    remedy: tuple[str, ...]


def validity(scored: Scored, runs: int, own: float, margin: float) -> Validity:
    """Why the runs' mean supports no PASS: the audited run itself lies outside the margin, or a fit is bad."""
    if runs > 1 and not abs(own) < margin:
        reason = f"the audited run itself lies outside the margin ({own:+.3f}): the other runs do not speak for it"
        return {"invalid": reason, "remedy": OWN_REMEDY if own > 0 else (OTHER_RUN,)}
    return {"invalid": scored.subject.invalid, "remedy": scored.subject.remedy}


def audited_first(values: Floats, scored: Scored, runs: int) -> Floats:
    """The audited models that the figure averages, then the references: all runs, or the audited model alone."""
    return values if runs == scored.runs else np.concatenate([values[:1], values[scored.runs :]])


def more_of(estimate: Estimate, margin: float, context: Context) -> tuple[str, ...]:
    """How many references or runs would bring the interval inside the margin."""
    families, policy = context.families, context.policy
    least = least_runs(families, context.evidence, policy)
    references = len(context.evidence.facts.references)
    return more_models(estimate, margin, families.runs, references, policy.alpha, least)
