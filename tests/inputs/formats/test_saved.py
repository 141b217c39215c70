"""Folders of Hugging Face's ``save_to_disk``, written by `datasets` (``saved/made_by.txt``), read without it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from audit.inputs.options import DataOptions
from audit.inputs.source import read_source

SAVED = Path(__file__).parent / "saved"
PLAIN = DataOptions()


def test_sequences_with_masks() -> None:
    raw = read_source(SAVED / "text", PLAIN, "it")
    assert raw.arrays["x.input_ids"].shape == (4, 5)
    assert raw.arrays["x.attention_mask"].sum(axis=1).tolist() == [3, 5, 2, 4]
    assert ((raw.arrays["x.input_ids"] > 0) == (raw.arrays["x.attention_mask"] > 0)).all()
    assert raw.arrays["y"].tolist() == [0, 1, 1, 0]
    assert "datasets" not in sys.modules


def test_pictures_are_their_bytes() -> None:
    raw = read_source(SAVED / "pictures", PLAIN, "it")
    assert raw.pictures
    assert (raw.arrays["x"] == np.load(SAVED / "pictures.npy").transpose(0, 3, 1, 2)).all()


def test_a_folder_of_splits_names_them() -> None:
    with pytest.raises(ValueError, match=r"holds several splits \(train, test\): name the folder of one"):
        read_source(SAVED / "splits", PLAIN, "it")


WRONG = {
    "file outside": ({"_data_files": [{"filename": "../x.arrow"}]}, "files outside the folder"),
    "no files": ({}, "names no data files"),
    "indices": ({"_indices_data_files": [{"filename": "i.arrow"}]}, "call flatten_indices() before saving"),
    "lost": ({"_data_files": [{"filename": "gone.arrow"}]}, "has lost gone.arrow"),
    "list": ([], "is no object of JSON"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_state_is_one_line(tmp_path: Path, name: str) -> None:
    state, expected = WRONG[name]
    shutil.copytree(SAVED / "text", tmp_path / "text")
    (tmp_path / "text" / "state.json").write_text(json.dumps(state))
    with pytest.raises(ValueError, match="text") as refused:
        read_source(tmp_path / "text", PLAIN, "it")
    assert expected in str(refused.value)


def test_a_cut_or_changed_file_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(SAVED / "text", tmp_path / "text")
    file = tmp_path / "text" / "data-00000-of-00001.arrow"
    content = file.read_bytes()
    for cut in range(0, len(content) - 8, 61):
        file.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"is no readable data set|is empty"):
            read_source(tmp_path / "text", PLAIN, "it")


def test_changed_bytes_end_in_arrays_or_are_refused(tmp_path: Path) -> None:
    shutil.copytree(SAVED / "text", tmp_path / "text")
    file = tmp_path / "text" / "data-00000-of-00001.arrow"
    content, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        changed = bytearray(content)
        changed[rng.integers(len(content))] = rng.integers(256)
        file.write_bytes(changed)
        with contextlib.suppress(ValueError):
            assert len(read_source(tmp_path / "text", PLAIN, "it").arrays["y"]) <= 4
