"""Signals that are 0 or 1, as exact extraction is, where they are too rare to be calibrated: exact tests of counts.

What honest models do once in a hundred rows has no scale by example: retrains agree on nearly every row, and the
quantiles by which the scatter of scores is judged fall on one value. So such a signal is compared as it is, by what the
audited model says of a row less the references' mean: forget against holdout rows, by permutation of rows (of data
subjects, where rows have some), the deviations themselves (more or less of it) and their size (some rows more, others
less). Both are exact wherever forget and holdout rows are exchangeable. On retain rows it must be seen that the audited
model has the signal at all: a column that is 0 everywhere hides what it would have shown.
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
ALIVE = 0.5  # our choice: share of what retrains have on retain rows that the audited model must have


def is_event(signals: Iterable[Signals]) -> bool:
    """Every value of every model is 0 or 1 (turned: 0 or -1)."""
    found = np.unique(np.concatenate([np.unique(values) for one in signals for values in one.values()]))
    return bool(np.isin(found, (0, 1)).all() or np.isin(found, (0, -1)).all())


def is_rare(signals: Mapping[str, Signals]) -> bool:
    """Nearly all rows of the references have one value. False where there is no reference."""
    share = abs(_mean(signals))
    return min(share, 1 - share) <= RARE


def is_usual(signals: Mapping[str, Signals]) -> bool:
    """The audited model's value of all rows is that of nearly all rows of the references."""
    own = np.concatenate(list(signals["unlearned"].values()))
    return abs(float(own[0]) - _mean(signals)) <= RARE


def counted(gate: Mapping[str, str], signals: Mapping[str, Signals], evidence: Evidence, alpha: float) -> Gate:
    """Do forget rows differ from holdout rows, beyond what the references do?

    Args:
        gate: name and effect of the gate.
        signals: of each model, both sides (n,).
        evidence: knows the data subjects, and the seed.
        alpha: level of the two tests together (Bonferroni).
    """
    mine, others = signals["unlearned"], _references(signals)
    sides = [mine[role] - np.mean([one[role] for one in others], axis=0) for role in ("forget", "holdout")]
    subjects = evidence.subjects()
    rng, p = np.random.default_rng(evidence.facts.seed), 1.0
    for compared in (sides, [np.abs(side) for side in sides]):
        units = compared
        if subjects is not None:
            units = [_averaged(side, codes) for side, codes in zip(compared, subjects, strict=True)]
        p = min(p, 2 * _p(units[0], units[1], max(LEAST, math.ceil(10 / alpha)), rng))
    shares = ", ".join(f"{abs(float(mine[role].mean())):.1%} of the {role} rows" for role in ("forget", "holdout"))
    seen = "a trace of the forget set" if p <= alpha else "no trace"
    reason = f"{seen} (it is not 0 for {shares}; too rare to be calibrated, compared as it is, p = {p:.4f})"
    return Gate(name=gate["name"], ok=p > alpha, effect="blocks PASS", reason=reason)


def dead(name: str, evidence: Evidence) -> str:
    """Why the audited model was not shown to have a signal at all, by the retain rows; "" where it has it.

    Args:
        name: of the signal, which does not lead.
        evidence: holds the means on retain rows.
    """
    at = list(evidence.task.declared).index(name) - 1
    shares = {
        key.partition("/")[2]: abs(float(values[at]))
        for key, values in evidence.arrays.items()
        if key.startswith("further_retain/")
    }
    if "unlearned" not in shares:
        return "what it is on retain rows is not known: audit again, this run is of an older version"
    usual = [share for model, share in shares.items() if model.startswith("retrained/")]
    mine, others = shares["unlearned"], float(np.mean(usual)) if usual else 0.0
    apart = min(others, 1 - others)  # a signal that nearly all rows have is as alive by those that have it not
    if apart <= RARE or min(mine, 1 - mine) >= ALIVE * apart:
        return ""
    return f"{mine:.1%} of the retain rows have it, {others:.1%} with the retrains: it may be a dead column"


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
    """Two-sided p of another mean on the forget side; ties count against it."""
    pooled, n = np.concatenate([forget, holdout]), len(forget)
    usual = float(pooled.mean()) * n
    least = abs(float(forget.sum()) - usual) - 1e-9  # of rounding
    larger = sum(abs(float(rng.permutation(pooled)[:n].sum()) - usual) >= least for _ in range(permutations))
    return (larger + 1) / (permutations + 1)
