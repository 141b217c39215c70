"""benchmarks/calibration.py: bars, planted leaks, resuming, the page, invariances of the verdict, the short form."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attacks.base import Case
from attacks.calibration import calibrated
from audit.policy.policy import load_policy
from audit.statistics.intervals import auc_delong, tpr_at_fpr
from tests.benchmarks.conftest import Bench

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
POLICY = load_policy("standard")[0].model_copy(update={"permutations": 999})


def small(bench: Bench, worlds: int = 2):
    """A pool with one gated cell, one shown and one of p-values."""
    d2 = bench.audits.Audit(references=2, attacks=("membership",), original=False)
    cells = (
        bench.cells.Cell("C1", "d2", d2),
        bench.cells.Cell("C1", "shown", d2, "INCONCLUSIVE", bound="shown"),
        bench.cells.Cell("C8", "p", d2, "D2", bound="p-value"),
    )
    setting = bench.worlds.Setting(n_forget=50, holdout=100, retain=100, test=50)
    return bench.cells.Pool("small", "a test", setting, cells, worlds)


@pytest.mark.parametrize(("n", "bar"), [(200, 21), (800, 60), (60, 9), (40, 7)])
def test_bars_are_the_999_points_of_the_design(bench, n, bar):
    row = bench.bars.count_row(n, bar, 0.05, "at most", 1)
    assert (row["bar"], row["ok"]) == (bar, True)
    assert not bench.bars.count_row(n, bar + 1, 0.05, "at most", 1)["ok"]
    assert bench.bars.count_row(n, bar + 1, 0.05, "at most", 40)["ok"], "Bonferroni over the cells of a table"


def test_a_power_below_its_bar_fails_and_a_shown_cell_never_does(bench):
    assert not bench.bars.count_row(100, 80, 0.95, "at least", 1)["ok"]
    assert bench.bars.count_row(100, 90, 0.95, "at least", 1)["ok"]
    assert bench.bars.count_row(100, 0, 0.95, "shown", 1)["ok"]


def test_small_p_values_fail_and_large_ones_do_not(bench):
    grid = (np.arange(200) + 1) / 200
    assert bench.bars.uniform_row(grid, 6)["ok"]
    assert bench.bars.uniform_row(np.sqrt(grid), 6)["ok"]
    assert not bench.bars.uniform_row(grid**2, 6)["ok"]
    assert not bench.bars.uniform_row([], 6)["ok"], "nothing measured is no success"


def test_every_cell_of_the_plan_is_told_apart(bench):
    plan = bench.designs.pools()
    names = [(cell.table, cell.name) for pool in plan for cell in pool.cells]
    assert len(set(names)) == len(names)
    assert len({pool.name for pool in plan}) == len(plan)
    for pool in plan:
        assert len(pool.audits()) == len({cell.audit for cell in pool.cells}), pool.name
    assert {table for table, _ in names} | {"C7"} == set(bench.page.TABLES)


def test_a_killed_run_goes_on_and_gives_the_same(bench, tmp_path, monkeypatch):
    pool = small(bench, 3)
    monkeypatch.setattr(bench.measure, "CHUNK", 1)
    path, settings = tmp_path / "figures.json", {"seed": 3, "draws": 2}

    def run(plan):
        return bench.calibration.Run([plan], bench.state.read(path, settings), path, POLICY, 1)

    run(pool).measure(replace(pool, worlds=2))
    assert not [c for c in run(pool).cells() if c["table"] != "C7"], "a pool counts once it is complete"
    run(pool).measure(pool)
    resumed = run(pool).cells()
    path.unlink()
    run(pool).measure(pool)
    assert run(pool).cells() == resumed
    assert [cell["n"] for cell in resumed] == [3, 3, 3]
    with pytest.raises(ValueError, match="--fresh"):
        bench.state.read(path, settings | {"seed": 4})


def test_a_cell_beyond_its_bar_is_run_again_at_four_times_the_size(bench, tmp_path):
    pool = small(bench)
    never = replace(pool.cells[0], name="always", event="INCONCLUSIVE", nominal=0.0)
    pool = replace(pool, cells=(*pool.cells, never))
    record = bench.state.read(tmp_path / "figures.json", {"seed": 3, "draws": 2})
    run = bench.calibration.Run([pool], record, tmp_path / "figures.json", POLICY, 1)
    run.intervals = []
    cell = next(cell for cell in run.everything() if cell["name"] == "always")
    assert (cell["n"], cell["ok"]) == (2, False)
    assert (cell["again"]["n"], cell["again"]["ok"]) == (8, False)
    assert "always: again" in bench.page.text(run.cells())


def _scene(bench, rng, n_forget=4000):
    """Honest membership signals of seven models on many rows."""
    n = 3 * n_forget
    difficulty, spread = 2 * rng.standard_normal(n), np.exp(rng.normal(0, 0.3, n))
    names = ["unlearned", *(f"retrained/{k}" for k in range(6))]
    rows = difficulty + spread * rng.standard_normal((7, n))
    signals = {
        ("membership", name): {"forget": row[:n_forget], "holdout": row[n_forget:]}
        for name, row in zip(names, rows, strict=True)
    }
    labels = rng.integers(0, 10, n)
    case = Case("random", (), {}, {"forget": labels[:n_forget], "holdout": labels[n_forget:]}, 10)
    return bench.planted.Scene(signals, {}, case, rng), labels, n_forget


@pytest.mark.parametrize("change", ["AUC", "upper tail", "lower tail"])
def test_planted_leaks_lie_at_the_margin(bench, change):
    scene, labels, cut = _scene(bench, np.random.default_rng(1))
    changed = {**scene.signals, **bench.planted.CHANGES[f"{change} at the margin"](scene)}
    scores = calibrated(np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in changed.values()]), labels)[0]
    sign = -1 if change == "lower tail" else 1
    forget, holdout = sign * scores[:cut], sign * scores[cut:]
    if change == "AUC":
        assert auc_delong(forget, holdout, 0.95).value == pytest.approx(0.5 + POLICY.auc_margin, abs=0.015)
    else:
        assert tpr_at_fpr(forget, holdout, POLICY.tpr_fpr, 0.95).value == pytest.approx(POLICY.tpr_margin, abs=0.02)


def test_margins_are_those_of_the_policy(bench):
    planted = bench.planted
    assert (POLICY.auc_margin, POLICY.tpr_margin, POLICY.share_margin) == (planted.AUC, planted.TAIL, planted.SHARE)
    assert POLICY.tpr_fpr == planted.FPR


def _observed(bench, seed, change=None):
    """One world with an original, an honest model and six references, optionally changed before it is observed."""
    rng = np.random.default_rng(seed)
    worlds = [bench.worlds.draw_world(bench.worlds.Setting(retain=300, test=100), rng)]
    names = ["original", "honest", *(f"retrained/{k}" for k in range(6))]
    nets = bench.methods.train(worlds, 32, names, rng)[0]
    world, nets = (worlds[0], nets) if change is None else change(worlds[0], nets)
    return bench.audits.observe(world, nets, bench.audits.instances(bench.audits.USUAL), seed)


def _said(result):
    return result.verdict.outcome, {f.name: f.p for f in result.families}


def test_the_order_of_the_references_does_not_matter(bench):
    """C9 on the whole verdict."""

    def turned(world, nets):
        return world, nets | {f"retrained/{k}": nets[f"retrained/{5 - k}"] for k in range(6)}

    audit = bench.audits.Audit(references=6)
    outcome, p = _said(_observed(bench, 5).judge(audit, POLICY))
    again, q = _said(_observed(bench, 5, turned).judge(audit, POLICY))
    assert (again, q) == (outcome, pytest.approx(p, abs=1e-9))


def test_the_names_of_the_classes_do_not_matter(bench):
    """C9. The probe is fitted by iteration: its scores move in the last digits."""
    order = np.random.default_rng(0).permutation(10)

    def renamed(world, nets):
        back = np.argsort(order)
        heads = {name: (a, b, c[:, back], d[:, back]) for name, (a, b, c, d) in nets.items()}
        return replace(world, y=order[world.y]), heads

    audit = bench.audits.Audit(references=6)
    outcome, p = _said(_observed(bench, 6).judge(audit, POLICY))
    again, q = _said(_observed(bench, 6, renamed).judge(audit, POLICY))
    assert (again, q) == (outcome, pytest.approx(p, abs=0.01))


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_copy_of_the_audited_model_among_the_references_makes_no_fail(bench, seed):
    """C9: ties count against rejection."""

    def doubled(world, nets):
        return world, nets | {"retrained/0": nets["honest"]}

    audit = bench.audits.Audit(references=6, split="unknown", kind="other")
    result = _observed(bench, seed, doubled).judge(audit, POLICY)
    assert result.verdict.outcome.value != "FAIL"


def test_the_page_is_what_the_figures_say(bench):
    page = ROOT / "docs" / "calibration.md"
    content = page.read_text(encoding="utf-8")
    assert (
        bench.page.with_block(content, DOCS / "calibration-figures.json", DOCS / "calibration-figures-1.json")
        == content
    )


@pytest.mark.slow
def test_the_short_form_holds_its_bars(tmp_path):
    command = [sys.executable, "-m", "benchmarks.calibration", "--short", "--output", str(tmp_path / "short.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads((tmp_path / "short.json").read_text())["cells"]
    assert {"C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "S"} == {cell["table"] for cell in cells}
