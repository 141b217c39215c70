"""Models trained on text labels: their classes are found by name, or refused with the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.small_models import booster, skops_file
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder

import audit
from audit.errors import InputError
from audit.inputs.called import ABSENT
from audit.inputs.class_names import number_models
from tests.conftest import Cli
from tests.inputs.adapters.asking import ROWS, X2, Y2, X, Y, loaded, said

NAMES = np.array(["zebra", "ape", "mole"])  # not in sorted order
SORTED = ("ape", "mole", "zebra")


def test_columns_are_those_of_the_names(tmp_path: Path) -> None:
    for number, labels in enumerate((NAMES[Y], NAMES[Y].astype(object))):
        model = LogisticRegression().fit(X, labels)
        target = loaded(skops_file(tmp_path / f"{number}.skops", model))
        assert target.names == SORTED
        problems: list[str] = []
        (note,) = number_models({"unlearned": target}, ("mole", "zebra", "ape"), problems)
        assert note == "classes of unlearned are found by the names of the labels: mole = 0, zebra = 1, ape = 2"
        assert problems == []
        found = target.outputs("forget", ROWS, 64)[0]
        np.testing.assert_allclose(found, model.decision_function(X)[:, [1, 2, 0]], atol=1e-12)


def test_of_two_classes_and_of_votes(tmp_path: Path) -> None:
    for model in (LogisticRegression(), RandomForestClassifier(9, random_state=0)):
        model.fit(X2, np.array(["yes", "no"])[Y2])
        target = loaded(skops_file(tmp_path / "m.skops", model))
        number_models({"unlearned": target}, ("yes", "no"), [])
        z = target.outputs("forget", ROWS, 64)[0]
        assert (z.argmax(axis=1) == (model.predict(X) == "no")).all()


def test_a_class_that_the_model_never_saw_and_one_that_the_data_do_not_name(tmp_path: Path) -> None:
    known, labels = Y != 0, NAMES[Y]
    target = loaded(skops_file(tmp_path / "m.skops", LogisticRegression().fit(X[known], labels[known])))
    number_models({"retrained/0": target}, SORTED, [])
    z = target.outputs("forget", ROWS, 64)[0]
    np.testing.assert_allclose(z[:, :2].min(axis=1) - z[:, 2], ABSENT)
    whole = loaded(skops_file(tmp_path / "w.skops", LogisticRegression().fit(X, labels)))
    for names, expected in (
        (("Ape", "Mole", "Zebra"), "knows the classes ape, mole, zebra, which are no labels of the data (Ape, "),
        (("ape", "mole"), "knows the classes zebra, which are no labels of the data (ape, mole): write both alike"),
        ((), "knows its classes by name (ape, mole, zebra), the labels are numbers: save the labels as the names"),
    ):
        problems: list[str] = []
        assert number_models({"original": whole}, names, problems) == []
        assert expected in problems[0]


@pytest.mark.parametrize("labels", [Y.astype(float), Y.astype(str), Y.astype(bool)], ids=["floats", "digits", "flags"])
def test_labels_that_mean_numbers_are_numbers(tmp_path: Path, labels: Any) -> None:
    target = loaded(skops_file(tmp_path / "m.skops", LogisticRegression().fit(X, labels)))
    assert target.names == ()
    assert target.classes == tuple(range(len(np.unique(labels))))


def test_labels_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    model = LogisticRegression().fit(X, Y)
    model.classes_ = np.array([0.5, 1.5, 2.5])
    assert "has the classes 0.5, 1.5, 2.5: train it on two or more" in said(skops_file(tmp_path / "m.skops", model))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data whose labels are names, and models of scikit-learn trained on them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(480, 6)).astype(np.float32)
    y = NAMES[np.where(rng.random(480) < 0.3, rng.integers(0, 3, 480), x[:, :3].argmax(1))]
    ends = {"forget": slice(0, 60), "retain": slice(60, 160), "holdout": slice(160, 280), "test": slice(280, 480)}
    for role, rows in ends.items():
        np.savez(tmp_path / f"{role}.npz", x=x[rows], y=y[rows])
    for name, rows in (("original", slice(0, 160)), ("unlearned", ends["retain"])):
        skops_file(tmp_path / f"{name}.skops", LogisticRegression().fit(x[rows], y[rows]))
    return tmp_path


def test_an_audit_in_any_order_of_the_classes(folder: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    monkeypatch.setattr("audit.collect.exchangeability.TREES", 10)
    case: dict[str, Any] = {"forget": folder / "forget.npz", "out": folder / "runs", "attacks": "membership"}
    found = [audit.run(**case), audit.run(**case, classes=list(NAMES))]
    assert "classes of unlearned, original are found by the names" in " ".join(found[0].result.assumptions)
    one, two = ({f.id: f.estimate for f in result.findings if f.attack == "membership"} for result in found)
    assert one == pytest.approx(two, abs=1e-9)
    seen = cli("inspect", folder / "original.skops")
    assert "classes ape, mole, zebra" in seen.out
    assert "found by the names of the data's labels" in seen.out
    for role in ("forget", "retain", "holdout", "test"):
        held = dict(np.load(folder / f"{role}.npz"))
        np.savez(folder / f"{role}.npz", x=held["x"], y=np.searchsorted(SORTED, held["y"]))
    with pytest.raises(InputError, match="the labels are numbers: save the labels as the names that it was trained"):
        audit.run(**case)


def test_xgboost_counts_names_as_label_encoders_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files hold no names: the sorted order of all labels is the one of scikit-learn's LabelEncoder."""
    monkeypatch.setattr("audit.collect.exchangeability.TREES", 10)
    sets = {role: dict(np.load(folder / f"{role}.npz")) for role in ("forget", "retain")}
    encoder = LabelEncoder().fit(sets["retain"]["y"])
    x, y = (np.concatenate([sets["retain"][key], sets["forget"][key]]) for key in "xy")
    booster(x, encoder.transform(y), rounds=3).save_model(folder / "original.ubj")
    booster(sets["retain"]["x"], encoder.transform(sets["retain"]["y"]), rounds=3).save_model(folder / "unlearned.ubj")
    found = audit.run(
        forget=folder / "forget.npz",
        original=folder / "original.ubj",
        unlearned=folder / "unlearned.ubj",
        out=folder / "runs",
        attacks="membership",
    )
    assert "labels are names, numbered in sorted order: ape = 0, mole = 1" in " ".join(found.result.assumptions)
