"""benchmarks/real.py: a tiny world from end to end, nested sizes, honest variations, bars; the data where they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.judge.judge import judge
from audit.policy.policy import load_policy
from tests.benchmarks.conftest import Bench

ROOT = Path(__file__).parents[2]
POLICY = load_policy("standard")[0].model_copy(update={"permutations": 199})
ATTACKS = ["feature_mapping", "label_only", "membership", "probe"]


@pytest.fixture
def tiny(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A data set like location30 with few rows, of which none is real."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 700)
    x = rng.random((700, 30)) < rng.random((5, 30))[y]
    np.savez(tmp_path / "location30.npz", X=x.astype(np.uint8), y=y)
    monkeypatch.setattr(bench.real_data, "DATA", tmp_path)
    bench.real_data.arrays.cache_clear()
    small = replace(
        bench.real_data.SETS["location30"],
        forget=(40, 80),
        references=(2, 3),
        retain=150,
        holdout=150,
        test=100,
        auxiliary=50,
        hidden=(16, 12),
        epochs=4,
    )
    monkeypatch.setitem(bench.real_data.SETS, "location30", small)
    yield small
    bench.real_data.arrays.cache_clear()


def test_a_tiny_world_from_end_to_end(bench: Bench, tiny: Any, tmp_path: Path) -> None:
    found = bench.real.measure("location30", 0, ATTACKS[2:], {"": POLICY}, 0)
    assert len(found["audits"]) == 2 * 4 * (2 + 1 + 3)
    assert found["variation"] == "SGD"
    assert found["audits"]["honest, n=80, K=2, features"]["p"].keys() == {"D2"}
    settings = {"policy": "standard", "permutations": 199, "attacks": ATTACKS, "seed": 0, "code": "0" * 64}
    record = bench.kept.Kept(tmp_path / "x", settings, {"location30/0": found})
    rows = bench.real_page.count(record)
    assert [row.worlds for row in rows] == [1] * 48
    text = bench.real_page.markdown(record, rows)
    assert "| location30 | 80 | 3 | logits | 1 |" in text
    assert "| SGD |" in text


def test_a_world_is_decided_by_its_index_and_the_seed(bench: Bench, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller = replace(tiny, forget=(40,), references=(2,), epochs=1)
    monkeypatch.setitem(bench.real_data.SETS, "location30", smaller)
    monkeypatch.setattr(bench.real, "LEAKS", ("original",))
    monkeypatch.setattr(bench.real, "accuracies", lambda seen: {})
    found, again, other = (bench.real.measure("location30", at, ["membership"], {"": POLICY}, 0) for at in (0, 0, 1))
    assert found["audits"] == again["audits"]
    assert found["audits"] != other["audits"]


def test_signals_of_a_smaller_forget_set_are_those_of_its_rows(bench: Bench, tiny: Any) -> None:
    rng = np.random.default_rng(1)
    world = tiny.world(rng)
    nets = bench.real.train(tiny, world, "SGD", rng)
    seen = bench.real.views(tiny, world, nets, ["feature_mapping", "label_only", "probe"], 5)
    small = replace(world, rows=world.rows | {"forget": world.rows["forget"][:40]})
    mine = {"original": nets["original/40"], "honest": nets["honest"]}
    alone = bench.audits.observe(small, mine, bench.audits.instances(["feature_mapping", "label_only", "probe"]), 5)
    for key, signals in alone.signals.items():
        for part, values in signals.items():
            np.testing.assert_allclose(seen[40].signals[key][part], values, err_msg=f"{key} {part}")


def test_judging_faster_changes_no_verdict(bench: Bench, tiny: Any) -> None:
    rng = np.random.default_rng(2)
    world = tiny.world(rng)
    seen = bench.real.views(tiny, world, bench.real.train(tiny, world, "SGD", rng), ATTACKS, 5)[80]
    for model in ("honest", "original"):
        audit = bench.audits.Audit(model, 3, attacks=tuple(ATTACKS))
        fast = bench.real.judged(seen, audit, {"": POLICY})
        for access, said in fast.items():
            result = judge(seen.evidence(replace(audit, access=access)), POLICY, "0" * 64)
            assert said == bench.said.said(result) | {
                "p": {f.name: round(f.p, 5) for f in result.families if f.p is not None}
            }


def test_honest_variations_learn_and_differ(bench: Bench, tiny: Any) -> None:
    rng = np.random.default_rng(3)
    world = tiny.world(rng)
    retain = world.rows["retain"]
    recipe = bench.stacks.Recipe(epochs=30, batch=32, rate=2e-3)
    for name, change in bench.stacks.VARIATIONS.items():
        changed = change(recipe)
        assert changed != recipe, name
        start = bench.stacks.first(world, (16, 12), 1, rng, changed.scale)
        net = bench.stacks.net(bench.stacks.fit(world, [retain], start, rng, changed), 0)
        hits = bench.audits.ArrayView(world, net).logits("retain").argmax(axis=1) == world.y[retain]
        assert hits.mean() > 0.6, name


def test_parts_of_a_batch_sum_to_its_gradient(bench: Bench, tiny: Any) -> None:
    world = tiny.world(np.random.default_rng(4))
    recipe = bench.stacks.Recipe(epochs=1, batch=30, rate=1e-3, optimiser="sgd")
    trained = []
    for parts in (1, 4):
        rng = np.random.default_rng(5)
        start = bench.stacks.first(world, (16,), 2, rng)
        rows = [world.rows["retain"]] * 2
        trained.append(bench.stacks.fit(world, rows, start, rng, replace(recipe, parts=parts)))
    for one, four in zip(*trained, strict=True):
        np.testing.assert_allclose(one, four, atol=1e-6)


def test_a_stack_trains_each_network_as_if_alone(bench: Bench, tiny: Any) -> None:
    world = tiny.world(np.random.default_rng(6))
    recipe = bench.stacks.Recipe(epochs=2, batch=150, rate=2e-3)  # one batch an epoch: the order does not matter
    start = bench.stacks.first(world, (16, 12), 3, np.random.default_rng(7))
    rows = [world.rows["retain"]] * 3
    together = bench.stacks.fit(world, rows, start, np.random.default_rng(8), recipe)
    for k in range(3):
        alone = bench.stacks.fit(world, rows[:1], [w[k : k + 1] for w in start], np.random.default_rng(9), recipe)
        for one, all_of_them in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], all_of_them[k], atol=1e-5)


def test_honest_cells_have_bars_and_others_none(bench: Bench, tmp_path: Path) -> None:
    def world(verdict: str) -> dict[str, Any]:
        said = {"verdict": verdict, "by": ["membership.d2"], "p": {}}
        keys = [f"{model}, n=300, K=4, logits" for model in ("honest", "varied", "original")]
        return {"variation": "SGD", "audits": dict.fromkeys(keys, said)}

    record = bench.kept.Kept(tmp_path / "x", {}, {f"mnist/{k}": world("FAIL") for k in range(64)})
    honest, varied, original = bench.real_page.count(record)
    assert (honest.bar, varied.bar, original.bar) == (10, 13, None)
    assert (honest.ok, varied.ok, original.ok) == (False, False, True)
    assert honest.by == (("membership.d2", 64),)


@pytest.mark.parametrize("name", ["location30", "adult", "mnist"])
def test_real_worlds_can_be_learned(bench: Bench, name: str) -> None:
    data = bench.real_data.SETS[name]
    if not data.path.exists():
        pytest.skip(f"{data.path.name} is not beside the checkout (UNLEARN_TEST_DATA names its folder)")
    rng = np.random.default_rng(0)
    world = replace(data, retain=400, forget=(100,), test=300, holdout=100, auxiliary=100).world(rng)
    assert len(world.x) == 1000
    assert world.x.min() >= -40
    recipe = bench.stacks.Recipe(epochs=6, batch=32, rate=2e-3)
    start = bench.stacks.first(world, data.hidden, 1, rng)
    net = bench.stacks.net(bench.stacks.fit(world, [world.rows["retain"]], start, rng, recipe), 0)
    view = bench.audits.ArrayView(world, net)
    hits = (view.logits("test").argmax(axis=1) == world.y[world.rows["test"]]).mean()
    most = np.bincount(world.y).max() / len(world.y)
    assert hits > most
    bench.real_data.arrays.cache_clear()
