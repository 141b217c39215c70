"""Line-up: rows that one step raised stand first, retrains that share a start at chance, families of networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.stub import gaussian_case, linear_view
from torch import nn

from attacks.base import Case, NotApplicable, Scores, discover
from attacks.inversion.common import chance, exposure, shares
from attacks.inversion.line_up import LineUp
from audit import demo
from fixtures.cases.deletions import Deletions, ascended
from fixtures.cases.module_view import ModuleView
from fixtures.cases.networks import cnn, vit

DIGITS = Deletions()
PICTURES = Deletions(shape=(1, 8, 8))


@pytest.fixture(scope="module")
def original() -> nn.Module:
    return DIGITS.fitted(demo.initialised(0), steps=300)


def observe(model: nn.Module, original: nn.Module, case: Case) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return dict(
        LineUp().observe(ModuleView(model, case.sets), ModuleView(original, case.sets), case, np.random.default_rng(0))
    )


def scored(case: Case, original: nn.Module, *models: nn.Module) -> Scores:
    return LineUp().score([observe(model, original, case) for model in models], case)


def first(original: nn.Module, rows: range) -> list[bool]:
    """Does the one deleted row stand before all 300 decoys?"""
    found = []
    for row in rows:
        case = DIGITS.case(row)
        signals = observe(ascended(original, case), original, case)
        found.append(bool(signals["forget"][0] > signals["holdout"].max()))
    return found


def test_a_row_that_one_step_raised_stands_before_every_decoy(original: nn.Module) -> None:
    assert all(first(original, range(4)))


@pytest.mark.slow
def test_rank_one_for_forty_single_deletions(original: nn.Module) -> None:
    assert np.mean(first(original, range(40))) == 1.0


def test_cosines_are_those_of_plain_gradients(original: nn.Module) -> None:
    case = DIGITS.case(slice(0, 5))
    model = ascended(original, case)
    signals = observe(model, original, case)
    double = ModuleView(original, case.sets).network().module.double()
    change = torch.cat(
        [(a.double() - b.double()).flatten() for a, b in zip(model.parameters(), double.parameters(), strict=True)]
    )
    for row in range(3):
        x = torch.from_numpy(np.asarray(case.sets["holdout"].batch(np.array([row]))))
        loss = nn.functional.cross_entropy(double(x.double()), torch.from_numpy(case.labels["holdout"][[row]]))
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(double.parameters()))])
        plain = float(torch.cosine_similarity(gradient, change.detach(), dim=0))
        assert signals["holdout"][row] == pytest.approx(plain, abs=1e-9)


def test_both_sides_are_named(original: nn.Module) -> None:
    case = DIGITS.case(slice(0, 20))
    up, down = (ascended(original, case, rate) for rate in (0.1, -0.1))
    raised, lowered = scored(case, original, up, down), scored(case, original, down, up)
    assert "towards a higher loss" in " ".join(raised.details)
    assert "towards a lower loss" in " ".join(lowered.details)
    assert raised.examples is not None
    assert raised.examples[0, :20].mean() < raised.examples[0, 20:].mean()  # less like a member
    assert raised.examples[1, :20].mean() > raised.examples[1, 20:].mean()
    assert observe(up, original, case)["p"][0] <= 0.05
    assert "risk of releasing both" in " ".join(raised.details)
    assert raised.invalid == ""


def test_a_model_that_did_not_move_is_named(original: nn.Module) -> None:
    case = DIGITS.case()
    scores = scored(case, original, original, ascended(original, case))
    assert "weights are those of the original" in scores.invalid
    assert scores.examples is not None
    assert not scores.examples[0].any()


@pytest.mark.slow
def test_retrains_that_share_their_start_stand_where_their_references_stand() -> None:
    """Twenty single deletions; the audited retrain and two references start from the original's own start."""
    start, gaps = demo.initialised(3), []
    seen = np.concatenate([DIGITS.rows["forget"], DIGITS.rows["retain"]])
    original = demo.train(DIGITS.data, seen, 1, start=start, steps=200)
    for row in range(20):
        case, kept = DIGITS.case(row), np.delete(seen, row)
        models = [demo.train(DIGITS.data, kept, 2 + 3 * row + k, start=start, steps=200) for k in range(3)]
        bits = [float(exposure(s["forget"], s["holdout"])[0]) for s in (observe(m, original, case) for m in models)]
        gaps.append((bits[0], np.mean(bits[1:])))
    audited, references = np.array(gaps).T
    difference = audited - references
    print(f"exposure {audited.mean():.2f} bits, references {references.mean():.2f}, chance {chance(300)[0]:.2f}")
    assert abs(difference.mean()) < 2.5 * difference.std(ddof=1) / 20**0.5


@pytest.mark.parametrize("make", [cnn, vit])
def test_other_families_of_networks(make: object) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PICTURES.fitted(make(), steps=60)  # type: ignore[operator]
    case = PICTURES.case(1)
    signals = observe(ascended(model, case), model, case)
    assert signals["forget"][0] == pytest.approx(1, abs=1e-3)
    assert signals["forget"][0] > signals["holdout"].max()


class Branching(nn.Sequential):
    """Decides by a value, which no row by itself can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if float(x.detach().sum()) > 0 else -x)


@pytest.mark.parametrize("name", ["line_up", "reconstruction"])
def test_networks_that_bear_no_row_by_row_gradients_are_a_reason(name: str) -> None:
    case, model = DIGITS.case(0), Branching(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    views = [ModuleView(one, case.sets) for one in (ascended(model, case), model)]
    with pytest.raises(NotApplicable, match="row by row"):
        discover()[name]().observe(views[0], views[1], case, np.random.default_rng(0))


def test_networks_of_other_layers_are_a_reason(original: nn.Module) -> None:
    case = DIGITS.case()
    with pytest.raises(NotApplicable, match="names and shapes"):
        observe(nn.Sequential(nn.Linear(64, 10)), original, case)


@pytest.mark.parametrize("name", ["line_up", "closed_form", "reconstruction"])
def test_class_claims_and_few_decoys_are_a_reason(name: str) -> None:
    attack = discover()[name]()
    assert "deleted class" in attack.applicable(gaussian_case("class", (2,), n=120))
    assert "99 never-seen rows" in attack.applicable(gaussian_case("random", n=98))
    assert attack.applicable(gaussian_case("random", n=99)) == ""


def test_discrete_inputs_are_a_reason() -> None:
    case = gaussian_case("random")
    tokens = {role: type(of)(np.zeros((120, 3), dtype=np.int64), of.y) for role, of in case.sets.items()}  # type: ignore[call-arg]
    other = Case("random", (), tokens, case.labels, 3)
    views = [linear_view(case, np.eye(3) * k, np.zeros(3)) for k in (1, 2)]
    with pytest.raises(NotApplicable, match="continuous"):
        LineUp().observe(views[0], views[1], other, np.random.default_rng(0))


def test_shares_count_ties_against_the_row_and_are_uniform_at_chance() -> None:
    np.testing.assert_allclose(shares(np.array([3.0, 1.0, 0.0]), np.array([1.0, 2.0, 3.0])), [2 / 4, 1, 1])
    np.testing.assert_allclose(shares(np.array([4.0]), np.arange(4.0)), 1 / 5)
    every = exposure(np.arange(100) + 0.5, np.arange(99) + 1.0)
    assert (every.mean(), every.std()) == pytest.approx(chance(99))
