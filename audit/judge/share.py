"""Class claims: the share of the original's knowledge of the forgotten classes that is left."""

from __future__ import annotations

import math
from dataclasses import dataclass

from attacks.base import Floats
from audit.statistics.intervals import Estimate, retained_share, shift
from audit.statistics.matched import matched
from audit.statistics.model_level import crawford_howell

from .averaged import OWN_REMEDY, Validity, audited_first, more_of, validity
from .equivalence import Context, Figure
from .families import least_runs
from .scored import Scored
from .settle import more_runs, to_see

# our choices, measured (docs/statistics.md, class claims)
LIGHT_MARGIN, LIGHT_ERRORS = 0.75, 1.2
MORE_REFERENCES = ("more references: the spread between seeds is too wide",)


@dataclass(frozen=True)
class Reading:
    """One number a model, the audited ones first, then the references; higher = more is left.

    Attributes:
        values: (J + K,).
        floor: smallest admissible spread of the references.
        original: the original's.
    """

    values: Floats
    floor: float
    original: float

    def share(self, level: float, runs: int) -> Estimate | None:
        """Share of the way to the original; None where the original does not stand out."""
        return retained_share(self.values, self.original, self.floor, level, runs)

    def own(self, runs: int) -> float:
        """The audited model's own share, without the other runs."""
        mean = float(self.values[runs:].mean())
        return (float(self.values[0]) - mean) / (self.original - mean)


def share(scored: Scored, context: Context) -> Figure:
    """Share of the original's excess over the retrains that is left.

    Read by a matched filter over rows where the attack gives rows, else as the plain mean. The plain mean must lie
    inside the margin then as well, and so must a fit that shrinks less.
    """
    policy, runs = context.policy, context.families.runs
    margin = policy.share_margin
    plain, filtered = _plain(scored, runs), _filtered(scored, runs)
    reading = filtered or plain
    estimate = None if reading is None else reading.share(context.level, runs)
    seen, null, own = False, [], 0.0
    settle: tuple[str, ...] = ()
    if reading is not None and estimate is not None and scored.control_contrast is not None:
        t, p = crawford_howell(*scored.control_contrast)
        seen = p <= policy.alpha and t > 0
        references, own = reading.values[runs:], reading.own(runs)
        null = ((references - references.mean()) / (reading.original - references.mean())).tolist()
        settle = more_of(estimate, margin, context)
    found = validity(scored, runs, own, margin)
    if not found["invalid"] and filtered is not None and plain is not None:
        found = _unfiltered(plain, margin, context)
    if not found["invalid"]:
        found = _lighter(scored, context)
    return Figure(
        metric="share",
        title="Share of the original's knowledge of the forgotten classes that is left",
        estimate=estimate,
        margin=(-margin, margin),
        control=None if scored.control_contrast is None else 1.0,
        seen=seen,
        unseen=to_see(None, 1.0, margin, policy),
        null=null,
        settle=settle,
        **found,
    )


def _plain(scored: Scored, runs: int) -> Reading | None:
    """The attack's own statistic: a mean over rows, or whatever it says of a model."""
    control = scored.control_contrast
    if control is None:
        return None
    values, floor = scored.contrast
    return Reading(audited_first(values, scored, runs), floor, float(control[0][0]))


def _filtered(scored: Scored, runs: int) -> Reading | None:
    """By the rows' matched filter; None without rows, or where no filter can be had."""
    if scored.control is None or scored.judged.rows is None or scored.control.rows is None:
        return None
    found = matched(audited_first(scored.judged.rows, scored, runs), scored.control.rows[0], runs)
    return None if found is None else Reading(*found, 1.0)


def _light(scored: Scored, runs: int) -> Reading | None:
    """The same under the fit that shrinks less, the plain mean where no filter can be had; None without such a fit."""
    if scored.control is None or scored.judged.lighter is None or scored.control.lighter is None:
        return None
    rows, original = audited_first(scored.judged.lighter, scored, runs), scored.control.lighter[0]
    found = matched(rows, original, runs)
    if found is not None:
        return Reading(*found, 1.0)
    error = float(rows[runs:].std(axis=1).mean()) / math.sqrt(rows.shape[1])
    return Reading(rows.mean(axis=1), error, float(original.mean()))


def _unfiltered(plain: Reading, margin: float, context: Context) -> Validity:
    """Why the filtered share supports no PASS: a filter may look away from what the plain mean shows."""
    found = plain.share(context.level, context.families.runs)
    if found is None:
        return {"invalid": "as a plain mean over rows the original does not stand out", "remedy": MORE_REFERENCES}
    if abs(found.value) < margin:
        return {"invalid": "", "remedy": ()}
    reason = f"as a plain mean over rows the share is {found.value:+.3f}, outside the margin"
    return {"invalid": reason, "remedy": more_of(found, margin, context)}


def _lighter(scored: Scored, context: Context) -> Validity:
    """Why a share supports no PASS: what the penalty of its fit may have hidden shows where the fit shrinks less.

    That is the noisier reading, so it has a bound of its own instead of a second interval: ``LIGHT_ERRORS`` standard
    errors above the mean of the runs must stay below ``LIGHT_MARGIN`` of the margin. More runs bring it down.
    """
    policy, runs = context.policy, context.families.runs
    reading = _light(scored, runs)
    if reading is None:
        return {"invalid": "", "remedy": ()}
    if not reading.original > reading.values[runs:].mean():
        return {"invalid": "with less shrinkage the original itself does not stand out", "remedy": MORE_REFERENCES}
    whole = reading.original - float(reading.values[runs:].mean())
    moved = shift(reading.values, reading.floor, context.level, runs)
    own, value, error = reading.own(runs), moved.value / whole, moved.se / whole
    margin = policy.share_margin
    if runs > 1 and own >= margin:
        reason = f"with less shrinkage the audited run itself lies outside the margin ({own:+.3f})"
        return {"invalid": reason, "remedy": OWN_REMEDY}
    most = LIGHT_MARGIN * margin - LIGHT_ERRORS * error
    if value < most:
        return {"invalid": "", "remedy": ()}
    reason = f"with less shrinkage the share is {value:+.2f}, and a PASS needs less than {most:.2f}"
    references = len(context.evidence.facts.references)
    spread = error / math.sqrt(1 / runs + 1 / references)
    least = least_runs(context.families, context.evidence, policy)
    ways = more_runs(value, spread, LIGHT_MARGIN * margin, LIGHT_ERRORS, runs, references, least)
    return {"invalid": reason, "remedy": ways}
