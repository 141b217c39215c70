"""The verdict: FAIL by a family or by structure, PASS by every mandatory figure and every gate, else neither."""

from __future__ import annotations

from collections.abc import Sequence

from .evidence import Evidence
from .families import Families
from .policy import Level, Policy
from .result import Finding, FindingStatus, Gate, Outcome, Verdict

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


def decide(
    evidence: Evidence,
    policy: Policy,
    families: Families,
    findings: Sequence[Finding],
    checks: Sequence[Gate],
) -> Verdict:
    """FAIL wins; PASS needs every mandatory figure and every gate; everything else is INCONCLUSIVE.

    Two weaker forms of PASS exist only where the policy admits them: with a trace (a difference was detected, every
    figure lies inside its margin) and on transfer (the references are surrogates).
    """
    claim = evidence.facts.claim
    # the procedure is judged where every mandatory figure takes all its runs: those of family D2 never do
    pooled = families.runs > 1 and (claim.kind == "class" or not families.d2)
    runs = f", {families.runs} runs of the procedure" if pooled else ""
    scope = (
        f"Claim: {CLAIMS[claim.kind]}, adversary with {claim.access}, policy {policy.name}{runs}. Relative to the "
        "attacks named here; no bound on what another attack could find."
    )
    failures = [f for f in findings if f.status is FindingStatus.FAIL and f.kind in ("structural", "difference")]
    reasons, settle = _open(evidence, policy, families, findings, checks)
    certain = any(f.kind == "structural" for f in failures)
    if failures and (certain or reasons or not policy.pass_with_trace):
        worst = failures[0]
        return Verdict(
            outcome=Outcome.FAIL,
            sentence=f"FAIL: {CLAIMS[claim.kind]} left a trace ({_named(worst.attack)}). {_sentence(worst.reason)}",
            scope=scope,
            reasons=tuple(f"{f.id}: {f.reason}" for f in failures),
        )
    if reasons:
        return Verdict(
            outcome=Outcome.INCONCLUSIVE,
            sentence=f"INCONCLUSIVE: no leak was detected, but forgetting of {CLAIMS[claim.kind]} is not shown either.",
            scope=scope,
            reasons=tuple(dict.fromkeys(reasons)),
            settle=cheapest_first(settle),
        )
    return _passed(evidence, policy, findings, failures, scope)


def _passed(
    evidence: Evidence, policy: Policy, findings: Sequence[Finding], failures: Sequence[Finding], scope: str
) -> Verdict:
    claim = evidence.facts.claim
    shown = tuple(f"{f.id}: {f.reason}" for f in findings if f.role == "mandatory" and f.status is FindingStatus.PASS)
    sentence = (
        f"PASS: no attack of this suite tells the model from one that never saw {CLAIMS[claim.kind]}, within the "
        f"margins of the {policy.name} policy."
    )
    if failures:
        shown = tuple(f"{f.id}: {f.reason}" for f in failures) + shown
        return Verdict(
            outcome=Outcome.PASS,
            qualifier="with trace",
            sentence=f"PASS WITH TRACE: {CLAIMS[claim.kind]} left a trace ({_named(failures[0].attack)}) that lies "
            f"inside every margin of the {policy.name} policy, which accepts that.",
            scope=scope,
            reasons=shown,
        )
    if claim.provenance == "surrogate":
        return Verdict(
            outcome=Outcome.PASS,
            qualifier="transfer",
            sentence=f"PASS (TRANSFER): {sentence.removeprefix('PASS: ')} The null comes from surrogate models and "
            "holds only if it transfers.",
            scope=scope,
            reasons=shown,
        )
    return Verdict(outcome=Outcome.PASS, sentence=sentence, scope=scope, reasons=shown)


def _open(
    evidence: Evidence, policy: Policy, families: Families, findings: Sequence[Finding], checks: Sequence[Gate]
) -> tuple[list[str], list[str]]:
    """All that keeps the case from a PASS, apart from what fails it, and what would settle it."""
    claim = evidence.facts.claim
    reasons, settle = _missing(policy, claim.kind, claim.access, findings)
    blocking = [gate for gate in checks if not gate.ok and "PASS" in gate.effect]
    reasons += [f"{gate.name}: {gate.reason}" for gate in blocking]
    if claim.kind == "class" and not families.record("D1").admitted:
        reasons.append(f"class claims need the references: {families.record('D1').reason}")
        settle.append(f"at least {policy.references_t_class} retrained references")
    if families.aware is not None and families.aware.aware:
        settle.extend(families.aware.remedy)
    if any(gate.name == "positive control" for gate in blocking):
        settle.append("give the original model")
    if claim.provenance == "surrogate" and evidence.facts.references and not policy.pass_on_transfer:
        reasons.append("the references are surrogates: their null is not known to transfer to this pipeline")
        settle.append("retrain references with the original's own recipe on the retain set")
    if not policy.may_pass:
        reasons.append(f"the policy {policy.name!r} never says PASS")
        settle.append("judge the same run again: audit score RUN --policy standard")
    return reasons, settle


#: our choice of what costs least: judging again, files at hand, never-seen rows, models, more deletions
COSTS = ("audit score", "give the original", "holdout rows with the same", "retrained references", "unlearned runs")


def cheapest_first(ways: Sequence[str]) -> tuple[str, ...]:
    """Ways to settle, without repetition, in the order of what they cost."""
    unique = dict.fromkeys(ways)
    return tuple(sorted(unique, key=lambda way: next((i for i, mark in enumerate(COSTS) if mark in way), len(COSTS))))


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
