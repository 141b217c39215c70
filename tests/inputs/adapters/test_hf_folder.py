"""Hugging Face folders, saved by the library itself: with ``make test-slow``, where transformers is installed."""

from __future__ import annotations

import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audit.inputs.data import Arrays
from audit.inputs.inspect_model import inspect_model
from audit.inputs.models import load_model
from audit.inputs.probing import probe_models
from audit.inputs.targets import TorchTarget
from audit.record.digest import sha256_path
from tests.inputs.adapters.asking import Payload, said

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def bert(seed: int = 0, labels: int = 3, **more: Any) -> Any:
    torch.manual_seed(seed)
    config = transformers.BertConfig(vocab_size=60, max_position_embeddings=24, num_labels=labels, **SMALL, **more)
    return transformers.BertForSequenceClassification(config).eval()


def tokens(rows: int = 12, seed: int = 0) -> Arrays:
    """Token ids with padding, and their masks."""
    rng = np.random.default_rng(seed)
    ids, lengths = rng.integers(3, 60, size=(rows, 10)), rng.integers(4, 11, size=rows)
    mask = (np.arange(10) < lengths[:, None]).astype(np.int64)
    return Arrays({"input_ids": ids * mask, "attention_mask": mask}, rng.integers(0, 3, rows))


def target_of(path: Path) -> tuple[TorchTarget, str]:
    target, digest = load_model(path, arch=None, device="cpu", head=None, trust_pickle=False)
    assert isinstance(target, TorchTarget)
    return target, digest


def test_a_text_classifier_with_padding_and_masks(tmp_path: Path) -> None:
    model, rows = bert(), tokens()
    model.save_pretrained(tmp_path / "m")
    target, digest = target_of(tmp_path / "m")
    assert digest == sha256_path(tmp_path / "m")
    problems: list[str] = []
    assert probe_models({"m": target}, {"forget": rows}, problems) == 3
    assert (problems, target.headless) == ([], "")
    logits, features = target.outputs("forget", rows, 5)
    inputs = {name: torch.from_numpy(array) for name, array in rows.batch(np.arange(len(rows))).items()}  # type: ignore[union-attr]
    with torch.no_grad():
        expected = model(**inputs).logits.numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    weight, bias = target.head()
    assert features is not None
    np.testing.assert_allclose(features @ weight.T + bias, logits, atol=1e-5)
    seen = inspect_model(tmp_path / "m")
    assert (seen.kind, seen.access, seen.problems) == ("Hugging Face folder (safetensors)", "weights", ())


def test_an_image_classifier_in_shards(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = transformers.ViTForImageClassification(
        transformers.ViTConfig(image_size=8, patch_size=4, num_channels=1, num_labels=2, **SMALL)
    ).eval()
    model.save_pretrained(tmp_path / "m", max_shard_size="10KB")
    assert (tmp_path / "m" / "model.safetensors.index.json").is_file()
    rows = Arrays(np.random.default_rng(0).normal(size=(6, 1, 8, 8)).astype(np.float32), np.zeros(6, dtype=int))
    with torch.no_grad():
        expected = model(torch.from_numpy(rows.x)).logits.numpy()
    np.testing.assert_allclose(target_of(tmp_path / "m")[0].forward(torch.from_numpy(rows.x)), expected, atol=1e-5)
    index = tmp_path / "m" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    assert "names files outside the folder (../secret.safetensors)" in said(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"auto_map": {"AutoModel": "evil.Model"}}, "asks for code, files or a network from elsewhere (auto_map)"),
        ({"quantization_config": {"bits": 4}}, "from elsewhere (quantization_config)"),
        ({"num_hidden_layers": 10**9}, "describes more than its files hold (num_hidden_layers = 1000000000)"),
        ({"vocab_size": 10**12}, "it describes a network of"),
        ({"vocab_size": 61}, "holds other weights than its config.json describes: mismatched keys"),
        ({"architectures": ["BertForMaskedLM"]}, "holds a BertForMaskedLM: classifiers of text and of images are"),
        ({"problem_type": "regression"}, "it predicts no single class of two or more"),
        ({"model_type": "gone"}, "cannot be used"),
    ],
)
def test_configurations_that_are_not_used(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    bert().save_pretrained(tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert expected in said(tmp_path / "m")


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    bert().save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(tmp_path / "mark")))
    assert "has no model.safetensors: save it with model.save_pretrained (safetensors)" in said(tmp_path / "m")
    assert not (tmp_path / "mark").exists()


# --- a whole audit


def trained(rows: Arrays, seed: int, epochs: int = 60) -> Any:
    """A tiny classifier trained by heart on rows of random tokens."""
    model = bert(seed, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train()
    inputs = {name: torch.from_numpy(array) for name, array in rows.x.items()}  # type: ignore[union-attr]
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        loss = model(**inputs, labels=torch.from_numpy(rows.y)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def classified(rows: int, seed: int) -> Arrays:
    """Tokens whose first says the class, for two thirds of the rows; the labels of the others are random."""
    data = tokens(rows, seed)
    rng = np.random.default_rng(seed + 1000)
    first = data.x["input_ids"][:, 0] % 3  # type: ignore[index, call-overload]
    return Arrays(data.x, np.where(rng.random(rows) < 0.35, rng.integers(0, 3, rows), first))


def both(a: Arrays, b: Arrays) -> Arrays:
    return Arrays({n: np.concatenate([a.x[n], b.x[n]]) for n in a.x}, np.concatenate([a.y, b.y]))  # type: ignore[union-attr, index]


def test_a_whole_audit_of_a_text_classifier(tmp_path: Path) -> None:
    import audit

    sets = {role: classified(n, i) for i, (role, n) in enumerate(
        (("forget", 60), ("holdout", 120), ("retain", 120), ("test", 240)))}  # fmt: skip
    for role, rows in sets.items():
        np.savez(tmp_path / f"{role}.npz", **rows.arrays())
    everything = both(sets["retain"], sets["forget"])
    for name, rows, seed in (
        ("original", everything, 1),
        ("unlearned", sets["retain"], 2),
        ("retrained-0", sets["retain"], 3),
        ("retrained-1", sets["retain"], 4),
        ("leaking", everything, 5),
    ):
        trained(rows, seed).save_pretrained(tmp_path / name)
    options: dict[str, Any] = {"split": "attested", "out": tmp_path / "runs", "attacks": "membership,quantile"}
    honest = audit.run(forget=tmp_path / "forget.npz", **options)
    assert honest.result.claim.access == "features"
    assert honest.verdict != "FAIL"
    leaking = audit.run(forget=tmp_path / "forget.npz", unlearned=tmp_path / "leaking", **options)
    assert leaking.verdict == "FAIL"


def llama(seed: int = 0, *, tied: bool = False) -> Any:
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(vocab_size=60, max_position_embeddings=24, tie_word_embeddings=tied, **SMALL)
    return transformers.LlamaForCausalLM(config).eval()


def gpt2(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = transformers.GPT2Config(vocab_size=60, n_positions=24, n_embd=16, n_layer=2, n_head=2)
    return transformers.GPT2LMHeadModel(config).eval()


@pytest.mark.parametrize("make", [llama, partial(llama, tied=True), gpt2], ids=["llama", "tied", "gpt2"])
def test_a_causal_language_model_is_read_and_trained_on(make: Any, tmp_path: Path) -> None:
    """As the library's own loss has it; tied weights are trained together."""
    from attacks.recovery.clones import Clones
    from attacks.tasks import task_named
    from audit.inputs.models import set_task
    from audit.inputs.network import PrivateNetwork

    model = make()
    model.save_pretrained(tmp_path / "m")
    target, digest = load_model(
        tmp_path / "m", arch=None, device="cpu", head=None, trust_pickle=False, task="causal-lm"
    )
    assert isinstance(target, TorchTarget)
    set_task(target, "causal-lm")
    assert digest == sha256_path(tmp_path / "m")
    rows = tokens()
    problems: list[str] = []
    assert probe_models({"m": target}, {"forget": rows}, problems) == 3
    assert problems == []
    columns, _ = target.outputs("forget", rows, 5)
    parts: Any = rows.batch(np.arange(len(rows)))
    for i in range(len(rows)):
        own = {name: torch.from_numpy(array[i : i + 1]) for name, array in parts.items()}
        labels = own["input_ids"].masked_fill(own["attention_mask"] == 0, -100)
        with torch.no_grad():
            loss = float(model(**own, labels=labels).loss)
        assert columns[i, 0] == pytest.approx(-loss, abs=1e-4)
    clones = Clones(PrivateNetwork(target), 2, 0.02, task_named("causal-lm"))
    taught = {name: torch.from_numpy(array)[None].repeat_interleave(2, 0) for name, array in parts.items()}
    for _ in range(3):
        clones.step(taught, np.zeros((2, len(rows)), np.int64))
    after = clones.logits(lambda part: {name: torch.from_numpy(a[part]) for name, a in parts.items()}, len(rows))
    assert clones.trained is not None
    assert clones.trained > 0.99  # all but the frequencies of the positions
    assert after.mean() > columns[:, 0].mean() + 0.02


def test_a_language_model_is_told_apart_from_a_classifier(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "m")
    bert().save_pretrained(tmp_path / "b")
    with pytest.raises(ValueError, match=r"LlamaForCausalLM: classifiers .* language models with --task causal-lm"):
        target_of(tmp_path / "m")
    with pytest.raises(ValueError, match="holds a BertForSequenceClassification: causal language models are audited"):
        load_model(tmp_path / "b", arch=None, device="cpu", head=None, trust_pickle=False, task="causal-lm")


@pytest.mark.parametrize("decoder", [False, True])
def test_a_language_model_that_looks_ahead_is_refused(tmp_path: Path, *, decoder: bool) -> None:
    from audit.inputs.models import set_task

    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=60, max_position_embeddings=24, is_decoder=decoder, **SMALL)
    transformers.BertLMHeadModel(config).save_pretrained(tmp_path / "m")
    target, _ = load_model(tmp_path / "m", arch=None, device="cpu", head=None, trust_pickle=False, task="causal-lm")
    set_task(target, "causal-lm")
    problems: list[str] = []
    probe_models({"m": target}, {"forget": tokens()}, problems)
    assert ["depend on later tokens" in text for text in problems] == ([] if decoder else [True])
