"""Gates, utility and the verdict: FAIL by a family or by structure, PASS by every mandatory figure, else neither."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from .evidence import Evidence
from .families import Families
from .policy import Level, Policy
from .result import Finding, FindingStatus, Gate, Interval, Outcome, UtilityRecord, Verdict

LEVELS: dict[str, tuple[Level, ...]] = {
    "labels": (),
    "logits": ("logits",),
    "features": ("logits", "features"),
    "weights": ("logits", "features", "weights"),
}
CLAIMS = {
    "random": "a random forget set",
    "class": "the forgotten classes",
    "subject": "the forgotten data subjects",
    "other": "the forget set",
}


def utility(evidence: Evidence, policy: Policy) -> UtilityRecord:
    """Accuracy on never-seen rows, unlearned minus retrained (minus the original where there is none): non-inferiority.

    Rows: the test set, with the holdout set where both belong to the task that is left. Per row the audited model's
    correctness minus the mean correctness of the baseline models; normal interval of the mean, one-sided at alpha.
    """
    models, references = evidence.facts.models, evidence.facts.references
    baseline = references or tuple(name for name in models if name == "original")
    mine = evidence.correct("unlearned")
    margin = policy.utility_margin
    accuracies = tuple(float(evidence.correct(name).mean()) for name in references)
    original = float(evidence.correct("original").mean()) if "original" in models else None
    if not baseline:
        return UtilityRecord(
            unlearned=float(mine.mean()),
            original=None,
            references=(),
            difference=None,
            margin=margin,
            ok=False,
            reason="no original and no reference to compare with",
        )
    difference = mine - np.mean([evidence.correct(name) for name in baseline], axis=0)
    mean, n = float(difference.mean()), len(difference)
    half = float(stats.norm.ppf(1 - policy.alpha)) * float(difference.std(ddof=1)) / math.sqrt(n) if n > 1 else 1.0
    ok = mean - half > -margin
    against = f"that of {len(references)} retrained models" if references else "the original's"
    return UtilityRecord(
        unlearned=float(mine.mean()),
        original=original,
        references=accuracies,
        difference=Interval(low=mean - half, high=mean + half, level=1 - 2 * policy.alpha),
        margin=margin,
        ok=ok,
        reason=(
            f"accuracy on {n} never-seen rows is not worse than {against} by {margin:g} or more"
            if ok
            else f"accuracy on {n} never-seen rows may be worse than {against} by {margin:g} or more: a broken model "
            "is no evidence of forgetting"
        ),
    )


def gates(
    evidence: Evidence, families: Families, measured: UtilityRecord, findings: Sequence[Finding]
) -> tuple[Gate, ...]:
    """The validity checks, each with what it blocks."""
    facts = evidence.facts
    original = "original" in facts.models
    blind = families.blind
    found = [
        Gate(
            name="positive control",
            ok=original,
            effect="blocks PASS",
            reason="the original model is attacked in the same way"
            if original
            else "no original model: silence of an attack proves nothing",
        ),
        Gate(
            name="difference test",
            ok=any(family.admitted for family in families.records),
            effect="blocks PASS and FAIL by statistics",
            reason="; ".join(f"{family.name}: {family.reason}" for family in families.records),
        ),
        Gate(
            name="shift check",
            ok=families.record("D2").admitted,
            effect="blocks family D2",
            reason="not run"
            if blind is None
            else f"AUC of a classifier that sees no model: {blind.value:.3f} ({blind.low:.3f} to {blind.high:.3f})",
        ),
        Gate(
            name="utility",
            ok=measured.ok,
            effect="blocks PASS",
            reason=measured.reason,
        ),
    ]
    failed = [
        f for f in findings if f.kind == "execution" and f.status is FindingStatus.ERROR and f.role != "supplementary"
    ]
    found.append(
        Gate(
            name="attacks ran",
            ok=not failed,
            effect="blocks PASS",
            reason="every gated attack that applies ran"
            if not failed
            else f"failed: {', '.join(f.attack for f in failed)}",
        )
    )
    if facts.references:
        found.append(_reference_gate(evidence))
    return tuple(found)


def _reference_gate(evidence: Evidence) -> Gate:
    """References must look like retrains: as good as the original on the test set (descriptive, not blocking)."""
    accuracies = [float(evidence.correct(name).mean()) for name in evidence.facts.references]
    reason = (
        f"accuracy on never-seen rows of {len(accuracies)} references {min(accuracies):.3f} to {max(accuracies):.3f}"
    )
    return Gate(name="references", ok=True, effect="informs", reason=f"{reason}; provenance as declared, not proven")


def decide(
    evidence: Evidence,
    policy: Policy,
    families: Families,
    findings: Sequence[Finding],
    checks: Sequence[Gate],
) -> Verdict:
    """FAIL wins; PASS needs every mandatory figure and every gate; everything else is INCONCLUSIVE."""
    claim = evidence.facts.claim
    scope = (
        f"Claim: {CLAIMS[claim.kind]}, adversary with {claim.access}, policy {policy.name}. Relative to the attacks "
        "named here; no bound on what another attack could find."
    )
    failures = [f for f in findings if f.status is FindingStatus.FAIL and f.kind in ("structural", "difference")]
    if failures:
        worst = failures[0]
        return Verdict(
            outcome=Outcome.FAIL,
            sentence=f"FAIL: {CLAIMS[claim.kind]} left a trace ({_named(worst.attack)}). {_sentence(worst.reason)}",
            scope=scope,
            reasons=tuple(f"{f.id}: {f.reason}" for f in failures),
        )
    reasons, settle = _missing(policy, claim.kind, claim.access, findings)
    blocking = [gate for gate in checks if not gate.ok and "PASS" in gate.effect]
    reasons += [f"{gate.name}: {gate.reason}" for gate in blocking]
    if claim.kind == "class" and not families.record("D1").admitted:
        reasons.append(f"class claims need the references: {families.record('D1').reason}")
        settle.append(f"at least {policy.references_t_class} retrained references")
    if any(gate.name == "positive control" for gate in blocking):
        settle.append("give the original model")
    if not policy.may_pass:
        reasons.append(f"the policy {policy.name!r} never says PASS")
        settle.append("judge the same run again: audit score RUN --policy standard")
    if reasons:
        return Verdict(
            outcome=Outcome.INCONCLUSIVE,
            sentence=f"INCONCLUSIVE: no leak was detected, but forgetting of {CLAIMS[claim.kind]} is not shown either.",
            scope=scope,
            reasons=tuple(dict.fromkeys(reasons)),
            settle=tuple(dict.fromkeys(settle)),
        )
    return Verdict(
        outcome=Outcome.PASS,
        sentence=(
            f"PASS: no attack of this suite tells the model from one that never saw {CLAIMS[claim.kind]}, within the "
            f"margins of the {policy.name} policy."
        ),
        scope=scope,
        reasons=tuple(
            f"{f.id}: {f.reason}" for f in findings if f.role == "mandatory" and f.status is FindingStatus.PASS
        ),
    )


def _named(attack: str) -> str:
    return attack.replace("_", " ")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _missing(policy: Policy, kind: str, access: str, findings: Sequence[Finding]) -> tuple[list[str], list[str]]:
    """What keeps the mandatory set from a PASS, and what would settle it."""
    reasons: list[str] = []
    settle: list[str] = []
    required = policy.mandatory.get(kind, {})  # type: ignore[call-overload]
    if not LEVELS[access]:
        reasons.append(f"no attack of this suite works with {access} alone")
    for level in LEVELS[access]:
        shown = 0
        for name in required.get(level, ()):
            finding = next((f for f in findings if f.id == name), None)
            if finding is None:
                execution = next((f for f in findings if f.id == f"{name.partition('.')[0]}.execution"), None)
                why = execution.reason if execution else "its family of tests was not admitted"
                reasons.append(f"{name}: not available ({why})")
            elif finding.status is FindingStatus.PASS:
                shown += 1
            elif finding.status is not FindingStatus.NOT_COVERED:
                reasons.append(f"{name}: {finding.reason}")
                settle.extend(f"{name}: {way}" for way in finding.settle)
        if shown == 0:
            reasons.append(f"no attack at {level} access sees the original and clears the model")
            blind = [n for n in required.get(level, ()) if _status(findings, n) is FindingStatus.NOT_COVERED]
            if blind:
                settle.append(
                    f"{', '.join(blind)}: a larger forget set, more references, or a forget set with something "
                    "memorised: the attack must first see it in the original"
                )
    return reasons, settle


def _status(findings: Sequence[Finding], name: str) -> FindingStatus | None:
    return next((f.status for f in findings if f.id == name), None)
