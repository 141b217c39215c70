"""Token log-probabilities: definitions against plain ones, ragged files, batches of a small torch model."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attacks.scorers import tokens
from audit.errors import InputError
from audit.imports.causal import batches, log_probabilities
from tests.imports.conftest import MODELS, SIZES, losses, saved

VOCABULARY = 11


def test_signals_are_what_their_papers_define() -> None:
    logprobs = np.log([0.5, 0.1, 0.9, 0.01, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8])
    assert tokens.nll(logprobs) == pytest.approx(-np.mean(logprobs))
    assert tokens.min_k(logprobs) == pytest.approx((math.log(0.01) + math.log(0.1)) / 2)
    assert tokens.min_k(logprobs[:3]) == pytest.approx(math.log(0.1))  # one token at least
    text = "no man is an island " * 9
    assert tokens.zlib_nll(logprobs, text) == pytest.approx(tokens.nll(logprobs) / len(zlib.compress(text.encode())))
    assert tokens.truth_ratio(1.0, [2.0, 4.0]) == pytest.approx(
        math.exp(-2.0) ** 0.5 * math.exp(-4.0) ** 0.5 / math.exp(-1.0)
    )
    assert np.isfinite(tokens.truth_ratio(1e6, [0.0]))
    np.testing.assert_allclose(tokens.standardised(np.array([-2.0]), np.array([-1.0]), np.array([0.25])), [-2.0])
    assert np.isfinite(tokens.standardised(np.array([0.0]), np.array([0.0]), np.array([0.0]))).all()


@pytest.mark.parametrize(
    ("said", "text", "value"),
    [
        ("the cat sat", "The cat sat", 1.0),
        ("a b x c", "a b c d", 0.75),
        ("", "a b", 0.0),
        ("a", "", 0.0),
        ("b a", "a b", 0.5),
    ],
)
def test_rouge_l_is_the_longest_common_subsequence(said: str, text: str, value: float) -> None:
    assert tokens.rouge_l(said, text) == value


def plain_rouge(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    return 1 + plain_rouge(a[1:], b[1:]) if a[0] == b[0] else max(plain_rouge(a[1:], b), plain_rouge(a, b[1:]))


def test_rouge_l_equals_a_plain_recursion() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        a, b = ([str(v) for v in rng.integers(0, 3, size=6)] for _ in range(2))
        assert tokens.rouge_l(" ".join(a), " ".join(b)) == plain_rouge(a, b) / 6


def test_ragged_rows_in_batches_are_as_one_by_one() -> None:
    torch.manual_seed(0)
    embed, cell = torch.nn.Embedding(VOCABULARY, 8), torch.nn.GRU(8, 8, batch_first=True)
    head = torch.nn.Linear(8, VOCABULARY)
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, VOCABULARY, size=n).tolist() for n in (3, 9, 2, 9, 5)]
    begins = [1, 4, 1, 2, 1]

    def logits(asked: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        assert asked.shape == mask.shape
        return torch.as_tensor(head(cell(embed(asked))[0]))

    found = log_probabilities(logits, rows, begins, VOCABULARY)
    for row, begin, one in zip(rows, begins, found, strict=True):
        logp = torch.log_softmax(logits(torch.tensor([row]), torch.ones(1, len(row))), -1)[0].detach().double().numpy()
        own = [logp[t - 1, row[t]] for t in range(begin, len(row))]
        np.testing.assert_allclose(one.logprobs, own, atol=1e-5)
        p = np.exp(logp[begin - 1 : -1])
        mean = (p * logp[begin - 1 : -1]).sum(1)
        assert one.mean is not None
        assert one.variance is not None
        np.testing.assert_allclose(one.mean, mean, atol=1e-5)
        np.testing.assert_allclose(one.variance, (p * logp[begin - 1 : -1] ** 2).sum(1) - mean**2, atol=1e-5)


def test_batches_keep_to_the_budget_and_hold_every_row_once() -> None:
    lengths = [5, 100, 7, 100, 3, 50]
    found = list(batches(lengths, vocabulary=1000, budget=3 * 4 * 1000 * 120))
    assert sorted(i for batch in found for i in batch) == list(range(6))
    assert found[0] == [1]  # the longest alone
    assert all(len(batch) * max(lengths[i] for i in batch) <= 120 for batch in found)


def write(folder: Path, model: str, *, vocabulary: bool = True) -> Path:
    """Ragged log-probabilities: 4 to 8 tokens a row with the mean of `losses`."""
    arrays: dict[str, Any] = {}
    for role in SIZES:
        rng = np.random.default_rng([len(role), 5])
        rows = [-np.full(rng.integers(4, 9), v) for v in losses(model, role)]
        arrays[f"{role}.logprobs"] = np.concatenate(rows)
        arrays[f"{role}.offsets"] = np.cumsum([0, *map(len, rows)])
        if vocabulary:
            arrays[f"{role}.mean"] = np.full(len(arrays[f"{role}.logprobs"]), -3.0)
            arrays[f"{role}.variance"] = np.full(len(arrays[f"{role}.logprobs"]), 4.0)
    np.savez(folder / f"{model}.npz", **arrays)
    return folder / f"{model}.npz"


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, str]:
    found = {}
    for role, rows in SIZES.items():
        lines = [
            json.dumps({"id": f"{role}-{i}", "text": f"text {i} " * 4, "author": f"a{i // 6}"}) for i in range(rows)
        ]
        (tmp_path / f"{role}.jsonl").write_text("\n".join(lines))
        found[role] = str(tmp_path / f"{role}.jsonl")
    return found


def test_precomputed_log_probabilities_become_signals(tmp_path: Path, texts: dict[str, str], imported: Any) -> None:
    sources = {model: write(tmp_path, model) for model in MODELS[:3]}
    folder, found, _ = imported(
        "tokens", sources, sets=texts, group_key="author", reference=str(sources["retrained-0"])
    )
    assert found.signals == {
        "nll": "lower", "min_k_pp": "higher", "min_k": "higher", "zlib_nll": "lower", "reference_nll": "lower"
    }  # fmt: skip
    values, rows = saved(folder, "unlearned"), np.array(losses("unlearned", "forget"))
    np.testing.assert_allclose(values["forget.nll"], rows)
    np.testing.assert_allclose(values["forget.min_k_pp"], (-rows + 3.0) / 2.0)
    np.testing.assert_allclose(values["forget.reference_nll"], rows - np.array(losses("retrained-0", "forget")))
    assert saved(folder, "forget")["ids"][0] == "forget-0"
    assert len(set(saved(folder, "forget")["group"])) == 10
    origin = json.loads((folder / "import.json").read_text())
    assert "reference" in origin["sources"]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("forget.logprobs", None, "has no forget.logprobs"),
        ("forget.offsets", np.arange(5), r"forget.offsets is int64 \(5,\), from 0, for 60 rows"),
        ("forget.offsets", np.zeros(61, dtype=int), "forget, row 0 has no tokens"),
        ("retain.mean", np.zeros(3), r"retain.mean is float64 \(3,\)"),
        ("forget.mean", np.nan, "forget.mean has values that are not finite or below 0"),
        ("forget.variance", -1.0, "forget.variance has values that are not finite or below 0"),
    ],
)
def test_malformed_files_are_refused(
    tmp_path: Path, texts: dict[str, str], imported: Any, key: str, value: Any, told: str
) -> None:
    path = write(tmp_path, "unlearned")
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays[key] = np.full_like(arrays[key], value) if isinstance(value, float) else value
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=told):
        imported("tokens", {"unlearned": path}, sets=texts)


def test_what_is_no_log_probability_is_refused_with_the_row(
    tmp_path: Path, texts: dict[str, str], imported: Any
) -> None:
    path = write(tmp_path, "unlearned")
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["forget.logprobs"][0] = 2.5
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"forget, row 0, token 0: 2.5 is no log-probability"):
        imported("tokens", {"unlearned": path}, sets=texts)
    Path(texts["forget"]).write_text('{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}\n')
    with pytest.raises(InputError, match=r"line 2: id 1 is absent or stands twice"):
        imported("tokens", {"unlearned": path}, sets=texts)
    Path(texts["forget"]).write_text('{"id": 1, "text": ["a"]}\n')
    with pytest.raises(InputError, match=r"line 1: text is \['a'\], no text"):
        imported("tokens", {"unlearned": path}, sets=texts)
