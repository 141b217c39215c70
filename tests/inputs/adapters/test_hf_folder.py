"""Hugging Face folders, saved by the library itself: with ``make test-slow``, where transformers is installed."""

from __future__ import annotations

import json
import pickle
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
from tests.inputs.adapters.test_adapters import Payload, said

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def bert(labels: int = 3, **more: Any) -> Any:
    torch.manual_seed(0)
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
        ({"vocab_size": 61}, "does not fit the factory: bert.embeddings.word_embeddings.weight is (60, 16)"),
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
