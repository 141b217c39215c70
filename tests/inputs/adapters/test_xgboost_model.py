"""xgboost files: margins, and trees that lead nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.small_models import blobs, booster

from audit.inputs.data import Arrays
from tests.inputs.adapters.asking import X2, Y2, X, Y, loaded, logits, said


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize(("x", "y"), [(X, Y), (X2, Y2)], ids=["three", "two"])
def test_margins_of_a_booster(tmp_path: Path, suffix: str, x: Any, y: Any) -> None:
    import xgboost

    model = booster(x, y)
    model.save_model(tmp_path / f"m.{suffix}")
    found = logits(tmp_path / f"m.{suffix}", Arrays(x, y))
    margin = model.predict(xgboost.DMatrix(x), output_margin=True)
    np.testing.assert_allclose(found if y.max() > 1 else found[:, 1] - found[:, 0], margin, atol=1e-6)


def test_early_stopping_counts_and_regression_is_refused(tmp_path: Path) -> None:
    import xgboost

    data = xgboost.DMatrix(X2, label=Y2)
    settings = {"objective": "binary:logistic", "eta": 2.0, "max_depth": 6}
    stop: Any = {"evals": [(xgboost.DMatrix(*blobs(200, 1, 2)), "e")], "early_stopping_rounds": 3}
    model = xgboost.train(settings, data, 40, **stop, verbose_eval=False)
    model.save_model(tmp_path / "m.ubj")
    target = loaded(tmp_path / "m.ubj")
    assert f"its best round, {model.best_iteration}," in target.steps[0]
    best = model.predict(data, output_margin=True, iteration_range=(0, model.best_iteration + 1))
    np.testing.assert_allclose(target.outputs("forget", Arrays(X2, Y2), 64)[0][:, 1], best, atol=1e-6)
    booster(X2, Y2, objective="reg:squarederror").save_model(tmp_path / "r.json")
    assert "trained with the objective reg:squarederror: classifiers are audited" in said(tmp_path / "r.json")


@pytest.mark.parametrize("content", [b"", b"{}", b"{" * 3000, b'{"learner": 1}', b"{L\x07" + b"\xff" * 40, b"binf"])
def test_what_is_no_xgboost_model(tmp_path: Path, content: bytes) -> None:
    for name in ("m.json", "m.ubj"):
        (tmp_path / name).write_bytes(content)
        assert "is no readable xgboost model" in said(tmp_path / name)


def first_tree(model: dict[str, Any]) -> Any:
    return model["learner"]["gradient_booster"]["model"]["trees"][0]


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "child": lambda m: first_tree(m)["left_children"].__setitem__(0, 10**6),
    "circle": lambda m: first_tree(m)["left_children"].__setitem__(0, 0),
    "column": lambda m: first_tree(m)["split_indices"].__setitem__(0, 10**6),
    "class": lambda m: m["learner"]["gradient_booster"]["model"]["tree_info"].__setitem__(0, 10**6),
    "classes": lambda m: m["learner"]["learner_model_param"].__setitem__("num_class", "1000000000"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_trees_of_xgboost_are_never_followed(tmp_path: Path, name: str) -> None:
    booster(X, Y).save_model(tmp_path / "m.json")
    model = json.loads((tmp_path / "m.json").read_text())
    HOSTILE[name](model)
    (tmp_path / "m.json").write_text(json.dumps(model))
    assert "is no readable xgboost model" in said(tmp_path / "m.json")


@pytest.mark.parametrize(
    "more", [{"booster": "dart", "rate_drop": 0.3}, {"booster": "gblinear"}, {"tree_method": "exact"}]
)
@pytest.mark.filterwarnings("ignore")  # a linear booster has no depth
def test_boosters_of_every_kind_are_read(tmp_path: Path, more: dict[str, Any]) -> None:
    booster(X2, Y2, **{"max_depth": 3, **more}).save_model(tmp_path / "m.ubj")
    assert logits(tmp_path / "m.ubj", Arrays(X2, Y2)).shape == (200, 2)
