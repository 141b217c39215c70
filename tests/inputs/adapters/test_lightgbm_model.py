"""LightGBM text files: raw scores, and trees that are not what the header says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.inputs.data import Arrays
from tests.inputs.adapters.asking import X2, Y2, X, Y, logits, said


def lightgbm_file(path: Path, x: Any, y: Any, **parameters: Any) -> tuple[Path, Any]:
    import lightgbm

    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5, **parameters}
    model = lightgbm.train(settings, lightgbm.Dataset(x, label=y), 10)
    model.save_model(path)
    return path, model


def test_raw_scores_of_a_lightgbm_model(tmp_path: Path) -> None:
    path, model = lightgbm_file(tmp_path / "m.txt", X, Y, objective="multiclass", num_class=3)
    np.testing.assert_allclose(logits(path), model.predict(X, raw_score=True), atol=1e-9)
    path, model = lightgbm_file(tmp_path / "two.txt", X2, Y2, sigmoid=2.0)
    found = logits(path, Arrays(X2, Y2))
    np.testing.assert_allclose(1 / (1 + np.exp(found[:, 0] - found[:, 1])), model.predict(X2), atol=1e-9)


def test_what_is_no_lightgbm_classifier(tmp_path: Path) -> None:
    path, _ = lightgbm_file(tmp_path / "r.txt", X2, Y2, objective="regression")
    assert "trained with the objective regression: classifiers are audited" in said(path)
    (tmp_path / "m.txt").write_text("some notes")
    assert "is no LightGBM text model" in said(tmp_path / "m.txt")
    (tmp_path / "cut.txt").write_bytes(path.read_bytes()[:200])
    assert "is no readable LightGBM model" in said(tmp_path / "cut.txt")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"left_child=-?\d+", "left_child=0"),
        (r"left_child=-?\d+", "left_child=99"),
        (r"split_feature=\d+", "split_feature=77"),
        (r"num_class=3", "num_class=1000000000"),
        (r"num_leaves=\d+", "num_leaves=1000000000"),
        (r"Tree=1", "Tree=7"),
    ],
)
def test_hostile_trees_of_lightgbm_are_never_read(tmp_path: Path, old: str, new: str) -> None:
    path, _ = lightgbm_file(tmp_path / "m.txt", X, Y, objective="multiclass", num_class=3)
    text = path.read_text()
    start = text.index("Tree=0")
    sizes = [int(size) for size in re.search(r"tree_sizes=(.*)", text)[1].split()]  # type: ignore[index]
    changed = re.sub(old, new, text, count=1)
    sizes[0] += len(changed) - len(text) if start < text.index(re.search(old, text)[0]) else 0  # type: ignore[index]
    path.write_text(re.sub(r"tree_sizes=.*", "tree_sizes=" + " ".join(map(str, sizes)), changed, count=1))
    assert "is no readable LightGBM model" in said(path)


def test_categories_and_odd_names_of_lightgbm(tmp_path: Path) -> None:
    import lightgbm

    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 9, 300), rng.normal(size=300)])
    y = (x[:, 0] % 3 == 1).astype(int)
    data = lightgbm.Dataset(x, label=y, categorical_feature=[0], feature_name=["größe", "b"])
    model = lightgbm.train({"objective": "binary", "verbosity": -1, "min_data_per_group": 5}, data, 5)
    model.save_model(tmp_path / "m.txt")
    assert "num_cat=1" in (tmp_path / "m.txt").read_text()
    found = logits(tmp_path / "m.txt", Arrays(x, y))
    np.testing.assert_allclose(found[:, 1], model.predict(x, raw_score=True), atol=1e-9)
