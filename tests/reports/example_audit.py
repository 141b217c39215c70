"""Example audits for the report tests, one per verdict."""

from __future__ import annotations

from typing import Any

from audit.record.attack_record import AttackRecord
from audit.record.findings import Family, Finding, FindingStatus, Gate, Interval, Null
from audit.record.inputs import ClaimRecord, InputRecord
from audit.record.result import AuditResult, Outcome, PolicyRecord, UtilityRecord, Verdict
from tests.reports.example_charts import (
    dots_chart,
    grid_chart,
    heatmap_chart,
    histogram_chart,
    lines_chart,
    profile_chart,
    roc_chart,
)

S = FindingStatus


def findings() -> tuple[Finding, ...]:
    """One finding of every status and of every kind."""
    common: dict[str, Any] = {"n_forget": 200, "n_holdout": 1000, "n_references": 5}
    refs = Null(source="references", mean=0.4983, sd=0.0127, n=5)
    permuted = Null(source="permutation", mean=0.0, sd=1.0, n=1999)
    return (
        Finding(
            id="membership.auc", attack="membership", metric="auc",
            title="Membership AUC, forget against holdout",
            kind="equivalence", role="mandatory", access="logits", estimate=0.5123, unit="AUC",
            interval=Interval(low=0.4711, high=0.5538, level=0.9), control=0.8712, null=refs, margin=(0.4,
            0.6),
            status=S.PASS, reason="The whole interval lies inside the margin.", **common,
        ),
        Finding(
            id="membership.tpr_at_fpr_5e-2", attack="membership", metric="tpr_at_fpr_5e-2",
            title="True-positive rate at 5% false positives", kind="equivalence", role="mandatory",
            access="logits",
            estimate=0.1234, interval=Interval(low=0.0789, high=0.1823, level=0.9), control=0.61, null=refs,
            margin=(0.0, 0.15), status=S.INCONCLUSIVE, reason="The upper end exceeds the margin.",
            settle=("Give 640 forget examples instead of 200.", "Give 3 more retrained references."),
            **common,
        ),
        Finding(
            id="recovery.auc", attack="recovery", metric="auc",
            title="Membership AUC after relearning one half",
            kind="equivalence", role="mandatory", access="weights", estimate=0.8441,
            interval=Interval(low=0.7902, high=0.8871, level=0.9), control=0.9923, null=refs, margin=(0.4,
            0.6),
            status=S.FAIL, reason="Half of the forget set brings back the other half.", **common,
        ),
        Finding(
            id="membership.difference", attack="membership", metric="difference", family="D2",
            title="Largest difference between forget and holdout scores", kind="difference", role="primary",
            access="logits", estimate=1.234, unit="sd", null=permuted, p=0.2134, p_adjusted=0.4071,
            control=9.871,
            status=S.NOT_DETECTED, reason="The permutation test does not reject.", n_forget=200,
            n_holdout=1000,
        ),
        Finding(
            id="recovery.difference", attack="recovery", metric="difference", family="D1",
            title="Relearning speed against retrains", kind="difference", role="primary", access="weights",
            estimate=7.77, p=0.0004, p_adjusted=0.001, control=12.5, null=refs, status=S.FAIL,
            reason="No honest retrain relearns this fast.", n_references=5,
        ),
        Finding(
            id="representation.identical_layers", attack="representation", metric="identical_layers",
            title="Layers that equal the original's bit for bit", kind="structural", role="supplementary",
            access="weights", estimate=3.0, unit="of 4 layers", status=S.FAIL,
            reason="conv1, conv2 and conv3 are unchanged.",
        ),
        Finding(
            id="gradient.top1", attack="gradient", metric="top1", title="Gradient line-up, top-1 rate",
            kind="equivalence", role="supplementary", access="gradients", estimate=0.0512, control=0.0498,
            interval=Interval(low=0.0201, high=0.1034, level=0.95), status=S.NOT_COVERED,
            reason="The attack does not find the forget set in the original either.",
        ),
        Finding(
            id="shadow.auc", attack="shadow", metric="auc", title="Shadow-model AUC", kind="equivalence",
            role="supplementary", access="logits", status=S.SKIPPED, reason="No auxiliary data were given.",
        ),
        Finding(
            id="probe.auc", attack="probe", metric="auc", title="Linear probe on features", kind="execution",
            role="supplementary", access="features", status=S.ERROR, reason="The features are not finite.",
        ),
        Finding(
            id="inputs.duplicates", attack="inputs", metric="duplicates",
            title="Forget rows that also stand in retain",
            kind="input", role="supplementary", access="labels", estimate=2.0, unit="rows", status=S.NOTE,
            reason="They were left out of per-example families.",
        ),
    )  # fmt: skip


def attacks() -> tuple[AttackRecord, ...]:
    """Attacks that ran, were skipped and broke, with every kind of chart."""
    return (
        AttackRecord(
            name="membership", title="Membership inference (offline LiRA)", version="1", access="logits",
            symmetric=True, source="Carlini et al. 2022, arXiv:2112.03570", status="ok",
            charts=(roc_chart(), histogram_chart()),
            parameters={"augmentations": 4, "shrinkage": 4.0, "score": "logit-scaled confidence",
            "fixed": False},
            details=("5 references calibrate each example.", "Scores are finite on all 1200 examples."),
        ),
        AttackRecord(
            name="recovery", title="Relearning", version="1", access="weights", symmetric=True,
            source="Golatkar et al. 2020", status="ok", charts=(lines_chart(), profile_chart()),
            parameters={"steps": 200, "learning_rate": 0.01},
        ),
        AttackRecord(
            name="representation", title="Representation similarity", version="1", access="weights",
            symmetric=False, source="Kornblith et al. 2019", status="ok",
            charts=(dots_chart(), heatmap_chart(), grid_chart()), parameters={},
        ),
        AttackRecord(
            name="shadow", title="Shadow classifier", version="1", access="logits", symmetric=True,
            source="Shokri et al. 2017", status="skipped", reason="No auxiliary data were given.",
            parameters={},
        ),
        AttackRecord(
            name="probe", title="Linear probe", version="1", access="features", symmetric=True,
            source="Alain and Bengio 2016", status="error", reason="The features are not finite.",
            parameters={},
        ),
    )  # fmt: skip


VERDICTS = {
    Outcome.PASS: "PASS: no attack in the suite finds the forget set above the margin.",
    Outcome.FAIL: "FAIL: the unlearned model still carries the forget set: relearning recovers it too fast.",
    Outcome.INCONCLUSIVE: "INCONCLUSIVE: the data cannot tell: one mandatory interval crosses its margin.",
}


def example(outcome: Outcome) -> AuditResult:
    """A full audit with the given verdict."""
    chosen = findings()
    if outcome is Outcome.PASS:
        chosen = chosen[:1]
    elif outcome is Outcome.INCONCLUSIVE:
        chosen = tuple(f for f in chosen if f.status is not S.FAIL)
    digest = "0123456789abcdef" * 4
    data = [("forget", 200), ("retain", 8000), ("holdout", 1000), ("test", 1000)]
    models = ["original", "unlearned", *(f"retrained/{k}" for k in range(5))]
    failed = outcome is Outcome.FAIL
    reasons = ("Family D1 rejects (p after Holm 0.002).", "3 of 4 layers equal the original's.")
    return AuditResult(
        tool="unlearn-audit", tool_version="0.1.0", run_id="2f1c9a7e44d0", seed=7,
        environment={"python": "3.11.7", "torch": "2.13.0+cpu", "platform": "Linux x86_64", "device": "cpu"},
        claim=ClaimRecord(
            kind="class", split="assumed", access="weights", classes=(3, 7),
            public_layers=("backbone.conv1",),
            inferred=("kind: 'class', because all forget labels are 3 or 7 and no retain label is.",),
        ),
        policy=PolicyRecord(
            name="standard", sha256="fe" * 32,
            values={"alpha": 0.05, "margins": {"auc": 0.1, "tpr": [0.05, 0.15]},
            "mandatory": ["membership.auc"]},
        ),
        inputs=(
            *(InputRecord(role=r, name=f"{r}.npz", kind="data", rows=n, shape=(n, 3, 32, 32)) for r,
            n in data),
            *(InputRecord(role=r, name=f"{r.replace('/', '-')}.safetensors", kind="model",
            sha256=digest) for r in models),
        ),
        assumptions=("The references were trained with the same code, hyper-parameters and data order law.",),
        attacks=attacks(), findings=chosen,
        families=(
            Family(
                name="D2", method="max-T over 1999 label permutations", admitted=True,
                reason="The split is assumed and the blind classifier finds no shift.", p=0.4071,
                p_holm=0.4071,
            ),
            Family(
                name="D1", method="Crawford-Howell t against 5 retrains, Bonferroni", admitted=True,
                reason="Five retrains were given.", p=0.001, p_holm=0.002, rejected=failed,
            ),
        ),
        gates=(
            Gate(name="positive control", ok=True, effect="PASS", reason="The attacks see the original."),
            Gate(name="seed noise", ok=outcome is not Outcome.INCONCLUSIVE, effect="PASS",
            reason="Retrains vary little."),
        ),
        utility=UtilityRecord(
            unlearned=0.8711, original=0.8842, references=(0.881, 0.879), margin=0.03, ok=True,
            difference=Interval(low=-0.0244, high=-0.0018, level=0.9),
            reason="The loss stays below the margin.",
        ),
        not_tested=(
            "Attacks that see the training gradients.",
            "Any model derived from the unlearned one, for example by distillation.",
        ),
        verdict=Verdict(
            outcome=outcome, sentence=VERDICTS[outcome],
            scope="Attacker with the weights; two classes, 200 images; policy 'standard'; suite 0.1.0.",
            reasons=reasons if failed else ("One reason.",),
            settle=() if outcome is Outcome.PASS else ("Give 640 forget examples.",
            "Give 3 more references."),
        ),
    )  # fmt: skip
