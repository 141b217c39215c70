"""MUSE: rows by position; what it calls a perplexity is a mean loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.errors import InputError
from tests.imports.conftest import SIZES, dump, losses, saved


def log(model: str) -> dict[str, Any]:
    return {
        role: [
            {"text": "news", "PPL": v, "PPL/lower": 1.0, "PPL/zlib": v / 100, "Min-20%": 3 * v}
            for v in losses(model, role)
        ]
        for role in SIZES
    }


def test_three_signals_of_every_set(tmp_path: Path, imported: Any) -> None:
    sources = {m: dump(tmp_path / m / "privleak" / "log.json", log(m)) for m in ("original", "unlearned")}
    folder, found, _ = imported("muse", sources)
    assert found.signals == {"nll": "lower", "min_k": "higher", "zlib_nll": "lower"}
    values, rows = saved(folder, "unlearned"), np.array(losses("unlearned", "holdout"))
    np.testing.assert_allclose(values["holdout.nll"], rows)
    np.testing.assert_allclose(values["holdout.min_k"], -3 * rows)
    assert saved(folder, "holdout")["ids"].tolist() == [f"holdout:{i}" for i in range(120)]


def test_malformed_rows_are_refused_with_the_row(tmp_path: Path, imported: Any) -> None:
    broken = log("unlearned")
    del broken["retain"][6]["PPL/zlib"]
    path = dump(tmp_path / "log.json", broken)
    with pytest.raises(InputError, match=r"retain, row 6, PPL/zlib is 'absent'"):
        imported("muse", {"unlearned": path})
    with pytest.raises(InputError, match="no list of rows"):
        imported("muse", {"unlearned": dump(path, {"forget": {"PPL": 0.5}, "retain": [], "holdout": []})})


def test_logs_of_other_texts_are_refused_and_groups_it_has_no_field_for(tmp_path: Path, imported: Any) -> None:
    other = log("unlearned")
    other["forget"][5]["text"] = "another text"
    sources = {
        "original": dump(tmp_path / "a" / "log.json", log("original")),
        "unlearned": dump(tmp_path / "log.json", other),
    }
    with pytest.raises(InputError, match="are other documents, or asked otherwise, in other models' logs"):
        imported("muse", sources)
    with pytest.raises(InputError, match="not every layout has a field for it"):
        imported("muse", {"unlearned": sources["original"]}, group_key="author")


def test_a_null_of_any_column_drops_its_row_in_all_and_no_signal(tmp_path: Path, imported: Any) -> None:
    other = log("original")
    for row, field in enumerate(("PPL", "PPL/zlib", "Min-20%")):
        other["forget"][row][field] = None
    sources = {
        "unlearned": dump(tmp_path / "a" / "log.json", log("unlearned")),
        "original": dump(tmp_path / "log.json", other),
    }
    folder, found, _ = imported("muse", sources)
    assert list(found.signals) == ["nll", "min_k", "zlib_nll"]
    assert found.counts["forget"] == {"rows": 57, "null": 3, "missing": 0}
    assert saved(folder, "forget")["ids"][0] == "forget:3"
