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


def utility(evidence: Evidence, policy: Policy) -> UtilityRecord | None:
    """Accuracy on the test set, unlearned minus original (else minus the first reference): non-inferiority.

    Paired Wald interval of the difference of two accuracies on the same n rows, variance (b + c - (b - c)^2 / n) / n^2
    with b, c the discordant counts plus 1/2 (Agresti & Min 2005), one-sided at alpha.
    """
    models = evidence.facts.models
    baseline = "original" if "original" in models else next(iter(evidence.facts.references), None)
    mine = np.asarray(evidence.arrays["correct/unlearned"], dtype=bool)
    references = tuple(float(evidence.arrays[f"correct/{name}"].mean()) for name in evidence.facts.references)
    original = float(evidence.arrays["correct/original"].mean()) if "original" in models else None
    margin = policy.utility_margin
    if baseline is None:
        return UtilityRecord(
            unlearned=float(mine.mean()), original=None, references=(), difference=None, margin=margin, ok=False,
            reason="no original and no reference to compare with",
        )
    other = np.asarray(evidence.arrays[f"correct/{baseline}"], dtype=bool)
    n = len(mine)
    gained, lost = float((mine & ~other).sum()) + 0.5, float((other & ~mine).sum()) + 0.5
    difference = (gained - lost) / n
    half = float(stats.norm.ppf(1 - policy.alpha)) * math.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    ok = difference - half > -margin
    return UtilityRecord(
        unlearned=float(mine.mean()),
        original=original,
        references=references,
        difference=Interval(low=difference - half, high=difference + half, level=1 - 2 * policy.alpha),
        margin=margin,
        ok=ok,
        reason=(
            f"accuracy on {n} test rows is not worse than {baseline}'s by {margin:g} or more"
            if ok
            else f"accuracy on {n} test rows may be worse than {baseline}'s by {margin:g} or more: a broken model is no "
            "evidence of forgetting"
        ),
    )


def gates(
    evidence: Evidence, policy: Policy, families: Families, measured: UtilityRecord | None, findings: Sequence[Finding]
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
            ok=measured is not None and measured.ok,
            effect="blocks PASS",
            reason="not measured" if measured is None else measured.reason,
        ),
    ]
    failed = [f for f in findings if f.kind == "execution" and f.status is FindingStatus.ERROR and f.role != "supplementary"]
    found.append(
        Gate(
            name="attacks ran",
            ok=not failed,
            effect="blocks PASS",
            reason="every gated attack that applies ran" if not failed else f"failed: {', '.join(f.attack for f in failed)}",
        )
    )
    if facts.references:
        found.append(_reference_gate(evidence))
    return tuple(found)


def _reference_gate(evidence: Evidence) -> Gate:
    """References must look like retrains: as good as the original on the test set (descriptive, not blocking)."""
    accuracies = [float(evidence.arrays[f"correct/{name}"].mean()) for name in evidence.facts.references]
    reason = f"test accuracy of {len(accuracies)} references {min(accuracies):.3f} to {max(accuracies):.3f}"
    return Gate(name="references", ok=True, effect="informs", reason=f"{reason}; provenance as declared, not proven")


def decide(
    evidence: Evidence, policy: Policy, families: Families, findings: Sequence[Finding], checks: Sequence[Gate]
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
            sentence=f"FAIL: the model has not forgotten {CLAIMS[claim.kind]} - {worst.attack.replace('_', ' ')}: {worst.reason}.",
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
        reasons=tuple(f"{f.id}: {f.reason}" for f in findings if f.role == "mandatory" and f.status is FindingStatus.PASS),
    )


def _missing(
    policy: Policy, kind: str, access: str, findings: Sequence[Finding]
) -> tuple[list[str], list[str]]:
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
            elif finding.status is FindingStatus.NOT_COVERED:
                settle.extend(finding.settle)
            else:
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
