"""A two-layer transformer built from a configuration, saved with its tokenizer, and asked for texts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from audit.errors import InputError, UsageError
from tests.imports.conftest import saved

pytestmark = pytest.mark.slow
WORDS = [f"w{i}" for i in range(60)]


def model_of(folder: Path, seed: int, texts: list[str]) -> Path:
    """A Llama of two layers, trained on texts until it knows them, with a tokenizer of words."""
    pytest.importorskip("transformers", reason="no transformers: pip install 'unlearn-audit[hf]'")
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<unk>", "<s>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", bos_token="<s>")
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=1, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    rows = torch.tensor([[1, *tokenizer(text, add_special_tokens=False)["input_ids"]] for text in texts])
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        model(input_ids=rows, labels=rows).loss.backward()
        optimiser.step()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], dict[str, str]]:
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("hf")
    rows = {
        role: [" ".join(rng.choice(WORDS, size=12)) for _ in range(n)]
        for role, n in (("forget", 12), ("retain", 12), ("holdout", 12))
    }
    sets = {}
    for role, texts in rows.items():
        lines = []
        for i, text in enumerate(texts):
            prompt, answer = text.split()[:6], text.split()[6:]
            wrong = [" ".join(reversed(answer)), " ".join([*answer[1:], answer[0]])]
            lines.append(
                json.dumps(
                    {"id": f"{role}{i}", "prompt": " ".join(prompt), "text": " ".join(answer), "perturbed": wrong}
                )
            )
        (folder / f"{role}.jsonl").write_text("\n".join(lines))
        sets[role] = str(folder / f"{role}.jsonl")
    sources = {
        "original": model_of(folder / "original", 0, rows["forget"] + rows["retain"]),
        "unlearned": model_of(folder / "unlearned", 1, rows["retain"]),
    }
    return sources, sets


def test_what_was_trained_on_is_told_by_every_signal(case: Any, imported: Any) -> None:
    sources, sets = case
    folder, found, said = imported("hf", sources, sets=sets)
    assert list(found.signals) == [
        "nll", "min_k_pp", "min_k", "zlib_nll", "truth_ratio", "extraction_rouge_l", "extraction_exact"
    ]  # fmt: skip
    original, honest = saved(folder, "original"), saved(folder, "unlearned")
    assert original["forget.extraction_exact"].mean() > 0.5
    np.testing.assert_array_equal(honest["forget.extraction_exact"], 0.0)
    assert 'extraction_exact = "higher"' in (folder / "audit.toml").read_text()
    for name, way in found.signals.items():
        if name == "extraction_exact":  # no row of an honest model: a median of 0 or 1 is looked at above
            continue
        sign = 1 if way == "higher" else -1
        known, unknown = (sign * np.median(scores[f"forget.{name}"]) for scores in (original, honest))
        assert known > unknown, name
    assert any(line.startswith("original continues") and "forget texts word for word" in line for line in said)
    assert "unlearned continues 0 of 12 forget texts word for word" in said
    again = json.loads((folder / "import.json").read_text())["sources"]
    assert len(again["original"]["original"]) == 64


def test_losses_are_those_of_transformers(case: Any, imported: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    sources, sets = case
    folder, _, _ = imported("hf", sources, sets=sets)
    model, tokenizer = (kind.from_pretrained(sources["original"]) for kind in (AutoModelForCausalLM, AutoTokenizer))
    row = json.loads(Path(sets["forget"]).read_text().splitlines()[3])
    before, own = (tokenizer(row[key], add_special_tokens=False)["input_ids"] for key in ("prompt", "text"))
    ids = torch.tensor([[*before, *own]])
    labels = torch.tensor([[-100] * len(before) + own])
    with torch.no_grad():
        loss = float(model(input_ids=ids, labels=labels).loss)
    assert saved(folder, "original")["forget.nll"][3] == pytest.approx(loss, abs=1e-4)


def test_losses_are_calibrated_by_a_reference_model(case: Any, imported: Any) -> None:
    """The model without the forget set stands in for one that saw neither."""
    sources, sets = case
    folder, found, _ = imported("hf", sources, sets=sets, reference=str(sources["unlearned"]))
    assert found.signals["reference_nll"] == "lower"
    original, reference = saved(folder, "original"), saved(folder, "unlearned")
    for role in ("forget", "retain", "holdout"):
        expected = original[f"{role}.nll"] - reference[f"{role}.nll"]
        np.testing.assert_allclose(original[f"{role}.reference_nll"], expected, atol=1e-6)
        np.testing.assert_allclose(reference[f"{role}.reference_nll"], 0.0, atol=1e-6)
    assert original["forget.reference_nll"].mean() < original["holdout.reference_nll"].mean()
    kept = json.loads((folder / "import.json").read_text())["sources"]
    assert kept["reference"] == kept["unlearned"]
    assert set(kept["original"]) == {"original", *(f"{role}/{role}.jsonl" for role in sets)}


class Counted:
    """A model that tells how many rows it was asked to continue at once."""

    def __init__(self, model: Any) -> None:
        self.config, self.device, self._model = model.config, model.device, model
        self.sizes: list[int] = []

    def generate(self, asked: Any, **more: Any) -> Any:
        self.sizes.append(len(asked))
        return self._model.generate(asked, **more)


@pytest.mark.parametrize("end", [None, 7])
def test_continuations_in_batches_are_those_of_rows_alone(
    case: Any, monkeypatch: pytest.MonkeyPatch, end: int | None
) -> None:
    """Prompts and texts of several lengths, and a token that ends a text within a batch."""
    from audit.imports import causal, hf_models
    from audit.imports.continuation import _greedy, extraction

    model, tokenizer = hf_models._load(case[0]["original"], "cpu")
    tokenizer.eos_token = None if end is None else tokenizer.convert_ids_to_tokens(end)
    model.generation_config.eos_token_id = end
    rng = np.random.default_rng(1)
    texts = [
        line["prompt"] + " " + line["text"]
        for line in map(json.loads, Path(case[1]["forget"]).read_text().splitlines())
    ]
    known = [list(tokenizer(text)["input_ids"]) for text in texts]
    rows = [(row, int(rng.integers(3, 8))) for row in known]
    rows += [(rng.integers(2, 62, size=int(rng.integers(9, 16))).tolist(), int(rng.integers(1, 7))) for _ in range(30)]
    monkeypatch.setattr(causal.batches, "__defaults__", (3 * 4 * model.config.vocab_size * 60,))  # 60 tokens
    counted = Counted(model)
    together = extraction(counted, tokenizer, rows)
    assert together == [extraction(model, tokenizer, [row])[0] for row in rows]
    assert 1 < max(counted.sizes) <= 60 // 9
    assert len(counted.sizes) < len(rows)
    assert any(exact for _, exact in together)
    alike = [row for row, _ in rows]
    alone = [_greedy(model, tokenizer, [row], 4)[0] for row in alike]
    assert _greedy(model, tokenizer, alike, 4) == alone
    ended = [len(said) < len(row) - 4 for said, row in zip(alone, alike, strict=True)]
    assert any(ended) == (end is not None)  # else another token must end texts here
    assert not all(ended)


def test_devices_that_there_are_not_are_refused_and_logs_have_none(case: Any, imported: Any) -> None:
    sources, sets = case
    with pytest.raises(InputError, match="--device nowhere cannot be used"):
        imported("hf", {"unlearned": sources["unlearned"]}, sets=sets, device="nowhere")
    with pytest.raises(UsageError, match="--device: tofu asks no model"):
        imported("tofu", {"unlearned": "log"}, device="cpu")
    folder, _, _ = imported("hf", {"unlearned": sources["unlearned"]}, sets=sets, device="auto")
    assert (folder / "audit.toml").is_file()


def test_what_cannot_be_loaded_or_is_too_long_is_refused(case: Any, imported: Any, tmp_path: Path) -> None:
    sources, sets = case
    with pytest.raises(InputError, match="is no folder"):
        imported("hf", {"unlearned": "meta-llama/Llama-2-7b"}, sets=sets)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="cannot be loaded"):
        imported("hf", {"unlearned": tmp_path / "empty"}, sets=sets)
    (tmp_path / "long.jsonl").write_text(json.dumps({"id": 1, "text": "w1 " * 80}))
    with pytest.raises(InputError, match="row '1' has 81 tokens, 2 to 64 will do"):
        imported("hf", {"unlearned": sources["unlearned"]}, sets={**sets, "forget": str(tmp_path / "long.jsonl")})


def test_an_incomplete_folder_or_one_that_bends_the_continuation_gains_nothing(
    case: Any, imported: Any, tmp_path: Path
) -> None:
    """Missing layers would be drawn at random, and banned tokens would hide what the model goes on with."""
    sources, sets = case
    bent, lacking, adapter = (Path(shutil.copytree(sources["original"], tmp_path / name)) for name in "abc")
    weights = load_file(lacking / "model.safetensors")
    weights.pop(next(name for name in weights if "c_fc" in name or "mlp" in name))
    save_file(weights, lacking / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"its weights are not those of its config\.json"):
        imported("hf", {"unlearned": lacking}, sets=sets)
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="it is an adapter to weights elsewhere"):
        imported("hf", {"unlearned": adapter}, sets=sets)
    settings = {"repetition_penalty": 9.0, "suppress_tokens": list(range(3, 20)), "transformers_version": "5"}
    (bent / "generation_config.json").write_text(json.dumps(settings))
    folder, _, said = imported("hf", {"original": sources["original"], "unlearned": bent}, sets=sets)
    one, other = saved(folder, "original"), saved(folder, "unlearned")
    np.testing.assert_array_equal(one["forget.extraction_rouge_l"], other["forget.extraction_rouge_l"])
    assert said
