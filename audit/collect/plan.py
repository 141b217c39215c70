"""The plan of an audit before anything is spent: inputs, cost, and the smallest leak that it can see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.inputs.case import LoadedCase
from audit.inputs.config import TrainingSection
from audit.inputs.outputs import PrecomputedOutputs
from audit.policy.policy import COVERED, Policy
from audit.statistics.sample_size import detectable_auc, detectable_shift, remainder_bound, remainder_rows

from .foreseen import refusal, unasked_views
from .pricing import (
    asked_rows,
    seconds_a_gradient_row,
    seconds_a_row,
    shift_check_seconds,
    spent_seconds,
    statistics_seconds,
)
from .suite import Suite, gates

#: upper tail rates of an original, in multiples of the policy's: weak and ordinary; the own one is not known yet
TAILS = (3, 6)


@dataclass(frozen=True)
class Step:
    """One attack of the plan."""

    attack: str
    access: str
    gated: bool
    gradient_rows: int
    note: str
    asked_rows: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """One line."""
        gate = "gated" if self.gated else "supplementary"
        cost = f", {self.gradient_rows} gradient rows a model" if self.gradient_rows else ""
        cost += f", {self.asked_rows} rows asked a model" if self.asked_rows else ""
        cost += f", about {self.seconds:.1f} s" if self.seconds else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.attack}: {self.access} access, {gate}{cost}{note}"


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        sets: rows per set.
        steps: the attacks that run; ``left_out`` says why others do not.
        forward_rows: rows through each model, once.
        seconds: processor time of forward passes and attacks, from a timed batch; 0 for precomputed outputs.
        shift_check: the same of the shift check, timed at two small sizes.
        statistics: the same of tests, figures and charts, from one test of this size.
        spent: processor time until now, on imports, reading and checks; a run spends it too.
        detectable: sentences on the smallest leak found with power .8.
        missing: what already rules out a PASS.
    """

    sets: dict[str, int]
    steps: tuple[Step, ...]
    left_out: dict[str, str]
    models: int
    forward_rows: int
    seconds: float
    shift_check: float
    statistics: float
    spent: float
    detectable: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def total(self) -> float:
        """Processor time of the run, about; without what is to be trained."""
        return self.spent + self.seconds + self.shift_check + self.statistics

    def __str__(self) -> str:
        """The plan in lines for a person."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """What would run, what it would cost, what it could see, and what already rules out a PASS."""
        found = [
            f"plan: {self.models} models x {len(self.steps)} attacks",
            "sets: " + ", ".join(f"{role} {count}" for role, count in self.sets.items()),
            *(f"  {step}" for step in self.steps),
            *(f"  {name}: {why}" for name, why in self.left_out.items()),
            f"cost: {self.forward_rows} rows forward a model, about {self.seconds:.1f} s of network time in all; shift "
            f"check about {self.shift_check:.1f} s, statistics {self.statistics:.1f} s, imports and reading "
            f"{self.spent:.1f} s",
            f"in all about {self.total:.0f} s of the processor (measured here; without training; each of --workers "
            "starts anew)",
            *(f"  {line}" for line in self.detectable),
        ]
        if self.missing:
            found += ["a PASS is already ruled out:", *(f"  {line}" for line in self.missing)]
        return found


def make_plan(case: LoadedCase, policy: Policy, suite: Suite, training: TrainingSection) -> Plan:
    """Plan a run from its checked inputs, as if all that is to be trained were there; times a few batches."""
    references = len(case.references) + training.references
    sets = {role: len(chosen.rows) for role, chosen in case.selection.items()}
    attack_case = case.attack_case()
    claim = case.claim
    a_row, models = seconds_a_row(case), len(case.models) + training.references
    a_gradient = seconds_a_gradient_row(case, a_row)
    steps, views = [], unasked_views(case)
    for attack in suite.chosen:
        note, gradients = refusal(attack, case, training, attack_case, views), attack.gradient_rows(attack_case)
        asked = 0 if note or not a_row else asked_rows(attack, attack_case)
        step = Step(
            attack=attack.name,
            access=attack.access.name.lower(),
            gated=gates(attack, claim, policy),
            gradient_rows=gradients,
            note=note,
            asked_rows=asked,
            seconds=0.0 if note else (a_row * asked + a_gradient * gradients) * models,
        )
        steps.append(step)
    forward_rows = sum(len(data) for data in case.files.values())
    return Plan(
        sets=sets,
        steps=tuple(steps),
        left_out=dict(suite.left_out),
        models=models,
        forward_rows=forward_rows,
        seconds=a_row * forward_rows * models + sum(step.seconds for step in steps),
        shift_check=shift_check_seconds(case),
        statistics=statistics_seconds(case, policy.permutations),
        spent=spent_seconds(),
        detectable=_detectable(case, policy, references),
        missing=_missing(case, policy, sets, references),
    )


def ruled_out(case: LoadedCase, policy: Policy) -> tuple[str, ...]:
    """What already rules out a PASS, whatever the attacks find."""
    sets = {role: len(chosen.rows) for role, chosen in case.selection.items()}
    return _missing(case, policy, sets, len(case.references))


def _independent(case: LoadedCase) -> tuple[int, int, str]:
    """Independent units of forget and holdout set: subjects where both know them, else rows."""
    chosen = [case.selection[role] for role in ("forget", "holdout")]
    groups = [case.files[c.source].group for c in chosen]
    known = [(group, c.rows) for group, c in zip(groups, chosen, strict=True) if group is not None]
    if len(known) == len(chosen):
        forget, holdout = (len(np.unique(group[rows].astype(str))) for group, rows in known)
        return forget, holdout, "subjects"
    return len(chosen[0].rows), len(chosen[1].rows), "rows"


def _detectable(case: LoadedCase, policy: Policy, references: int) -> tuple[str, ...]:
    lines = []
    forget, holdout, unit = _independent(case)
    if case.claim.split != "unknown":
        auc = detectable_auc(forget, holdout, policy.alpha)
        what = f"an AUC of {auc:.3f} or more with power .8" if auc < 1 else "nothing with power .8: they are too few"
        lines.append(f"D2 (labels permuted): {forget} forget and {holdout} holdout {unit} show {what}")
        if case.claim.kind != "class":
            lines.append(_remainder(forget, holdout, unit, policy))
    needed = policy.references_t_class if case.claim.kind == "class" else policy.references_t
    if references >= needed:
        size = detectable_shift(references, policy.alpha)
        lines.append(f"D1 (against retrains): {references} references show a shift of {size:.1f} seed sd with power .8")
    else:
        lines.append(f"D1 (against retrains): not available with {references} references, needs {needed}")
    lines.append("With several attacks or both families the smallest visible leak is somewhat larger")
    return tuple(lines)


def _remainder(forget: int, holdout: int, unit: str, policy: Policy) -> str:
    """What an honest model's visible remainder would be bounded by, and the rows that a bound of the policy needs."""
    sizes, q, alpha = (forget, holdout), policy.tpr_fpr, policy.alpha
    tails = [min(times * q, 1.0) for times in TAILS]
    bounds = [f"{remainder_bound(*sizes, tail, q, alpha):.0%} where it is {tail:.2f}" for tail in tails]
    text = f"visible remainder: of an honest model at most about {' and '.join(bounds)}, by the original's upper tail"
    if not policy.remainder_margin:
        return text
    rows = [remainder_rows(*sizes, tail, q, policy.remainder_margin, alpha) for tail in tails]
    return f"{text}; the policy's {policy.remainder_margin:.0%} needs about {rows[0]} and {rows[1]} forget {unit}"


def _missing(case: LoadedCase, policy: Policy, sets: dict[str, int], references: int) -> tuple[str, ...]:
    found: list[str] = []
    kind, demanded = case.claim.kind, policy.mandatory.get(case.claim.kind, {})
    found += [
        f"the policy {policy.name!r} names no figure for {kind} claims at {level} access: they can FAIL, not PASS"
        for level in COVERED[case.claim.access]
        if not demanded.get(level)
    ]
    unlearned = case.models["unlearned"]
    if (
        case.claim.access == "labels"
        and isinstance(unlearned, PrecomputedOutputs)
        and not any("@" in key for key in unlearned.state)
    ):
        found.append("claims of labels ask with changed inputs: give the network, the outputs hold no answer to that")
    if not policy.may_pass:
        found.append(f"the policy {policy.name!r} never says PASS")
    if not case.task.figure:
        found.append(f"utility is not measured: {case.task.no_figure}")
    if "original" not in case.models:
        found.append("no original model: no positive control")
    if case.claim.kind == "class":
        if references < policy.references_t_class:
            found.append(f"class claims need {policy.references_t_class} references, there are {references}")
    else:
        if sets["forget"] < policy.min_forget or sets["holdout"] < policy.min_holdout:
            found.append(
                f"the figures need {policy.min_forget} forget and {policy.min_holdout} holdout rows, there are "
                f"{sets['forget']} and {sets['holdout']}"
            )
        if case.claim.split == "assumed" and references < policy.references_assumed_split:
            found.append(
                f"an assumed split needs {policy.references_assumed_split} references, there are {references}: attest "
                "the split (--split attested) if it is random, or add references"
            )
    return tuple(found)
