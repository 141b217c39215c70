"""Relearning, memory jog and time to relearn: what shallow forgetting hides comes back, a retrain has nothing to."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from cases.stub import gaussian_case, linear_view
from torch import nn

from attacks.base import Attack, Case, ClaimKind, NotApplicable, Scores
from attacks.recovery.anamnesis import Anamnesis
from attacks.recovery.clones import Clones, orders
from attacks.recovery.memory_jog import MemoryJog
from attacks.recovery.relearning import Relearning
from attacks.recovery.unrelated import RelearningUnrelated
from attacks.representation.layer_probe import LayerProbe
from audit.statistics.model_level import crawford_howell
from fixtures.cases.digits_world import digits
from fixtures.cases.module_view import ModuleView

OUTPUT_HIDES = ("random_labels", "bad_teacher")  # confidence sees next to nothing of them
CLASS_HIDES = ("head_mask", "random_labels", "neg_grad_plus")


def scores(attack: Attack, kind: ClaimKind, *methods: str) -> dict[str, Scores]:
    """The original, an honest retrain and what methods leave, each beside the references."""
    names = ("original", "retrain", *methods)
    return dict(zip(names, digits(kind).score(attack, *names), strict=True))


def gap(scores: Scores) -> float:
    """Standardised mean difference of forget and holdout rows of the audited model."""
    assert scores.examples is not None
    row, cut = scores.examples[0], len(digits("random").case.labels["forget"])
    error = row.std() * np.sqrt(1 / cut + 1 / (len(row) - cut))
    return float((row[:cut].mean() - row[cut:].mean()) / error)


@pytest.mark.parametrize(
    ("attack", "least"),
    [(Relearning(), 4.0), (MemoryJog(), 2.0), (LayerProbe(), 1.5)],
    ids=lambda a: getattr(a, "name", ""),
)
def test_what_the_output_hides_comes_back(attack: Attack, least: float) -> None:
    found = scores(attack, "random", *OUTPUT_HIDES)
    assert gap(found["original"]) > 4
    assert abs(gap(found["retrain"])) < 2.6
    for method in OUTPUT_HIDES:
        assert gap(found[method]) > least, method


@pytest.mark.parametrize(("spread", "broken"), [(1.0, False), (2.0, True)])
def test_units_at_other_scales_hide_nothing_unnoticed(spread: float, broken: bool) -> None:
    """The function is the same, training is not: what relearning no longer sees, it says it cannot see."""
    world, attack = digits("random"), Relearning()
    scaled = copy.deepcopy(world.model("random_labels"))
    linear = [layer for layer in scaled.children() if isinstance(layer, nn.Linear)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for before, after in pairwise(linear):
            factor = torch.exp(spread * torch.randn(before.out_features, generator=generator))
            before.weight.mul_(factor[:, None])
            before.bias.mul_(factor)
            after.weight.div_(factor)
    view = ModuleView(scaled, world.case.sets)
    seen = attack.observe(view, world.view("original"), world.case, np.random.default_rng(5))
    found = attack.score([seen, *(world.observe(attack, name) for name in world.references)], world.case)
    assert ("training on broke the audited model" in found.invalid) == broken
    assert broken or gap(found) > 4


@pytest.mark.parametrize("attack", [Relearning(), Anamnesis()], ids=lambda a: a.name)
def test_a_class_comes_back_through_shallow_forgetting(attack: Attack) -> None:
    seen = scores(attack, "class", *CLASS_HIDES)
    found = {name: crawford_howell(s.statistic)[0] for name, s in seen.items() if s.statistic is not None}
    assert found["original"] > 4
    assert abs(found["retrain"]) < 4
    for method in CLASS_HIDES:
        assert found[method] > max(2.5, found["retrain"] + 2), method


def test_time_to_relearn_is_counted_and_censored() -> None:
    found = scores(Anamnesis(steps=10), "random")
    assert "fitted as by the original: 0, references more than 10 to more than 10" in found["original"].details[0]
    assert "censored" in found["original"].details[0]
    assert "anamnesis index 1.00 to 1.00" in found["retrain"].details[0]


def test_the_audited_network_is_not_changed_and_equal_generators_give_equal_signals() -> None:
    world = digits("random")
    view = world.view("retrain")
    before = view.target.digest()
    attack = Relearning(steps=6)
    first, second = (attack.observe(view, None, world.case, np.random.default_rng(0)) for _ in range(2))
    assert view.target.digest() == before
    np.testing.assert_array_equal(first["forget"], second["forget"])
    assert first["forget"].shape == (300, 4)
    np.testing.assert_allclose(first["accuracy"][0], 1.0, atol=0.2)


def test_every_row_of_a_memory_jog_is_scored_by_copies_that_were_not_trained_on_it() -> None:
    """Moving one row changes the answers of copies that learn it; its own score comes from the others."""
    case = gaussian_case("random", n=40, seed=1)
    view = linear_view(case, np.eye(3), np.zeros(3))
    attack = MemoryJog(halvings=1, steps=10)
    before = attack.observe(view, None, case, np.random.default_rng(0))
    relabelled = case.sets["forget"].y.copy()
    relabelled[0] = (relabelled[0] + 1) % 3
    other = {**case.labels, "forget": relabelled}
    moved = Case(case.kind, case.classes, case.sets, other, case.n_classes)
    after = attack.observe(view, None, moved, np.random.default_rng(0))
    changed = np.flatnonzero(~np.isclose(before["forget"], after["forget"]))
    assert 0 in changed  # its own label is another
    assert 10 < len(changed) <= 21  # the half that its copy scores, and itself


def test_orders_pass_over_every_row_before_any_comes_again() -> None:
    order = orders([np.arange(10), np.arange(100, 110)], 4, 5, np.random.default_rng(0))
    assert order.shape == (2, 4, 5)
    assert sorted(order[0, :2].ravel()) == list(range(10))
    assert sorted(order[1, 2:].ravel()) == list(range(100, 110))


class Convolutional(nn.Module):
    """Convolution, BatchNorm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean((2, 3)))


@pytest.mark.parametrize("convolutions", [False, True])
def test_copies_that_are_stacked_learn_as_one_alone_does(convolutions: bool) -> None:
    torch.manual_seed(0)
    module = (
        Convolutional().eval() if convolutions else nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    )

    class Plain:
        def __init__(self) -> None:
            self.module = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return module(x)

        def functional(self, state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(module, state, (x,))

    rng = np.random.default_rng(0)
    shape = (1, 4, 4) if convolutions else (6,)
    x = torch.as_tensor(rng.normal(size=(2, 12, *shape)), dtype=torch.float32)
    y = rng.integers(0, 3, (2, 12))
    statistics = {name: b.clone() for name, b in module.named_buffers()}
    both, alone = Clones(Plain(), 2, 0.02), Clones(Plain(), 1, 0.02)
    for _ in range(5):
        both.step(x, y)
        alone.step(x[1:], y[1:])
    seen = [clones.logits(lambda part: x[0][part], 12) for clones in (both, alone)]
    np.testing.assert_allclose(seen[0][1], seen[1][0], rtol=1e-3, atol=1e-5)
    assert not np.allclose(seen[0][0], seen[0][1], atol=1e-3)
    for name, buffer in module.named_buffers():  # BatchNorm keeps its stored statistics
        torch.testing.assert_close(buffer, statistics[name])


def test_training_that_breaks_a_network_supports_no_pass() -> None:
    found = scores(Relearning(steps=6, rate=3.0), "random")
    assert found["retrain"].invalid.startswith("training on broke the audited model: accuracy on retain rows")


def test_what_cannot_apply_says_so() -> None:
    case = gaussian_case("class", (2,), n=60)
    view = linear_view(case, np.eye(3), np.zeros(3))
    for attack, said in ((MemoryJog(), "nothing about the class"), (LayerProbe(), "nothing about the class")):
        assert said in attack.applicable(case)
        with pytest.raises(NotApplicable, match=said):
            attack.observe(view, None, case, np.random.default_rng(0))
    few = gaussian_case("random", n=12)
    assert "20 forget and 20 holdout rows to halve, there are 12" in MemoryJog().applicable(few)
    with pytest.raises(NotApplicable, match="no hidden layer before its features"):
        LayerProbe().observe(linear_view(few, np.eye(3), np.zeros(3)), None, few, np.random.default_rng(0))


@pytest.mark.parametrize("kind", [Relearning, MemoryJog, Anamnesis])
def test_wrong_budgets_are_refused(kind: type[Attack]) -> None:
    with pytest.raises(ValueError, match="must be"):
        kind(rate=0.0)  # type: ignore[call-arg]


def test_unrelated_rows_keep_their_distribution_and_lose_their_meaning() -> None:
    world, attack = digits("random"), RelearningUnrelated()
    index = np.arange(8).reshape(2, 4)
    x, y = attack.taught(world.view("retrain"), world.case, index, np.random.default_rng(0))
    rows = np.asarray(world.case.sets["retain"].batch(np.arange(8)))
    assert x.shape == (2, 4, 64)
    np.testing.assert_allclose(np.sort(x.reshape(8, 64).numpy(), axis=1), np.sort(rows, axis=1))
    assert not np.allclose(x.reshape(8, 64).numpy(), rows)
    assert y.shape == (2, 4)
    assert gap(scores(attack, "random")["original"]) > 4


class Held(nn.Module):
    """The digits network with an encoder that no gradient reaches."""

    def __init__(self, module: nn.Sequential, how: str) -> None:
        super().__init__()
        self.how, self.first, self.second, self.head = how, *(module[k] for k in (0, 2, 4))
        if how == "buffers":
            for layer in (self.first, self.second):
                for name, tensor in list(layer.named_parameters()):
                    delattr(layer, name)
                    layer.register_buffer(name, tensor.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.second(self.first(x).relu()).relu()
        return self.head(hidden.detach() if self.how == "detached" else hidden)


@pytest.mark.parametrize("attack", [Relearning(steps=3), MemoryJog(steps=3), Anamnesis(steps=10)], ids=lambda a: a.name)
@pytest.mark.parametrize("how", ["buffers", "detached"])
def test_a_network_that_cannot_be_trained_on_supports_no_pass(attack: Attack, how: str) -> None:
    """An owner could hide weights from relearning; its silence then proves nothing."""
    world = digits("random")
    model = Held(copy.deepcopy(world.model("random_labels")), how)  # type: ignore[arg-type]
    view = ModuleView(model, world.case.sets)
    own = attack.observe(view, world.view("original"), world.case, np.random.default_rng(5))
    references = [world.observe(attack, name) for name in world.references]
    assert attack.score([own, *references], world.case).invalid.startswith("training on reaches 4% of the audited")
    honest = attack.score([world.observe(attack, "retrain"), *references], world.case)
    assert "training on reaches" not in honest.invalid


def test_a_network_without_parameters_or_gradient_is_named() -> None:
    class Cut(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).detach()

    class Bare:
        def __init__(self, module: nn.Module) -> None:
            self.module = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.module(x)

        def functional(self, state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(self.module, state, (x,))

    clones = Clones(Bare(Cut(3, 2)), 2, 0.02)
    clones.step(torch.zeros(2, 4, 3), np.zeros((2, 4), dtype=np.int64))
    assert clones.trained == 0
    with pytest.raises(NotApplicable, match="no parameters to train"):
        Clones(Bare(nn.ReLU()), 2, 0.02)
