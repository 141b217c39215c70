"""The verdict: FAIL by a family or by structure, PASS by every mandatory figure and every gate, else neither."""

from __future__ import annotations

from collections.abc import Sequence

from audit.collect.evidence import Evidence
from audit.policy.policy import COVERED, Policy
from audit.policy.primaries import Level
from audit.record.findings import Finding, FindingStatus, Gate
from audit.record.identical import BAR, FINDINGS, QUALIFIER
from audit.record.result import Outcome, UtilityRecord, Verdict

from .families import Families
from .identical import no_identity, shows_identity
from .release import NAME as RELEASE
from .release import most_certified
from .settle import RECIPE, cheapest_first, too_few, utility_way
from .weaker import failing, rejecting
from .words import open_words

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
    measured: UtilityRecord,
    silent: frozenset[str],
) -> Verdict:
    """FAIL wins; PASS needs every mandatory figure and every gate; everything else is INCONCLUSIVE.

    ``silent`` are the attacks whose scores of this model are out of line: that they see nothing says nothing.

    Other forms of PASS exist only where the policy admits them: with a trace (a difference was detected, every figure
    lies inside its margin), on transfer (the references are surrogates), identical to a retrain (no figure is needed).
    """
    claim = evidence.facts.claim
    # the procedure is judged where every mandatory figure takes all its runs: those of family D2 never do
    pooled = families.runs > 1 and (claim.kind == "class" or not families.d2)
    runs = f", {families.runs} runs of the procedure" if pooled else ""
    judged = f", by {evidence.task.outputs_words()}" if evidence.facts.task else ""
    judged_by = policy.name if policy.version == 1 else f"{policy.name}, version {policy.version}"
    scope = (
        f"Claim: {CLAIMS[claim.kind]}, adversary with {claim.access}{judged}, policy {judged_by}{runs}. Relative to "
        "the attacks named here; no bound on what another attack could find."
    )
    failures = [f for f in findings if f.status is FindingStatus.FAIL and f.kind in ("structural", "difference")]
    reasons, settle = _open(evidence, policy, families, findings, checks, measured)
    certain = any(f.kind == "structural" for f in failures)
    if failures and (certain or reasons or not policy.pass_with_trace):
        worst = failures[0]
        return Verdict(
            outcome=Outcome.FAIL,
            sentence=f"FAIL: {CLAIMS[claim.kind]} left a trace ({_named(failures)}). {_sentence(worst.reason)}",
            scope=scope,
            reasons=tuple(grouped([(f.id, f.reason) for f in failures])),
        )
    if reasons and not failures and shows_identity(findings, checks, policy):
        return _identical(findings, CLAIMS[claim.kind], scope)
    if reasons:
        reasons += no_identity(findings)
        return Verdict(
            outcome=Outcome.INCONCLUSIVE,
            sentence=f"INCONCLUSIVE: {open_words(findings, checks, CLAIMS[claim.kind], silent)}",
            scope=scope,
            reasons=tuple(dict.fromkeys(reasons)),
            settle=cheapest_first(settle),
        )
    traces = [(f.id, f.reason) for f in failures] + [(gate.name, gate.reason) for gate in failing(checks)]
    return _passed(evidence, policy, findings, traces, scope)


def _identical(findings: Sequence[Finding], what: str, scope: str) -> Verdict:
    """The model is what the audit itself trains without the forget set, by a recipe that leaves nothing to chance."""
    return Verdict(
        outcome=Outcome.PASS,
        qualifier=QUALIFIER,
        sentence=f"PASS ({QUALIFIER.upper()}): from any start this audit's own training without {what} ends at one "
        f"model, and the audited one is that model, within {BAR:.0%} of its distance from the original.",
        scope=scope,
        reasons=tuple(grouped([(f.id, f.reason) for f in findings if f.id in FINDINGS])),
    )


def _passed(
    evidence: Evidence, policy: Policy, findings: Sequence[Finding], traces: Sequence[tuple[str, str]], scope: str
) -> Verdict:
    claim = evidence.facts.claim
    shown = tuple(
        grouped([(f.id, f.reason) for f in findings if f.role == "mandatory" and f.status is FindingStatus.PASS])
    )
    sentence = (
        f"PASS: no attack of this suite tells the model from one that never saw {CLAIMS[claim.kind]}, within the "
        f"margins of the {policy.name} policy."
    )
    if traces:
        shown = (*grouped(traces), *shown)
        return Verdict(
            outcome=Outcome.PASS,
            qualifier="with trace",
            sentence=f"PASS WITH TRACE: {CLAIMS[claim.kind]} left a trace ({_first(traces)}) that lies inside every "
            f"margin of the {policy.name} policy, which accepts that.",
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
    evidence: Evidence,
    policy: Policy,
    families: Families,
    findings: Sequence[Finding],
    checks: Sequence[Gate],
    measured: UtilityRecord,
) -> tuple[list[str], list[str]]:
    """All that keeps the case from a PASS, apart from what fails it, and what would settle it."""
    claim = evidence.facts.claim
    blocked = {gate.name: gate for gate in checks if not gate.ok and gate.effect.startswith("blocks PASS")}
    reasons, ways, settle = _missing(policy, claim.kind, claim.access, findings, families)
    if "references" in blocked:  # numbers that were counted on a null that is none
        ways = [(name, way) for name, way in ways if not way.startswith(("about ", "no number of ", "more "))]
        settle.append(RECIPE)
    reasons += [f"{gate.name}: {gate.reason}" for gate in blocked.values()]
    settle += [way for f in findings if f.kind == "structural" for way in f.settle]
    if families.aware is not None and families.aware.aware:
        settle.extend(families.aware.remedy)
    for level in rejecting(checks):
        settle.append(
            f"claim --access {level} to have that verdict on its own; a PASS needs further unlearning or, where its p "
            f"lies near {policy.alpha:g}, more forget and holdout rows, which show whether it came by chance"
        )
    if "positive control" in blocked:
        settle.append("give the original model")
    most = most_certified(claim, evidence.task)
    if most:  # both lines that this takes the place of name a claim that cannot PASS
        settle = [way for way in settle if way != _unnamed("weights")] + [most]
    elif RELEASE in blocked:
        settle.append(f"claim --access {claim.release}, which is what recipients of the model hold")
    if "utility" in blocked:
        ways += [(f"utility {f.name}", utility_way(f, policy.alpha)) for f in measured.figures if not f.ok]
    if claim.kind != "class" and "difference test" in blocked:  # no figure was made that would say it
        few, enough = too_few((len(evidence.labels("forget")), len(evidence.labels("holdout"))), policy)
        reasons += [few] if few else []
        settle.extend(enough)
    if claim.kind == "class" and not families.record("D1").admitted:
        if "difference test" not in blocked:
            reasons.append(f"class claims need the references: {families.record('D1').reason}")
        settle.extend(families.remedies["D1"])
    if claim.provenance == "surrogate" and evidence.facts.references and not policy.pass_on_transfer:
        reasons.append("the references are surrogates: their null is not known to transfer to this pipeline")
        settle.append(RECIPE)
    if not policy.may_pass:
        reasons.append(f"the policy {policy.name!r} never says PASS")
        settle.append("judge the same run again: audit score RUN --policy standard")
    return reasons, [*settle, *grouped(ways)]


def _first(traces: Sequence[tuple[str, str]]) -> str:
    names = [name.partition(".")[0].replace("_", " ") for name, _ in traces]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _named(failures: Sequence[Finding]) -> str:
    """The attacks that found it, the smallest p first; at most three by name."""
    ordered = sorted(failures, key=lambda f: f.p_adjusted if f.p_adjusted is not None else 0.0)
    names = [name.replace("_", " ") for name in dict.fromkeys(f.attack for f in ordered)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _missing(
    policy: Policy, kind: str, access: str, findings: Sequence[Finding], families: Families
) -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """What keeps the mandatory set from a PASS, and what would settle it: by figure, and as a whole."""
    found: list[tuple[str, str]] = []
    by_figure: list[tuple[str, str]] = []
    settle: list[str] = []
    required = policy.mandatory.get(kind, {})  # type: ignore[call-overload]
    reasons: list[str] = []
    for level in COVERED[access]:
        names = required.get(level, ())
        if not names:
            reasons.append(f"the policy {policy.name!r} names no figure for {kind} claims at {level} access")
            settle.append(_unnamed(level))
            continue
        chosen = [next((f for f in findings if f.id == name), None) for name in names]
        for name, finding in zip(names, chosen, strict=True):
            if finding is None:
                why, ways = _absent(name, findings, families)
                found.append((name, f"not available ({why})"))
                settle.extend(ways)
            elif finding.status is not FindingStatus.PASS:
                if finding.status is not FindingStatus.NOT_COVERED:
                    found.append((name, finding.reason))
                by_figure += [(name, way) for way in finding.settle]
        if not any(finding is not None and finding.status is FindingStatus.PASS for finding in chosen):
            reasons.append(f"no attack at {level} access sees the original and clears the model")
    return [*grouped(found), *reasons], by_figure, settle


def _unnamed(level: Level) -> str:
    """What to do where the policy can say no PASS at an access level."""
    if level == "weights":
        return "claim --access features, which is the most that this suite certifies"
    return f"judge under a policy that names figures at {level} access: audit score RUN --policy standard"


def _absent(name: str, findings: Sequence[Finding], families: Families) -> tuple[str, tuple[str, ...]]:
    """Why a mandatory figure is missing: its attack did not run, or no family admits it."""
    attack = name.partition(".")[0]
    execution = next((f for f in findings if f.id == f"{attack}.execution"), None)
    if execution is not None:
        return execution.reason, execution.settle
    closed = [family for family in families.records if not family.admitted]
    why = "; ".join(f"{family.name}: {family.reason}" for family in closed)
    if len(closed) == len(families.records):
        why = "no family of tests is admitted"  # the gate says why
    ways = tuple(way for family in closed for way in families.remedies[family.name])
    return why or "no family of tests takes this attack", ways


def grouped(lines: Sequence[tuple[str, str]]) -> list[str]:
    """``a, b: reason``, with findings that share a reason named together."""
    names: dict[str, list[str]] = {}
    for name, reason in lines:
        names.setdefault(reason, []).append(name)
    return [f"{', '.join(ids)}: {reason}" for reason, ids in names.items()]
