"""Gradient inversion: both ways to compute the match agree, deleted rows come back, blind searches are named."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from attacks.base import Attack, Case, NotApplicable
from attacks.inversion import labels
from attacks.inversion.common import parameters, plain_attention
from attacks.inversion.line_up import LineUp
from attacks.inversion.matching import Search, is_picture, reconstruct, variation
from attacks.inversion.objective import Layerwise, Problems, Simulation, by_vmap, change_of, cosine
from attacks.inversion.quality import psnr, ssim
from attacks.inversion.reconstruction import Reconstruction
from audit import demo
from fixtures.cases.deletions import Deletions, ascended
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn, vit

DIGITS, PICTURES = Deletions(), Deletions(shape=(1, 8, 8))


@pytest.fixture(scope="module")
def original() -> nn.Module:
    return DIGITS.fitted(demo.initialised(0))


def observe(attack: Reconstruction, model: nn.Module, original: nn.Module, case: Case) -> dict[str, Any]:
    views = [ModuleView(one, case.sets) for one in (model, original)]
    return dict(attack.observe(views[0], views[1], case, np.random.default_rng(0)))


def problems(
    model: nn.Module, of: Deletions, targets: int, repeats: int, rows: int, simulation: Simulation
) -> Problems:
    """Targets that are the changes by real rows, with their labels."""
    network = ModuleView(model, of.case().sets).network()
    network.module.double()
    plain = Problems(network, parameters(network), {}, None)
    x, y = torch.from_numpy(of.data.x).double(), torch.from_numpy(of.data.y)
    found = [change_of(plain, x[rows * i :][:rows], y[rows * i :][:rows], simulation) for i in range(targets)]
    stacked = {name: torch.stack([one[name] for one in found]) for name in plain.state}
    given = torch.stack([y[rows * i :][:rows] for i in range(targets)]).repeat_interleave(repeats, 0)
    return Problems(network, plain.state, stacked, given)


@pytest.mark.parametrize("rows", [1, 3])
def test_layer_by_layer_is_the_same_as_whole_gradients(original: nn.Module, rows: int) -> None:
    given = problems(original, DIGITS, 2, 3, rows, Simulation())
    x = torch.rand((6, rows, 64), generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert Layerwise(given).fits(x, Simulation())
    mine, whole = Layerwise(given).terms(x), by_vmap(given, x, Simulation())
    for one, two in zip(mine, whole, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)
    slopes = [torch.autograd.grad(cosine(terms).sum(), x, retain_graph=True)[0] for terms in (mine, whole)]
    torch.testing.assert_close(*slopes, rtol=1e-7, atol=1e-10)


class Reused(nn.Module):
    """Uses its first layer's weight a second time, behind the layer's back."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.stem(x)) @ self.stem.weight.T)


@pytest.mark.parametrize(("make", "of"), [(Reused, DIGITS), (cnn, PICTURES), (vit, PICTURES)])
def test_networks_that_the_short_cut_cannot_take_are_noticed(make: Any, of: Deletions) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make().eval()
    with plain_attention():
        given = problems(model, of, 1, 2, 1, Simulation())
    start = torch.rand((2, 1, *of.shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert not Layerwise(given).fits(start, Simulation())
    found, costs = reconstruct(given, start, Search(40, 0.04, 0.0, 1.0, tv=0.001, l2=0.001), Simulation())
    with plain_attention():
        first = 1 - cosine(by_vmap(given, start, Simulation()))
    assert found.shape == start.shape
    assert (costs < first).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_simulated_steps_are_differentiated_through(original: nn.Module) -> None:
    several = Simulation(steps=5, rate=0.5)
    given = problems(original, DIGITS, 1, 1, 1, several)
    x = torch.from_numpy(DIGITS.data.x[:1]).double()[None]
    assert float(cosine(by_vmap(given, x, several))) == pytest.approx(1, abs=1e-9)
    assert float(cosine(by_vmap(given, x, Simulation()))) < 0.999
    assert not Layerwise(given).fits(x, several)
    moved = copy.deepcopy(original).double()
    optimiser = torch.optim.SGD(moved.parameters(), lr=0.5, maximize=True)
    for parameter in moved.parameters():
        parameter.requires_grad_(True)
    for _ in range(5):
        optimiser.zero_grad()
        nn.functional.cross_entropy(moved(x[0]), torch.from_numpy(DIGITS.data.y[:1])).backward()
        optimiser.step()
    for name, value in moved.named_parameters():
        torch.testing.assert_close(given.targets[name][0], value.detach() - given.state[name], rtol=1e-9, atol=1e-12)


def test_one_deleted_row_comes_back(original: nn.Module) -> None:
    attack, case = Reconstruction(iterations=150, restarts=2), DIGITS.case(3)
    models = [ascended(original, case), DIGITS.fitted(demo.initialised(5))]
    signals = [observe(attack, model, original, case) for model in models]
    scores = attack.score(signals, case)
    assert scores.statistic is not None
    assert scores.statistic[0] == pytest.approx(np.log2(301))
    assert scores.statistic[1] < 5
    assert scores.invalid == ""
    assert signals[0]["labels"][0] == 1
    assert signals[0]["psnr"][0] > 20
    assert all(value.ndim == 1 for value in signals[0].values())  # figures, no pictures
    assert "1 of 1 forget rows" in scores.details[0]


class Rooted(nn.Module):
    """Finite answers, and no number as the gradient of every row: a root at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.off, self.head = nn.Linear(64, 8), nn.Linear(64, 8), nn.Linear(8, 10)
        with torch.no_grad():
            self.off.weight.zero_()
            self.off.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.stem(x)) + self.off(x).abs().sqrt())


@pytest.mark.parametrize("attack", [Reconstruction(iterations=2, restarts=1), LineUp()], ids=lambda a: a.name)
@pytest.mark.parametrize("rows", [1, 3])
def test_gradients_that_are_no_numbers_are_named_and_never_scored(attack: Attack, rows: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        broken, other = Rooted().eval(), Rooted().eval()
    case = DIGITS.case(slice(0, rows))
    views = [ModuleView(model, case.sets) for model in (other, broken)]
    assert np.isfinite(views[1].logits("forget")).all()
    with pytest.raises(NotApplicable, match=r"gradients of (gradients|the loss at the original) are not finite"):
        attack.observe(views[0], views[1], case, np.random.default_rng(0))


@pytest.mark.parametrize("layered", [True, False])
def test_a_match_that_is_no_number_is_named(original: nn.Module, layered: bool) -> None:
    given = problems(original if layered else Reused().eval(), DIGITS, 1, 1, 1, Simulation())
    start = torch.rand((1, 1, 64), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert Layerwise(given).fits(start, Simulation()) is layered
    name = next(iter(given.targets))
    given.targets[name][0].flatten()[0] = torch.nan
    with pytest.raises(NotApplicable, match="not finite"):
        reconstruct(given, start, Search(2, 0.04, 0.0, 1.0), Simulation())


def test_several_rows_are_sought_at_once(original: nn.Module) -> None:
    attack = Reconstruction(iterations=100, restarts=2, max_rows=4)
    case = DIGITS.case()
    signals = observe(attack, ascended(original, case), original, case)
    assert signals["forget"].shape == signals["planted"].shape == (4,)
    assert "4 of 40 forget rows" in attack.score([signals], case).details[0]
    three = DIGITS.case(slice(0, 3))
    found = observe(attack, ascended(original, three), original, three)
    assert attack.score([found], three).statistic[0] > 2.5  # type: ignore[index]


def test_a_blind_search_and_an_unmoved_model_are_named(original: nn.Module) -> None:
    attack, case = Reconstruction(iterations=1, restarts=1), DIGITS.case(slice(0, 3))
    blind = attack.score([observe(attack, ascended(original, case), original, case)], case)
    assert "does not find rows that it planted" in blind.invalid
    still = attack.score([observe(attack, original, original, case)], case)
    assert "weights are those of the original" in still.invalid
    assert still.statistic is not None
    assert still.statistic[0] == 0


def test_own_gradients_give_rows_on_an_untrained_network() -> None:
    """So that mode is informational: it tells nothing of forgetting."""
    attack, case = Reconstruction(iterations=150, restarts=2, mode="gradient", max_rows=5), DIGITS.case()
    fresh = demo.initialised(7)
    signals = observe(attack, fresh, demo.initialised(8), case)
    scores = attack.score([signals], case)
    assert scores.statistic is not None
    assert scores.statistic[0] == pytest.approx(np.log2(301))
    assert "says nothing of forgetting" in scores.details[-1]


@pytest.mark.parametrize("make", [cnn, vit])
def test_other_families_of_networks(make: Any) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PICTURES.fitted(make(), steps=60)
    attack, case = Reconstruction(iterations=60, restarts=2, hypotheses=1), PICTURES.case(1)
    signals = observe(attack, ascended(model, case), model, case)
    assert signals["labels"][0] == 1
    assert signals["cost"][0] < 0.5
    assert signals["ssim"].shape == (1,)
    exposure = attack.score([signals], case).statistic
    assert exposure is not None
    assert make is vit or exposure[0] > 2  # by chance 1.4; of a transformer little more comes back


def test_labels_are_read_off_the_head() -> None:
    signal = np.array([0.1, -0.6, 0.2, -0.3])
    assert labels.single(signal, 2).tolist() == [[1], [3]]
    assert labels.several(signal, 3).tolist() == [[1, 1, 3]]
    assert labels.several(np.zeros(4), 4).tolist() == [[0, 1, 2, 3]]
    np.testing.assert_array_equal(labels.head_signal(np.ones((4, 2)), signal), signal)
    np.testing.assert_array_equal(labels.head_signal(np.ones((4, 2)), np.zeros(4)), np.full(4, 2.0))


def test_quality_figures() -> None:
    rows = np.random.default_rng(0).random((2, 1, 8, 8))
    np.testing.assert_allclose(psnr(rows, rows, 1.0), 100)
    np.testing.assert_allclose(psnr(rows + 0.1, rows, 1.0), 20)
    np.testing.assert_allclose(ssim(rows, rows, 1.0), 1)
    assert ssim(rows[:, 0, 0], rows[:, 0, 0], 1.0).shape == (0,)
    assert is_picture((1, 8, 8))
    assert not is_picture((64,))
    step = torch.tensor([0.0, 1.0]).expand(1, 1, 1, 3, 2)
    assert float(variation(step)) == 1


def test_mappings_are_a_reason(original: nn.Module) -> None:
    case = DIGITS.case(0)
    named = {role: type(of)({"x": of.batch(np.arange(len(of)))}, of.y) for role, of in case.sets.items()}  # type: ignore[call-arg]
    other, views = Case("random", (), named, case.labels, 10), [ModuleView(original, case.sets)] * 2
    with pytest.raises(NotApplicable, match="continuous"):
        Reconstruction().observe(*views, other, np.random.default_rng(0))


def test_functional_call_is_what_the_views_give(original: nn.Module) -> None:
    network = ModuleView(original, DIGITS.case(0).sets).network()
    x = torch.from_numpy(DIGITS.data.x[:2])
    direct = functional_call(original, dict(original.named_parameters()), (x,))
    torch.testing.assert_close(network.functional(parameters(network), x), direct)
