"""Signals that are 0 or 1, as exact extraction is, where they are too rare to be calibrated: exact tests of counts.

What honest models do once in a hundred rows has no scale by example: retrains agree on nearly every row, and the
quantiles by which the scatter of scores is judged fall on one value. So such a signal is compared as it is: the audited
model's values less the references' mean, forget against holdout rows, by permutation of rows (of data subjects, where
rows have some). It is exact wherever forget and holdout rows are exchangeable.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from attacks.base import Floats, Ints, Signals
from audit.collect.evidence import Evidence
from audit.record.findings import Gate

RARE = 0.1  # our choice: twice the share that the check of the scatter leaves out on each side
LEAST = 999  # permutations, our choice


def is_event(signals: Iterable[Signals]) -> bool:
    """Every value of every model is 0 or 1 (turned: 0 or -1)."""
    found = np.unique(np.concatenate([np.unique(values) for one in signals for values in one.values()]))
    return bool(np.isin(found, (0, 1)).all() or np.isin(found, (0, -1)).all())


def is_rare(signals: Mapping[str, Signals]) -> bool:
    """Nearly all rows of the references have one value. False where there is no reference."""
    share = abs(_mean(signals))
    return min(share, 1 - share) <= RARE


def is_silent(signals: Mapping[str, Signals]) -> bool:
    """The audited model has the one value that nearly all rows of the references have, in all of its rows."""
    own = np.concatenate(list(signals["unlearned"].values()))
    return bool(np.ptp(own) == 0) and abs(float(own[0]) - _mean(signals)) <= RARE


def counted(gate: Mapping[str, str], signals: Mapping[str, Signals], evidence: Evidence, alpha: float) -> Gate:
    """Do forget rows have more of it than holdout rows, beyond what the references have?

    Args:
        gate: name and effect of the gate.
        signals: of each model, both sides (n,).
        evidence: knows the data subjects, and the seed.
        alpha: level of the test.
    """
    mine, others = signals["unlearned"], _references(signals)
    sides = [mine[role] - np.mean([one[role] for one in others], axis=0) for role in ("forget", "holdout")]
    subjects = evidence.subjects()
    if subjects is not None:
        sides = [_averaged(side, codes) for side, codes in zip(sides, subjects, strict=True)]
    p = _p(sides[0], sides[1], max(LEAST, math.ceil(5 / alpha)), np.random.default_rng(evidence.facts.seed))
    shares = ", ".join(f"{abs(float(mine[role].mean())):.1%} of the {role} rows" for role in ("forget", "holdout"))
    seen = "a trace of the forget set" if p <= alpha else "no trace"
    reason = f"{seen} (it is 1 for {shares}; too rare to be calibrated, compared as it is, p = {p:.4f})"
    return Gate(name=gate["name"], ok=p > alpha, effect="blocks PASS", reason=reason)


def _mean(signals: Mapping[str, Signals]) -> float:
    """Over all rows of all references; one half where there is none, which is rare of nothing."""
    values = [np.concatenate(list(one.values())) for one in _references(signals)]
    return float(np.concatenate(values).mean()) if values else 0.5


def _references(signals: Mapping[str, Signals]) -> list[Signals]:
    return [one for model, one in signals.items() if model.startswith("retrained/")]


def _averaged(values: Floats, codes: Ints) -> Floats:
    """Mean by data subject."""
    _, at, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(at, weights=values) / sizes)


def _p(forget: Floats, holdout: Floats, permutations: int, rng: np.random.Generator) -> float:
    """One-sided p of a larger mean on the forget side; ties count against it."""
    pooled, n = np.concatenate([forget, holdout]), len(forget)
    least = float(forget.sum()) - 1e-9  # of rounding
    larger = sum(float(rng.permutation(pooled)[:n].sum()) >= least for _ in range(permutations))
    return (larger + 1) / (permutations + 1)
