"""What every unlearning method must keep, whatever it does: checked on trained digit networks."""

from __future__ import annotations

import copy
import inspect
from functools import cache

import numpy as np
import pytest
import torch
from methods import base, tuning
from methods.base import Pair
from methods.registry import CLASS_ONLY, HONEST, METHODS, methods_for
from torch import nn

from audit import demo

KINDS = ("random", "class")
CELLS = [(kind, name) for kind in KINDS for name in methods_for(kind)]
SHALLOW = [cell for cell in CELLS if cell[1] != HONEST]
DETERMINISTIC = {"gradient_ascent", "head_mask", "ssd"}
#: sets that a method must never look at
BLIND = {
    "forget": {HONEST, "fine_tune", "noisy_fine_tune", "l1_sparse", "cf_1", "eu_1", "eu_2"},
    "retain": {"gradient_ascent", "boundary_shrink", "task_negation"},
}
ONE_LAYER = {"cf_1", "eu_1"}
SEED = 5


class Sealed(Pair):
    """A set that nobody may look at."""

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"a sealed set was read ({name})")

    def __len__(self) -> int:
        raise AssertionError("a sealed set was counted")


@cache
def sets(kind: str) -> dict[str, Pair]:
    data = demo.digits(3)
    rows = demo.random_rows(data, 3) if kind == "random" else demo.class_rows(data, 3)
    return {
        role: Pair(torch.from_numpy(data.x[index]), torch.from_numpy(data.y[index])) for role, index in rows.items()
    }


@cache
def original(kind: str) -> nn.Module:
    forget, retain = sets(kind)["forget"], sets(kind)["retain"]
    data = demo.Digits(torch.cat([forget.x, retain.x]).numpy(), torch.cat([forget.y, retain.y]).numpy())
    model = demo.train(data, np.arange(len(data.y)), seed=9)
    model.zero_grad()
    return model


@cache
def unlearned(kind: str, name: str, seed: int = SEED) -> nn.Module:
    """The method's network; running it must leave everything given, and the global generators, as they are."""
    model, given = original(kind), sets(kind)
    before, content, flags = copy.deepcopy(model), copy.deepcopy(given), [m.training for m in model.modules()]
    states = (torch.get_rng_state(), np.random.get_state()[1].copy())  # noqa: NPY002
    result = METHODS[name](model, given["forget"], given["retain"], seed)
    assert result is not model
    assert equal(model, before)
    assert [m.training for m in model.modules()] == flags
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    for role, pair in content.items():
        assert torch.equal(pair.x, given[role].x)
        assert torch.equal(pair.y, given[role].y)
        assert not given[role].x.requires_grad
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    return result


def accuracy(model: nn.Module, pair: Pair) -> float:
    with torch.no_grad():
        return float((model(pair.x).argmax(dim=1) == pair.y).float().mean())


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_registry_names_each_method_once_and_the_honest_one_first() -> None:
    assert len(METHODS) >= 10
    assert next(iter(METHODS)) == HONEST
    assert METHODS.keys() >= CLASS_ONLY
    assert set(methods_for("class")) - set(methods_for("random")) == CLASS_ONLY
    for method in METHODS.values():
        assert list(inspect.signature(method).parameters)[:4] == ["model", "forget", "retain", "seed"]


@pytest.mark.parametrize(("kind", "name"), CELLS)
def test_the_result_is_a_usable_network_in_eval_mode(kind: str, name: str) -> None:
    model = unlearned(kind, name)
    retain = sets(kind)["retain"]
    assert not any(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert model.state_dict().keys() == original(kind).state_dict().keys()
    assert accuracy(model, retain) >= 0.9 * accuracy(original(kind), retain)


@pytest.mark.parametrize(("kind", "name"), SHALLOW)
def test_weights_move_where_declared_and_nowhere_else(kind: str, name: str) -> None:
    mine, theirs = unlearned(kind, name).state_dict(), original(kind).state_dict()
    moved = {key for key in mine if not torch.equal(mine[key], theirs[key])}
    if name in ONE_LAYER:
        assert moved == {"4.weight", "4.bias"}
    elif name == "eu_2":
        assert moved == {"2.weight", "2.bias", "4.weight", "4.bias"}
    elif name == "head_mask":
        assert moved == {"4.bias"}
    elif name == "ssd":
        assert moved
    else:
        assert moved == mine.keys()


@pytest.mark.parametrize(("kind", "name"), [("random", n) for n in methods_for("random")] + [("class", "head_mask")])
def test_the_seed_fixes_the_network_and_another_one_moves_it(kind: str, name: str) -> None:
    forget, retain = sets(kind)["forget"], sets(kind)["retain"]
    assert equal(METHODS[name](original(kind), forget, retain, SEED), unlearned(kind, name))
    assert equal(METHODS[name](original(kind), forget, retain, SEED + 1), unlearned(kind, name)) == (
        name in DETERMINISTIC
    )


@pytest.mark.parametrize(("role", "name"), [(role, name) for role, names in BLIND.items() for name in sorted(names)])
def test_undeclared_sets_are_never_read(role: str, name: str) -> None:
    given = {**sets("random"), role: Sealed()}
    result = METHODS[name](original("random"), given["forget"], given["retain"], SEED)
    assert equal(result, unlearned("random", name))


def test_normalisation_statistics_stay_as_they_are() -> None:
    """BatchNorm policy: frozen. A network in training mode comes back in eval mode and with its own statistics."""
    model = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))
    base.renew(model, base.seeded(1))
    statistics = model[1]
    assert isinstance(statistics, nn.BatchNorm1d)
    for name, method in methods_for("class").items():
        if name == HONEST:
            continue  # a retrain estimates its statistics anew
        model.train()
        result = method(model, sets("class")["forget"], sets("class")["retain"], SEED)
        assert model.training, name
        assert not any(module.training for module in result.modules()), name
        for key, value in statistics.named_buffers():
            assert torch.equal(result.state_dict()[f"1.{key}"], value), name


def test_batches_use_every_row_once_before_any_comes_again() -> None:
    pair = Pair(torch.arange(10.0), torch.arange(10))
    seen = torch.cat([batch.y for batch in base.batches(pair, 15, base.seeded(0), size=4)])
    assert len(seen) == 60
    for start in range(0, 60, 10):
        assert sorted(seen[start : start + 10].tolist()) == list(range(10))
    (whole,) = base.batches(pair, 1, base.seeded(0))
    assert sorted(whole.y.tolist()) == list(range(10))


def test_descend_moves_the_given_parameters_alone_and_sees_the_weights_of_its_step() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    base.renew(model, base.seeded(0))
    before = copy.deepcopy(model)
    x = torch.ones(4, 3)
    losses = []

    def follow() -> torch.Tensor:
        losses.append(model(x).square().mean())
        return losses[-1]

    head = list(model[1].parameters())
    base.descend(model, (follow() for _ in range(5)), lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.1), head)
    assert torch.equal(model[0].weight, before[0].weight)
    assert not torch.equal(model[1].weight, before[1].weight)
    assert losses[-1] < losses[0]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_retrain_is_the_originals_own_recipe() -> None:
    pair = sets("random")["retain"]
    data = demo.Digits(pair.x.numpy(), pair.y.numpy())
    assert equal(unlearned("random", HONEST), demo.train(data, np.arange(len(pair)), SEED))


def test_the_retrain_does_not_know_the_forget_rows() -> None:
    for kind, bound in (("random", 0.1), ("class", 0.0)):
        forget, test = sets(kind)["forget"], sets(kind)["test"]
        chance = accuracy(unlearned(kind, HONEST), test) if kind == "random" else 0.0
        assert abs(accuracy(unlearned(kind, HONEST), forget) - chance) <= bound


def test_fresh_weights_are_the_demos() -> None:
    fresh = demo.network()
    base.renew(fresh, base.seeded(4))
    assert equal(fresh, demo.initialised(4))


@pytest.mark.parametrize("kind", KINDS)
def test_zero_steps_are_the_identity(kind: str) -> None:
    from methods import ascent, outputs, relabelling

    forget, retain, model = sets(kind)["forget"], sets(kind)["retain"], original(kind)
    for method in (
        tuning.fine_tune,
        tuning.l1_sparse,
        tuning.cf_k,
        ascent.gradient_ascent,
        ascent.neg_grad_plus,
        relabelling.random_labels,
        relabelling.salun,
        relabelling.boundary_shrink,
        outputs.bad_teacher,
        outputs.one_point_contraction,
    ):
        assert equal(method(model, forget, retain, SEED, steps=0), model), method.__name__
    assert equal(tuning.noisy_fine_tune(model, forget, retain, SEED, noise=0.0, steps=0), model)
    assert equal(outputs.scrub(model, forget, retain, SEED, epochs=0), model)
