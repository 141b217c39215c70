"""Each method does what its docstring says: one proof or more a method."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from methods import ascent, edits, outputs, relabelling, tuning
from methods.base import Method, Optimiser, Pair, adam, batches, renew, seeded
from scipy import stats
from torch import nn
from torch.nn.functional import cross_entropy

from audit import demo

SEED = 5
CLASSES = 10
Sets = dict[str, Pair]


@pytest.fixture(scope="module")
def sets() -> Sets:
    """A class forget set."""
    data = demo.digits(4)
    rows = demo.class_rows(data, 4)
    return {
        role: Pair(torch.from_numpy(data.x[index]), torch.from_numpy(data.y[index])) for role, index in rows.items()
    }


@pytest.fixture(scope="module")
def model(sets: Sets) -> nn.Module:
    forget, retain = sets["forget"], sets["retain"]
    data = demo.Digits(torch.cat([forget.x, retain.x]).numpy(), torch.cat([forget.y, retain.y]).numpy())
    return demo.train(data, np.arange(len(data.y)), seed=8)


def loss(model: nn.Module, pair: Pair) -> float:
    with torch.no_grad():
        return pair.loss(model).item()


def logits(model: nn.Module, pair: Pair) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = model(pair.x)
    return out


def accuracy(model: nn.Module, pair: Pair) -> float:
    return float((logits(model, pair).argmax(dim=1) == pair.y).float().mean())


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def kl(teacher: nn.Module, student: nn.Module, pair: Pair) -> float:
    return outputs.divergence(logits(teacher, pair), logits(student, pair)).item()


# tuning


def test_fine_tuning_lowers_the_retain_loss(model: nn.Module, sets: Sets) -> None:
    trace = [
        loss(tuning.fine_tune(model, sets["forget"], sets["retain"], SEED, steps=s), sets["retain"])
        for s in (0, 50, 150)
    ]
    assert trace == sorted(trace, reverse=True)
    assert trace[-1] < 0.9 * trace[0]


def test_the_noise_is_there_before_the_tuning(model: nn.Module, sets: Sets) -> None:
    noisy = tuning.noisy_fine_tune(model, sets["forget"], sets["retain"], SEED, noise=0.3, steps=0)
    for mine, theirs in zip(weights(noisy), weights(model), strict=True):
        if mine.ndim > 1:
            assert (mine - theirs).std() / theirs.std() == pytest.approx(0.3, rel=0.1)


def test_the_sparsity_penalty_shrinks_the_weights(model: nn.Module, sets: Sets) -> None:
    plain = tuning.fine_tune(model, sets["forget"], sets["retain"], SEED)
    sparse = tuning.l1_sparse(model, sets["forget"], sets["retain"], SEED)
    without = tuning.l1_sparse(model, sets["forget"], sets["retain"], SEED, alpha=0.0)
    size = [sum(w.abs().sum().item() for w in weights(m) if w.ndim > 1) for m in (plain, sparse, without)]
    assert size[1] < 0.9 * size[0]
    assert size[2] == size[0]


def test_the_sparsity_schedule() -> None:
    assert [tuning.sparsity_weight(step, 0.4, 4) for step in range(6)] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0, 0])


def test_cf_and_eu_leave_the_encoder_bit_equal(model: nn.Module, sets: Sets) -> None:
    encoder = nn.Sequential(*list(model.children())[:-1])
    for method in (tuning.cf_k, tuning.eu_k):
        result = method(model, sets["forget"], sets["retain"], SEED)
        assert torch.equal(nn.Sequential(*list(result.children())[:-1])(sets["test"].x), encoder(sets["test"].x))


def test_the_head_of_eu_starts_fresh_and_that_of_cf_does_not(model: nn.Module, sets: Sets) -> None:
    fresh = tuning.eu_k(model, sets["forget"], sets["retain"], SEED, steps=0)
    head = list(fresh.children())[-1]
    expected = copy.deepcopy(head)
    renew(expected, seeded(SEED))
    assert all(torch.equal(a, b) for a, b in zip(weights(head), weights(expected), strict=True))
    moved = {
        method: (weights(method(model, sets["forget"], sets["retain"], SEED))[-2] - weights(model)[-2]).norm().item()
        for method in (tuning.cf_k, tuning.eu_k)
    }
    assert moved[tuning.cf_k] < moved[tuning.eu_k]


def test_eu_over_all_layers_keeps_nothing(model: nn.Module, sets: Sets) -> None:
    whole = tuning.eu_k(model, sets["forget"], sets["retain"], SEED, k=3, steps=0)
    expected = tuning.eu_k(demo.initialised(77), sets["forget"], sets["retain"], SEED, k=3, steps=0)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(expected), strict=True))


# ascent


def test_one_step_of_ascent_is_the_gradient(model: nn.Module, sets: Sets) -> None:
    gradients = torch.autograd.grad(sets["forget"].loss(model), list(model.parameters()))
    result = ascent.gradient_ascent(model, sets["forget"], sets["retain"], SEED, steps=1, rate=0.01)
    for mine, theirs, gradient in zip(weights(result), weights(model), gradients, strict=True):
        torch.testing.assert_close(mine, theirs + 0.01 * gradient)


def test_ascent_raises_the_forget_loss_with_every_step_up_to_its_target(model: nn.Module, sets: Sets) -> None:
    forget, retain = sets["forget"], sets["retain"]
    trace = [loss(ascent.gradient_ascent(model, forget, retain, SEED, steps=s), forget) for s in (0, 5, 10, 20, 500)]
    assert all(after >= before for before, after in pairwise(trace))
    assert trace[0] < 0.2 < trace[-1]
    settled = ascent.gradient_ascent(model, forget, retain, SEED, steps=1000)
    assert loss(settled, forget) == trace[-1] >= 0.3


def test_one_step_of_neg_grad_plus_is_the_weighted_difference(model: nn.Module, sets: Sets) -> None:
    forget, retain = sets["forget"], sets["retain"]
    result = ascent.neg_grad_plus(
        model, forget, retain, SEED, steps=1, alpha=0.9, optimiser=lambda p: torch.optim.SGD(p, lr=0.1)
    )
    (batch,) = batches(retain, 1, seeded(SEED))
    parts = [torch.autograd.grad(pair.loss(model), list(model.parameters())) for pair in (batch, forget)]
    for mine, theirs, on_r, on_f in zip(weights(result), weights(model), *parts, strict=True):
        torch.testing.assert_close(mine, theirs - 0.1 * (0.9 * on_r - 0.1 * on_f), rtol=1e-5, atol=1e-6)


def test_neg_grad_plus_raises_the_forget_loss_and_keeps_the_retain_set(model: nn.Module, sets: Sets) -> None:
    result = ascent.neg_grad_plus(model, sets["forget"], sets["retain"], SEED)
    assert loss(result, sets["forget"]) > loss(model, sets["forget"]) + 1
    assert accuracy(result, sets["retain"]) > 0.95


def test_the_ceiling_of_neg_grad_plus_binds(model: nn.Module, sets: Sets) -> None:
    masked = demo.mask_head(model, (demo.FORGOTTEN_CLASS,), by=1000.0)
    bounded = ascent.bounded_loss(masked, sets["forget"])
    assert bounded.item() == 20.0
    assert all(g.abs().max() == 0 for g in torch.autograd.grad(bounded, list(masked.parameters())))
    assert ascent.bounded_loss(model, sets["forget"]).item() <= loss(model, sets["forget"])


# relabelling


def test_wrong_labels_are_wrong_and_uniform_over_the_rest() -> None:
    y = torch.full((9000,), 3)
    drawn = relabelling.wrong_labels(y, CLASSES, seeded(1))
    counts = torch.bincount(drawn, minlength=CLASSES)
    assert counts[3] == 0
    assert stats.chisquare(counts[counts > 0].numpy()).pvalue > 0.001
    mixed = torch.arange(5000) % CLASSES
    assert (relabelling.wrong_labels(mixed, CLASSES, seeded(2)) != mixed).all()


def test_the_relabelled_set_keeps_the_retain_rows_and_labels(model: nn.Module, sets: Sets) -> None:
    forget, retain = sets["forget"], sets["retain"]
    mixed = relabelling.relabelled(model, forget, retain, seeded(0))
    cut = len(retain)
    assert torch.equal(mixed.x, torch.cat([retain.x, forget.x]))
    assert torch.equal(mixed.y[:cut], retain.y)
    assert (mixed.y[cut:] != forget.y).all()


@pytest.mark.parametrize("method", [relabelling.random_labels, relabelling.salun])
def test_relabelled_rows_are_learned(method: Method, model: nn.Module, sets: Sets) -> None:
    result = method(model, sets["forget"], sets["retain"], SEED)
    assert accuracy(model, sets["forget"]) > 0.9
    assert accuracy(result, sets["forget"]) < 0.1
    assert accuracy(result, sets["retain"]) > 0.9


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 1.0])
def test_the_saliency_mask_has_its_share_and_the_largest_gradients(model: nn.Module, sets: Sets, ratio: float) -> None:
    forget = sets["forget"]
    mask = torch.cat([part.flatten() for part in relabelling.saliency_mask(model, forget, ratio)])
    summed = cross_entropy(model(forget.x), forget.y, reduction="sum")
    size = torch.cat([g.abs().flatten() for g in torch.autograd.grad(summed, list(model.parameters()))])
    assert abs(int(mask.sum()) - ratio * len(mask)) <= 1
    if 0 < ratio < 1:
        assert size[mask].min() >= size[~mask].max()


@pytest.mark.parametrize(
    "optimiser",
    [
        lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=5e-4),
        lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1),
        adam(1e-3),
    ],
    ids=["sgd", "adamw", "adam"],
)
def test_salun_moves_no_weight_outside_its_mask(model: nn.Module, sets: Sets, optimiser: Optimiser) -> None:
    forget, retain = sets["forget"], sets["retain"]
    mask = relabelling.saliency_mask(model, forget, 0.5)
    for steps in (1, 2, 20):
        result = relabelling.salun(model, forget, retain, SEED, steps=steps, optimiser=optimiser)
        for mine, theirs, chosen in zip(weights(result), weights(model), mask, strict=True):
            assert torch.equal(mine[~chosen], theirs[~chosen])
            assert not torch.equal(mine[chosen], theirs[chosen])


def test_salun_over_all_weights_is_random_labelling(model: nn.Module, sets: Sets) -> None:
    forget, retain = sets["forget"], sets["retain"]
    plain = relabelling.random_labels(model, forget, retain, SEED, steps=20)
    masked = relabelling.salun(model, forget, retain, SEED, steps=20, ratio=1.0)
    assert all(torch.equal(a, b) for a, b in zip(weights(plain), weights(masked), strict=True))


def test_boundary_shrink_aims_at_another_class_even_where_the_step_fails(model: nn.Module, sets: Sets) -> None:
    for bound in (0.0, 0.1, 1.0):
        target = relabelling.nearest_other_class(model, sets["forget"], bound)
        assert (target != sets["forget"].y).all()
    second = logits(model, sets["forget"]).scatter(1, sets["forget"].y[:, None], -torch.inf).argmax(dim=1)
    assert torch.equal(relabelling.nearest_other_class(model, sets["forget"], 0.0), second)


def test_boundary_shrink_moves_the_forget_rows_there(model: nn.Module, sets: Sets) -> None:
    target = relabelling.nearest_other_class(model, sets["forget"], 0.1)
    result = relabelling.boundary_shrink(model, sets["forget"], sets["retain"], SEED)
    aimed = Pair(sets["forget"].x, target)
    assert loss(result, aimed) < 0.8 * loss(model, aimed)


# outputs


def test_the_divergence_by_hand() -> None:
    p, q = torch.tensor([0.8, 0.2]), torch.tensor([0.5, 0.5])
    expected = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    assert outputs.divergence(p.log()[None], q.log()[None]).item() == pytest.approx(expected, rel=1e-5)
    assert outputs.divergence(q.log()[None], p.log()[None]).item() != pytest.approx(expected, rel=1e-2)
    soft = outputs.divergence(2 * p.log()[None], 2 * q.log()[None], temperature=2.0)
    assert soft.item() == pytest.approx(4 * expected, rel=1e-5)


def test_the_bad_teacher_speaks_on_flagged_rows_alone(model: nn.Module, sets: Sets) -> None:
    bad = demo.initialised(1)
    flags = torch.arange(len(sets["forget"])) % 2 == 0
    mixed = outputs.mixed_targets(bad, model, Pair(sets["forget"].x, flags))
    assert torch.equal(mixed[flags], logits(bad, sets["forget"])[flags])
    assert torch.equal(mixed[~flags], logits(model, sets["forget"])[~flags])


def test_the_bad_teachers_student_moves_to_it_on_forget_rows_and_stays_on_retain_rows(
    model: nn.Module, sets: Sets
) -> None:
    bad = copy.deepcopy(model)
    renew(bad, seeded(SEED))
    result = outputs.bad_teacher(model, sets["forget"], sets["retain"], SEED)
    assert kl(bad, result, sets["forget"]) < 0.3 * kl(bad, model, sets["forget"])
    assert kl(model, result, sets["retain"]) < 0.2 * kl(bad, result, sets["retain"])


def test_scrub_pulls_away_on_the_forget_set_and_stays_on_the_retain_set(model: nn.Module, sets: Sets) -> None:
    forget, retain = sets["forget"], sets["retain"]
    result = outputs.scrub(model, forget, retain, SEED)
    assert kl(model, result, forget) > 5 * kl(model, result, retain)
    assert accuracy(result, retain) >= accuracy(model, retain) - 0.01
    never_up = outputs.scrub(model, forget, retain, SEED, max_epochs=0)
    assert kl(model, result, forget) > 10 * kl(model, never_up, forget)


def test_contraction_shrinks_the_logits_of_the_forget_set(model: nn.Module, sets: Sets) -> None:
    def norm(result: nn.Module, role: str) -> float:
        return logits(result, sets[role]).norm(dim=1).mean().item()

    trace = [
        outputs.one_point_contraction(model, sets["forget"], sets["retain"], SEED, steps=s) for s in (0, 20, 100, 300)
    ]
    norms = [norm(result, "forget") for result in trace]
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < 0.3 * norms[0]
    assert norm(trace[-1], "retain") > norm(trace[-1], "forget") * 2
    spread = [
        torch.distributions.Categorical(logits=logits(m, sets["forget"])).entropy().mean() for m in (model, trace[-1])
    ]
    assert spread[1] > spread[0]


# edits


def test_masked_classes_are_never_predicted_and_all_other_logits_are_bit_equal(model: nn.Module, sets: Sets) -> None:
    masked = edits.head_mask(model, sets["forget"], sets["retain"], SEED)
    mine, theirs = logits(masked, sets["test"]), logits(model, sets["test"])
    others = [c for c in range(CLASSES) if c != demo.FORGOTTEN_CLASS]
    assert (mine.argmax(dim=1) != demo.FORGOTTEN_CLASS).all()
    assert torch.equal(mine[:, others], theirs[:, others])
    changed = sum(int((a != b).sum()) for a, b in zip(weights(masked), weights(model), strict=True))
    assert changed == 1


def test_masking_needs_a_class_of_its_own(model: nn.Module, sets: Sets) -> None:
    with pytest.raises(ValueError, match="head masking needs a class"):
        edits.head_mask(model, sets["retain"], sets["retain"], SEED)


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_importance_is_of_single_rows_whatever_the_batch(
    model: nn.Module, sets: Sets, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = sets["forget"].rows(torch.arange(20))
    monkeypatch.setattr(edits, "CHUNK", chunk)
    found = edits.importance(model, few)
    expected = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for i in range(len(few)):
        gradients = torch.autograd.grad(few.rows(torch.tensor([i])).loss(model), list(model.parameters()))
        for name, gradient in zip(expected, gradients, strict=True):
            expected[name] += gradient.square() / len(few)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-10)


def test_dampening_shrinks_selected_weights_and_touches_no_other(model: nn.Module, sets: Sets) -> None:
    forget, retain = sets["forget"], sets["retain"]
    alpha = 4.0
    result = edits.ssd(model, forget, retain, SEED, alpha=alpha)
    on_f, on_r = edits.importance(model, forget), edits.importance(model, retain)
    share = len(forget) / (len(forget) + len(retain))
    selected = 0
    for (name, theirs), mine in zip(model.named_parameters(), weights(result), strict=True):
        on_all = share * on_f[name] + (1 - share) * on_r[name]
        chosen = on_f[name] > alpha * on_all
        selected += int(chosen.sum())
        assert torch.equal(mine[~chosen], theirs[~chosen])
        assert (mine.abs() <= theirs.abs()).all()
        assert (mine * theirs >= 0).all()
        assert (mine[chosen].abs() <= theirs[chosen].abs() / alpha + 1e-7).all()
    assert 0 < selected < 0.5 * sum(p.numel() for p in model.parameters())


def test_dampening_is_the_identity_from_its_bound_on(model: nn.Module, sets: Sets) -> None:
    forget, retain = sets["forget"], sets["retain"]
    bound = (len(forget) + len(retain)) / len(forget)
    result = edits.ssd(model, forget, retain, SEED, alpha=bound)
    assert all(torch.equal(a, b) for a, b in zip(weights(result), weights(model), strict=True))


def test_negation_is_linear_and_the_identity_at_zero(model: nn.Module, sets: Sets) -> None:
    forget, retain = sets["forget"], sets["retain"]
    at = {s: weights(edits.task_negation(model, forget, retain, SEED, scale=s)) for s in (-1.0, 0.0, 1.0, 2.0)}
    for tuned, origin, once, twice in zip(at[-1.0], at[0.0], at[1.0], at[2.0], strict=True):
        torch.testing.assert_close(once - origin, origin - tuned, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(twice - origin, 2 * (once - origin), rtol=1e-3, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(at[0.0], weights(model), strict=True))
    away = edits.task_negation(model, forget, retain, SEED)
    assert loss(away, forget) > loss(model, forget)
