"""Checks of scores that stand for a model: are rows in one order, are they tied, and do the other signals show a trace?

Scores stand beside nothing that they could be held against. What can be seen of a broken file is seen here, and blocks
a PASS: rows of one model in another order than those of the others, rows without an order among themselves, and a trace
in a signal that does not lead (`events`: where it is 0 or 1, and rare). None of it makes a FAIL, whose error rate
belongs to the leading signal.
"""

from __future__ import annotations

import numpy as np

from attacks.base import Floats, Signals
from attacks.laws import ranks
from attacks.tasks.scores import LACKED_WORDS
from audit.collect.evidence import AttackRun, Evidence
from audit.policy.policy import Policy
from audit.record.findings import Gate
from audit.statistics.intervals import auc_components

from .events import counted, dead, is_event, is_rare, is_usual
from .families import run_families
from .scoring import Scoring, score

ATTACK = "membership"  # reads every signal of a row
SIDES = ("forget", "holdout")
TIED = 0.2  # our choice: share of a side's rows whose value another row has, too
ALPHA = 0.01  # our choice: chance that two models in unrelated orders seem to agree


def signal_gates(evidence: Evidence, scoring: Scoring, policy: Policy) -> tuple[Gate, ...]:
    """One gate on the scores themselves, and one a signal that does not lead; nothing for other tasks."""
    run = next((run for run in scoring.runs if run.name == ATTACK and run.status == "ok"), None)
    if not evidence.task.declared or run is None:
        return ()
    lead, *others = evidence.task.declared
    found = [_sound(lead, evidence), *_whole(evidence)]
    smaller = policy.model_copy(update={"alpha": policy.alpha / max(1, len(others))})
    for name in others:
        found += _trace(name, run, evidence, scoring, smaller)
    return tuple(found)


def _whole(evidence: Evidence) -> list[Gate]:
    """Were rows left out because the audited model's log alone lacks them? What it still knows could stand there."""
    lacked = [line for line in evidence.facts.assumptions if line.startswith(LACKED_WORDS)]
    reason = "; ".join(f"{line}: what it still knows could stand there; evaluate it on all rows" for line in lacked)
    return [Gate(name="rows left out", ok=False, effect="blocks PASS", reason=reason)] if lacked else []


def _sound(lead: str, evidence: Evidence) -> Gate:
    """Are the leading scores of the audited model of the same rows as the others', and can they be told apart?"""
    problems, compared = [], False
    for role in SIDES:
        mine = np.asarray(evidence.signals[ATTACK, "unlearned"][role])
        tied = _tied(mine)
        if tied > TIED:
            problems.append(f"{tied:.0%} of the {role} rows are tied")
        others = [np.asarray(s[role]) for (attack, m), s in evidence.signals.items() if attack == ATTACK and _other(m)]
        compared = bool(others)
        if others and not _agrees(mine, np.mean([ranks(values) for values in others], axis=0)):
            problems.append(
                f"the other models order the {role} rows otherwise: rows in another order, or scores that say nothing "
                "of a row"
            )
    alike = ", and the other models order them alike" if compared else "; there is no model to compare their order with"
    reason = "; ".join(problems) or f"rows can be told apart{alike}"
    return Gate(name=f"scores ({lead})", ok=not problems, effect="blocks PASS", reason=reason)


def _other(model: str) -> bool:
    return model == "original" or model.startswith("retrained/")


def _tied(values: Floats) -> float:
    counts = np.unique(values, return_counts=True)[1]
    return float(counts[counts > 1].sum() / len(values))


def _agrees(mine: Floats, others: Floats) -> bool:
    from scipy import stats

    if np.ptp(mine) == 0 or np.ptp(others) == 0:
        return False
    return bool(stats.spearmanr(mine, others, alternative="greater").pvalue <= ALPHA)


def _trace(name: str, run: AttackRun, evidence: Evidence, scoring: Scoring, policy: Policy) -> list[Gate]:
    """Do the families reject on one more signal?"""
    signals: dict[tuple[str, str], Signals] = {
        (attack, model): {role: found[f"{role}.{name}"] for role in SIDES}
        for (attack, model), found in evidence.signals.items()
        if attack == ATTACK
    }
    led = Evidence(evidence.facts, evidence.arrays, signals)
    gate = {"name": f"scores ({name})", "effect": "blocks PASS"}
    by_model = {model: found for (_, model), found in signals.items()}
    rare = is_event(by_model.values()) and is_rare(by_model)
    if rare and (reason := dead(name, evidence)):
        return [Gate(**gate, ok=False, reason=f"cannot be tested: {reason}")]
    if np.ptp(np.concatenate([by_model["unlearned"][role] for role in SIDES])) == 0:
        if rare and is_usual(by_model):
            return [counted(gate, by_model, led, policy.alpha)]
        return [Gate(**gate, ok=False, reason="cannot be tested: the audited model's scores are all equal")]
    try:
        scored = score(scoring.classes[ATTACK], run, led)
        families = run_families([scored], led, policy)
    except ValueError as error:  # no scale: equal scores
        if rare:
            return [counted(gate, by_model, led, policy.alpha)]
        return [Gate(**gate, ok=False, reason=f"cannot be tested: {error}")]
    told = f"AUC {_auc(scored.require_sides()):.3f}"
    if (control := scored.sides(control=True)) is not None:
        told += f", the original's {_auc(control):.3f}"
    rejected = any(family.rejected for family in families.records)
    if scored.subject.invalid and not rejected:  # silence of scores that are out of line says nothing
        if rare:
            return [counted(gate, by_model, led, policy.alpha)]
        return [Gate(**gate, ok=False, reason=f"cannot be tested: {scored.subject.invalid}")]
    if not families.tested:
        return [Gate(**gate, ok=False, reason=f"{told}; no family may test")]
    p = ", ".join(f"{f.name} p = {f.p_holm:.4f}" for f in families.records if f.p_holm is not None)
    seen = "a trace of the forget set" if rejected else "no trace"
    return [Gate(**gate, ok=not rejected, reason=f"{seen} ({told}; {p})")]


def _auc(sides: tuple[Floats, Floats]) -> float:
    return float(auc_components(sides[0][0], sides[1][0])[0].mean())
