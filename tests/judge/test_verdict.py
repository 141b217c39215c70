"""Families, figures, gates and verdict on synthetic evidence: signals are drawn, no model is trained."""

import numpy as np
import pytest
from cases.synthetic import ATTACKS, SEEN, Setup, audit, family, finding, says
from scipy import stats

from audit.collect.structure import Structure
from audit.judge.judge import judge
from audit.judge.scoring import score_all
from audit.policy.policy import load_policy
from audit.record.findings import FindingStatus
from audit.record.result import Outcome

EVERY = dict.fromkeys(ATTACKS, SEEN)


# --- the three verdicts, random claims ----------------------------------------------------------------------


def test_an_honest_model_passes_where_everything_is_there():
    result = audit()
    assert result.verdict.outcome is Outcome.PASS, says(result)
    assert not any(f.status is FindingStatus.FAIL for f in result.findings)
    assert "no bound on what another attack could find" in result.verdict.scope


@pytest.mark.parametrize("references", [0, 1, 2, 5, 20])
def test_the_original_fails(references):
    result = audit(leak=EVERY, references=references)
    assert result.verdict.outcome is Outcome.FAIL
    assert family(result, "D2").rejected
    assert finding(result, "membership.d2").status is FindingStatus.FAIL
    assert "residual information" in result.verdict.sentence.lower()


def test_over_unlearning_fails_too_and_is_named():
    result = audit(leak=dict.fromkeys(ATTACKS, -SEEN))
    assert result.verdict.outcome is Outcome.FAIL
    assert "over-unlearned" in result.verdict.sentence.lower()


def test_only_the_attack_that_sees_it_is_blamed():
    result = audit(leak={"probe": SEEN})
    assert result.verdict.outcome is Outcome.FAIL
    assert finding(result, "probe.d2").status is FindingStatus.FAIL
    assert finding(result, "membership.d2").status is FindingStatus.NOT_DETECTED
    assert "no evidence of forgetting" in finding(result, "membership.d2").reason


def test_a_leak_that_only_the_weights_show_fails_by_d1():
    result = audit(leak={"feature_mapping": SEEN})
    assert result.verdict.outcome is Outcome.FAIL
    assert family(result, "D1").rejected
    assert not family(result, "D2").rejected


def test_silence_is_never_a_pass():
    """Few rows: nothing is detected, nothing is shown, and the text says what would settle it."""
    result = audit(n_forget=40, n_holdout=100)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert "is not shown" in result.verdict.sentence.lower()
    assert "forget rows" in says(result)


def test_no_original_no_pass():
    result = audit(original=None)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert "give the original model" in result.verdict.settle
    assert audit(original=None, leak=EVERY).verdict.outcome is Outcome.FAIL


def test_an_attack_blind_to_the_original_supports_no_pass():
    result = audit(original=dict.fromkeys(ATTACKS, 0.0))
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert finding(result, "membership.auc").status is FindingStatus.NOT_COVERED


@pytest.mark.parametrize("blind", ["membership", "probe"])
def test_each_access_level_needs_a_sighted_attack(blind):
    result = audit(original={**EVERY, blind: 0.0})
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    level = {"membership": "logits", "probe": "features"}[blind]
    assert f"no attack at {level} access" in says(result)


def test_a_leaking_model_does_not_pass_through_a_blind_attack():
    """The blind attack leaves the mandatory set, not the difference test."""
    result = audit(original={**EVERY, "probe": 0.0}, leak={"probe": 0.6}, access="features")
    assert result.verdict.outcome is not Outcome.PASS


def test_screening_never_passes():
    result = audit("screening")
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert "never says PASS" in says(result)
    assert audit("screening", leak=EVERY).verdict.outcome is Outcome.FAIL


def test_a_broken_model_does_not_pass_and_utility_makes_no_fail():
    result = audit(accuracy=0.6)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert "utility" in says(result)


@pytest.mark.parametrize("status", ["error", "skipped"])
def test_a_mandatory_attack_that_did_not_run_blocks_pass(status):
    result = audit(errors={"probe": status})
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert "broken" in says(result)


@pytest.mark.filterwarnings("ignore")
def test_scoring_that_raises_becomes_an_error_not_an_absence():
    evidence = Setup().evidence()
    for k in range(5):
        evidence.signals["membership", f"retrained/{k}"] = evidence.signals["membership", "retrained/0"]
    scoring = score_all(evidence)
    result = judge(evidence, load_policy("standard")[0], "0" * 64, scoring)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert finding(result, "membership.execution").status is FindingStatus.ERROR
    assert "ValueError" in finding(result, "membership.execution").reason  # its text stays in private/
    (failure,) = scoring.failures
    assert "agree exactly" in failure.text


# --- structure and access -----------------------------------------------------------------------------------


def test_an_unchanged_encoder_fails_white_box_claims_only():
    structure = Structure(applies=True, encoder_identical=True, unchanged=("0.weight",), counted=4)
    assert audit(structure=structure).verdict.outcome is Outcome.FAIL
    assert audit(structure=structure, access="logits").verdict.outcome is Outcome.PASS


def test_the_original_itself_fails_at_any_access():
    structure = Structure(applies=True, identical=True)
    assert audit(structure=structure, access="logits").verdict.outcome is Outcome.FAIL


def test_attacks_beyond_the_claimed_access_do_not_gate():
    result = audit(access="logits", leak={"probe": SEEN, "feature_mapping": SEEN})
    assert result.verdict.outcome is Outcome.PASS, says(result)
    assert any("Beyond the claimed access" in line for line in result.not_tested)
    assert audit(access="labels").verdict.outcome is Outcome.INCONCLUSIVE


# --- admission of the families ------------------------------------------------------------------------------


def test_unknown_split_leaves_only_d1():
    result = audit(split="unknown", leak=EVERY)
    assert not family(result, "D2").admitted
    assert family(result, "D1").rejected
    assert result.verdict.outcome is Outcome.FAIL
    alone = audit(split="unknown", references=2, leak=EVERY)
    assert alone.verdict.outcome is Outcome.INCONCLUSIVE, "no valid test, so no FAIL by statistics"


@pytest.mark.parametrize(
    ("changes", "admitted", "why"),
    [
        ({"references": 2}, True, "assumed, not proven"),
        ({"references": 1}, False, "needs 2 references"),
        ({"references": 0}, False, "needs 2 references"),
        ({"blind": 0.5}, False, "shift check does not admit"),
        ({"blind": None}, False, "could not run"),
    ],
)
def test_assumed_split(changes, admitted, why):
    d2 = family(audit(split="assumed", seed=3, **changes), "D2")
    assert d2.admitted is admitted, d2.reason
    assert why in d2.reason


def test_a_shifted_holdout_set_is_not_believed_when_it_is_attested_by_nobody():
    result = audit(split="assumed", blind=0.8, references=2)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE


def test_holm_between_the_families():
    result = audit(leak={"membership": 0.25})
    p = {f.name: f.p for f in result.families}
    smaller, larger = sorted(p, key=lambda name: p[name])
    assert family(result, smaller).p_holm == pytest.approx(min(1, 2 * p[smaller]))
    assert family(result, larger).p_holm == pytest.approx(max(min(1, 2 * p[smaller]), p[larger]))


@pytest.mark.parametrize(
    ("references", "split", "exact"),
    [
        (18, "unknown", False),
        (19, "unknown", True),
        (19, "attested", False),
        (38, "attested", False),
        (39, "attested", True),
    ],
)
def test_the_exact_rank_test_starts_where_it_can_reject(references, split, exact):
    result = audit(references=references, split=split, leak=EVERY, n_forget=60, n_holdout=120)
    assert ("exact rank" in family(result, "D1").method) is exact
    assert family(result, "D1").rejected


# --- subjects -----------------------------------------------------------------------------------------------


def test_subjects_are_the_unit():
    result = audit(kind="subject", groups=5)
    assert finding(result, "membership.auc").n_forget == 40
    assert finding(result, "membership.auc").n_holdout == 80
    assert any("averaged per data subject" in line for a in result.attacks for line in a.details)


def test_subjects_on_one_side_only_are_not_exchangeable():
    evidence = Setup(kind="subject", groups=5).evidence()
    del evidence.arrays["group/holdout"]
    result = judge(evidence, load_policy("standard")[0], "0" * 64)
    assert not family(result, "D2").admitted


@pytest.mark.slow
def test_subject_level_holds_where_rows_of_a_subject_agree():
    """Row permutation would fail a quarter or more of these honest models (statistics.md 9.4)."""
    policy = load_policy("standard")[0].model_copy(update={"permutations": 999})
    worlds = 60
    failed = sum(
        audit(policy, kind="subject", groups=10, n_forget=100, n_holdout=200, seed=seed, references=2).verdict.outcome
        is Outcome.FAIL
        for seed in range(worlds)
    )  # fmt: skip
    assert failed <= stats.binom.ppf(0.999, worlds, 0.05)


# --- class claims -------------------------------------------------------------------------------------------

CLASS = {"kind": "class", "references": 8, "n_forget": 120, "n_holdout": 120}
KNOWN = dict.fromkeys(ATTACKS, 12.0)


def test_class_claims_pass_and_fail_on_the_retained_share():
    honest = audit(**CLASS, original=KNOWN, seed=1)  # in world 0 the references look aware (p .009)
    assert honest.verdict.outcome is Outcome.PASS, says(honest)
    share = finding(honest, "membership.share")
    assert share.role == "mandatory"
    assert share.margin == (-0.25, 0.25)
    kept = audit(**CLASS, original=KNOWN, leak=KNOWN, seed=1)
    assert kept.verdict.outcome is Outcome.FAIL
    assert finding(kept, "membership.share").estimate == pytest.approx(1, abs=0.2)
    assert finding(kept, "membership.share").status is FindingStatus.FAIL


def test_class_claims_need_their_references():
    result = audit(**{**CLASS, "references": 5}, original=KNOWN)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert "at least 8 retrained references" in result.verdict.settle


def test_instance_membership_never_certifies_a_class():
    result = audit(**{**CLASS, "references": 2}, original=KNOWN)
    assert family(result, "D2").admitted
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert finding(result, "membership.auc").role == "supplementary"


@pytest.mark.slow
def test_a_quarter_of_the_class_knowledge_does_not_pass():
    """At the margin exactly: the bound keeps PASS to about alpha."""
    policy = load_policy("standard")[0].model_copy(update={"permutations": 999})
    worlds = 60
    quarter = dict.fromkeys(ATTACKS, 3.0)
    passed = sum(
        audit(policy, **CLASS, original=KNOWN, leak=quarter, seed=s).verdict.outcome is Outcome.PASS
        for s in range(worlds)
    )
    assert passed <= stats.binom.ppf(0.999, worlds, 0.05)


# --- invariances and error rates ----------------------------------------------------------------------------


def test_the_same_evidence_gives_the_same_result():
    assert audit(seed=4) == audit(seed=4)


def test_the_order_of_the_references_does_not_matter():
    evidence = Setup(leak={"membership": 0.3}).evidence()
    policy = load_policy("standard")[0]
    before = judge(evidence, policy, "0" * 64)
    for attack in ATTACKS:
        for a, b in ((0, 3), (1, 4)):
            one, other = (attack, f"retrained/{a}"), (attack, f"retrained/{b}")
            evidence.signals[one], evidence.signals[other] = evidence.signals[other], evidence.signals[one]
    after = judge(evidence, policy, "0" * 64)
    assert after.verdict == before.verdict
    for old, new in zip(before.families, after.families, strict=True):
        assert new.p == pytest.approx(old.p)


def test_a_figure_beyond_its_margin_without_a_rejected_test_is_no_fail():
    result = audit(n_forget=40, n_holdout=100, leak={"membership": 0.35}, seed=5)
    for f in result.findings:
        if f.kind == "equivalence" and f.status is FindingStatus.FAIL:
            assert any(
                g.attack == f.attack and g.kind == "difference" and g.status is FindingStatus.FAIL
                for g in result.findings
            )


@pytest.mark.parametrize(
    "kind",
    [
        "random",
        "other",
        "subject",
    ],
)
@pytest.mark.parametrize("split", ["attested", "unknown"])
def test_half_remembered_half_over_unlearned_does_not_pass(kind, split):
    """Mean and AUC look honest; the tails do not."""
    result = audit(kind=kind, mixed=2.0, split=split)
    assert result.verdict.outcome is not Outcome.PASS


@pytest.mark.slow
@pytest.mark.parametrize(
    "setup",
    [
        {"references": 0},
        pytest.param({"references": 5}, marks=pytest.mark.slow),
        pytest.param({"references": 5, "split": "unknown"}, marks=pytest.mark.slow),
        pytest.param({"references": 8, "kind": "class"}, marks=pytest.mark.slow),
    ],
)
def test_false_fail_of_honest_models_is_within_alpha(setup):
    policy = load_policy("standard")[0].model_copy(update={"permutations": 999})
    worlds = 80
    failed = sum(
        audit(policy, n_forget=60, n_holdout=120, seed=seed, **setup).verdict.outcome is Outcome.FAIL
        for seed in range(worlds)
    )
    assert failed <= stats.binom.ppf(0.999, worlds, 0.05)


@pytest.mark.slow
def test_false_pass_at_the_margin_is_within_alpha():
    """Every gated score at AUC .60 exactly, the design that passes honest models easily (n_F = 200, K = 5)."""
    worlds, shift = 300, float(np.sqrt(2) * stats.norm.ppf(0.6) * 1.1)  # 1.1: z carries the references' noise
    passed = sum(
        audit(leak=dict.fromkeys(ATTACKS, shift), seed=seed).verdict.outcome is Outcome.PASS for seed in range(worlds)
    )
    assert passed <= stats.binom.ppf(0.999, worlds, 0.05)
