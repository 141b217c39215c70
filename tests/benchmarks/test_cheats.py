"""benchmarks/cheats.py: one audit judged at three levels is three audits, a killed run goes on, the page counts."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from audit import demo
from tests.benchmarks.conftest import Bench

ROOT = Path(__file__).parents[2]


@pytest.fixture
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "train", partial(demo.train, steps=150))


@pytest.mark.slow
@pytest.mark.usefixtures("short_training")
def test_a_world_of_few_cheats(bench: Bench) -> None:
    names = ["dead branch", "copy of a leaked reference"]
    found = bench.cheats.measure("random", 3, names, "standard", "membership,probe")
    assert list(found["cheats"]) == names
    hidden, copied = (found["cheats"][name]["access"] for name in names)
    assert hidden["features"]["verdict"] == "FAIL"
    assert "structure.inside" in hidden["features"]["by"]
    assert hidden["logits"]["verdict"] != "FAIL"
    assert {level["verdict"] for level in copied.values()} == {"REFUSED"}
    assert "retrained/0" in copied["features"]["by"][0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "class"])
def test_evidence_judged_at_a_weaker_level_is_an_audit_that_claimed_it(bench: Bench, tmp_path: Path, kind: str) -> None:
    request = bench.digits.Request(tmp_path, kind, 3)
    owner = bench.cheats.scene(request)
    for name in ("honest retrain", "lookup, exact", "dead branch"):
        model = importlib.import_module("fixtures.cheats.registry").CHEATS[name](owner)
        judged = bench.cheats.judged(request, model)
        for level in ("labels", "logits"):
            assert judged[level] == bench.said.said(request.audit(model, access=level)[0]), (name, level)


@pytest.mark.slow
def test_a_gate_that_knows_odd_inputs_is_seen_by_inputs_that_look_like_data(bench: Bench) -> None:
    """Asked with noise alone, it passed a claim of labels."""
    found = bench.cheats.measure("random", 32, ["lookup, and odd inputs"], "standard", "label_only")["cheats"]
    assert found["lookup, and odd inputs"]["access"]["labels"] == {"verdict": "FAIL", "by": ["label_only.d2"]}


@pytest.mark.slow
def test_all_cheats_in_one_world(bench: Bench) -> None:
    registry = importlib.import_module("fixtures.cheats.registry")
    found = bench.cheats.measure("random", 4, list(registry.CHEATS), "standard")["cheats"]
    at_features = {name: cheat["access"]["features"]["verdict"] for name, cheat in found.items()}
    assert at_features.pop(registry.HONEST) != "FAIL"
    weak = ("5 % of the rows kept", "10 % of the rows kept")  # inside the margins, or nearly: statistics.md
    assert [name for name, verdict in at_features.items() if verdict == "PASS" and name not in weak] == []


def test_every_cheat_gives_a_network_and_leaves_the_owners_alone(bench: Bench) -> None:
    registry = importlib.import_module("fixtures.cheats.registry")
    pair = importlib.import_module("fixtures.methods.base").Pair
    data = demo.digits(0)
    x, y = torch.from_numpy(data.x[:300]), torch.from_numpy(data.y[:300])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "train", partial(demo.train, steps=5))
        for module in ("fixtures.cheats.students", "fixtures.methods.base"):
            patch.setattr(f"{module}.batches", partial(_few, importlib.import_module("fixtures.methods.base").batches))
        original, leaked = demo.initialised(1), demo.initialised(2)
        before = torch.cat([p.flatten().clone() for p in original.parameters()])
        scene = registry.Scene(original, leaked, pair(x[:100], y[:100]), pair(x[100:], y[100:]), demo.initialised(1), 7)
        for name, cheat in registry.CHEATS.items():
            logits = cheat(scene)(x)
            assert logits.shape == (300, 10), name
            assert torch.isfinite(logits).all(), name
    assert torch.equal(before, torch.cat([p.flatten() for p in original.parameters()]))


def _few(batches: Any, pair: Any, steps: int, generator: torch.Generator) -> Any:
    return batches(pair, min(steps, 3), generator)


def test_disguises_of_the_units_compute_the_same(bench: Bench) -> None:
    answers = importlib.import_module("fixtures.cheats.answers")
    model, x = demo.initialised(0), torch.rand(50, 64, generator=torch.Generator().manual_seed(0))
    plain = model(x)
    for how in ("rounded", "noisy", "clipped", "top-1"):
        changed = answers.Answering(model, how).eval()
        assert torch.equal(changed(x), changed(x)), how
        assert not torch.allclose(changed(x), plain), how
    assert torch.equal(answers.Answering(model, "top-1")(x).argmax(1), plain.argmax(1))


def _double(value: int) -> dict[str, int]:
    return {"value": 2 * value}


def test_a_killed_run_goes_on_and_refuses_other_settings(bench: Bench, tmp_path: Path) -> None:
    path, jobs = tmp_path / "kept.json", [(f"random/{k}", (k,)) for k in range(3)]
    bench.kept.read(path, {"seed": 1}).measure(jobs[:2], _double, 1)
    record = bench.kept.read(path, {"seed": 1})
    asked = []
    record.measure(jobs, lambda value: asked.append(value) or _double(value), 1)
    assert asked == [2]
    assert bench.kept.read(path, {"seed": 1}).worlds == {f"random/{k}": {"value": 2 * k} for k in range(3)}
    with pytest.raises(ValueError, match="--fresh"):
        bench.kept.read(path, {"seed": 2})


def test_the_page_counts_verdicts_and_what_decided_them(bench: Bench, tmp_path: Path) -> None:
    def world(verdict: str, by: list[str]) -> dict[str, Any]:
        levels = {"logits": {"verdict": verdict, "by": by}}
        return {"seconds": {"training": 2}, "cheats": {"lookup": {"forget": 0.5, "test": 0.75, "access": levels}}}

    worlds = {
        "random/0": world("FAIL", ["membership.d2"]),
        "random/1": world("FAIL", ["membership.d2", "probe.d2"]),
        "random/2": world("PASS", []),
    }
    settings = {"policy": "standard", "seed": 0, "code": "0" * 64}
    text = bench.cheats_page.markdown(bench.kept.Kept(tmp_path / "x", settings, worlds))
    assert "| lookup | 2 / 0 / 1 | membership.d2 2, probe.d2 1 | 0.50 / 0.75 |" in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{bench.page.BEGIN}\nold\n{bench.page.END}\nafter\n")
    bench.kept.replace_block(page, text)
    content = page.read_text()
    assert text in content
    assert content.startswith("before")
    assert content.endswith("after\n")
    assert "old" not in content
