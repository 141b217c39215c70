"""Models of other libraries, made by the library itself: what is asked of each, and what is refused."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.small_models import blobs, booster, onnx_linear, skops_file
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from audit.inputs.called import ABSENT, CalledTarget
from audit.inputs.data import Arrays
from audit.inputs.given import Build
from audit.inputs.models import load_model
from audit.inputs.probing import probe_models
from audit.inputs.reading import read_models
from audit.inputs.votes import as_logits, saturated

HERE = __name__
X, Y = blobs(200)
X2, Y2 = blobs(200, classes=2)
ROWS = Arrays(X, Y)


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.mark, "ran"))


def loaded(path: Path, **build: Any) -> CalledTarget:
    target, digest = load_model(path, arch=None, device="cpu", head=None, trust_pickle=False, **build)
    assert isinstance(target, CalledTarget)
    assert target.digest() == digest
    return target


def logits(path: Path, data: Arrays = ROWS, **build: Any) -> np.ndarray:
    target = loaded(path, **build)
    target.learn_step(data, 64)
    found = target.outputs("forget", data, 64)[0]
    np.testing.assert_allclose(target.outputs("forget", data, 7)[0], found, rtol=1e-5, atol=1e-5)
    return found


def said(path: Path, **build: Any) -> str:
    """The one line in the list of problems."""
    problems: list[str] = []
    models, _ = read_models({"unlearned": path}, Build(**build), problems)
    if not problems:
        probe_models(models, {"forget": ROWS, "test": ROWS}, problems)
    (line,) = problems
    assert "\n" not in line
    return line


def test_no_library_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, audit.inputs.models, audit.inputs.case, audit.commands.app\n"
        "names = ('skops', 'lightgbm', 'onnx', 'onnxruntime', 'transformers', 'xgboost')\n"
        "print([name for name in names if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("m.skops", "skops", "sklearn"), ("m.txt", "lightgbm", "lightgbm"), ("m.onnx", "onnx", "onnx")],
)
def test_a_missing_library_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    (tmp_path / name).write_bytes(b"tree\n")
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.io", None)
    assert f"needs {package}, which is not installed: pip install 'unlearn-audit[{extra}]'" in said(tmp_path / name)


# --- scikit-learn


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
        (LinearRegression().fit(X, Y), "holds a LinearRegression, no fitted classifier"),
        (StandardScaler().fit(X), "holds a StandardScaler, no fitted classifier"),
        (LogisticRegression().fit(X, np.array(list("abc"))[Y]), "numbers its classes a, b, c: train it on"),
        (LogisticRegression().fit(X, Y * 10**6), "has a class of number 2000000: number the classes from 0"),
        (SVC(decision_function_shape="ovo").fit(X, Y), "decides between pairs of classes"),
    ],
    ids=["regression", "no model", "names", "numbers", "pairs"],
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


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


# --- xgboost


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


@pytest.mark.parametrize("content", [b"{}", b"{" * 3000, b'{"learner": 1}', b"{L\x07" + b"\xff" * 40, b"binf"])
def test_what_is_no_xgboost_model(tmp_path: Path, content: bytes) -> None:
    for name in ("m.json", "m.ubj"):
        (tmp_path / name).write_bytes(content)
        assert "is no readable xgboost model" in said(tmp_path / name)


# --- LightGBM


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


# --- ONNX

WEIGHT, BIAS = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32), np.float32([0.1, -0.2, 0.3])


def test_an_onnx_model_is_asked(tmp_path: Path) -> None:
    expected = X @ WEIGHT.T + BIAS
    np.testing.assert_allclose(logits(onnx_linear(tmp_path / "m.onnx", WEIGHT, BIAS)), expected, atol=1e-5)
    fixed = onnx_linear(tmp_path / "f.onnx", WEIGHT, BIAS, batch=16)
    np.testing.assert_allclose(logits(fixed), expected, atol=1e-5)
    several = onnx_linear(tmp_path / "s.onnx", WEIGHT, BIAS, hidden=True)
    assert loaded(several).steps == ("its output logits is taken",)
    for output in ("logits", "0"):
        np.testing.assert_allclose(logits(several, output=output), expected, atol=1e-5)
    assert "has no output of floats gone: choose one of logits, hidden" in said(several, output="gone")


def test_an_onnx_model_that_says_probabilities(tmp_path: Path) -> None:
    path = onnx_linear(tmp_path / "m.onnx", WEIGHT, BIAS, softmax=True)
    line = said(path)
    assert "its outputs are probabilities (rows between 0 and 1 that sum to 1)" in line
    assert "say so with --probabilities" in line
    z = logits(path, probabilities=True)
    expected = X @ WEIGHT.T + BIAS
    np.testing.assert_allclose(z - z.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True), atol=1e-2)


def test_onnx_files_outside_are_not_read(tmp_path: Path) -> None:
    import onnx

    path = onnx_linear(tmp_path / "m.onnx", WEIGHT, BIAS)
    model = onnx.load_model(str(path))
    onnx.save_model(model, str(tmp_path / "e.onnx"), save_as_external_data=True, location="secret", size_threshold=0)
    assert "keeps its weights in other files (secret), which are not read" in said(tmp_path / "e.onnx")


def test_what_is_no_onnx_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07nothing")
    assert "m.onnx" in said(tmp_path / "m.onnx")
    path = onnx_linear(tmp_path / "l.onnx", WEIGHT, BIAS)
    import onnx

    model = onnx.load_model(str(path))
    model.graph.initializer[0].dims[0] = 10**12
    onnx.save_model(model, str(path))
    assert "cannot be run by onnxruntime" in said(path)


def test_inputs_by_other_names(tmp_path: Path) -> None:
    target = loaded(onnx_linear(tmp_path / "m.onnx", WEIGHT, BIAS))
    with pytest.raises(RuntimeError, match="it takes x, the data give a, b: name them alike"):
        target.raw(Arrays({"a": X, "b": X}, Y), 8)


# --- a function of the user's


def ask(path: Path, inputs: Any) -> Any:
    """Reads the file by itself."""
    with np.load(path) as stored:
        return inputs @ stored["w"].T


def ask_labels(_path: Path, inputs: Any) -> Any:
    return np.zeros(len(inputs), dtype=int)


def ask_short(_path: Path, inputs: Any) -> Any:
    return np.zeros((1, 3))


def ask_other(_path: Path, inputs: Any) -> Any:
    return np.random.default_rng().normal(size=(len(inputs), 3))


def ask_batch(_path: Path, inputs: Any) -> Any:
    return (inputs - inputs.mean(0)) @ WEIGHT.T


def ask_tensor(_path: Path, inputs: Any) -> Any:
    import torch

    return torch.from_numpy(inputs @ WEIGHT.T)


def test_a_function_asks_any_other_model(tmp_path: Path) -> None:
    (tmp_path / "m.own").write_bytes(b"")
    with (tmp_path / "m.own").open("wb") as stream:
        np.savez(stream, w=WEIGHT)
    np.testing.assert_allclose(logits(tmp_path / "m.own", predict=f"{HERE}:ask"), X @ WEIGHT.T, atol=1e-5)
    np.testing.assert_allclose(logits(tmp_path / "m.own", predict=f"{HERE}:ask_tensor"), X @ WEIGHT.T, atol=1e-5)
    target = loaded(tmp_path / "m.own", predict=f"{HERE}:ask")
    before = target.digest()
    (tmp_path / "m.own").write_bytes(b"changed")
    assert target.digest() != before


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("ask_labels", "its output is int64: give logits or probabilities as floats"),
        ("ask_short", "its output has shape (1, 3) for 8 rows: give (rows, classes)"),
        ("ask_other", "its output is not deterministic"),
        ("ask_batch", "depends on the other rows of the batch"),
        ("gone", "has no function 'gone'"),
        ("ask", "the model rejects inputs"),
    ],
)
def test_a_function_that_does_not_do(tmp_path: Path, function: str, expected: str) -> None:
    (tmp_path / "m.own").write_bytes(b"x")
    assert expected in said(tmp_path / "m.own", predict=f"{HERE}:{function}")


# --- what is not loaded


@pytest.mark.parametrize("suffix", ["pkl", "joblib", "pt2", "keras", "foo"])
def test_what_is_not_loaded_says_what_to_give(tmp_path: Path, suffix: str) -> None:
    path, mark = tmp_path / f"m.{suffix}", tmp_path / "mark"
    path.write_bytes(pickle.dumps(Payload(mark)))
    line = said(path)
    assert "--predict" in line
    assert not mark.exists()


# --- probabilities


def test_the_confidence_of_a_class_depends_on_its_probability_alone() -> None:
    p = np.array([[0.9, 0.1, 0.0], [0.9, 0.05, 0.05], [1.0, 0.0, 0.0], [0.0, 0.3, 0.7]])
    z = as_logits(p, 0.05)
    own = z[:, 0] - np.log(np.exp(z[:, 1:]).sum(axis=1))
    assert own[0] == pytest.approx(own[1])
    assert own[2] > own[0] > own[3]
    assert own[2] == pytest.approx(np.log((1 + 0.0125) / 0.025))
    assert saturated(z, np.zeros(4, dtype=int), 0.05).tolist() == [False, False, True, True]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_saturation_is_that_of_the_type(kind: Any) -> None:
    eps = float(np.finfo(kind).epsneg)
    p = np.array([[1 - eps, eps], [1.0, 0.0], [0.5, 0.5]])
    z = as_logits(p, eps)
    assert np.isfinite(z).all()
    assert saturated(z.astype(np.float32).astype(np.float64), np.zeros(3, dtype=int), eps).tolist() == [
        False,
        True,
        False,
    ]


def test_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match="rows must lie between 0 and 1 and sum to 1"):
        as_logits(np.array([[0.4, 0.4]]), 0.1)
