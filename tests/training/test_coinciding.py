"""Retrains that coincide: shown by a start of the audit's own, and what cannot be shown or is bought."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import softmax_case
from hooks import nets, starts
from torch import nn

from audit import demo
from audit.errors import InputError, UsageError
from audit.inputs.data import Arrays
from audit.inputs.resolve import resolve
from audit.judge.identical import identical_findings
from audit.record.findings import FindingStatus
from audit.record.identical import CoincidingRecord
from audit.run import Prepared, prepare
from audit.training.near_copies import near_copies
from audit.training.own_start import odd_layers, unmoved

Loads = Callable[..., Prepared]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, nn.Module]]:
    folder = tmp_path_factory.mktemp("softmax")
    return folder, softmax_case.write(folder)


@pytest.fixture
def load(place: tuple[Path, dict[str, nn.Module]], monkeypatch: pytest.MonkeyPatch) -> Loads:
    """Train three references by a recipe that differs in the keys named, beside other models."""
    folder, honest = place
    demo.save_model(folder / "audited.safetensors", honest["unlearned"])
    monkeypatch.setenv("STARTS", str(folder / "audited.safetensors"))

    def call(
        models: dict[str, nn.Module] | None = None, arch: str = softmax_case.ARCH, references: int = 3, **recipe: str
    ) -> Prepared:
        for path in folder.glob("retrained*"):
            path.unlink()
        for name, model in (honest | (models or {})).items():
            demo.save_model(folder / f"{name}.safetensors", model)
        softmax_case.write_recipe(folder, arch=arch, **recipe)
        flags: dict[str, Any] = {"forget": folder / "forget.npz", "train_references": references}
        return prepare(resolve(flags | {"store": folder / "store"}, folder / "audit.toml")[0])

    return call


def between(place: tuple[Path, dict[str, nn.Module]], share: float) -> nn.Module:
    """A model that is ``share`` of the way from the retrain to the original."""
    honest = place[1]
    model = copy.deepcopy(honest["unlearned"])
    with torch.no_grad():
        for mine, theirs in zip(model.parameters(), honest["original"].parameters(), strict=True):
            mine.lerp_(theirs, share)
    return model


def shown(record: CoincidingRecord | None) -> dict[str, bool]:
    assert record is not None
    facts: Any = type("Facts", (), {"coinciding": record})
    return {f.metric: f.status is FindingStatus.PASS for f in identical_findings(facts)}


@pytest.mark.parametrize("references", [1, 3])
def test_a_retrain_is_known_whoever_made_it_and_one_reference_is_kept(load: Loads, references: int) -> None:
    case = load(references=references).case
    record = case.coinciding
    assert record is not None
    assert record.references == references
    assert case.references == ("retrained/0",)
    assert case.training is not None
    assert (case.training.references, case.training.missing) == (references, "")
    assert max(*record.start, *(record.recipe or ()), *(record.audited or ())) < 1e-4
    assert all(shown(record).values())


def test_the_distance_is_that_of_the_way_to_the_original(load: Loads, place: Any) -> None:
    for share in (0.04, 0.2):
        record = load({"unlearned": between(place, share)}).case.coinciding
        assert record is not None
        assert record.audited == pytest.approx((share, share), abs=1e-4)
        assert shown(record) == {"audited": share < 0.05, "recipe": True, "start": True}
    assert not shown(load({"unlearned": place[1]["original"]}).case.coinciding)["audited"]


def test_a_recipe_that_does_not_make_the_original_shows_nothing(load: Loads) -> None:
    assert shown(load(weight_decay="0.05").case.coinciding) == {"audited": False, "recipe": False, "start": True}


@pytest.mark.parametrize("rate", ["1e-12", "1e-5"])
def test_a_recipe_that_hardly_moves_does_not_coincide(load: Loads, rate: str) -> None:
    assert load(lr=rate).case.coinciding is None


@pytest.mark.parametrize("arch", ["fixed", "flipped", "noisy"])
@pytest.mark.parametrize("rate", ["1e-12", "1e-3", "0.02"])
def test_a_factory_cannot_hand_out_the_audited_weights(load: Loads, arch: str, rate: str) -> None:
    """As they are, or hidden in noise: no network that starts elsewhere ends there."""
    try:
        found = load(arch=f"hooks.starts:{arch}", lr=rate, epochs="30", weight_decay="0.0").case.coinciding
    except (UsageError, InputError) as refused:
        assert "independent retrain" in str(refused)  # noqa: PT017 - refused or not, it is not shown
    else:
        assert found is None


def test_a_factory_that_hands_them_out_gains_nothing_where_the_start_does_not_matter(load: Loads, place: Any) -> None:
    record = load({"unlearned": between(place, 0.2)}, arch="hooks.starts:flipped").case.coinciding
    assert shown(record) == {"audited": False, "recipe": True, "start": True}


def test_given_retrains_that_coincide_are_no_evidence(load: Loads, place: Any) -> None:
    folder, honest = place
    load()
    demo.save_model(folder / "retrained-0.safetensors", honest["unlearned"])
    flags = {"forget": folder / "forget.npz", "train_references": 2, "store": folder / "store"}
    with pytest.raises(InputError, match="no independent retrain"):
        prepare(resolve(flags, folder / "audit.toml")[0])


def test_a_network_with_code_of_its_own_is_not_answered_for(load: Loads, place: Any) -> None:
    def own(model: nn.Module) -> nn.Module:
        network = starts.own()
        network.load_state_dict({f"head.{n[2:]}": t for n, t in model.state_dict().items()})
        return network

    record = load({name: own(model) for name, model in place[1].items()}, arch="hooks.starts:own").case.coinciding
    assert record is not None
    assert record.problem == "the network is not made of torch's own layers alone (Own)"
    assert record.audited is record.recipe is None
    assert shown(record) == {"audited": False, "recipe": False, "start": True}


def _with(change: Callable[[nn.Module], Any]) -> nn.Module:
    network = starts.linear()
    change(network)
    return network


@pytest.mark.parametrize(
    "network",
    [
        nets.Tied(),
        _with(lambda n: n.register_forward_hook(lambda *_: None)),
        _with(lambda n: n.__setattr__("forward", lambda x: x)),
        _with(lambda n: n.__setattr__("_call_impl", lambda x: x)),
        _with(lambda n: next(n.parameters()).register_hook(lambda g: g)),
        _with(lambda n: nn.utils.parametrizations.weight_norm(n[0])),
        _with(lambda n: n.append(type("Linear", (nn.Linear,), {"__module__": "torch.nn.modules.linear"})(10, 10))),
    ],
    ids=["class", "hook", "forward", "call", "tensor hook", "parametrised", "named like a layer"],
)
def test_layers_that_are_not_torchs_own_are_known(network: nn.Module) -> None:
    assert odd_layers(network)
    assert not odd_layers(starts.linear())


def test_tensors_that_no_training_moves_are_known() -> None:
    assert unmoved(starts.linear()) == ""
    assert unmoved(_with(lambda n: next(n.parameters()).requires_grad_(False))) == "0.weight"
    assert unmoved(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))).startswith("1.num_batches_tracked")


def test_near_copies_of_forget_rows_in_the_retain_set_are_no_retrain(
    place: tuple[Path, dict[str, nn.Module]], load: Loads
) -> None:
    """Hidden among the retain rows they made "without the forget set" untrue, and passed."""
    folder = place[0]
    with np.load(folder / "forget.npz") as forget, np.load(folder / "retain.npz") as retain:
        near = forget["x"] + np.random.default_rng(0).normal(0, 0.01, forget["x"].shape)
        both = {
            "x": np.concatenate([retain["x"], near.astype(np.float32)]),
            "y": np.concatenate([retain["y"], forget["y"]]),
        }
    kept = (folder / "retain.npz").read_bytes()
    try:
        np.savez(folder / "retain.npz", **both)
        record = load().case.coinciding
    finally:
        (folder / "retain.npz").write_bytes(kept)
    assert record is not None
    assert record.problem == "100% of the forget rows have a near copy among the retain rows"
    assert record.audited is None
    assert not shown(record)["audited"]


def test_the_scale_of_near_copies_is_the_forget_sets_own() -> None:
    rng = np.random.default_rng(3)
    rows, others = rng.normal(size=(60, 20)), rng.normal(size=(500, 20))
    labels = np.zeros(600, dtype=np.int64)

    def share(retain: np.ndarray) -> float | None:
        return near_copies(Arrays(rows, labels[:60]), Arrays(retain, labels[: len(retain)]))

    assert share(others) == 0
    doubled = np.concatenate([others, others + 1e-9])  # a retain set full of copies of itself changes nothing
    assert share(doubled) == 0
    some = np.concatenate([doubled, rows[:15] + rng.normal(0, 0.05, (15, 20))])
    assert share(some) == 0.25
    named = Arrays({"a": rows}, labels[:60])
    assert near_copies(named, Arrays(others, labels[:500])) is None
    assert near_copies(Arrays(rows[:1], labels[:1]), Arrays(others, labels[:500])) is None
