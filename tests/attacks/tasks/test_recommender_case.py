"""A recommender that forgets interactions: honest, fine-tuned, reverse BPR, and reverse BPR without end."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import recommender_case as recommender
from cases.scores_case import ScoresCase

import audit
from tests.conftest import Cli
from tests.leaks import leaks


def test_the_loss_of_a_ranking_turns_with_its_direction() -> None:
    """One triple: an item that ranks above another has the smaller loss, and the reverse loss lowers it."""
    points = torch.tensor([[2.0, -1.0]], requires_grad=True)
    first, second = torch.tensor([0]), torch.tensor([1])

    def model(users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return points[users, items]

    loss = recommender.ranking_loss(model, (torch.tensor([0]), first, second))
    reverse = recommender.ranking_loss(model, (torch.tensor([0]), second, first))
    assert loss.item() == pytest.approx(np.log1p(np.exp(-3.0)), rel=1e-5)
    assert reverse.item() == pytest.approx(np.log1p(np.exp(3.0)), rel=1e-5)
    reverse.backward()
    assert points.grad is not None
    assert points.grad[0, 0] > 0 > points.grad[0, 1]  # a step down lowers the forgotten item


@pytest.fixture(scope="module")
def data() -> recommender.Feedback:
    return recommender.feedback(0)


def test_training_knows_nothing_of_the_sets_that_it_is_not_given(data: recommender.Feedback) -> None:
    """A retrain sees the same batches where the other interactions never were; else it would have been told of them."""
    alone = recommender.Feedback({"retain": data.sets["retain"]}, torch.ones_like(data.untouched))
    one, other = (recommender.batches(d, ("retain",), np.random.default_rng(0), 2) for d in (data, alone))
    kept = set(zip(*(side.tolist() for side in data.sets["retain"]), strict=True))
    for mine, theirs in zip(one, other, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
        user, item, below = (part.tolist() for part in mine)
        assert set(zip(user, item, strict=True)) <= kept
        assert not set(zip(user, below, strict=True)) & kept


def test_sets_are_disjoint_and_the_rest_was_never_touched(data: recommender.Feedback) -> None:
    pairs = [(int(u), int(i)) for users, items in data.sets.values() for u, i in zip(users, items, strict=True)]
    assert len(set(pairs)) == len(pairs)
    assert not any(data.untouched[user, item] for user, item in pairs)
    assert int((~data.untouched).sum()) == len(pairs)


def test_users_and_items_stand_in_nothing_that_is_given_away(
    data: recommender.Feedback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli, keys: tuple[Path, Path]
) -> None:
    """Untrained models will do: who asked for what is in ids and groups, whatever they answer."""
    monkeypatch.chdir(tmp_path)
    sets, models = {}, {}
    for role, (users, items) in data.sets.items():
        who = [f"anna-{u:04}" for u in users]
        sets[role] = {"ids": np.array([f"{u}/film-{i:04}" for u, i in zip(who, items, strict=True)]), "group": who}
    for seed, name in enumerate(("original", "unlearned", "retrained-0", "retrained-1")):
        torch.manual_seed(seed)
        models[name] = recommender.scores(recommender.Factors(), data)
    folder = ScoresCase(sets, models).save(tmp_path / "case")
    given = ("--forget", folder / "forget.npz", "--split", "attested", "--sign-key", keys[0])
    ended = cli("run", *given)
    assert ended.code in (1, 3), ended.err
    run = Path(ended.result["run"])
    assert (run / "certificate.dsse.json").is_file()
    assert json.loads((run / "run.json").read_text())["claim"]["kind"] == "subject"  # the groups were read
    assert not leaks(run, ("anna-", "film-"), ended.out, ended.err, statement_of(run))
    (run / "notes.txt").write_text("anna-0001 asks")  # so that the search is seen to find
    assert leaks(run, ("anna-", "film-")) == ["notes.txt: 'anna-'"]


def statement_of(run: Path) -> str:
    """What the certificate signs, which stands in it in base64."""
    return base64.b64decode(json.loads((run / "certificate.dsse.json").read_text())["payload"]).decode()


@pytest.fixture(scope="module")
def built() -> Any:
    return recommender.build()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["honest", "fine-tuned", "reverse BPR", "reverse BPR without end"])
def test_verdicts(built: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case, data, original = built
    model = {
        "honest": lambda: None,
        "fine-tuned": lambda: recommender.fine_tuned(original, data, 0),
        "reverse BPR": lambda: recommender.reverse_bpr(original, data, 0),
        "reverse BPR without end": lambda: recommender.reverse_bpr(original, data, 0, 20, keep=False),
    }[name]()
    unlearned = case.models["unlearned"] if model is None else recommender.scores(model, data)
    found = audit.run(**case.given(unlearned=unlearned))
    assert found.result.claim.kind == "subject"  # users are counted, not interactions
    assert (found.verdict == "FAIL") == (name != "honest")
    assert found.result.utility.ok == (name != "reverse BPR without end")
    assert found.result.utility.figure == "reciprocal rank"
