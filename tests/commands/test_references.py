"""Models that the audit trains itself: design, store, budget, and what the verdict makes of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attacks.base import discover
from audit import demo
from audit.inputs.data import Arrays
from audit.inputs.resolve import resolve
from audit.inputs.sets import Selection
from audit.record.result import AuditResult, read_result
from audit.run import prepare, run_audit
from audit.training.shadows import Design, make_design
from tests.conftest import ARCH, Cli

RECIPE = 'optimizer = "adam"\nlr = 0.003\nepochs = 110\nbatch_size = 128\n'
SHADOW_ATTACKS = {name for name, attack in discover().items() if attack.design == "trained"}


def design(n: int = 40, group: np.ndarray[Any, Any] | None = None, seed: int = 3) -> Design:
    def data(rows: int, with_group: bool) -> Arrays:
        x = np.random.default_rng(rows).normal(size=(rows, 3))
        return Arrays(x, np.arange(rows) % 2, group=group[:rows] if with_group and group is not None else None)

    files = {"forget": data(n, True), "holdout": data(n, True), "retain": data(30, False)}
    return make_design(files, {role: Selection(role, np.arange(len(d))) for role, d in files.items()}, seed)


def test_coins_are_fair_independent_and_never_exact_halves() -> None:
    coins = np.array([design().coins(i) for i in range(400)])
    assert abs(coins.mean() - 0.5) < 3.3 * 0.5 / np.sqrt(coins.size)
    assert coins.sum(axis=1).std() == pytest.approx(np.sqrt(80 / 4), rel=0.2)  # binomial: halves would give 0
    assert coins.sum(axis=0).std() == pytest.approx(np.sqrt(400 / 4), rel=0.35)


def test_rows_of_one_subject_share_a_coin() -> None:
    group = np.repeat(np.arange(8), 5).astype(str)
    coins = design(group=group).coins(0)
    assert all(len(set(coins[:40][group == name])) == 1 for name in set(group))


def test_a_reference_sees_the_retain_set_alone_and_a_shadow_its_coins() -> None:
    found = design()
    reference, shadow, pipeline = found.reference(0), found.shadow(5), found.pipeline(5)
    assert reference.rows.tolist() == list(range(30))
    assert shadow.rows.tolist() == [*range(30), *(30 + np.flatnonzero(found.coins(5)))]
    assert pipeline.rows.tolist() == shadow.rows.tolist()
    assert pipeline.unlearn is not None
    assert pipeline.unlearn.tolist() == shadow.rows[30:].tolist()
    assert pipeline.seed == shadow.seed != reference.seed
    assert {design().shadow(i).steps_rows for i in range(5)} == {30 + 40}


def test_another_seed_flips_other_coins() -> None:
    assert not np.array_equal(design(seed=1).coins(0), design(seed=2).coins(0))


@pytest.fixture
def recipe(case: Path) -> Path:
    """The random case without references, with a recipe in the working directory."""
    for path in case.glob("retrained*"):
        path.unlink()
    data = demo.digits(0, wrong=0.15)  # the same data as the case's: the rows that it leaves out
    spare = demo.random_rows(data, 0, forget=100, holdout=200, retain=300)["test"][300:800]
    np.savez(case / "auxiliary.npz", x=data.x[spare], y=data.y[spare])
    write_recipe(case, RECIPE)
    return case


def write_recipe(case: Path, text: str, training: str = "") -> None:
    Path("audit.toml").write_text(
        f'[data]\nforget = "{case}/forget.npz"\n[model]\narch = "{ARCH}"\n[claim]\nsplit = "attested"\n[recipe]\n{text}'
        f"[training]\n{training}"
    )


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "private" / "records.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def audit(case: Path, **flags: Any) -> tuple[AuditResult, Path, int]:
    """Run an audit; the result, its directory, and how many models were trained for it."""
    settings, _ = resolve({"forget": case / "forget.npz", "out": case / "runs", **flags})
    prepared = prepare(settings)
    return run_audit(prepared).result, prepared.run.path, 0 if prepared.trained is None else prepared.trained.trained


@pytest.mark.slow
def test_a_run_trains_what_it_lacks_and_nothing_twice(recipe: Path) -> None:
    asked = {"train_references": 3, "train_shadows": 16}
    result, run, trained = audit(recipe, **asked)
    assert trained == 19
    assert result.training is not None
    assert (result.training.references, result.training.shadows, result.training.missing) == (3, 16, "")
    ran = {record.name for record in result.attacks if record.status == "ok"}
    assert ran >= SHADOW_ATTACKS | {"membership", "rmia"}
    assert [g.ok for g in result.gates if g.name in ("training budget", "shadow models (trained)")] == [True, True]
    (unaware,) = (g for g in result.gates if g.name == "references unaware of the forget set")
    assert unaware.ok
    assert "scores of membership" in unaware.reason  # not of an attack that needs shadow models
    content = (run / "run.json").read_bytes()
    again, where, trained = audit(recipe, **asked)
    assert (trained, where) == (0, run)
    assert (run / "run.json").read_bytes() == content
    more, where, trained = audit(recipe, train_references=3, train_shadows=18)
    assert trained == 2
    assert where != run
    assert more.training is not None
    assert more.training.shadows == 18
    records = rows_of(run)
    assert len(records) == 100
    assert [int(r["rank"]) for r in records] == list(range(1, 101))
    scores = [float(r["lira_online"]) for r in records]
    assert scores == sorted(scores, reverse=True)
    assert "flagged" not in records[0]
    assert all(0 < float(r["lira_online_holdout_share"]) <= 1 for r in records)
    assert again.verdict == result.verdict


def test_a_budget_never_ends_in_a_weaker_pass(recipe: Path, lenient: Path) -> None:
    full, _, _ = audit(recipe, train_references=4, policy=str(lenient))
    cut, _, _ = audit(recipe, train_references=6, max_references=4, policy=str(lenient))
    assert cut.training is not None
    assert (cut.training.references, cut.training.references_asked) == (4, 6)
    assert full.verdict.outcome.value == "PASS"
    assert cut.verdict.outcome.value == "INCONCLUSIVE"
    assert "4 of 6 references" in " ".join(cut.verdict.reasons)


def test_no_time_left_is_inconclusive(recipe: Path, lenient: Path) -> None:
    result, _, trained = audit(recipe, train_references=4, max_minutes=1e-9, policy=str(lenient))
    assert trained == 0
    assert result.verdict.outcome.value != "PASS"
    assert "0 of 4 references" in " ".join(g.reason for g in result.gates if not g.ok)


def test_shadows_of_another_recipe_support_no_figure(recipe: Path) -> None:
    write_recipe(recipe, RECIPE.replace("epochs = 110", "epochs = 1"))
    result, _, _ = audit(recipe, train_shadows=16)
    gate = next(g for g in result.gates if g.name == "shadow models (trained)")
    assert not gate.ok
    figures = [f for f in result.findings if f.attack in SHADOW_ATTACKS and f.kind == "equivalence"]
    assert figures
    assert all(f.status.value in ("INCONCLUSIVE", "FAIL", "NOT COVERED") for f in figures)
    assert any("describe in [recipe]" in f.reason for f in figures)


@pytest.mark.parametrize(
    ("flags", "text", "said"),
    [
        ({"train_references": 2}, None, "[recipe]"),
        ({"train_pipelines": 2}, RECIPE, "unlearn ="),
        ({"train_references": 2}, 'optimizer = "lion"\n', "recipe.optimizer"),
        ({"train_references": 1}, RECIPE.replace("0.003", "1e30"), "lr = 1e+30"),
    ],
)
def test_what_is_missing_or_wrong_is_said_with_the_remedy(
    flags: dict[str, int], text: str | None, said: str, recipe: Path, cli: Cli
) -> None:
    if text is None:
        Path("audit.toml").unlink()
    else:
        write_recipe(recipe, text)
    options = [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    ended = cli("run", "--forget", recipe / "forget.npz", "--arch", ARCH, "--split", "attested", *options)
    assert ended.code in (2, 4)
    assert said in ended.text


def test_shadows_serve_no_class_claim(built_class: Path, tmp_path: Path, cli: Cli) -> None:
    config = tmp_path / "audit.toml"
    config.write_text(f"[recipe]\n{RECIPE}")
    ended = cli(
        "run", "--forget", built_class / "forget.npz", "--arch", ARCH, "--config", config, "--train-shadows", "16"
    )
    assert ended.code == 2
    assert "decide nothing about a class" in ended.text


def test_plan_and_train_on_the_command_line(recipe: Path, cli: Cli) -> None:
    flags = ["--forget", recipe / "forget.npz", "--train-references", "5"]
    plan = cli("references", "plan", *flags)
    assert plan.code == 0
    assert "5 references" in plan.out
    assert "seed sd" in plan.out
    assert not list((recipe / ".audit" / "store").glob("*.safetensors"))
    trained = cli("references", "train", *flags)
    assert trained.code == 0
    files = [Path(line.split("\t")[1]) for line in trained.out.splitlines()]
    assert len(files) == 5
    assert all(path.is_file() for path in files)
    assert "5 of 5 are in the store" in cli("references", "plan", *flags).out
    nothing = cli("references", "train", "--forget", recipe / "forget.npz")
    assert nothing.code == 2
    assert "--train-references" in nothing.text


def test_a_dry_run_trains_nothing(recipe: Path, cli: Cli) -> None:
    ended = cli("run", "--forget", recipe / "forget.npz", "--train-references", "5", "--dry-run")
    assert ended.code == 0
    assert "5 references" in ended.out
    assert not list((recipe / ".audit" / "store").glob("*.safetensors"))


@pytest.mark.slow
def test_purge_destroys_the_shadow_models_too(recipe: Path, cli: Cli) -> None:
    """They were trained on forget rows."""
    _, run, _ = audit(recipe, train_references=2, train_shadows=16)
    store = recipe / ".audit" / "store"
    assert len(list(store.glob("*.safetensors"))) == 18
    assert cli("purge", run, "--yes").code == 0
    assert len(list(store.glob("*.safetensors"))) == 2


def test_records_stay_out_of_what_is_shared(recipe: Path) -> None:
    _, run, _ = audit(recipe, train_references=2)
    ids = {r["id"] for r in rows_of(run) if "id" in r}
    shared = (run / "run.json").read_text()
    assert all(f'"{name}"' not in shared for name in ids)
    json.loads(shared)
    assert read_result(run / "run.json").training is not None


PROCEDURE = """
import torch


def unlearn(model, forget, retain, seed):
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(5):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(retain.x), retain.y).backward()
        optimiser.step()
    return model


def nothing(model, forget, retain, seed):
    return model + 1
"""


@pytest.mark.slow
def test_u_lira_with_the_users_own_procedure(recipe: Path, cli: Cli) -> None:
    """T24: every pipeline is unlearned by the procedure. A few steps of fine-tuning leave nearly everything."""
    Path("procedure.py").write_text(PROCEDURE)
    write_recipe(recipe, RECIPE + 'unlearn = "procedure:unlearn"\n')
    result, run, _ = audit(recipe, train_pipelines=24)
    record = next(a for a in result.attacks if a.name == "ulira")
    assert record.status == "ok"
    told = float(record.details[0].split("accuracy ")[1].split()[0])
    assert told > 0.6
    assert result.training is not None
    assert result.training.pipelines == 24
    assert "ulira" in rows_of(run)[0]
    assert cli("purge", run, "--yes").code == 0
    assert not list((recipe / ".audit" / "store").glob("*.safetensors"))


def test_a_broken_procedure_is_named_and_finished_models_are_kept(recipe: Path, cli: Cli) -> None:
    Path("broken.py").write_text(PROCEDURE)
    write_recipe(recipe, RECIPE + 'unlearn = "broken:nothing"\n')
    ended = cli("run", "--forget", recipe / "forget.npz", "--train-pipelines", "2")
    assert ended.code == 4
    assert 'unlearn = "broken:nothing"' in ended.text
    assert "pipeline 0" in ended.text
