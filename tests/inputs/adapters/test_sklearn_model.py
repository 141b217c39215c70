"""scikit-learn by skops: what is asked of a classifier, and what is refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.small_models import skops_file
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from audit.inputs.called import ABSENT
from audit.inputs.data import Arrays
from audit.inputs.probing import probe_models
from audit.inputs.votes import saturated
from tests.inputs.adapters.asking import ROWS, X2, Y2, Payload, X, Y, loaded, logits, packed, said


def test_a_decision_function_gives_logits(tmp_path: Path) -> None:
    model = LogisticRegression().fit(X, Y)
    found = logits(skops_file(tmp_path / "m.skops", model))
    np.testing.assert_allclose(found, model.decision_function(X), atol=1e-12)
    two = make_pipeline(StandardScaler(), LogisticRegression()).fit(X2, Y2)
    found = logits(skops_file(tmp_path / "two.skops", two), Arrays(X2, Y2))
    np.testing.assert_allclose(found[:, 1] - found[:, 0], two.decision_function(X2), atol=1e-12)


def test_votes_of_a_forest_keep_their_step(tmp_path: Path) -> None:
    model = RandomForestClassifier(20, random_state=0).fit(X, Y)
    target = loaded(skops_file(tmp_path / "m.skops", model))
    assert (target.probabilities, target.step) == (True, 1 / 20)
    assert "RandomForestClassifier gives probabilities alone in steps of 0.05" in target.steps[0]
    z = target.outputs("forget", ROWS, 64)[0]
    p = model.predict_proba(X)
    own = p[np.arange(len(Y)), Y]
    assert (saturated(z, Y, 1 / 20) == ((own > 1 - 1e-9) | (own < 1e-9))).all()
    assert 0 < saturated(z, Y, 1 / 20).sum() < len(Y)


def test_the_step_is_that_of_the_voters_or_of_the_type(tmp_path: Path) -> None:
    forest = RandomForestClassifier(4, max_depth=2).fit(X, Y)
    assert loaded(skops_file(tmp_path / "f.skops", make_pipeline(StandardScaler(), forest))).step == 1 / 4
    calibrated = CalibratedClassifierCV(LogisticRegression(), ensemble=False).fit(X, Y)
    target = loaded(skops_file(tmp_path / "c.skops", calibrated))
    target.learn_step(ROWS, 64)
    assert target.step == np.finfo(np.float64).epsneg


def test_a_class_that_the_model_never_saw_lies_below_all_others(tmp_path: Path) -> None:
    model = LogisticRegression().fit(X[Y != 2], Y[Y != 2])
    other = LogisticRegression().fit(X, Y)
    paths = [skops_file(tmp_path / f"{i}.skops", m) for i, m in enumerate((model, other))]
    models = {f"m{i}": loaded(path) for i, path in enumerate(paths)}
    problems: list[str] = []
    assert probe_models(dict(models), {"forget": ROWS, "test": ROWS}, problems) == 3
    assert problems == []
    z = models["m0"].outputs("forget", ROWS, 64)[0]
    np.testing.assert_allclose(z[:, :2].min(axis=1) - z[:, 2], ABSENT)


class Own(LogisticRegression):
    """A class that skops does not know."""


def test_types_that_skops_does_not_trust_are_refused(tmp_path: Path) -> None:
    for model in (KNeighborsClassifier(4), Own()):
        line = said(skops_file(tmp_path / "m.skops", model.fit(X, Y)))
        assert "holds types that skops does not trust" in line
        assert ("KDTree" if isinstance(model, KNeighborsClassifier) else "Own") in line
        assert "--predict" in line


@pytest.mark.parametrize("model", [DecisionTreeClassifier(), HistGradientBoostingClassifier(max_iter=2)])
def test_a_tree_that_leads_nowhere_is_refused(tmp_path: Path, model: Any) -> None:
    path = skops_file(tmp_path / "m.skops", model.fit(X2, Y2))
    loaded(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, content in members.items():
        nodes = np.load(io.BytesIO(content)) if name.endswith(".npy") else np.zeros(0)
        if nodes.dtype.names:
            for field, value in (("left_child", 10**6), ("left", 10**6), ("feature", 77), ("feature_idx", 77)):
                if field in nodes.dtype.names:
                    wrong, changed = nodes.copy(), io.BytesIO()
                    wrong[field][0] = value
                    np.save(changed, wrong)
                    other = packed(tmp_path / "w.skops", {**members, name: changed.getvalue()})
                    assert "holds a tree with nodes that it does not have" in said(other)
            return
    raise AssertionError("no nodes were found")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            LinearRegression().fit(X, Y),
            "no fitted classifier with decision_function or predict_proba; of a regressor give ",
        ),
        (StandardScaler().fit(X), "holds a StandardScaler, no fitted classifier"),
        (LogisticRegression().fit(X, Y - 1), "has the classes -1, 0, 1: train it on two or more"),
        (LogisticRegression().fit(X, Y * 10**6), "has a class of number 2000000: number the classes from 0"),
        (SVC(decision_function_shape="ovo").fit(X, Y), "decides between pairs of classes"),
    ],
    ids=["regression", "no model", "negative", "numbers", "pairs"],
)
def test_what_is_no_classifier_is_named(tmp_path: Path, model: Any, expected: str) -> None:
    assert expected in said(skops_file(tmp_path / "m.skops", model))


def test_other_columns_than_in_training(tmp_path: Path) -> None:
    line = said(skops_file(tmp_path / "m.skops", LogisticRegression().fit(X[:, :4], Y)))
    assert "the model rejects inputs of x (6,) floats" in line


def test_a_skops_file_with_a_payload_or_a_lying_shape(tmp_path: Path) -> None:
    path, mark = skops_file(tmp_path / "m.skops", LogisticRegression().fit(X, Y)), tmp_path / "mark"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["penalty"] = {
        "__module__": "os", "__class__": "system", "__loader__": "FunctionNode", "__id__": 1, "content": "system"
    }  # fmt: skip
    assert "skops" in said(packed(tmp_path / "p.skops", {**members, "schema.json": json.dumps(schema).encode()}))
    array = next(name for name in members if name.endswith(".npy"))
    lying = members[array].replace(b"(3, 6)", b"(9999999, 999999)")
    header = np.lib.format.magic(1, 0) + (118).to_bytes(2, "little")
    lying = header + b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999, 9)}".ljust(117) + b"\n"
    assert "declares" in said(packed(tmp_path / "l.skops", {**members, array: lying}))
    holed = np.lib.format.magic(1, 0) + (118).to_bytes(2, "little")
    holed += b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}".ljust(117) + b"\n" + pickle.dumps(Payload(mark))
    assert "object arrays, which are pickles" in said(packed(tmp_path / "o.skops", {**members, array: holed}))
    assert not mark.exists()
