"""Rows of tokens: what is read of them, what is refused, and how many go through a network at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import token_case
from torch import nn

from attacks.recovery.clones import Clones
from attacks.scorers import tokens as scorers
from attacks.tasks import task_named
from audit.collect import partial
from audit.collect.idle_parts import idle_parts
from audit.imports.causal import log_probabilities
from audit.inputs import token_rows, tokens
from audit.inputs.data import Arrays
from audit.inputs.models import set_task
from audit.inputs.network import PrivateNetwork
from audit.inputs.probing import probe_models
from audit.inputs.targets import TorchTarget

ROWS = token_case.rows()


def arrays(role: str, **changes: Any) -> Arrays:
    x = {key[2:]: values for key, values in ROWS[role].items()} | changes
    return Arrays(x, np.zeros(len(next(iter(x.values()))), np.int64))


def target_of(network: nn.Module) -> TorchTarget:
    target = TorchTarget(network.eval(), "cpu", None)
    set_task(target, "causal-lm")
    return target


@pytest.fixture(scope="module")
def original() -> nn.Module:
    return token_case.train([ROWS["forget"], ROWS["retain"]], 1)


def test_rows_are_read_as_the_importer_reads_texts(original: nn.Module) -> None:
    data, network = arrays("forget"), original
    x: Any = data.x
    lengths = x["attention_mask"].sum(axis=1)
    ragged = [row[:n].tolist() for row, n in zip(x["input_ids"], lengths, strict=True)]
    asked = log_probabilities(network, ragged, [2] * len(ragged), token_case.WORDS)
    expected = [
        [
            -scorers.nll(row.logprobs),
            scorers.min_k(scorers.standardised(row.logprobs, row.mean, row.variance)),
            scorers.min_k(row.logprobs),
        ]
        for row in asked
    ]
    for batch in (3, 256):
        found, features = target_of(network).outputs("forget", data, batch)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert features is None


def test_tokens_alone_are_judged_from_the_second_on(original: nn.Module) -> None:
    ids = np.random.default_rng(0).integers(1, token_case.WORDS, (7, 8))
    alone = Arrays(ids, np.zeros(7, np.int64))
    named = Arrays({"input_ids": ids, "attention_mask": np.ones_like(ids)}, np.zeros(7, np.int64))
    one, other = (target_of(original).outputs("forget", data, 4)[0] for data in (alone, named))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_long_rows_go_through_few_at_once_and_nothing_of_their_size_is_kept(
    original: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, data = target_of(original), arrays("forget")
    whole = target.outputs("forget", data, 256)[0]
    seen: list[int] = []
    monkeypatch.setattr(tokens, "BUDGET", tokens.COPIES * 4 * token_case.WORDS * token_case.LENGTH * 3)
    with original.register_forward_pre_hook(lambda _m, _a, x: seen.append(len(x["input_ids"])), with_kwargs=True):
        np.testing.assert_allclose(target.outputs("forget", data, 256)[0], whole, atol=1e-5)
    assert max(seen) == 3
    assert sum(seen) == token_case.ROWS
    assert whole.shape == (token_case.ROWS, 3)


def test_rows_at_once_hang_on_the_data_and_the_network_alone(
    original: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has read nothing before; the main process has probed, and read wider rows."""
    monkeypatch.setattr(tokens, "BUDGET", tokens.COPIES * 4 * token_case.WORDS * token_case.LENGTH * 3)
    data, fresh, used = arrays("forget"), target_of(original), target_of(original)
    wide: Any = {key: np.pad(part, ((0, 0), (0, 20))) for key, part in data.x.items()}  # type: ignore[union-attr]
    used.outputs(
        "test", Arrays(wide | {"labels": np.where(wide["attention_mask"] == 1, wide["input_ids"], -100)}, data.y), 9
    )
    x = {key: torch.tensor(part) for key, part in data.x.items()}  # type: ignore[union-attr]
    for target in (fresh, used):
        rows: Any = PrivateNetwork(target).rows
        assert rows(x) == target.at_once(data) == 3
    seen: list[int] = []
    with original.register_forward_pre_hook(lambda _m, _a, x: seen.append(len(x["input_ids"])), with_kwargs=True):
        fresh.call(data.batch(np.arange(8)))
        partial.outputs(fresh, {}, data)
    assert max(seen) == 3


def test_training_lowers_the_loss_of_the_judged_tokens_in_parts_as_at_once(
    original: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, target = task_named("causal-lm"), target_of(original)
    x = {key[2:]: torch.tensor(v)[None].repeat_interleave(2, 0) for key, v in ROWS["holdout"].items()}
    truth = np.zeros((2, token_case.ROWS), np.int64)
    before = target.outputs("holdout", arrays("holdout"), 256)[0][:, 0].mean()
    found = []
    for budget in (tokens.BUDGET, tokens.COPIES * 4 * token_case.WORDS * token_case.LENGTH * 3):
        monkeypatch.setattr(tokens, "BUDGET", budget)
        clones = Clones(PrivateNetwork(target), 2, 0.02, task)
        for _ in range(3):
            clones.step(x, truth)
        after = clones.logits(lambda part: {key: v[0][part] for key, v in x.items()}, token_case.ROWS)
        assert after.shape == (2, token_case.ROWS, 1)
        found.append(after)
        assert clones.trained == 1.0
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    assert found[0].mean() > before + 0.1


IDS, MASK = ROWS["forget"]["x.input_ids"], ROWS["forget"]["x.attention_mask"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_mask": MASK[:, ::-1]}, "ones with zeros behind it (pad to the right) in"),
        ({"labels": IDS + 1}, "the token itself, or -100 where it is not judged, in 40 rows"),
        ({"labels": np.full_like(IDS, -100)}, "no token behind the first is judged in 40 rows"),
        ({"input_ids": IDS - 30}, "numbered from 0"),
        ({"input_ids": IDS.astype(float)}, "must be integers of one shape (n, t)"),
        ({"attention_mask": MASK[:, :5]}, "must be integers of one shape (n, t)"),
        ({"position_ids": IDS}, "rename position_ids"),
    ],
)
def test_what_is_no_row_of_tokens_is_refused(changes: dict[str, Any], message: str) -> None:
    (problem,) = token_rows.token_problems({"forget": arrays("forget", **changes), "retain": arrays("retain")})
    assert problem.startswith("the forget set: ")
    assert message in problem


def test_padding_without_a_mask_is_refused() -> None:
    for ids, mask in ((IDS, MASK), (IDS[:, ::-1], MASK[:, ::-1])):
        padded = Arrays(ids, np.zeros(len(ids), np.int64))
        (problem,) = token_rows.token_problems({"forget": padded})
        assert "begin or end in 3 or more of one token, which looks like padding" in problem
        assert "save x.input_ids with x.attention_mask" in problem
        (problem,) = token_rows.token_problems({"forget": Arrays({"input_ids": ids}, padded.y)})
        assert "looks like padding" in problem
        if mask[0, 0]:
            named = Arrays({"input_ids": ids, "attention_mask": mask}, padded.y)
            assert token_rows.token_problems({"forget": named, "test": named}) == []
    full = np.random.default_rng(0).integers(1, token_case.WORDS, IDS.shape)
    assert token_rows.token_problem(full) == token_rows.token_problem(full[:, :2]) == ""


@pytest.mark.parametrize("other", ["holdout", "test"])
def test_forget_and_holdout_rows_are_judged_by_the_same_part(other: str) -> None:
    last = np.where(np.arange(token_case.LENGTH) == MASK.sum(axis=1, keepdims=True) - 1, IDS, -100)
    sets = {"forget": arrays("forget", labels=last), "retain": arrays("retain"), other: arrays("holdout")}
    (problem,) = token_rows.token_problems(sets)
    assert f"of the tokens of forget rows are judged and 86% of those of {other} rows" in problem
    assert "judge the same part of every row" in problem
    assert token_rows.token_problems(sets | {"forget": arrays("forget")}) == []
    assert token_rows.judged_words(arrays("forget", labels=last)) == "1 on average, 1 at least"


def test_parts_that_no_row_needs_are_looked_for_with_rows_of_tokens(original: nn.Module) -> None:
    sets = {role: arrays(role) for role in ROWS}
    assert idle_parts(target_of(original), target_of(original), sets).names == ()
    idle = token_case.Reader()
    idle.load_state_dict(original.state_dict())
    idle.spare = nn.Linear(4, 4)  # type: ignore[assignment]  # no row reaches it
    assert idle_parts(target_of(idle), target_of(original), sets).names == ("spare",)


class Ahead(token_case.Reader):
    """Sees the next word as well, by a little."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        later = self.words(input_ids).roll(-1, 1)[..., :1]
        return super().forward(input_ids, attention_mask) + 0.01 * later


@pytest.mark.parametrize("named", [True, False])
def test_networks_that_look_ahead_are_refused(original: nn.Module, named: bool) -> None:
    lengths = np.full((8, token_case.LENGTH), 3)  # one word in all places
    rows = arrays("forget").take(np.arange(8)) if named else Arrays(lengths, np.zeros(8, np.int64))
    network = Ahead()
    network.load_state_dict(original.state_dict())
    for model, refused in ((original, False), (network, True)):
        problems: list[str] = []
        probe_models({"unlearned": target_of(model)}, {"forget": rows}, problems)
        assert [text for text in problems if "depend on later tokens" in text] == problems
        assert len(problems) == refused


def test_sets_of_other_widths_are_padded_with_what_is_not_judged() -> None:
    from audit.inputs.alike import alike_width
    from audit.inputs.columns import padded
    from audit.inputs.gathered import Gathered
    from audit.inputs.raw import Raw

    def raw(width: int) -> Raw:
        ids = np.ones((2, width), np.uint16)
        return Raw({"x.input_ids": ids, "x.attention_mask": ids, "x.labels": ids})

    raws = alike_width({"forget": ("f", raw(2)), "retain": ("r", raw(4))}, Gathered())
    assert raws["forget"][1].arrays["x.labels"].tolist() == [[1, 1, -100, -100]] * 2
    assert raws["forget"][1].arrays["x.attention_mask"].tolist() == [[1, 1, 0, 0]] * 2
    assert padded([np.array([3]), np.array([4, 5])], "it").tolist() == [[3, 0], [4, 5]]
