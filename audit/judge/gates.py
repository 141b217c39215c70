"""The validity checks: each can block a PASS or invalidate a family, none makes a verdict better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import GRANTS
from audit.collect.evidence import Evidence
from audit.policy.policy import Policy
from audit.record.attack_record import LEFT_OUT
from audit.record.findings import Finding, FindingStatus, Gate
from audit.record.result import UtilityRecord

from .families import Families
from .fidelity import training_gates
from .inside import inside_gate
from .release import release_gate
from .shams import sham_gates
from .utility import interval

#: our choice: share of answers of its own, of that of the reference with the fewest, below which a model has none. Of
#: two trainings of a network all answers are; of two forests many coincide by chance (docs/formats.md)
OWN = 0.5
PROVENANCE = {
    "exact": "declared as exact retrains from scratch",
    "checkpoint": "declared as trained on from weights that never saw the forget set: not checked",
    "surrogate": "declared as surrogates from another pipeline or other data: the null holds only if it transfers",
}


def gates(
    evidence: Evidence, policy: Policy, families: Families, measured: UtilityRecord, findings: Sequence[Finding]
) -> tuple[Gate, ...]:
    """The validity checks, each with what it blocks."""
    found = [
        _positive_control(evidence),
        _difference_test(families),
        _shift_check(families),
        Gate(name="utility", ok=measured.ok, effect="blocks PASS", reason=measured.reason),
        _attacks_ran(findings, evidence, policy),
        *training_gates(evidence),
        *sham_gates(families.shams),
        _seed_budget(findings),
        _references(evidence, policy),
        _unaware(families),
        inside_gate(findings),
        _own_answers(evidence),
        release_gate(evidence.facts.claim),
    ]
    return tuple(gate for gate in found if gate is not None)


def _positive_control(evidence: Evidence) -> Gate:
    original = "original" in evidence.facts.models
    attacked, missing = (
        "the original model is attacked in the same way",
        "no original model: silence of an attack proves nothing",
    )
    return Gate(name="positive control", ok=original, effect="blocks PASS", reason=attacked if original else missing)


def _difference_test(families: Families) -> Gate:
    return Gate(
        name="difference test",
        ok=any(family.admitted for family in families.records),
        effect="blocks PASS and FAIL by statistics",
        reason="; ".join(f"{family.name}: {family.reason}" for family in families.records),
    )


def _shift_check(families: Families) -> Gate:
    blind = families.blind
    reason = "not run"
    if blind is not None:
        reason = f"AUC of a classifier that sees no model: {blind.value:.3f} ({blind.low:.3f} to {blind.high:.3f})"
    return Gate(name="shift check", ok=families.design["D2"].admitted, effect="blocks family D2", reason=reason)


def _attacks_ran(findings: Sequence[Finding], evidence: Evidence, policy: Policy) -> Gate:
    claim, known = evidence.facts.claim, {run.name for run in evidence.facts.attacks}
    gated = [f for f in findings if f.kind == "execution" and f.role != "supplementary"]
    missing = {
        "failed": [f.attack for f in gated if f.status is FindingStatus.ERROR],
        "left out": [f.attack for f in gated if f.reason.startswith(LEFT_OUT)],
        "listed by the policy and not installed when the models were attacked": sorted(
            policy.attacks(claim.kind, claim.access) - known
        ),
        "run with other parameters than those whose error rates were measured": [
            f.attack for f in findings if f.kind == "input" and f.metric == "parameters"
        ],
        f"read by no attack on {evidence.task.name}": [evidence.task.unread]
        if evidence.task.unread and GRANTS[claim.access] > GRANTS["logits"]
        else [],
    }
    said = "; ".join(f"{what}: {', '.join(names)}" for what, names in missing.items() if names)
    reason = said or "every gated attack that applies ran"
    return Gate(name="attacks ran", ok=not said, effect="blocks PASS", reason=reason)


def _unaware(families: Families) -> Gate | None:
    """Do the references know the forget set, where that could be asked?"""
    if families.aware is None:
        return None
    return Gate(
        name="references unaware of the forget set",
        ok=not families.aware.aware,
        effect="blocks PASS, family D2 and family D1",
        reason=families.aware.reason,
    )


def _own_answers(evidence: Evidence) -> Gate | None:
    """Does another model answer for the forget rows alone? None where outputs do not tell, or are the model's own.

    Two trainings hardly ever give equal floats on so many more rows than the references do; the original with other
    answers in place does. Exact learners of single neighbours may as well, so that it fails nobody.
    """
    if evidence.facts.claim.access == "labels" or "as_original" not in evidence.arrays:
        return None
    same, rows = (int(count) for count in evidence.arrays["as_original"])
    references = [int(count) for count in evidence.arrays.get("as_original_references", ())]
    if evidence.facts.structure.identical or rows == 0 or not borrowed(same / rows, [r / rows for r in references]):
        return None
    most = f", of a reference's at most {max(references)}" if references else ""
    reason = (
        f"{same} of {rows} retain and test rows have the original's outputs, to rounding{most}: this is the original "
        "with other answers for some rows, not a model trained again"
    )
    return Gate(name="answers of its own", ok=False, effect="blocks PASS", reason=reason)


def borrowed(same: float, references: Sequence[float]) -> bool:
    """Whether a model has too few answers of its own.

    Args:
        same: share of rows on which it has the original's.
        references: the same of each reference.
    """
    return 1 - same < OWN * (1 - max(references, default=0.0))


def _seed_budget(findings: Sequence[Finding]) -> Gate | None:
    """Mandatory figures against references: could any estimate at all bring the interval inside the margin?"""
    against = [
        f
        for f in findings
        if f.role == "mandatory" and f.interval and f.margin and f.margin[0] == -f.margin[1] and f.n_references
    ]
    if not against:
        return None
    too_wide = [
        f.id
        for f in against
        if f.interval and f.margin and f.interval.high - f.interval.low >= f.margin[1] - f.margin[0]
    ]
    reason = "the spread between seeds leaves room inside every margin"
    if too_wide:
        reason = (
            f"the spread between seeds alone exceeds the margin of {', '.join(too_wide)}: more references, or several "
            "unlearned runs, narrow it"
        )
    return Gate(name="seed budget", ok=not too_wide, effect="blocks PASS", reason=reason)


def _references(evidence: Evidence, policy: Policy) -> Gate | None:
    """References must look like retrains by the original's recipe: about as good as the original, declared origin.

    PASS is blocked where they are shown to be worse than the original by more than the utility margin (their mean,
    on never-seen or on retain rows): an under-trained null hides leaks and lowers the bar of the utility section. On
    never-seen rows they may be worse by as much as a smaller training set explains, besides.
    """
    facts = evidence.facts
    names = facts.references
    if not names:
        return None
    if not evidence.knows_quality:
        reason = "; ".join(
            [f"not compared with the original: {evidence.task.no_figure}", PROVENANCE[facts.claim.provenance]]
        )
        return Gate(name="references", ok=True, effect="blocks PASS", reason=reason)
    words = evidence.task.figure
    accuracies = [float(evidence.correct(name).mean()) for name in names]
    parts = [f"{words} on never-seen rows of {len(names)} references {min(accuracies):.3f} to {max(accuracies):.3f}"]
    ok = True
    if "original" in facts.models:
        retain = {name: evidence.correct_retain(name) for name in (*names, "original")}
        sides = (
            ("never-seen", {name: evidence.correct(name) for name in retain}),
            ("retain", {name: rows for name, rows in retain.items() if rows is not None}),
        )
        for what, rows in sides:
            if len(rows) < len(retain):
                continue  # a run of an older version
            difference = np.mean([rows[name] for name in names], axis=0) - rows["original"]
            bounds = interval(difference, policy.alpha)
            parts.append(f"minus the original's on {what} rows {difference.mean():+.3f}")
            fewer = _fewer_rows(evidence, float(rows["original"].mean())) if what == "never-seen" else 0.0
            if bounds.high < -policy.utility_margin - fewer:
                ok = False
                beside = f" and the {fewer:.3f} that training without the forget set may cost" if fewer else ""
                parts.append(
                    f"shown to be worse by more than {policy.utility_margin:g}{beside}: not the original's recipe"
                )
        gaps = _loss_gaps(evidence)
        if gaps:
            parts.append(gaps)
    parts += [PROVENANCE[facts.claim.provenance], *_kinship(evidence)]
    return Gate(name="references", ok=ok, effect="blocks PASS", reason="; ".join(parts))


def _fewer_rows(evidence: Evidence, accuracy: float) -> float:
    """Quality that every retrain may lose because the forget set is missing from its training data.

    Errors fall with the number of training rows n by a power law whose exponent is .5 at most in practice (Hestness et
    al. 2017: .07 to .35); .5 is our choice. A forget set of 29 % then explains a fifth more errors, one of 1 % nothing.
    """
    forget, retain = (len(evidence.labels(role)) for role in ("forget", "retain"))
    best = evidence.task.best
    if best is None or not retain:  # without a perfect model there are no errors to count
        return 0.0
    return (best - accuracy) * (float(np.sqrt((forget + retain) / retain)) - 1)


def _kinship(evidence: Evidence) -> list[str]:
    """For how many references it was checked: those whose weights the audit had in hand."""
    facts = evidence.facts
    if facts.claim.provenance != "exact":
        return []
    kinds = {record.role: record.kind for record in facts.inputs}
    weights = sum(kinds.get(name) == "model" for name in facts.references)
    if not weights:
        return ["kinship with other models not checked, there are no weights"]
    return [f"kinship with other models checked on the weights of {weights} of {len(facts.references)}"]


def _loss_gaps(evidence: Evidence) -> str:
    """Loss on never-seen minus retain rows: how much the references overfit, beside the original."""
    facts = evidence.facts
    gaps = {
        name: float(np.diff(evidence.arrays[f"loss/{name}"])[0])
        for name in (*facts.references, "original")
        if f"loss/{name}" in evidence.arrays
    }
    if "original" not in gaps or len(gaps) < 2:
        return ""
    own = [gap for name, gap in gaps.items() if name != "original"]
    return f"loss gap {min(own):.3f} to {max(own):.3f}, the original's {gaps['original']:.3f}"
