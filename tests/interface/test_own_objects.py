"""Loaders, data sets, frames and functions of one's own: the same audit as of the arrays in them, or the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

import audit
from audit import demo
from audit.inputs.held import raw_of
from audit.inputs.options import DataOptions
from audit.inputs.source import read_source
from tests.conftest import arrays

PLAIN = DataOptions()
X, Y = np.arange(12, dtype=np.float32).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])
PAIRS = TensorDataset(torch.tensor(X), torch.tensor(Y))


class Dicts(Dataset[Any]):
    """Items as Hugging Face's are, of several lengths."""

    def __init__(self, mask: bool = True) -> None:
        self.mask = mask

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> dict[str, Any]:
        if i >= 3:
            raise IndexError
        row = {"input_ids": list(range(1, i + 2)), "labels": i}
        return row | ({"attention_mask": [1] * (i + 1)} if self.mask else {})


class Noisy(Dataset[Any]):
    """Its transform draws anew."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> Any:
        return torch.randn(2), 0


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(X, Y, strict=True))


def drawn(*rows: int) -> Any:
    return SubsetRandomSampler(list(rows))


SAME: dict[str, tuple[Callable[[], Any], list[int]]] = {
    "data set": (lambda: PAIRS, [0, 1, 2, 3, 4, 5]),
    "subset": (lambda: Subset(PAIRS, [4, 1]), [4, 1]),
    "loader that shuffles": (lambda: DataLoader(PAIRS, 4, shuffle=True, drop_last=True), [0, 1, 2, 3, 4, 5]),
    "loader with a sampler": (lambda: DataLoader(PAIRS, 4, sampler=drawn(5, 2)), [2, 5]),
    "stream": (lambda: DataLoader(Stream(), 4), [0, 1, 2, 3, 4, 5]),
    "frame": (lambda: pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": Y}), [0, 1, 2, 3, 4, 5]),
    "frame and series": (lambda: (pd.DataFrame(X, columns=["a", "b"]), pd.Series(Y)), [0, 1, 2, 3, 4, 5]),
    "tensors": (lambda: (torch.tensor(X), torch.tensor(Y)), [0, 1, 2, 3, 4, 5]),
}


@pytest.mark.parametrize("name", SAME)
def test_the_rows_in_it(name: str) -> None:
    make, rows = SAME[name]
    found = raw_of(make(), "it", PLAIN).arrays
    assert found["x"].tolist() == X[rows].tolist()
    assert found["y"].tolist() == Y[rows].tolist()


def test_items_of_several_lengths_with_a_mask() -> None:
    found = raw_of(Dicts(), "it", PLAIN).arrays
    assert found["x.input_ids"].tolist() == [[1, 0, 0], [1, 2, 0], [1, 2, 3]]
    assert found["x.attention_mask"].sum(axis=1).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="differ in shape and there is no mask"):
        raw_of(Dicts(mask=False), "it", PLAIN)


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "augmentation": (Noisy, "x differs from one reading to the next (random augmentation)"),
    "augmentation in a loader": (lambda: DataLoader(Noisy(), 2), "differs from one reading to the next"),
    "rows drawn twice": (lambda: DataLoader(PAIRS, 4, sampler=[1, 1]), "draws rows more than once"),
    "triples": (lambda: TensorDataset(*[torch.tensor(X)] * 3), "it gives 3 values a row: give pairs (x, y)"),
    "no rows": (lambda: Subset(PAIRS, []), "it is empty"),
    "a list": (lambda: [1, 2], "it is a list: give a path"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_audit_could_name(name: str) -> None:
    make, expected = WRONG[name]
    with pytest.raises(ValueError, match=r"^it") as refused:
        raw_of(make(), "it", PLAIN)
    assert expected in str(refused.value)


def rows_of_mine() -> Any:
    return Subset(PAIRS, [1, 0])


def wrong() -> Any:
    raise LookupError("no disk")


def test_a_function_in_place_of_a_file() -> None:
    raw = read_source(Path(f"{__name__}:rows_of_mine"), PLAIN, "the forget set")
    assert raw.arrays["x"].tolist() == X[[1, 0]].tolist()
    assert raw.said[0].startswith(f"the forget set is what {__name__}:rows_of_mine returns (")
    with pytest.raises(ValueError, match=r"the forget set \(.*:wrong\) fails \(LookupError: no disk\): repair"):
        read_source(Path(f"{__name__}:wrong"), PLAIN, "the forget set")
    with pytest.raises(ValueError, match="has no function 'gone'"):
        read_source(Path(f"{__name__}:gone"), PLAIN, "the forget set")


def held(case: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The random case: sets as arrays, models as networks."""
    from safetensors.torch import load_file

    models: dict[str, Any] = {}
    for name in ("original", "unlearned", "retrained-0", "retrained-1"):
        models[name] = demo.network().eval()
        models[name].load_state_dict(load_file(case / f"{name}.safetensors"))
    sets = {role: arrays(case / f"{role}.npz") for role in ("forget", "retain", "holdout", "test")}
    return {role: (found["x"], found["y"]) for role, found in sets.items()}, models


def loader(pair: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*map(torch.tensor, pair)), 64, shuffle=True)


def planned(sets: dict[str, Any], models: dict[str, Any], **options: Any) -> Any:
    retrained = [models["retrained-0"], models["retrained-1"]]
    return audit.plan(
        **sets, original=models["original"], unlearned=models["unlearned"], retrained=retrained, **options
    )


def test_one_data_set_and_a_list_and_no_test_set(case: Path) -> None:
    sets, models = held(case)
    together = tuple(np.concatenate([sets["forget"][i], sets["retain"][i]]) for i in (0, 1))
    plan = planned(
        {"data": loader(together), "forget_index": range(100), "holdout": loader(sets["holdout"])},
        models,
        split="attested",
    )
    assert plan.sets["forget"] == 100
    assert plan.sets["holdout"] == 100  # the other half serves as test set
    assert plan.sets["test"] + plan.sets["auxiliary"] == 100
    with pytest.raises(audit.InputError, match=r"rows split off the retain set were trained on and cannot serve"):
        planned({"data": loader(together), "forget_index": range(100)}, models)


def test_loaders_become_the_files_of_the_command_line(case: Path) -> None:
    sets, models = held(case)
    loaders = {role: loader(pair) for role, pair in sets.items()}
    folder = audit.export(None, loaders, "mine")
    for name in ("original", "unlearned", "retrained-0", "retrained-1"):
        audit.export(models[name], loaders, folder / f"{name}.npz")
    assert (arrays(folder / "forget.npz")["x"] == sets["forget"][0]).all()
    with torch.no_grad():
        expected = models["original"](torch.tensor(sets["retain"][0])).numpy()
    assert np.allclose(arrays(folder / "original.npz")["retain"], expected, atol=1e-5)
    plan = audit.plan(forget=folder / "forget.npz", split="attested")
    assert plan.sets["retain"] == len(sets["retain"][1])
    with pytest.raises(audit.UsageError, match="exists: remove it"):
        audit.export(models["original"], loaders, folder / "original.npz")


def pair_of(x: Any) -> Any:
    return x, x


EXPORTS: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "training": (nn.Linear(2, 2).train(), {"forget": PAIRS}, {}, "training mode: call model.eval()"),
    "no role": (None, PAIRS, {}, "give the data sets by role"),
    "no model": (3, {"forget": PAIRS}, {}, "the model is a int"),
    "not npz": (nn.Linear(2, 2).eval(), {"forget": PAIRS}, {"path": "a.csv"}, "outputs are written as .npz"),
    "tuple": (nn.LSTM(2, 2).eval(), {"forget": PAIRS}, {}, "the model returns a tuple: give a function"),
    "deep": (lambda x: x[:, None, None], PAIRS, {"role": "forget"}, "not (classes,)"),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_what_cannot_be_exported(tmp_path: Path, name: str) -> None:
    model, data, options, expected = EXPORTS[name]
    with pytest.raises(audit.AuditError) as refused:
        audit.export(model, data, tmp_path / options.pop("path", "a.npz"), **options)
    assert expected in str(refused.value)
