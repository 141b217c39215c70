"""open-unlearning: every metric that is read, from which field and which way round, and what is not read is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.imports.conftest import SIZES, dump, indexed, losses, saved

#: file, metric, field of a row, signal, its direction, and by what the field is multiplied to give it
FIELDS = [
    ("TOFU_EVAL.json", "mia_loss", "score", "nll", "lower", 1),
    ("TOFU_EVAL.json", "mia_zlib", "score", "zlib_nll", "lower", 1),
    ("TOFU_EVAL.json", "mia_min_k", "score", "min_k", "higher", -1),
    ("TOFU_EVAL.json", "mia_min_k_plus_plus", "score", "min_k_pp", "higher", -1),
    ("TOFU_EVAL.json", "mia_reference", "score", "reference_nll", "lower", 1),
    ("TOFU_EVAL.json", "SET_Q_A_Prob", "avg_loss", "nll", "lower", 1),
    ("TOFU_EVAL.json", "SET_Q_A_ROUGE", "rougeL_recall", "rouge_l", "higher", 1),
    ("MUSE_EVAL.json", "SET_knowmem_ROUGE", "rougeL_recall", "rouge_l", "higher", 1),
    ("MUSE_EVAL.json", "mia_min_k", "score", "min_k", "higher", -1),
]


def document(model: str, metric: str, field: str, index: str) -> dict[str, Any]:
    """A log with one metric. Values of rows are in [0, 1), as a ROUGE has them."""
    found: dict[str, Any] = {"privleak": {"agg_value": -3.0}, "forget_quality": {"agg_value": None}}
    sections = {}
    for role in SIZES:
        values = np.tanh(losses(model, role)) * 0.9
        rows = indexed([float(v) for v in values], field)
        for key, row in rows["value_by_index"].items():
            texts = {"input": f"Q{key}", "ground_truth": "A", "generation": "B"}
            row.update(texts if field == "rougeL_recall" else {})
        sections[role] = {"agg_value": rows["agg_value"], index: rows["value_by_index"]}
    if "SET" in metric:
        return found | {metric.replace("SET", role): section for role, section in sections.items()}
    return found | {metric: {**sections, "auc": 0.5, "agg_value": 0.5}}


@pytest.mark.parametrize("index", ["value_by_index", "values_by_index"])
@pytest.mark.parametrize(("file", "metric", "field", "signal", "way", "factor"), FIELDS)
def test_every_metric_is_read_from_its_field_the_right_way_round(
    tmp_path: Path, imported: Any, index: str, file: str, metric: str, field: str, signal: str, way: str, factor: int
) -> None:
    """The folder is named, not the file."""
    sources = {}
    for model in ("original", "unlearned"):
        sources[model] = dump(tmp_path / model / file, document(model, metric, field, index)).parent
    folder, found, said = imported("open-unlearning", sources)
    assert found.signals == {signal: way}
    assert said == []
    for model in sources:
        for role in SIZES:
            expected = factor * np.tanh(losses(model, role)) * 0.9
            np.testing.assert_allclose(saved(folder, model)[f"{role}.{signal}"], expected)
    origin = found.origin[f"forget.{signal}"]
    assert origin.startswith(f"{metric.replace('SET', 'forget')}{'' if 'SET' in metric else '.forget'}.{field}")
    assert ("turned" in origin) == (factor < 0)
    assert ("reference_nll" in (folder / "audit.toml").read_text()) == (signal == "reference_nll")


def test_metrics_of_rows_that_are_not_read_are_named(tmp_path: Path, imported: Any) -> None:
    content = document("unlearned", "mia_loss", "score", "value_by_index")
    rouge = {"0": {"rougeL_f1": 0.3, "input": "a secret"}}
    content |= {
        "extraction_strength": indexed([0.1, 0.2]),
        "forget_verbmem_ROUGE": {"agg_value": 0.3, "value_by_index": rouge},
        "ra_Q_A_Prob": indexed([0.1], "avg_loss"),
        "mia_gradnorm": {"forget": indexed([0.1]), "holdout": indexed([0.2]), "auc": 0.5, "agg_value": 0.5},
        "model_utility": {"agg_value": 0.6},
    }
    _, _, said = imported("open-unlearning", {"unlearned": dump(tmp_path / "TOFU_EVAL.json", content)})
    assert said == [
        "metrics with a value for each row that are not read: extraction_strength, forget_verbmem_ROUGE, "
        "mia_gradnorm, ra_Q_A_Prob"
    ]
