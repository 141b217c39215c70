"""Pictures of deleted rows are kept where ``--include-samples`` asks for them, and nowhere else."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from stat import S_IMODE
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import audit
from attacks.base import discover
from attacks.inversion import samples
from attacks.inversion.reconstruction import Reconstruction
from audit import demo
from audit.collect.suite import changed, choose
from audit.errors import UsageError
from audit.inputs.config import AttacksSection
from audit.policy.policy import load_policy
from audit.record.inputs import ClaimRecord
from fixtures.cases.deletions import Deletions, ascended
from fixtures.cases.module_view import ModuleView
from reports.charts.tiles import png
from tests.conftest import Cli

FLAT, PICTURES = Deletions(), Deletions(shape=(1, 8, 8))
BUDGET = "[attacks.parameters.reconstruction]\niterations = 40\nrestarts = 1\nmax_rows = 5\n"


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PICTURES.fitted(nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)), 60)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, audit.AuditRun]:
    """The same audit without pictures, with them, and with them once more from the start."""
    folder = tmp_path_factory.mktemp("samples")
    (folder / "audit.toml").write_text(BUDGET)
    original, case = network(0), PICTURES.case(slice(0, 6))
    sets: Any = {role: (np.asarray(of.batch(np.arange(len(of)))), of.y) for role, of in case.sets.items()}
    models: Any = {"original": original, "unlearned": ascended(original, case), "retrained": [network(1), network(2)]}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("audit.collect.exchangeability.TREES", 20)
        return {
            name: audit.run(
                **sets,
                **models,
                config=folder / "audit.toml",
                claim="random",
                access="weights",
                attacks="reconstruction",
                include_samples=name != "without",
                out=folder / name,
                progress="off",
            )
            for name in ("without", "with", "again")
        }


def contents(run: Path) -> dict[str, bytes]:
    """Every file of a run, arrays unpacked."""
    found = {}
    for path in sorted(p for p in run.rglob("*") if p.is_file()):
        found[path.name] = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                found[path.name] += b"".join(arrays[key].tobytes() for key in arrays.files)
    return found


def needles() -> list[bytes]:
    """The deleted rows in every form in which a file could hold them."""
    forget = PICTURES.case(slice(0, 6)).sets["forget"]
    rows = np.asarray(forget.batch(np.arange(6))).reshape(6, -1)
    grey = [np.round(row * 255).astype(np.uint8).tobytes() for row in rows]
    forms = [[row.astype(kind).tobytes() for row in rows] for kind in (np.float32, np.float64)]
    return [*forms[0], *forms[1], *grey, *(one.hex().encode() for one in grey)]


def holding(run: Path) -> set[str]:
    return {name.partition("-")[0] for name, held in contents(run).items() if any(one in held for one in needles())}


def grid_of(run: audit.AuditRun) -> Any:
    (attack,) = (a for a in run.result.attacks if a.name == "reconstruction")
    return next((chart for chart in attack.charts if chart.kind == "grid"), None)


def test_without_the_option_no_row_and_no_reconstruction_is_kept(runs: dict[str, audit.AuditRun]) -> None:
    assert holding(runs["without"].path) == set()
    assert grid_of(runs["without"]) is None
    found = [s.pixels.encode() for s in grid_of(runs["with"]).series]
    assert not any(one in held for held in contents(runs["without"].path).values() for one in found)
    assert b"<image" not in contents(runs["without"].path)["report.html"]
    assert "include-samples" not in runs["without"].result.model_dump_json()


def test_with_it_record_and_report_show_rows_beside_what_came_back(runs: dict[str, audit.AuditRun]) -> None:
    assert {"run.json", "reconstruction"} <= holding(runs["with"].path)
    grid = grid_of(runs["with"])
    own = [s for s in grid.series if s.role == "unlearned"]
    assert [s.name for s in own] == [f"{what} {k}" for k in range(1, samples.PAIRS + 1) for what in ("true", "found")]
    assert {s.role for s in grid.series} == {"unlearned", "reference"}  # the original has no difference to itself
    true, back = (np.frombuffer(bytes.fromhex(s.pixels), np.uint8) / 255 for s in own[:2])
    rows = np.asarray(PICTURES.case(slice(0, 6)).sets["forget"].batch(np.arange(6))).reshape(6, -1)
    assert np.abs(rows - true).max(axis=1).min() < 1 / 255
    assert np.corrcoef(true, back)[0, 1] > 0.5
    page = (runs["with"].path / "report.html").read_text()
    assert all(f'href="{png(s)}"' in page for s in grid.series)
    assert "true 1 (unlearned model): a picture, 8 pixels wide." in page  # what stands for it in words
    assert "personal data" in page
    assert not re.search(r'<image[^>]*href="(?!data:)', page)


def test_its_record_and_report_are_for_their_owner_alone(runs: dict[str, audit.AuditRun], cli: Cli) -> None:
    def mode(path: Path) -> int:
        return S_IMODE(path.stat().st_mode)

    umask = os.umask(0)
    os.umask(umask)
    for name, run in runs.items():
        wanted = 0o666 & ~umask if name == "without" else 0o600
        assert [mode(run.path / file) for file in ("run.json", "report.html")] == [wanted] * 2
    run = runs["again"].path
    (run / "report.html").chmod(0o644)
    assert cli("report", run).code == cli("report", run, "-f", "json", "-o", run.parent / "copy.json").code == 0
    assert mode(run / "report.html") == mode(run.parent / "copy.json") == 0o600


def test_the_verdict_does_not_depend_on_it_and_it_gives_the_same_bytes(runs: dict[str, audit.AuditRun]) -> None:
    one, two, again = (json.loads(runs[name].result.model_dump_json()) for name in ("without", "with", "again"))
    assert one["verdict"] == two["verdict"]
    assert one["findings"] == two["findings"]
    assert one["gates"] == two["gates"]
    assert two == again
    pages = [(runs[name].path / "report.html").read_bytes() for name in ("with", "again")]
    assert pages[0].count(b"<image") == pages[1].count(b"<image") == 2 * 2 * samples.PAIRS


def test_rows_that_are_no_pictures_are_named() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        original = FLAT.fitted(demo.initialised(0), 40)
    attack, case = Reconstruction(iterations=2, restarts=1, include_samples=True), FLAT.case(slice(0, 3))
    for model, reason in ((ascended(original, case), samples.NO_PICTURES), (original, samples.UNMOVED)):
        views = [ModuleView(one, case.sets) for one in (model, original)]
        signals = attack.observe(views[0], views[1], case, np.random.default_rng(0))
        assert not len(signals[samples.KEY])
        scores = attack.score([signals], case)
        assert reason in scores.details
        assert scores.plots == {}


@pytest.mark.parametrize(
    ("shape", "count"), [((3, 6, 5), 4), ((1, 8, 8), 4), ((5, 8, 8), 0), ((64,), 0), ((1, 1, 9), 0)]
)
def test_what_counts_as_a_picture(shape: tuple[int, ...], count: int) -> None:
    rng = np.random.default_rng(0)
    rows, found = rng.uniform(-2, 2, (7, *shape)), rng.uniform(-2, 2, (6, *shape))
    similarity, pairs = rng.random((6, 7)), (np.arange(6), np.arange(1, 7))
    kept = samples.shown(found, rows, similarity, pairs, (-2.0, 2.0))
    assert len(kept) == count
    if count:
        best = int(similarity[pairs].argmax())
        np.testing.assert_allclose(kept[0, 0], (rows[best + 1].mean(axis=0) + 2) / 4)
        np.testing.assert_allclose(kept[0, 1], (found[best].mean(axis=0) + 2) / 4)


def test_pictures_are_no_change_of_the_attack_and_need_one_that_keeps_them() -> None:
    assert changed(Reconstruction, Reconstruction(include_samples=True).parameters) == ()
    assert changed(Reconstruction, Reconstruction(iterations=1).parameters) == ("iterations",)
    claim, policy = ClaimRecord(kind="random", split="assumed", access="weights"), load_policy("standard")[0]
    gated = choose(discover(), AttacksSection(include_samples=True), claim, policy)
    assert next(a for a in gated.chosen if a.name == "reconstruction").parameters["include_samples"] is True
    assert "reconstruction" in choose(discover(), AttacksSection(), claim, policy).left_out
    with pytest.raises(UsageError, match="no attack runs that keeps pictures"):
        choose(discover(), AttacksSection(include_samples=True, run=("membership",)), claim, policy)
