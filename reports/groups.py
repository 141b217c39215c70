"""The attacks by what they try: the groups in which the report shows them, and how each group came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.record.attack_record import AttackRecord
from audit.record.findings import Finding, FindingStatus
from audit.record.result import AuditResult

from .words import decides

#: (key, title, what the group asks, names of its attacks); a test compares the names with the folders of attacks
GROUPS: tuple[tuple[str, str, str, frozenset[str]], ...] = (
    (
        "membership",
        "Membership",
        "Can an attacker tell the forget rows from rows that no model ever saw?",
        frozenset(
            (
                *("label_only", "lira_online", "membership", "pair", "population", "quantile", "rmia", "rmia_online"),
                *("shadow_logistic", "shadow_xgboost", "svc_mia", "ulira", "wasserstein"),
            )
        ),
    ),
    (
        "recovery",
        "Recovery",
        "Can what was forgotten be brought back, by training on or by a change of inputs or features?",
        frozenset(
            (
                *("anamnesis", "feature_mapping", "flatness", "head_recovery", "interpolation", "memory_jog"),
                *("prototypes", "relearning", "relearning_unrelated", "release_changes", "residual_knowledge"),
                *("transplant", "uma", "uma_label", "uma_error"),
            )
        ),
    ),
    (
        "representation",
        "Representation",
        "Do the model's inner features still treat the forget rows as its own?",
        frozenset(
            (
                *("attribution", "concepts", "contraction", "gradient_norm", "layer_probe", "neighbourhood", "probe"),
                *("similarity", "transfer_probe"),
            )
        ),
    ),
    (
        "weights",
        "Weights",
        "Is part of the original model still in the weights?",
        frozenset(
            (
                *("connectivity", "head_rows", "heavy_tails", "layer_profile", "shallowness", "structure"),
                *("identical", "outputs"),
            )
        ),
    ),
    (
        "inversion",
        "Inversion",
        "Can inputs be reconstructed from what changed between the two models?",
        frozenset(("closed_form", "line_up", "reconstruction")),
    ),
)
OTHER = ("other", "Other checks", "Checks of the audit itself, its inputs, and attacks of plug-ins.")
#: the status of a group: the worst that its findings say, a check that broke or stayed silent after one that decided
_ORDER = (
    *(FindingStatus.FAIL, FindingStatus.ERROR, FindingStatus.INCONCLUSIVE, FindingStatus.PASS),
    *(FindingStatus.NOT_DETECTED, FindingStatus.NOT_COVERED, FindingStatus.NOTE, FindingStatus.SKIPPED),
)


@dataclass(frozen=True)
class Group:
    """One group of a run.

    Attributes:
        key, title, asks: see `GROUPS`.
        findings: of its checks that ran, what decides first, the worst first.
        attacks: its attacks that ran or broke.
        status: the worst status among the findings that decide; among all where none decides.
        decided: a finding that decides is among them.
    """

    key: str
    title: str
    asks: str
    findings: tuple[Finding, ...]
    attacks: tuple[AttackRecord, ...]
    status: FindingStatus
    decided: bool


def group_of(attack: str) -> str:
    """The key of an attack's group."""
    return next((key for key, _, _, names in GROUPS if attack in names), OTHER[0])


def groups(result: AuditResult) -> tuple[Group, ...]:
    """The groups of a run in which something ran: FAIL first, then what is open, then PASS; the others last."""
    found = []
    for key, title, asks in (*((k, t, a) for k, t, a, _ in GROUPS), OTHER):
        own = [f for f in result.findings if group_of(f.attack) == key and f.status is not FindingStatus.SKIPPED]
        ran = tuple(a for a in result.attacks if group_of(a.name) == key and a.status != "skipped")
        if own or ran:
            found.append(_group(key, title, asks, own, ran))
    return tuple(sorted(found, key=lambda g: (not g.decided, _ORDER.index(g.status), g.key == OTHER[0])))


def _group(key: str, title: str, asks: str, own: Sequence[Finding], ran: tuple[AttackRecord, ...]) -> Group:
    ordered = tuple(sorted(own, key=lambda f: (not decides(f), _ORDER.index(f.status))))
    deciding = [f for f in ordered if decides(f)]
    status = (deciding or ordered)[0].status if ordered else FindingStatus.NOTE
    return Group(key, title, asks, ordered, ran, status, bool(deciding))
