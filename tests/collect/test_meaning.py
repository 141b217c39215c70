"""The absolute gate: outputs that know nothing of their labels get no verdict, in no form and at no access."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ARCH, Cli, arrays, rewrite

SIZES = {"forget": 40, "retain": 200, "holdout": 120, "test": 120}
MODELS = ("original", "unlearned", "retrained-0", "retrained-1")
Change = Callable[[np.ndarray], np.ndarray]
Outputs = dict[str, Any]


def labels(classes: int = 10, rate: float = 0.0) -> dict[str, np.ndarray]:
    """Labels of every set; two classes where the second has a rate."""
    rng = np.random.default_rng(0)
    if rate:
        return {role: (rng.random(n) < rate).astype(int) for role, n in SIZES.items()}
    return {role: rng.integers(0, classes, n) for role, n in SIZES.items()}


def logits_of(y: dict[str, np.ndarray], seed: int, gain: float = 4.0, offset: float = 0.0) -> Outputs:
    """Logits that know the labels: ``gain`` for the own one, ``offset`` for the first."""
    rng = np.random.default_rng(seed)
    found = {}
    for role, own in y.items():
        z = rng.normal(size=(len(own), max(2, *(int(v.max()) + 1 for v in y.values()))))
        z[np.arange(len(own)), own] += gain
        z[:, 0] += offset
        found[role] = z
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, y: dict[str, np.ndarray], outputs: dict[str, Outputs]) -> Path:
    """A case of precomputed outputs; returns its forget set."""
    for role, own in y.items():
        np.savez(folder / f"{role}.npz", y=own, ids=[f"{role} {i}" for i in range(len(own))])
    for name, arrays_ in outputs.items():
        np.savez(folder / f"{name}.npz", **arrays_)
    return folder / "forget.npz"


def case_of(folder: Path, change: Change | None = None, *, without: tuple[str, ...] = ()) -> Path:
    """A case of honest logits, all of them changed alike."""
    y = labels()
    outputs = {name: logits_of(y, seed) for seed, name in enumerate(MODELS) if name not in without}
    if change is not None:
        outputs = {name: {role: change(z) for role, z in found.items()} for name, found in outputs.items()}
    return write(folder, y, outputs)


def shuffled(z: np.ndarray) -> np.ndarray:
    return np.random.default_rng(5).permutation(z)


def run(cli: Cli, forget: Path, *flags: str) -> Any:
    return cli("run", "--forget", forget, "--split", "attested", "-q", *flags)


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        (shuffled, "where a constant guess has 0.1"),
        (lambda z: np.roll(z, 1, axis=1), "(another numbering of the classes would give 0.9"),
        (lambda z: z[:, ::-1], "(another numbering of the classes would give 0.9"),
        (lambda z: -z, "accuracy 0.0"),
        (lambda z: np.random.default_rng(len(z)).normal(size=z.shape), "where a constant guess has 0.1"),
        (np.zeros_like, "they explain 0.0% of the labels"),
    ],
)
def test_meaningless_outputs_end_in_2(here: Path, cli: Cli, change: Change, figure: str) -> None:
    ended = run(cli, case_of(here, change))
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert "original: its outputs on the 200 retain rows do not fit their labels: accuracy 0." in ended.text
    assert figure in ended.text
    for cause in ("in another order", "numbered differently", "no logits", "preprocessed otherwise"):
        assert cause in ended.text


def test_honest_outputs_get_a_verdict(here: Path, cli: Cli) -> None:
    assert run(cli, case_of(here)).code in (0, 1, 3)


def test_without_an_original_each_reference_is_asked(here: Path, cli: Cli) -> None:
    forget = case_of(here, without=("original",))
    assert run(cli, forget).code in (1, 3)
    rewrite(here / "retrained-1.npz", retain=shuffled(arrays(here / "retrained-1.npz")["retain"]))
    ended = run(cli, forget)
    assert ended.code == 2
    assert "1. retrained/1: its outputs on the 200 retain rows" in ended.text
    assert "1 problem with" in ended.text


def test_beside_an_original_a_given_reference_is_asked_too(here: Path, cli: Cli) -> None:
    """A reference of other classes would fail an honest model."""
    forget = case_of(here)
    rewrite(here / "retrained-0.npz", **{r: np.roll(z, 1, axis=1) for r, z in arrays(here / "retrained-0.npz").items()})
    ended = run(cli, forget)
    assert ended.code == 2
    assert "retrained/0: its outputs" in ended.text
    assert "original: its" not in ended.text


def test_a_model_that_forgot_everything_is_judged(here: Path, cli: Cli) -> None:
    """A broken candidate is a verdict, no wrong input."""
    forget = case_of(here)
    rewrite(here / "unlearned.npz", **{role: shuffled(z) for role, z in arrays(here / "unlearned.npz").items()})
    assert run(cli, forget).code in (1, 3)


@pytest.mark.parametrize("change", [None, shuffled])
def test_predicted_labels(here: Path, cli: Cli, change: Change | None) -> None:
    forget = case_of(here, change)
    for name in MODELS:
        found = {role: z.argmax(axis=1) for role, z in arrays(here / f"{name}.npz").items()}
        np.savez(here / f"{name}.npz", n_classes=10, **found)
    ended = run(cli, forget, "--access", "labels")
    assert ended.code == (2 if change else 3), ended.err
    assert ("do not fit their labels" in ended.text) is bool(change)


@pytest.mark.parametrize(("gain", "codes"), [(2.0, {0, 1, 3}), (-2.0, {2})])
def test_unequal_classes_are_judged_by_their_signal(here: Path, cli: Cli, gain: float, codes: set[int]) -> None:
    """An honest model of rare events never says yes: its accuracy is that of a constant guess."""
    y = labels(rate=0.1)
    outputs = {name: logits_of(y, seed, gain, offset=8.0) for seed, name in enumerate(MODELS)}
    accuracy = (outputs["original"]["retain"].argmax(axis=1) == y["retain"]).mean()
    assert accuracy == (y["retain"] == 0).mean()
    ended = run(cli, write(here, y, outputs))
    assert ended.code in codes, ended.err


def test_a_class_that_retain_lacks_takes_part_in_the_original_alone(here: Path, cli: Cli) -> None:
    """Of two classes one is forgotten: retain has one label, and retain and forget set together have both."""
    y = labels(2)
    y["retain"], y["forget"] = 0 * y["retain"], 0 * y["forget"] + 1
    outputs = {name: logits_of(y, seed) for seed, name in enumerate(MODELS)}
    forget = write(here, y, outputs)
    ended = run(cli, forget)
    assert ended.code in (1, 3), ended.err
    record = json.loads((Path(ended.result["run"]) / "run.json").read_text())
    (said,) = [line for line in record["assumptions"] if line.startswith("not checked whether")]
    assert "the outputs of retrained/0, retrained/1 fit the labels" in said
    rewrite(here / "original.npz", **{role: z[:, ::-1] for role, z in outputs["original"].items()})
    ended = run(cli, forget)
    assert ended.code == 2
    assert "original: its outputs on the 240 retain and forget rows" in ended.text


def test_the_gate_costs_no_look(here: Path, cli: Cli) -> None:
    forget = case_of(here, shuffled)
    assert run(cli, forget, "--ledger", "looks.jsonl").code == 2
    assert not (here / "looks.jsonl").exists()
    case_of(here)
    ended = run(cli, forget, "--ledger", "looks.jsonl")
    assert json.loads((Path(ended.result["run"]) / "run.json").read_text())["look"]["number"] == 1


def test_a_plan_of_outputs_says_it_at_once(here: Path, cli: Cli) -> None:
    assert cli("run", "--forget", case_of(here, shuffled), "--dry-run").code == 2
    assert cli("run", "--forget", case_of(here), "--dry-run").code == 0


# --- networks


def untrained(case: Path) -> None:
    import torch

    from audit import demo

    torch.manual_seed(0)
    demo.save_model(case / "original.safetensors", demo.network().eval())


def test_a_network_of_random_weights_is_refused_before_any_attack(case: Path, cli: Cli) -> None:
    untrained(case)
    ended = cli(
        "run", "--forget", case / "forget.npz", "--arch", ARCH, "--out", "runs", "-q", "--ledger", "looks.jsonl"
    )
    assert (ended.code, ended.out) == (2, "")
    assert "original: its outputs on the 300 retain rows do not fit their labels" in ended.text
    assert list(Path("runs").rglob("observations/*"))
    assert not list(Path("runs").rglob("signals/*"))
    assert not Path("looks.jsonl").exists()


def test_before_references_are_trained(case: Path, cli: Cli, tmp_path: Path) -> None:
    untrained(case)
    config = tmp_path / "audit.toml"
    config.write_text('[recipe]\noptimizer = "adam"\nlr = 0.003\nepochs = 1\nbatch_size = 128\n')
    flags = ("--config", config, "--arch", ARCH, "--train-references", "1", "--store", tmp_path / "store", "-q")
    ended = cli("run", "--forget", case / "forget.npz", *flags)
    assert (ended.code, ended.out) == (2, "")
    assert "original: its outputs on the 300 retain rows do not fit their labels" in ended.text
    assert not (tmp_path / "store").exists()
