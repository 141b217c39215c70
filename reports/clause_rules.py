"""The rules by which the evidence of a run is judged for a clause: one function for each `frameworks.Rule`.

A run is evidence about one model, one forget set and the attacks of one suite. A run that is not a PASS never reads
as support; no run decides a question of law.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

from audit.judge.release import NAME as RELEASE
from audit.record.findings import Finding, FindingStatus
from audit.record.inputs import INTERNAL
from audit.record.result import AuditResult, Outcome

from .checks import Mark, gate_mark, opening
from .frameworks import Rule
from .words import decides, sizes

MEMBERSHIP = frozenset(
    (
        *("membership", "lira_online", "label_only", "pair", "population", "quantile", "rmia", "rmia_online"),
        *("shadow_logistic", "shadow_xgboost", "svc_mia", "ulira", "probe"),
        *("neighbourhood", "transfer_probe", "contraction", "gradient_norm", "layer_probe"),
        *("uma_label", "uma_error", "residual_knowledge", "flatness"),
    )
)
RECOVERY = frozenset(
    (
        *("feature_mapping", "uma", "relearning", "relearning_unrelated", "memory_jog", "anamnesis"),
        *("head_recovery", "prototypes", "release_changes", "transplant"),
    )
)
#: compare the model's inside with the original's, or say what the release of both gives away: evidence for no clause
DESCRIPTIVE = frozenset(
    (
        *(
            "similarity",
            "attribution",
            "concepts",
            "layer_profile",
            "shallowness",
            "heavy_tails",
            "connectivity",
            "head_rows",
        ),
        *("interpolation", "line_up", "closed_form", "reconstruction", "wasserstein"),
    )
)


class Level(StrEnum):
    """Strength of the evidence, in words."""

    STRONG = "strong"
    PARTIAL = "partial"
    RECORD = "record only"
    NONE = "none"
    AGAINST = "against"


#: the evidence in words (and, on a second line, the ids of its findings), its strength, and why it is that strong
Judged = tuple[str, Level, str]


def _verdict(result: AuditResult) -> Judged:
    word, sentence = opening(result.verdict)
    text = f"Verdict {word}: {sentence}"
    outcome = result.verdict.outcome
    if outcome is Outcome.FAIL:
        return text, Level.AGAINST, "the audit found a trace of the forget set"
    if outcome is Outcome.INCONCLUSIVE:
        return text, Level.NONE, "the audit could not decide: this supports nothing"
    weaker = _weaker(result)
    if weaker:
        return text, Level.PARTIAL, weaker
    return text, Level.STRONG, "every mandatory figure lies inside its margin, with a positive control"


def _attacks(names: frozenset[str], what: str) -> Callable[[AuditResult], Judged]:
    """Judge the findings of a group of attacks."""

    def judge(result: AuditResult) -> Judged:
        found = [f for f in result.findings if f.attack in names and f.kind in ("equivalence", "difference")]
        deciding = [f for f in found if decides(f)]
        failed = [f for f in found if f.status is FindingStatus.FAIL]
        passed = [f for f in deciding if f.role == "mandatory" and f.status is FindingStatus.PASS]
        if failed:
            return _listed(failed), Level.AGAINST, f"{what}: findings FAILED"
        if result.verdict.outcome is not Outcome.PASS:
            word = opening(result.verdict)[0]
            return _listed(deciding) or f"No gated {what}.", Level.NONE, f"the verdict is {word}: this supports nothing"
        if passed:
            weaker = _weaker(result)
            strength = "gated figures passed, with a positive control on the original"
            return _listed(passed), Level.PARTIAL if weaker else Level.STRONG, weaker or strength
        if found:
            return _listed(found), Level.PARTIAL, f"{what} ran; no gated figure rests on it"
        return f"No {what} ran.", Level.NONE, "not tested"

    return judge


def _single_rows(result: AuditResult) -> Judged:
    attacks = {a.name for a in result.attacks}  # the comparison of outputs and the shams say nothing of single rows
    found = [f for f in result.findings if f.kind == "exploratory" and f.attack in attacks]
    if not found:
        return "No figure of single rows or subjects.", Level.NONE, "not tested"
    if result.verdict.outcome is not Outcome.PASS:
        word = opening(result.verdict)[0]
        return _listed(found), Level.NONE, f"the verdict is {word}: this supports nothing"
    return _listed(found), Level.PARTIAL, "reported, never gated: no error rate is claimed for a single person"


def _documents(text: Callable[[AuditResult], str]) -> Callable[[AuditResult], Judged]:
    """Papers that say what was done, whatever came out of it."""

    def judge(result: AuditResult) -> Judged:
        word = opening(result.verdict)[0]
        return text(result), Level.RECORD, f"shows what was tested and how; the verdict is {word}"

    return judge


def _policy(result: AuditResult) -> str:
    claim = result.claim
    return (
        f"Policy {result.policy.name} (SHA-256 {result.policy.sha256}), fixed before scoring: every threshold, the "
        f"error rate and the mandatory figures. Claim: {claim.kind}, adversary with {claim.access}."
    )


def _release(result: AuditResult) -> Judged:
    claim = result.claim
    if claim.release is None:
        tested = f"The claim grants the adversary {claim.access}."
        return tested, Level.NONE, "where the model is released was not declared (`release` in `[claim]` of audit.toml)"
    if claim.release == INTERNAL:
        return "Declared: not released (internal).", Level.RECORD, "declared, not checked"
    gate = next(g for g in result.gates if g.name == RELEASE)
    text = f"Release context: {gate.reason}."
    if not gate.ok:
        return text, Level.AGAINST, "recipients hold more than the adversary that was tested"
    return text, Level.RECORD, f"declared, not checked; the verdict is {opening(result.verdict)[0]}"


def _record(result: AuditResult) -> str:
    closed = sum(gate_mark(g) is not Mark.PASSED for g in result.gates)
    return (
        f"run.json of run {result.run_id}: {len(result.findings)} findings, {len(result.gates)} gates "
        f"({closed} not met), digests of models and policy, and what was not tested. Report and certificate are made "
        "from it."
    )


def _environment(result: AuditResult) -> str:
    versions = ", ".join(f"{key} {value}" for key, value in sorted(result.environment.items()))
    attacks = ", ".join(f"{a.name} {a.version} ({a.status})" for a in result.attacks)
    return f"{result.tool} {result.tool_version}, seed {result.seed}; {versions}. Attacks: {attacks or 'none'}."


def _inputs(result: AuditResult) -> str:
    parts = [f"{i.role} {i.name}" + ("" if i.rows is None else f" ({i.rows} rows)") for i in result.inputs]
    return f"{'; '.join(parts) or 'none'}. Split: {result.claim.split}; references: {result.claim.provenance}."


def _nothing(strength: str, text: str) -> Callable[[AuditResult], Judged]:
    return lambda _result: (text, Level.NONE, strength)


def _weaker(result: AuditResult) -> str:
    """Why a PASS is less than a plain one; "" where it is not."""
    if result.verdict.qualifier:
        return f"the PASS is qualified: {opening(result.verdict)[0]}"
    if result.verdict.warnings:
        return "the verdict carries a warning"
    return ""


def _listed(findings: Sequence[Finding]) -> str:
    """What the figures are by status, and the sizes behind them; their ids stand on a line of their own."""
    groups: dict[str, list[str]] = {}
    for f in findings:
        groups.setdefault(f.status.value, []).append(f.title)
    if not groups:
        return ""
    counts = sizes(findings)
    text = "; ".join(f"{status}: {', '.join(dict.fromkeys(titles))}" for status, titles in groups.items())
    said = f"{text}. Sample: {counts}." if counts else f"{text}."
    return f"{said}\n{', '.join(f.id for f in findings)}"


RULES: dict[Rule, Callable[[AuditResult], Judged]] = {
    Rule.VERDICT: _verdict,
    Rule.MEMBERSHIP: _attacks(MEMBERSHIP, "attacks on membership"),
    Rule.RECOVERY: _attacks(RECOVERY, "attacks that recover what was forgotten"),
    Rule.SINGLE_ROWS: _single_rows,
    Rule.POLICY: _documents(_policy),
    Rule.RELEASE: _release,
    Rule.RECORD: _documents(_record),
    Rule.ENVIRONMENT: _documents(_environment),
    Rule.INPUTS: _documents(_inputs),
    Rule.DERIVED: _nothing(
        "not tested", "The audit covers the model files named in it; copies and derived models are not."
    ),
    Rule.UNTESTED: _nothing("not tested", "No attack of this suite bears on it."),
    Rule.ORGANISATION: _nothing("not a matter of testing", "A run of this tool cannot show it."),
}
