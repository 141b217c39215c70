"""Privacy Meter and LeakPro: arrays over one data set, whose rows index lists name."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.errors import InputError
from tests.imports.conftest import dump, saved

ROWS = 50
P = np.random.default_rng(0).uniform(0.01, 0.99, size=(ROWS, 3))


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, str]:
    np.save(tmp_path / "forget.npy", np.arange(5, 15))
    np.save(tmp_path / "retain.npy", np.arange(20, 40))
    return {role: str(tmp_path / f"{role}.npy") for role in ("forget", "retain")}


def test_columns_of_privacy_meter_are_models(tmp_path: Path, sets: dict[str, str], imported: Any) -> None:
    path = tmp_path / "rmia_signals.npy"
    np.save(path, P)
    np.save(tmp_path / "rmia_signals_pop.npy", P[::-1])
    folder, found, _ = imported("privacy-meter", {"original": f"{path}#0", "unlearned": f"{path}#2"}, sets=sets)
    assert found.signals == {"p_target": "higher"}
    np.testing.assert_array_equal(saved(folder, "unlearned")["forget.p_target"], P[5:15, 2])
    np.testing.assert_array_equal(saved(folder, "original")["holdout.p_target"], P[::-1, 0])
    assert saved(folder, "forget")["ids"].tolist() == [f"row{i}" for i in range(5, 15)]


def test_a_reference_that_calibrates_nothing_is_refused(tmp_path: Path, sets: dict[str, str], imported: Any) -> None:
    path = tmp_path / "s.npy"
    np.save(path, P)
    np.save(tmp_path / "s_pop.npy", P)
    with pytest.raises(InputError, match="--reference calibrates nll or nll_sum, which the logs lack"):
        imported("privacy-meter", {"unlearned": f"{path}#0"}, sets=sets, reference=f"{path}#1")


def test_malformed_signals_of_privacy_meter_are_refused(tmp_path: Path, sets: dict[str, str], imported: Any) -> None:
    path = tmp_path / "s.npy"
    np.save(path, np.where(np.arange(ROWS)[:, None] == 8, -2.5, P))
    with pytest.raises(InputError, match=r"row 8: -2.5 is no probability"):
        imported("privacy-meter", {"unlearned": f"{path}#0"}, sets=sets)
    np.save(path, P)
    with pytest.raises(InputError, match="names no column"):
        imported("privacy-meter", {"unlearned": path}, sets=sets)
    with pytest.raises(InputError, match="with a column 3 is expected"):
        imported("privacy-meter", {"unlearned": f"{path}#3"}, sets=sets)
    np.save(sets["retain"], np.arange(10, 40))
    with pytest.raises(InputError, match="5 rows stand in several sets"):
        imported("privacy-meter", {"unlearned": f"{path}#0"}, sets=sets)
    np.save(path, np.array([{"code": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"unlearned: .*s\.npy"):
        imported("privacy-meter", {"unlearned": f"{path}#0"}, sets=sets)


def test_digests_of_the_lists_that_define_the_sets_are_kept(tmp_path: Path, imported: Any) -> None:
    """Lists of one name in two folders, and a signals file of that name as well."""
    sets = {}
    for role, rows in (("forget", np.arange(5, 15)), ("retain", np.arange(20, 40)), ("holdout", np.arange(40, 50))):
        (tmp_path / role).mkdir()
        np.save(tmp_path / role / "rows.npy", rows)
        sets[role] = str(tmp_path / role / "rows.npy")
    np.save(tmp_path / "rows.npy", P)
    meter, _, _ = imported("privacy-meter", {"unlearned": f"{tmp_path}/rows.npy#0"}, sets=sets)
    kept = json.loads((meter / "import.json").read_text())["sources"]["unlearned"]
    files = {"rows.npy": tmp_path / "rows.npy", **{f"{role}/rows.npy": Path(path) for role, path in sets.items()}}
    assert kept == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert str(tmp_path) not in (meter / "import.json").read_text()
    shutil.rmtree(meter)
    source = attack(tmp_path / "rows.json", P[:, 0].tolist(), [int(i < 40) for i in range(ROWS)])
    leakpro, _, _ = imported("leakpro", {"unlearned": source}, sets=sets)
    assert set(json.loads((leakpro / "import.json").read_text())["sources"]["unlearned"]) == {
        "rows.json", *(f"{role}/rows.npy" for role in sets)
    }  # fmt: skip


def attack(path: Path, values: list[Any], labels: list[int]) -> Path:
    return dump(path, {"result_name": "rmia", "signal_values": values, "true_labels": labels, "roc_auc": 0.5})


def test_signals_of_leakpro(tmp_path: Path, sets: dict[str, str], imported: Any) -> None:
    labels = [int(i < 40) for i in range(ROWS)]
    values = [None if i == 6 else float(v) for i, v in enumerate(P[:, 0])]
    sources = {
        "unlearned": attack(tmp_path / "a.json", P[:, 1].tolist(), labels),
        "original": attack(tmp_path / "b.json", values, labels),
    }
    folder, found, _ = imported("leakpro", sources, sets=sets)
    assert found.signals == {"signal": "higher"}
    assert found.counts["forget"] == {"rows": 9, "null": 1, "missing": 0}
    assert saved(folder, "holdout")["ids"].tolist() == [f"row{i}" for i in range(40, 50)]
    assert saved(folder, "forget")["ids"].tolist() == [f"row{i}" for i in range(5, 15) if i != 6]


def test_a_set_of_nulls_is_refused_with_its_count(tmp_path: Path, sets: dict[str, str], imported: Any) -> None:
    values = [None if 5 <= i < 15 else float(v) for i, v in enumerate(P[:, 0])]
    source = attack(tmp_path / "a.json", values, [int(i < 40) for i in range(ROWS)])
    with pytest.raises(InputError, match="forget: of 10 rows 0 are missing, 10 null in some model"):
        imported("leakpro", {"unlearned": source}, sets=sets)


def test_malformed_signals_of_leakpro_are_refused(tmp_path: Path, sets: dict[str, str], imported: Any) -> None:
    labels = [int(i < 40) for i in range(ROWS)]
    good = attack(tmp_path / "a.json", P[:, 1].tolist(), labels)
    with pytest.raises(InputError, match=r"row 9, signal_values is 'x'"):
        imported("leakpro", {"unlearned": attack(tmp_path / "b.json", [*P[:9, 0], "x", *P[10:, 0]], labels)}, sets=sets)
    with pytest.raises(InputError, match=r"row 0: true_labels is 7"):
        imported("leakpro", {"unlearned": attack(tmp_path / "b.json", P[:, 0].tolist(), [7, *labels[1:]])}, sets=sets)
    others = attack(tmp_path / "b.json", P[:, 0].tolist(), [*[0] * 10, *labels[10:]])
    np.save(tmp_path / "holdout.npy", np.arange(40, 50))
    with pytest.raises(InputError, match="forget, row row5 and 4 more are other documents"):
        imported(
            "leakpro", {"original": good, "unlearned": others}, sets=sets | {"holdout": str(tmp_path / "holdout.npy")}
        )
    with pytest.raises(InputError, match="no list signal_values"):
        imported("leakpro", {"unlearned": dump(tmp_path / "b.json", {"true_labels": labels})}, sets=sets)
