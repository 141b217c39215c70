"""The relative question, in plain words: is the model closer to the retrains or to the original? Never gated."""

from __future__ import annotations

from attacks.laws import normal_isf
from audit.collect.closer import KEY
from audit.collect.evidence import Evidence
from audit.record.findings import Finding, FindingStatus, Interval

TITLE = "Closer to the retrains or to the original? Outputs compared"
NO_PROOF = ". No evidence of forgetting: a model may be closer to the retrains and still give the forget set away"


def closer_finding(evidence: Evidence, level: float) -> Finding:
    """The comparison as a finding; where it could not be made, or an older version collected the run, why.

    Args:
        evidence: with the numbers of `audit.collect.closer`, where they are.
        level: of the interval, two-sided.
    """
    numbers = evidence.arrays.get(KEY)
    facts = evidence.facts
    if numbers is None:
        if "original" not in facts.models or not facts.references:
            return _finding(evidence, "not compared: it takes the original and at least one retrain")
        return _finding(evidence, "not compared: too few rows, or a run of an older version")
    retrains, original, se = (float(value) for value in numbers[:3])
    rows, count = int(numbers[3]), int(numbers[4])
    difference = retrains - original
    reach = float(normal_isf((1 - level) / 2)) * se
    what = "never-seen rows of the forgotten classes" if facts.claim.kind == "class" else "forget rows"
    among = f"on {rows} {what}" + (" drawn at random" if rows < _total(evidence) else "")
    if difference + reach < 0:
        said = "the model is closer to the retrains than to the original"
    elif difference - reach > 0:
        said = "the model is closer to the original than to the retrains"
    else:
        said = "the model is not shown to be closer to the one or to the other"
    reason = (
        f"{said}: distance {retrains:.3g} from the retrains, {original:.3g} from the original (squared maximum mean "
        f"discrepancy of outputs {among}; the error is that of the rows, not of the seeds)"
    )
    return _finding(
        evidence,
        reason + (NO_PROOF if difference + reach < 0 else ""),
        estimate=difference,
        interval=Interval(low=difference - reach, high=difference + reach, level=level),
        n_forget=None if facts.claim.kind == "class" else rows,
        n_holdout=rows if facts.claim.kind == "class" else None,
        n_references=count,
        unit="to the retrains minus to the original",
    )


def _total(evidence: Evidence) -> int:
    return len(evidence.labels("holdout" if evidence.facts.claim.kind == "class" else "forget"))


def _finding(evidence: Evidence, reason: str, **fields: object) -> Finding:
    return Finding(
        id="outputs.closer",
        attack="outputs",
        metric="closer",
        title=TITLE,
        kind="exploratory",
        role="supplementary",
        access="labels" if evidence.facts.claim.access == "labels" else "logits",
        status=FindingStatus.NOTE,
        reason=f"exploratory: {reason}",
        **fields,  # type: ignore[arg-type]
    )
