"""What decides FAIL stands in the policy: weights, composites, earlier editions, and attacks that no policy lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases.synthetic import SEEN, Setup, audit, finding

from attacks.base import REGISTRY, Access, Attack, Case, Scores, Signals, View
from audit.collect.evidence import AttackRun
from audit.errors import UsageError
from audit.judge.judge import judge
from audit.judge.primaries import averaged
from audit.policy.policy import BUILT_IN, Policy, load_policy
from audit.policy.primaries import KINDS, LEVELS, MOST
from audit.record.result import AuditResult, Outcome

STANDARD = load_policy("standard")[0].model_copy(update={"permutations": 999, "shams": 0})


def gating(weights: dict[str, float], kind: str = "random", **changes: Any) -> Policy:
    """The standard policy with these primaries at features access."""
    return STANDARD.model_copy(update={"primary": {kind: {"features": weights}}, **changes})


def family(result: AuditResult, name: str) -> Any:
    return next(f for f in result.families if f.name == name)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_primaries_are_few_and_whole(name: str) -> None:
    policy = load_policy(name)[0]
    assert policy.version == 4
    for kind in KINDS:
        for level in LEVELS:
            weights = policy.primaries(kind, level)
            assert len(weights) <= MOST
            assert not weights or sum(weights.values()) == pytest.approx(1)
    assert policy.primaries("random", "labels") == {"label_only.location": 1.0}


@pytest.mark.parametrize("name", BUILT_IN)
def test_nothing_that_compares_with_the_originals_weights_decides(name: str) -> None:
    """Honest models with an ancestor of the original have its weights, and references from scratch have not."""
    policy = load_policy(name)[0]
    kin = {"transplant", "line_up", "layer_profile", "shallowness", "connectivity", "interpolation"}
    assert not [(kind, level) for kind in KINDS for level in LEVELS if policy.attacks(kind, level) & kin]
    assert "transplant" in load_policy(f"{name}@3")[0].attacks("class", "weights")


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_first_edition_gates_every_attack_alike(name: str) -> None:
    policy = load_policy(f"{name}@1")[0]
    assert policy.name == name
    assert policy.version == 1
    assert set(policy.primaries("class", "features").values()) == {0.2}
    assert policy.attacks("random", "logits") >= {"membership", "rmia", "label_only", "ulira"}
    assert "ulira" not in policy.attacks("other", "logits")


class Dummy(Attack):
    """A plug-in that sees everything: it must change nothing."""

    title = "A plug-in"
    source = "test"
    symmetric = True
    access = Access.LOGITS

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        raise NotImplementedError

    def combine(self, signals: list[Signals], case: Case) -> Scores:  # type: ignore[override]
        return Scores(examples=np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in signals]))


def with_plugin(monkeypatch: pytest.MonkeyPatch, **setup: Any) -> Any:
    """Evidence in which a plug-in tells every forget row of the audited model from every holdout row."""
    plugin = type("Plugin", (Dummy,), {"__doc__": Dummy.__doc__})
    plugin.name = "aa_plugin"
    monkeypatch.setitem(REGISTRY, plugin.name, plugin)
    evidence = Setup(**setup).evidence()
    n_forget, n_holdout = len(evidence.labels("forget")), len(evidence.labels("holdout"))
    for model in evidence.facts.models:
        leak = 9.0 if model in ("unlearned", "original") else 0.0
        rng = np.random.default_rng(len(model))
        scores = {"forget": rng.normal(leak, 1, n_forget), "holdout": rng.normal(0, 1, n_holdout)}
        evidence.signals[plugin.name, model] = scores
    run = AttackRun(name=plugin.name, parameters={}, status="ok")
    others = (item for item in evidence.facts.attacks if item.name != run.name)
    evidence.facts = evidence.facts.model_copy(update={"attacks": (run, *others)})
    return evidence


@pytest.mark.parametrize("leak", [{}, {"membership": SEEN}])
def test_an_attack_that_no_policy_lists_changes_no_level(monkeypatch: pytest.MonkeyPatch, leak: dict[str, Any]) -> None:
    plain = audit(STANDARD, seed=4, leak=leak)
    more = judge(with_plugin(monkeypatch, seed=4, leak=leak), STANDARD, "0" * 64)
    assert more.verdict.outcome is plain.verdict.outcome
    assert [f.model_dump() for f in more.families] == [f.model_dump() for f in plain.families]
    theirs = [f for f in more.findings if f.attack != "aa_plugin"]
    assert [f.model_dump() for f in theirs] == [f.model_dump() for f in plain.findings]
    assert all(f.role == "supplementary" for f in more.findings if f.attack == "aa_plugin")


def test_listed_it_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = gating({"membership.location": 0.5, "aa_plugin.location": 0.5}, mandatory={})
    result = judge(with_plugin(monkeypatch, seed=4), policy, "0" * 64)
    assert result.verdict.outcome is Outcome.FAIL
    assert finding(result, "aa_plugin.d2").role == "primary"


def test_a_listed_attack_that_is_not_installed_keeps_from_pass() -> None:
    result = audit(gating({"membership.location": 0.5, "gone.location": 0.5}, mandatory={}), seed=4)
    (gate,) = (g for g in result.gates if g.name == "attacks ran")
    assert not gate.ok
    assert "not installed when the models were attacked: gone" in gate.reason


def test_a_heavier_weight_needs_less() -> None:
    setup = {"seed": 3, "leak": {"membership": 0.25}, "n_forget": 400, "n_holdout": 800}
    p = {
        w: finding(
            audit(gating({"membership.location": w, "probe.location": 1 - w}), **setup), "membership.d2"
        ).p_adjusted
        for w in (0.9, 0.5, 0.1)
    }
    assert p[0.9] < p[0.5] < p[0.1]


def test_the_name_of_a_family_says_that_weights_decide() -> None:
    even, uneven = (
        audit(gating({"membership.location": w, "probe.location": 1 - w}), seed=1).families[0].method
        for w in (0.5, 0.8)
    )
    assert "by their weights" in uneven
    assert "by their weights" not in even


def test_only_the_listed_features_are_tested() -> None:
    mixed = {"seed": 0, "mixed": 2.0}
    gated = gating({"membership.location": 0.5, "membership.spread": 0.5})
    result = audit(gated, **mixed)
    assert result.verdict.outcome is Outcome.FAIL
    assert "scatter" in finding(result, "membership.d2").reason
    assert not any(f.id == "membership.feature_spread" for f in result.findings)
    assert any(f.id == "membership.feature_upper" for f in result.findings)


def test_a_composite_averages_its_members_in_their_own_spread() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2, 9))
    average, floor = averaged(rows * [[1.0], [100.0]], np.array([0.0, 0.0]))
    again, _ = averaged(rows, np.zeros(2))
    np.testing.assert_allclose(average, again)
    assert floor == 0
    np.testing.assert_allclose(averaged(np.ones((2, 5)), np.zeros(2))[0], 0)
    only, _ = averaged(np.stack([rows[0], np.ones(9)]), np.zeros(2))
    np.testing.assert_allclose(only, (rows[0] - rows[0].mean()) / rows[0].std(ddof=1) / 2)


def test_the_t_of_a_composite_keeps_its_level() -> None:
    from audit.statistics.model_level import t_family

    rng = np.random.default_rng(5)
    p = []
    for _ in range(4000):
        shared = rng.normal(size=6)
        rows = np.stack([shared + rng.normal(size=6), 10 * (shared + rng.normal(size=6)), rng.normal(size=6)])
        statistic, floor = averaged(rows, np.zeros(3))
        p.append(t_family(statistic[None], np.array([floor])).p)
    for level in (0.05, 0.01):
        rate = float((np.array(p) <= level).mean())
        assert abs(rate - level) < 3.3 * (level * (1 - level) / len(p)) ** 0.5


def test_a_composite_is_tested_in_place_of_its_members() -> None:
    weights = {"membership.contrast": 0.4, "recovery.composite": 0.6}
    policy = gating(weights, "class", composites={"recovery": ("feature_mapping", "probe", "uma")})
    setup = {"kind": "class", "references": 8, "seed": 2}
    honest, leaking = (
        audit(policy, **setup),
        audit(policy, **setup, leak=dict.fromkeys(("feature_mapping", "probe"), SEEN)),
    )
    assert honest.verdict.outcome is not Outcome.FAIL
    assert leaking.verdict.outcome is Outcome.FAIL
    shown = finding(leaking, "recovery.d1")
    assert shown.status == "FAIL"
    assert shown.attack == "recovery"
    assert finding(leaking, "probe.d1").role == "supplementary"
    assert finding(honest, "feature_mapping.share").role == "mandatory"
    assert "2 attacks" in family(honest, "D1").method


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"features": {"membership.location": 0.5}}, "the weights add up to 0.5"),
        ({"features": {"membership.location": -0.5, "probe.location": 1.5}}, "every weight must be above 0"),
        ({"features": {"membership.location": float("nan")}}, "every weight must be above 0"),
        ({"features": {"membership": 1.0}}, "'membership' is no statistic"),
        ({"features": {"membership.mean": 1.0}}, "'membership.mean' is no statistic"),
        ({"features": {"all.composite": 1.0}}, "[composites] does not say"),
        ({"features": {f"a{i}.location": 1 / 11 for i in range(11)}}, "11 statistics, 10 at most"),
        ({"features": {"membership.location": 1.0}}, "list probe, which has a mandatory figure"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(table: dict[str, Any], said: str) -> None:
    values = STANDARD.model_dump() | {"primary": {"random": table}}
    values.pop("d2_features")
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        Policy.model_validate(values)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["standard@1", "ours@2", "Standard", "STRICT"])
def test_a_name_that_could_be_taken_for_a_built_in_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="could be taken for a policy that ships"):
        Policy.model_validate(load_policy("standard@1")[0].model_dump(exclude={"primary"}) | {"name": name})


def test_a_composite_may_not_be_named_like_an_attack() -> None:
    values = STANDARD.model_dump() | {"composites": {"probe": ("uma", "membership")}}
    values.pop("d2_features")
    with pytest.raises(ValueError, match=r"composites.probe: an attack has this name"):
        Policy.model_validate(values)


def test_features_beside_primaries_are_refused(tmp_path: Any) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('d2_features = ["spread"]\n[primary.random.features]\n"membership.location" = 1.0\n')
    with pytest.raises(UsageError, match="leave d2_features out"):
        load_policy(str(path))
