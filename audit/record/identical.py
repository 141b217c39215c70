"""Identical to a retrain: what a recipe without randomness lets an audit show, and the names that stand for it.

Statistics.md, "Identical to a retrain". The judgement writes these findings, a verifier reads them in a certificate.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field

from .attack_record import Record

QUALIFIER: Final = "identical to a retrain"
#: our choice (statistics.md): a distance is none up to this share of the distance from the original to the retrain
BAR = 0.05
#: findings that must all be there and PASS: each a distance, as a share of that from the original to the retrain
FINDINGS = ("identical.audited", "identical.recipe", "identical.start")
#: gates that must be there and hold
REQUIRED = ("positive control", "utility", "references", "references unaware of the forget set")
#: gates that need not hold: without a spread between retrains no family may test against them
EXCUSED = ("difference test", "seed budget")

Shares = tuple[float, float]


class CoincidingRecord(Record):
    """References that the audit trained and that coincide: what was compared with a retrain from the audit's own start.

    Each pair is a distance between parameters and one between outputs on the forget rows (root mean square of centred
    logits), as shares of the distance from the original to the retrain; >= 0, no unit.

    Attributes:
        references: how many were trained; one of them is kept.
        start: the reference that is furthest from the retrain.
        recipe: the original from the same recipe's model on retain and forget rows; None where it was not compared.
        audited: the audited model from the retrain; None the same.
        problem: why they were not compared, "" where they were.
    """

    references: int = Field(ge=1)
    start: Shares
    recipe: Shares | None = None
    audited: Shares | None = None
    problem: str = ""
