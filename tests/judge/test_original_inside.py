"""What carries the original, forget rows or a gate for them inside never passes; honest networks are not touched."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from cases.synthetic import Setup, finding
from cases.synthetic import audit as judged
from cheats.carriers import (
    Carrier,
    Surrogate,
    behind_identity,
    bfloat,
    eight_bits,
    in_wider_layers,
    rescale_units,
)
from cheats.gates import LinearGate, NearGate, ShareGate
from methods.controls import add_noise, permute_hidden
from torch import nn

import audit
from audit import demo
from audit.collect.idle_parts import IdleParts
from audit.collect.inside import Inside, look_inside
from audit.collect.structure import Structure, excused_names
from audit.inputs.data import Arrays
from audit.inputs.targets import TorchTarget
from audit.judge.inside import WORKS, inside_findings
from audit.policy.policy import load_policy
from audit.record.result import Outcome
from tests.conftest import Cli

STEPS = 60
CARRIED = Inside(
    searched=True, larger=True, counted=192, found=192, agreement=1.0, excused_agreement=0.1, least=1.0, weights=16384
)


@dataclass(frozen=True)
class World:
    """Sets, the original, an honest retrain, and the inputs of forget, retain and all rows as tensors."""

    data: demo.Digits
    rows: demo.Rows
    sets: dict[str, Arrays]
    original: nn.Module
    honest: nn.Module
    forget: torch.Tensor
    retain: torch.Tensor
    everything: torch.Tensor

    def train(self, seed: int, rows: str = "retain", **options: object) -> nn.Module:
        return demo.train(self.data, self.rows[rows], seed, **{"steps": STEPS, **options})  # type: ignore[arg-type]

    def look(
        self,
        model: nn.Module,
        original: nn.Module | None = None,
        references: tuple[nn.Module, ...] = (),
        public: tuple[str, ...] = (),
    ) -> Inside:
        theirs, kept = self.target(original or self.original), [self.target(reference) for reference in references]
        names = excused_names(theirs, kept, public)
        return look_inside(self.target(model), theirs, kept, names, self.sets)

    def target(self, model: nn.Module) -> TorchTarget:
        target = TorchTarget(copy.deepcopy(model).eval(), "cpu", None)
        target.find_head(self.sets["forget"].batch(np.arange(2)))
        return target


@pytest.fixture(scope="module")
def world() -> World:
    return make(0)


def make(seed: int) -> World:
    data = demo.digits(seed)
    rows = demo.random_rows(data, seed)
    rows["all"] = np.concatenate([rows["forget"], rows["retain"]])
    sets = {role: Arrays(data.x[index], data.y[index]) for role, index in rows.items() if role != "all"}
    original = demo.train(data, rows["all"], 1000 + seed, steps=STEPS)
    honest = demo.train(data, rows["retain"], 2000 + seed, steps=STEPS)
    x = {role: torch.from_numpy(data.x[index]) for role, index in rows.items()}
    return World(data, rows, sets, original, honest, x["forget"], x["retain"], torch.from_numpy(data.x))


def edited(model: nn.Module) -> nn.Module:
    """Another head on the same encoder."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        list(changed.children())[-1].weight.add_(  # type: ignore[operator, union-attr]
            torch.randn(10, 64, generator=torch.Generator().manual_seed(9)) / 10
        )
    return changed


class Larger(nn.Module):
    """The same network with an unused matrix beside it: the search then allows for rounding."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        self.unused = nn.Parameter(torch.ones(40, 40))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.model(x)
        return out


FACTS = Setup().evidence().facts
POLICY = load_policy("standard")[0]


def status(inside: Inside, name: str = "inside", access: str = "features") -> str:
    """Status of a finding at an access; "" where there is none."""
    claim = FACTS.claim.model_copy(update={"access": access})
    facts = FACTS.model_copy(update={"claim": claim, "structure": Structure(inside=inside)})
    return next((f.status.value for f in inside_findings(facts, POLICY) if f.metric == name), "")


# --- the original -------------------------------------------------------------------------------------------

CARRIERS: dict[str, Callable[[World], nn.Module]] = {
    "surrogate for 30 %": lambda w: Surrogate(w.honest, w.original, ShareGate(w.everything, 0.3, w.forget)),
    "surrogate for 70 %": lambda w: Surrogate(w.honest, w.original, ShareGate(w.everything, 0.7, w.forget)),
    "surrogate for 100 %": lambda w: Surrogate(w.honest, w.original, ShareGate(w.everything, 1.0, w.forget)),
    "exact lookup": lambda w: Surrogate(w.honest, w.original, NearGate(w.forget, 1e-4)),
    "near lookup": lambda w: Surrogate(w.honest, w.original, NearGate(w.forget, 0.3, standard=True)),
    "linear lookup": lambda w: Surrogate(w.honest, w.original, LinearGate(w.forget, w.retain)),
    "unused module": lambda w: Carrier(w.honest, w.original, "module"),
    "in a list": lambda w: Carrier(w.honest, w.original, "list"),
    "as one vector": lambda w: Carrier(w.honest, w.original, "vector"),
    "in wider layers": lambda w: in_wider_layers(w.honest, w.original),
    "in wider layers, other units": lambda w: in_wider_layers(
        w.honest, rescale_units(permute_hidden(w.original, 3), 4)
    ),
    "identity before the head": lambda w: behind_identity(edited(w.original)),
    "other units": lambda w: rescale_units(permute_hidden(edited(w.original), 3), 4),
    "bfloat16": lambda w: bfloat(edited(w.original)),
    "noise of 1e-6": lambda w: add_noise(edited(w.original), 1e-6, 5),
}
NEAR_COPIES: dict[str, Callable[[World], nn.Module]] = {
    "noise of 1e-3": lambda w: in_wider_layers(w.honest, add_noise(w.original, 1e-3, 5)),
    "8 bits": lambda w: in_wider_layers(w.honest, eight_bits(w.original)),
    "other units in bfloat16": lambda w: Carrier(w.honest, bfloat(rescale_units(w.original, 2)), "module"),
}


@pytest.mark.parametrize("name", CARRIERS)
def test_the_whole_original_inside_fails(world: World, name: str) -> None:
    found = world.look(CARRIERS[name](world))
    assert found.problem == ""
    assert (found.found, found.agreement) == (found.counted, 1.0)
    assert status(found) == "FAIL"
    assert status(found, access="logits") == "NOTE"


@pytest.mark.parametrize("name", NEAR_COPIES)
def test_a_near_copy_inside_keeps_from_a_pass(world: World, name: str) -> None:
    found = world.look(NEAR_COPIES[name](world))
    assert found.agreement is not None
    assert found.agreement >= WORKS
    assert status(found) == "INCONCLUSIVE"


def test_the_search_can_be_switched_off_and_says_what_would_help() -> None:
    off = POLICY.model_copy(update={"structural": False, "name": "off"})
    facts = FACTS.model_copy(update={"structure": Structure(inside=CARRIED)})
    assert inside_findings(facts, off) == []
    assert len(inside_findings(facts, POLICY)) == 1
    result = judged(structure=facts.structure)
    assert result.verdict.outcome is Outcome.FAIL
    assert "192 of 192 units of the original's encoder" in finding(result, "structure.inside").reason
    near = Structure(inside=CARRIED.model_copy(update={"distance": 0.02}))
    result = judged(structure=near)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert any("public_layers" in way for way in result.verdict.settle)
    assert any(gate.name == "nothing hidden in the network" and not gate.ok for gate in result.gates)
    assert judged(structure=near, access="logits").verdict.outcome is Outcome.PASS


def test_where_nothing_can_be_tried_units_are_counted(world: World) -> None:
    class Stubborn(nn.Sequential):
        """A network that bears no other weights than its own."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if any(not isinstance(p, nn.Parameter) for p in (self[0].weight, self[2].weight)):
                raise RuntimeError("no")
            out: torch.Tensor = super().forward(x)
            return out

    found = world.look(Carrier(world.honest, world.original, "module"), Stubborn(*world.original.children()))
    assert (found.agreement, found.least) == (None, 1.0)
    assert "were not tried" in found.problem
    assert (status(found), status(found, "inside_search")) == ("FAIL", "INCONCLUSIVE")
    assert status(found.model_copy(update={"least": 0.5})) == ""


def test_a_network_that_bears_no_search_is_no_pass() -> None:
    """It could be what an owner builds to keep its idle parts from being looked at."""
    unseen = Structure(inside=Inside(searched=True, problem="idle parts were not searched (RuntimeError)"))
    result = judged(structure=unseen)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert any("functional_call" in way for way in result.verdict.settle)
    assert judged(structure=unseen, access="logits").verdict.outcome is Outcome.PASS


def test_tied_weights_are_tried_like_others(world: World) -> None:
    tied = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    tied[2].weight = tied[0].weight
    found = world.look(Carrier(world.honest, tied, "module"), tied)
    assert found.problem == ""
    assert status(found) == "FAIL"


# --- honest networks ----------------------------------------------------------------------------------------


def honest(world: World, seed: int) -> dict[str, tuple[Inside, Inside]]:
    """What is found in honest networks, as they are and with an unused matrix beside them."""
    ancestor = world.train(77 + seed, steps=20)
    started = demo.train(world.data, world.rows["all"], 78, start=ancestor, steps=STEPS)
    models = {
        "fresh seed": (world.honest, world.original),
        "the original's own seed": (world.train(1000 + seed), world.original),
        "8 bits": (eight_bits(world.honest), world.original),
        "warm start": (world.train(80, start=ancestor), started),
    }
    return {name: (world.look(m, o), world.look(Larger(m), o)) for name, (m, o) in models.items()}


def assert_untouched(found: Inside) -> None:
    assert found.searched
    assert found.problem == ""
    assert all(status(found, name) in ("", "NOTE") for name in ("inside", "forget_rows", "gate", "idle"))


def test_honest_retrains_are_not_touched(world: World) -> None:
    for pair in honest(world, 0).values():
        for found in pair:
            assert_untouched(found)


@pytest.mark.slow
def test_honest_retrains_of_many_worlds_are_not_touched() -> None:
    for seed in range(1, 9):
        for pair in honest(make(seed), seed).values():
            for found in pair:
                assert_untouched(found)


def test_layers_that_are_public_or_shared_are_not_held_against_anybody(world: World) -> None:
    backbone = world.train(500)

    def on_it(rows: str, seed: int) -> nn.Module:
        model = copy.deepcopy(backbone)
        fresh = demo.initialised(seed)
        for at in (2, 4):
            list(model.children())[at].load_state_dict(list(fresh.children())[at].state_dict())
        trained = demo.train(world.data, world.rows[rows], seed, start=model, steps=STEPS)
        trained[0].load_state_dict(backbone[0].state_dict())  # type: ignore[index]
        return trained

    original, mine = on_it("all", 1), on_it("retain", 2)
    references = (on_it("retain", 3), on_it("retain", 4))
    assert world.look(mine, original, references).found == 0
    assert world.look(mine, original, public=("0",)).found == 0
    assert_untouched(world.look(mine, original))
    cheat = world.look(Carrier(mine, original, "module"), original, references)
    assert (cheat.found, cheat.counted, status(cheat)) == (64, 64, "FAIL")


class Shards(nn.Module):
    """SISA: networks of one shard each, whose features one head reads."""

    def __init__(self, *members: nn.Module) -> None:
        super().__init__()
        layers = [list(copy.deepcopy(member).children()) for member in members]
        self.shards = nn.ModuleList(nn.Sequential(*own[:-1]) for own in layers)
        self.head = nn.Linear(64 * len(members), 10)
        with torch.no_grad():
            self.head.weight.copy_(torch.cat([own[-1].weight for own in layers], dim=1))  # type: ignore[misc]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(torch.cat([shard(x) for shard in self.shards], dim=1))
        return out


def test_clean_shards_are_untouched_where_they_are_declared(world: World) -> None:
    clean = [world.train(seed) for seed in (31, 32, 33)]
    original, mine = Shards(world.original, *clean), Shards(world.train(1000), *clean)
    public = ("shards.1", "shards.2", "shards.3")
    assert_untouched(world.look(mine, original, public=public))
    assert status(world.look(mine, original)) == "INCONCLUSIVE"  # nothing says that these shards are clean
    assert status(world.look(Carrier(mine, original, "list"), original, public=public)) == "FAIL"


def test_convolutions_with_batch_norm(world: World) -> None:
    def network(seed: int, rows: str) -> nn.Module:
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3),
            nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 32), nn.ReLU(),
            nn.Linear(32, 10),
        )  # fmt: skip
        x, y = (torch.from_numpy(part[world.rows[rows][::2]]) for part in (world.data.x, world.data.y))
        optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(12):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimiser.step()
        return model.eval()

    original = network(1, "all")
    for seed in (1, 2):  # the original's own seed, and another
        assert_untouched(world.look(network(seed, "retain"), original))
    moved = copy.deepcopy(original)
    order, scale = torch.randperm(16), torch.rand(16) + 0.5
    with torch.no_grad():
        first, norm, second = moved[1], moved[2], moved[4]
        first.weight.copy_(first.weight[order] * scale[:, None, None, None])
        first.bias.copy_(first.bias[order] * scale)
        norm.running_mean.copy_(norm.running_mean[order] * scale)
        norm.running_var.copy_(norm.running_var[order] * scale**2)
        for name in ("weight", "bias"):
            getattr(norm, name).copy_(getattr(norm, name)[order])
        second.weight.copy_(second.weight[:, order])
        moved[-1].weight.mul_(2)
    found = world.look(moved, original)
    assert (found.found, status(found)) == (64, "FAIL")


# --- forget rows and parts for them -------------------------------------------------------------------------


def test_forget_rows_in_a_table_are_counted(world: World) -> None:
    some = world.forget[:40]
    for gate, exact in ((NearGate(some, 1e-4), True), (NearGate(some, 0.3, standard=True), False)):
        inside = world.look(Surrogate(world.honest, world.train(2), gate))
        (rows,) = inside.rows
        assert (rows.tensor, rows.holdout, rows.seen_as) == ("gate.keys", 0, "input")
        assert 20 <= rows.forget <= 40
        assert rows.exact == (rows.forget if exact else 0)
        assert status(inside, "forget_rows") == "FAIL"
    reason = next(
        f.reason for f in inside_findings(FACTS.model_copy(update={"structure": Structure(inside=inside)}), POLICY)
    )
    assert f"{rows.forget} of {rows.of_forget} forget rows stand in gate.keys" in reason


def test_keys_that_a_layer_made_of_forget_rows_are_found(world: World) -> None:
    model = copy.deepcopy(world.honest)
    with torch.no_grad():
        model.register_buffer("keys", nn.Sequential(*list(model.children())[:-1])(world.forget))
    inside = world.look(model)
    assert inside.rows[0].tensor == "keys"
    assert status(inside, "forget_rows") == "INCONCLUSIVE"


def test_prototypes_are_no_forget_rows(world: World) -> None:
    model = copy.deepcopy(world.honest)
    model.register_buffer("prototypes", world.retain[:200].clone())
    model.register_buffer("numbers", torch.arange(6400).reshape(100, 64))
    assert world.look(model).rows == ()


def test_a_part_that_answers_for_forget_rows_alone_is_found(world: World) -> None:
    inside = world.look(Surrogate(world.honest, world.train(2), NearGate(world.forget, 1e-4)))
    assert {"gate", "front.0", "front.2"} == set(inside.idle.names)
    assert (inside.idle.forget, inside.idle.holdout) == (inside.idle.of_forget, 0)
    assert status(inside, "gate") == "INCONCLUSIVE"


def test_idle_parts_keep_from_a_pass_where_they_have_room_for_a_copy(world: World) -> None:
    large, small = Carrier(world.honest, world.train(2), "module"), Larger(world.honest)
    assert status(world.look(large), "idle") == "INCONCLUSIVE"
    assert status(world.look(small), "idle") == "NOTE"
    both = world.look(large, Carrier(world.original, world.train(3), "module"))
    assert both.idle == IdleParts()  # the original has it, too


# --- whole audits -------------------------------------------------------------------------------------------


def given(world: World, model: nn.Module) -> dict[str, object]:
    sets = {role: (rows.x, rows.y) for role, rows in world.sets.items()}
    retrained = [world.train(seed) for seed in (90, 91)]
    chosen = {"attacks": "membership", "split": "attested", "access": "features"}
    return {**sets, "original": world.original, "unlearned": model.eval(), "retrained": retrained, **chosen}


def test_a_whole_audit_names_what_it_found(world: World, cli: Cli, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)  # cli: a small forest for the shift check
    cheat = Surrogate(world.honest, world.original, ShareGate(world.everything, 0.7, world.forget))
    found = audit.run(**given(world, cheat))  # type: ignore[arg-type]
    assert found.verdict == "FAIL"
    failed = {f.id for f in found.findings if f.kind == "structural" and f.status.value == "FAIL"}
    assert failed == {"structure.inside", "structure.forget_rows"}
    assert "original's encoder" in str(found.report("markdown"))


@pytest.mark.slow
def test_a_whole_audit_of_an_honest_retrain_finds_nothing(world: World, cli: Cli, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    found = audit.run(**given(world, world.honest))  # type: ignore[arg-type]
    assert not [f for f in found.findings if f.kind == "structural"]
    assert all(gate.name != "nothing hidden in the network" for gate in found.result.gates)
