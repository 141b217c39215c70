"""One attack's scores on all models, by row or by data subject, and the statistic per model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from attacks.base import GRANTS, Attack, Floats, Ints, Scores
from audit.collect.evidence import Evidence


@dataclass(frozen=True, eq=False)
class Scored:
    """One attack's scores on the audited model and, as positive control, on the original in its place.

    ``subject`` and ``control`` hold (J, ...) arrays whose row 0 is the unlearned model or the original, rows 1..K
    the references. ``n_forget`` counts rows, or subjects where rows were averaged per subject. ``pooled`` scores
    all J runs of the procedure at once (rows 0..J-1), where there are further runs (design A6).
    """

    attack: Attack
    subject: Scores
    control: Scores | None
    n_forget: int
    pooled: Scores | None = None
    runs: int = 1
    by_row: Scores | None = None  # of the audited model, before rows were averaged per subject

    @property
    def unit(self) -> str:
        """What the per-example figures count: rows, or the subjects that rows were averaged to."""
        return "rows" if self.by_row is None else "subjects"

    @property
    def judged(self) -> Scores:
        """What family D1 judges: all runs of the procedure where there are several, else the audited model."""
        return self.subject if self.pooled is None else self.pooled

    @cached_property
    def contrast(self) -> tuple[Floats, float]:
        """Model-level statistic (J + K,), the ``runs`` audited models first, and the floor of its spread."""
        return _statistic(self.judged, self.n_forget, self.runs)

    @cached_property
    def control_contrast(self) -> tuple[Floats, float] | None:
        """The same with the original in place of the audited model."""
        return None if self.control is None else _statistic(self.control, self.n_forget, 1)

    def sides(self, *, control: bool = False) -> tuple[Floats, Floats] | None:
        """Per-example scores (J, n_F) and (J, n_H), or None."""
        scores = self.control if control else self.subject
        if scores is None or scores.examples is None:
            return None
        return scores.examples[:, : self.n_forget], scores.examples[:, self.n_forget :]

    def require_sides(self) -> tuple[Floats, Floats]:
        """``sides`` of an attack that has example scores; ValueError where it has none."""
        sides = self.sides()
        if sides is None:
            raise ValueError(f"{self.attack.name} has no example scores")
        return sides

    def honest_holdout(self) -> Floats:
        """Holdout scores (M, n_H) of models that are honest there: the original, where given, and the references.

        Where the original is given, the audited model has no part in their calibration.
        """
        sides = self.sides(control=True)
        return sides[1] if sides is not None else self.require_sides()[1][1:]

    def judged_sides(self) -> tuple[Floats, Floats]:
        """``sides`` of ``judged``: (J + K, n_F) and (J + K, n_H)."""
        if self.judged.examples is None:
            raise ValueError(f"{self.attack.name} has no example scores")
        return self.judged.examples[:, : self.n_forget], self.judged.examples[:, self.n_forget :]

    def rows(self) -> tuple[int, int]:
        """Forget and holdout rows (or subjects) behind the per-example figures."""
        forget, holdout = self.require_sides()
        return forget.shape[1], holdout.shape[1]

    def sizes(self, evidence: Evidence) -> tuple[int | None, int]:
        """The same behind the model-level statistic; class claims use never-seen rows alone, no forget row."""
        if self.subject.examples is None or self.subject.statistic is not None:
            forget = None if evidence.facts.claim.kind == "class" else len(evidence.labels("forget"))
            return forget, len(evidence.labels("holdout"))
        return self.rows()


def _statistic(scores: Scores, n_forget: int, runs: int) -> tuple[Floats, float]:
    """The statistic of each model, and the floor of its spread between models.

    The floor of a mean of rows is the largest sampling error over all models, the audited one as well: an honest model
    whose scores scatter (a quantised one) has a noisier mean, and no leak. All models alike, so ranks stay exact.
    """
    if scores.statistic is not None:
        return scores.statistic, _floor(scores.sampling_error, runs)
    if scores.examples is None:
        raise ValueError("an attack must return examples or a statistic")
    forget, holdout = scores.examples[:, :n_forget], scores.examples[:, n_forget:]
    error = np.sqrt(forget.var(axis=1) / forget.shape[1] + holdout.var(axis=1) / holdout.shape[1])
    return forget.mean(axis=1) - holdout.mean(axis=1), float(error.max()) if len(error) > runs else 0.0


def _floor(error: Floats | None, runs: int) -> float:
    """Mean sampling error of the references."""
    return 0.0 if error is None or len(error) <= runs else float(error[runs:].mean())


def by_subject(scores: Scores, forget: Ints, holdout: Ints) -> tuple[Scores, int]:
    """Average per-example scores within each data subject: rows of one subject are not independent.

    Returns:
        the scores with one column per subject, forget subjects first, and the number of forget subjects.
    """
    if scores.examples is None:
        return scores, len(np.unique(forget))
    columns = []
    start = 0
    for codes in (forget, holdout):
        side = scores.examples[:, start : start + len(codes)]
        start += len(codes)
        columns += [side[:, codes == code].mean(axis=1) for code in np.unique(codes)]
    return replace(scores, examples=np.stack(columns, axis=1)), len(np.unique(forget))


def in_reach(attack: Attack, evidence: Evidence) -> bool:
    """The claimed adversary may run this attack."""
    return attack.access <= GRANTS[evidence.facts.claim.access]
