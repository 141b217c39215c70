"""The plan of an audit before anything is spent: inputs, cost, and the smallest leak that it can see."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from attacks.base import Attack, Case
from audit.inputs.case import LoadedCase
from audit.inputs.config import TrainingSection
from audit.inputs.outputs import PrecomputedOutputs
from audit.inputs.targets import TorchTarget
from audit.policy.policy import COVERED, Policy
from audit.statistics.sample_size import detectable_auc, detectable_shift, remainder_bound, remainder_rows

from .suite import Suite, gates
from .units import NO_SHADOWS

TIMED_ROWS = 64
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

    def __str__(self) -> str:
        """One line."""
        gate = "gated" if self.gated else "supplementary"
        cost = f", {self.gradient_rows} gradient rows a model" if self.gradient_rows else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.attack}: {self.access} access, {gate}{cost}{note}"


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        sets: rows per set.
        steps: the attacks that run; ``left_out`` says why others do not.
        forward_rows: rows through each model, once.
        seconds: rough estimate from a timed batch; 0 for precomputed outputs.
        detectable: sentences on the smallest leak found with power .8.
        missing: what already rules out a PASS.
    """

    sets: dict[str, int]
    steps: tuple[Step, ...]
    left_out: dict[str, str]
    models: int
    forward_rows: int
    seconds: float
    detectable: tuple[str, ...]
    missing: tuple[str, ...]

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
            f"cost: {self.forward_rows} rows forward a model, about {self.seconds:.1f} s of network time in all",
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
    steps = tuple(
        Step(
            attack=attack.name,
            access=attack.access.name.lower(),
            gated=gates(attack, claim, policy),
            gradient_rows=attack.gradient_rows(attack_case),
            note=_note(attack, case, training, attack_case),
        )
        for attack in suite.chosen
    )
    forward_rows = sum(len(data) for data in case.files.values())
    return Plan(
        sets=sets,
        steps=steps,
        left_out=dict(suite.left_out),
        models=len(case.models) + training.references,
        forward_rows=forward_rows,
        seconds=_seconds(case, forward_rows, sum(step.gradient_rows for step in steps if not step.note)),
        detectable=_detectable(case, policy, references),
        missing=_missing(case, policy, sets, references),
    )


def ruled_out(case: LoadedCase, policy: Policy) -> tuple[str, ...]:
    """What already rules out a PASS, whatever the attacks find."""
    sets = {role: len(chosen.rows) for role, chosen in case.selection.items()}
    return _missing(case, policy, sets, len(case.references))


def _note(attack: Attack, case: LoadedCase, training: TrainingSection, attack_case: Case) -> str:
    shadows = {"trained": training.shadows, "unlearned": training.pipelines}
    if attack.design and not shadows[attack.design]:
        return f"will be skipped: {NO_SHADOWS[attack.design]}"
    grants = min(model.access for model in case.models.values())
    if attack.access > grants:
        return f"will be skipped: needs {attack.access.name.lower()} access"
    if attack.needs_original and "original" not in case.models:
        return "will be skipped: needs the original model"
    reason = attack.refused(attack_case)
    return f"will be skipped: {reason}" if reason else ""


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


def _seconds(case: LoadedCase, forward_rows: int, gradient_rows: int) -> float:
    model = case.models["unlearned"]
    data = case.files["forget"]
    if not isinstance(model, TorchTarget) or data.x is None:
        return 0.0
    rows = data.batch(np.arange(min(TIMED_ROWS, len(data))))
    model.call(rows)  # warm up
    started = time.perf_counter()
    model.call(rows)
    per_row = (time.perf_counter() - started) / min(TIMED_ROWS, len(data))
    # a forward and backward pass costs about three forward passes
    return per_row * (forward_rows + 3 * gradient_rows) * len(case.models)
