"""Class claims: the share of the original's knowledge of the forgotten classes that is left."""

from __future__ import annotations

import math
from dataclasses import dataclass

from attacks.base import Floats
from audit.statistics.intervals import Estimate, retained_share, shift
from audit.statistics.matched import matched
from audit.statistics.model_level import crawford_howell

from .averaged import OTHER_RUN, OWN_REMEDY, Validity, audited_first, more_of, validity
from .equivalence import Context, Figure
from .families import least_runs
from .scored import Scored
from .settle import FURTHER, more_runs, to_see

# our choices, measured (docs/statistics.md, class claims): how far inside the margin other readings must lie
PLAIN_MARGIN, PLAIN_ERRORS = 0.8, 0.25
LIGHT_MARGIN, LIGHT_ERRORS = 0.75, 1.2
TITLE = "Share of the original's knowledge of the forgotten classes that is left"
MORE_REFERENCES = ("more references: the spread between seeds is too wide",)


@dataclass(frozen=True)
class Reading:
    """One number a model, the audited ones first, then the references; higher = more is left.

    Attributes:
        values: (J + K,).
        floor: smallest admissible spread of the references.
        original: the original's.
        runs: J.
    """

    values: Floats
    floor: float
    original: float
    runs: int

    @property
    def whole(self) -> float:
        """The original's distance from the references, which shares are shares of."""
        return self.original - float(self.values[self.runs :].mean())

    @property
    def own(self) -> float:
        """The audited model's own share, without the other runs."""
        return (float(self.values[0]) - float(self.values[self.runs :].mean())) / self.whole

    def share(self, level: float) -> Estimate | None:
        """Share of the way to the original; None where the original does not stand out."""
        return retained_share(self.values, self.original, self.floor, level, self.runs)

    def moved(self, level: float) -> tuple[float, float]:
        """The runs' mean share and its standard error, the original taken as known."""
        found = shift(self.values, self.floor, level, self.runs)
        return found.value / self.whole, found.se / self.whole


def share(scored: Scored, context: Context) -> Figure:
    """Share of the original's excess over the retrains that is left.

    Read by a matched filter over rows where the attack gives rows, else as the plain mean. The plain mean must lie
    well inside the margin then as well, and so must a fit that shrinks less.
    """
    policy, runs = context.policy, context.families.runs
    margin = policy.share_margin
    plain = _plain(scored, runs)
    filtered = None if plain is None else _filtered(scored, plain)
    reading = filtered or plain
    estimate = None if reading is None else reading.share(context.level)
    seen, null, own = False, [], 0.0
    settle: tuple[str, ...] = ()
    if reading is not None and estimate is not None and scored.control_contrast is not None:
        t, p = crawford_howell(*scored.control_contrast)
        seen = p <= policy.alpha and t > 0
        references, own = reading.values[runs:], reading.own
        null = ((references - references.mean()) / reading.whole).tolist()
        settle = more_of(estimate, margin, context)
    found = validity(scored, runs, own, margin)
    if seen and not found["invalid"] and filtered is not None and plain is not None:
        found = _unfiltered(plain, context)
    if seen and not found["invalid"]:
        found = _lighter(scored, context)
    return Figure(
        metric="share",
        title=TITLE if filtered is None else f"{TITLE}, rows weighted",
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
    return Reading(audited_first(values, scored, runs), floor, float(control[0][0]), runs)


def _filtered(scored: Scored, plain: Reading) -> Reading | None:
    """By the rows' matched filter; None without rows, or where no filter can be had.

    Its spread is not below the sampling error of the plain mean, for its own vanishes where the references agree.
    """
    if scored.control is None or scored.judged.rows is None or scored.control.rows is None or not plain.whole > 0:
        return None
    found = matched(audited_first(scored.judged.rows, scored, plain.runs), scored.control.rows[0], plain.runs)
    return None if found is None else Reading(found[0], max(found[1], plain.floor / plain.whole), 1.0, plain.runs)


def _light(scored: Scored, runs: int) -> tuple[Reading, Reading] | None:
    """Under the fit that shrinks less: by the filter, or the mean where none can be had, and the mean in any case."""
    if scored.control is None or scored.judged.lighter is None or scored.control.lighter is None:
        return None
    rows, original = audited_first(scored.judged.lighter, scored, runs), scored.control.lighter[0]
    error = float(rows[runs:].std(axis=1).mean()) / math.sqrt(rows.shape[1])
    plain = Reading(rows.mean(axis=1), error, float(original.mean()), runs)
    found = matched(rows, original, runs)
    return (plain if found is None else Reading(*found, 1.0, runs)), plain


def _unfiltered(plain: Reading, context: Context) -> Validity:
    """Why the filtered share supports no PASS: a filter looks away from some rows, and the plain mean does not.

    What is left of a part of the class may lie in patterns that honest retrains show as well; references whose noise
    an owner chose may hide more. So the plain mean of the runs must lie ``PLAIN_ERRORS`` standard errors inside
    ``PLAIN_MARGIN`` of the margin, and the audited run's own inside the margin.
    """
    margin, runs = context.policy.share_margin, plain.runs
    if runs > 1 and not abs(plain.own) < margin:
        reason = f"as a plain mean over rows the audited run itself lies outside the margin ({plain.own:+.3f})"
        return {"invalid": reason, "remedy": OWN_REMEDY if plain.own > 0 else (OTHER_RUN,)}
    value, error = plain.moved(context.level)
    most = PLAIN_MARGIN * margin - PLAIN_ERRORS * error
    if abs(value) < most:
        return {"invalid": "", "remedy": ()}
    reason = f"as a plain mean over rows the share is {value:+.3f}, and a PASS needs it within {max(most, 0.0):.3f}"
    ways = _ways(abs(value), error, PLAIN_MARGIN * margin, PLAIN_ERRORS, plain, context)
    if value < 0:
        ways = tuple(way for way in ways if way != FURTHER) or MORE_REFERENCES
    return {"invalid": reason, "remedy": ways}


def _lighter(scored: Scored, context: Context) -> Validity:
    """Why a share supports no PASS: what the penalty of its fit may have hidden shows where the fit shrinks less.

    That is the noisier reading, so it has a bound of its own instead of a second interval: ``LIGHT_ERRORS`` standard
    errors above the mean of the runs must stay below ``LIGHT_MARGIN`` of the margin. More runs bring it down.
    """
    readings = _light(scored, context.families.runs)
    if readings is None:
        return {"invalid": "", "remedy": ()}
    reading, plain = readings
    if not min(reading.whole, plain.whole) > 0:
        return {"invalid": "with less shrinkage the original itself does not stand out", "remedy": MORE_REFERENCES}
    margin = context.policy.share_margin
    own = max(reading.own, plain.own)
    if reading.runs > 1 and own >= margin:
        reason = f"with less shrinkage the audited run itself lies outside the margin ({own:+.3f})"
        return {"invalid": reason, "remedy": OWN_REMEDY}
    value, error = reading.moved(context.level)
    most = LIGHT_MARGIN * margin - LIGHT_ERRORS * error
    if value < most:
        return {"invalid": "", "remedy": ()}
    reason = f"with less shrinkage the share is {value:+.2f}, and a PASS needs less than {most:.2f}"
    return {"invalid": reason, "remedy": _ways(value, error, LIGHT_MARGIN * margin, LIGHT_ERRORS, reading, context)}


def _ways(
    value: float, error: float, bound: float, errors: float, reading: Reading, context: Context
) -> tuple[str, ...]:
    """Runs that would bring the mean ``errors`` standard errors below ``bound``."""
    references = len(context.evidence.facts.references)
    spread = error / math.sqrt(1 / reading.runs + 1 / references)
    least = least_runs(context.families, context.evidence, context.policy)
    return more_runs(value, spread, bound, errors, reading.runs, references, least)
