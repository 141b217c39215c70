"""Bad input: one clear message that lists every problem with its remedy, exit code 2 or 4, never a traceback."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.conftest import ARCH, Cli, arrays, rewrite

Damage = Callable[[Path], None]
ROLES = ("forget", "retain", "holdout", "test")
HERE = __name__


class Noisy(nn.Sequential):
    """Dropout that stays on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, training=True))


class BatchStatistics(nn.Sequential):
    """Normalises by the batch it is given, also in eval mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - x.mean(dim=0))


class Pair(nn.Sequential):
    """Returns more than logits."""

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x), x


class Deep(nn.Sequential):
    """Returns one output per position."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, None, :]


class Overflow(nn.Sequential):
    """Finite weights, infinite output."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 1e38 * 1e38


class Scaled(nn.Sequential):
    """The logits are not the output of a linear layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 2.0


class Picky(nn.Sequential):
    """Checks its inputs in a way of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("pixel_values")


class Counting(nn.Sequential):
    """Counts its forward passes in a buffer."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.register_buffer("calls", torch.zeros(1), persistent=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(x)


def layers() -> list[nn.Module]:
    return [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)]


def noisy() -> nn.Module:
    return Noisy(*layers())


def batch_statistics() -> nn.Module:
    return BatchStatistics(*layers())


def pair() -> nn.Module:
    return Pair(*layers())


def deep() -> nn.Module:
    return Deep(*layers())


def overflow() -> nn.Module:
    return Overflow(*layers())


def scaled() -> nn.Module:
    return Scaled(*layers())


def picky() -> nn.Module:
    return Picky(*layers())


def no_linear() -> nn.Module:
    return nn.Sequential()


def failing() -> nn.Module:
    raise LookupError("no weights on this machine")


def leaving() -> nn.Module:
    raise SystemExit(0)


def number() -> int:
    return 3


def refused(cli: Cli, case: Path, *flags: str | Path, arch: str = ARCH) -> str:
    """Run, expect a usage error without a verdict, and return its message."""
    ended = cli("run", "--forget", case / "forget.npz", "--arch", arch, *flags)
    assert ended.code == 2, ended.err
    assert ended.out == ""
    return ended.text


def change(role: str, **how: Any) -> Damage:
    """Damage: arrays of a set; a function gets the old array."""

    def damage(case: Path) -> None:
        old = arrays(case / f"{role}.npz")
        rewrite(case / f"{role}.npz", **{k: v(old[k]) if callable(v) else v for k, v in how.items()})

    return damage


def put(name: str, content: bytes) -> Damage:
    """Damage: the bytes of a file."""
    return lambda case: (case / name).write_bytes(content) and None


def cut(name: str) -> Damage:
    """Damage: the second half of a file is missing."""
    return lambda case: put(name, (case / name).read_bytes()[: (case / name).stat().st_size // 2])(case)


def everywhere(**how: Any) -> Damage:
    """Damage: every set in the same way."""

    def damage(case: Path) -> None:
        for role in ROLES:
            change(role, **how)(case)

    return damage


def first_values(value: float) -> Callable[[Any], Any]:
    """Set the first input of three rows."""

    def damage(x: Any) -> Any:
        x = x.astype(np.float64)
        x[:3, 0] = value
        return x

    return damage


def foreign_member(case: Path) -> None:
    import zipfile

    with zipfile.ZipFile(case / "test.npz", "a") as archive:
        archive.writestr("notes.txt", "hello")


def folder_instead(case: Path) -> None:
    (case / "test.npz").unlink()
    (case / "holdout.npz").unlink()  # which would lend rows
    (case / "test.npz").mkdir()


def bare_array(case: Path) -> None:
    with (case / "test.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))


BAD_DATA: dict[str, tuple[Damage, list[str]]] = {
    "no retain set": (lambda c: (c / "retain.npz").unlink(), ["no retain set: pass --retain FILE.npz"]),
    "unknown key": (change("test", labels=np.zeros(300)), ["test.npz has an unknown key 'labels'", "use x"]),
    "no labels": (change("test", y=None), ["test.npz has no labels: add the key y"]),
    "no inputs": (change("test", x=None), ["test.npz has no inputs: add the key x"]),
    "object array": (
        change("forget", ids=lambda a: np.array([[i] for i in a] + [None], dtype=object)[:-1]),
        ["forget.npz holds object arrays, which are pickles and are never loaded"],
    ),
    "NaN": (
        change("holdout", x=first_values(np.nan)),
        ["x holds NaN or infinite values in 3 rows: repair or drop"],
    ),
    "infinity": (change("retain", x=first_values(-np.inf)), ["x holds NaN or infinite values in 3 rows"]),
    "beyond float32": (change("retain", x=first_values(1e300)), ["x holds NaN or infinite values in 3 rows"]),
    "labels too large": (
        change("retain", y=lambda y: y + 5),
        ["labels of the retain set run from 5 to 14", "use labels from 0 to 9"],
    ),
    "labels negative": (change("test", y=lambda y: y - 3), ["labels of the test set run from -3 to 6"]),
    "labels not integer": (
        change("test", y=lambda y: y + 0.5),
        ["y must be integer class labels of shape (n,)"],
    ),
    "labels one-hot": (
        change("test", y=lambda y: np.eye(10)[y] * 0.9 + 0.01),
        ["got float64 (300, 10): convert it (one-hot rows have a single 1; several flags a row: --task multilabel)"],
    ),
    "shape": (
        everywhere(x=lambda x: x[:, :32]),
        ["the model rejects inputs of x (32,) floats", "as in training"],
    ),
    "one shape": (
        change("test", x=lambda x: x[:, :32]),
        [
            "inputs of different forms",
            "retain: x (64,) floats",
            "test: x (32,) floats",
            "preprocess them alike",
        ],
    ),
    "one mapping": (
        change("test", **{"x": None, "x.pixels": np.zeros((300, 64))}),
        ["test: pixels (64,) floats"],
    ),
    "integer inputs": (
        everywhere(x=lambda x: (x * 255).astype(np.uint8)),
        ["the model rejects inputs of x (64,) integers", "preprocess the inputs as in training"],
    ),
    "both forms": (change("test", **{"x.a": np.zeros((300, 2))}), ["both x and x.<name>: keep one form"]),
    "text inputs": (everywhere(x=lambda x: x.astype(str)), ["x has dtype <U", "save numbers"]),
    "extended floats": (
        change("test", x=lambda x: x.astype(np.longdouble)),
        ["save numbers of at most 64 bits"],
    ),
    "empty inputs": (everywhere(x=lambda x: x[:, :0]), ["no value at all: give inputs"]),
    "empty set": (
        change("holdout", x=lambda a: a[:0], y=lambda a: a[:0], ids=lambda a: a[:0]),
        ["holdout.npz is empty: give at least one row"],
    ),
    "rows differ": (
        change("test", y=lambda y: y[:-1]),
        ["x has shape (300, 64), y has 299 rows: align them"],
    ),
    "ids twice": (
        change("test", ids=lambda a: a * 0),
        ["1 ids stand more than once in the test set (first: '0')"],
    ),
    "ids two columns": (
        change("test", ids=lambda a: np.column_stack([a, a])),
        ["ids must be one number or string"],
    ),
    "ids dates": (
        change("test", ids=lambda a: a.astype("datetime64[D]")),
        ["ids must be one number or string a row"],
    ),
    "group NaN": (
        change("forget", group=np.full(100, np.nan)),
        ["group holds NaN or infinite values in 100 rows"],
    ),
    "retain is forget": (
        lambda c: shutil.copy(c / "forget.npz", c / "retain.npz") and None,
        [
            "100 ids of the forget set also stand in the retain set",
            "100 of 100 forget rows have the same content",
        ],
    ),
    "no npz": (
        put("test.npz", b"x,y\n1,2\n"),
        ["test.npz is no .npz file: save named arrays with numpy.savez"],
    ),
    "empty file": (
        put("test.npz", b""),
        ["test.npz is no readable .npz file", "save it again with numpy.savez"],
    ),
    "cut file": (cut("test.npz"), ["test.npz is no readable .npz file"]),
    "foreign member": (foreign_member, ["test.npz holds notes.txt, which are no arrays"]),
    "folder": (folder_instead, ["no test set: pass --test"]),
    "bare array": (bare_array, ["test.npz: it holds one bare array: save named arrays with numpy.savez"]),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data(case: Path, cli: Cli, name: str) -> None:
    damage, expected = BAD_DATA[name]
    damage(case)
    text = refused(cli, case)
    for part in expected:
        assert part in text
    assert "with the inputs" in text
    assert not Path("runs").exists()


@pytest.mark.parametrize("role", ["retain", "holdout", "test"])
@pytest.mark.parametrize("kind", [int, str, bytes])
def test_forget_ids_elsewhere(case: Path, cli: Cli, role: str, kind: type) -> None:
    taken = arrays(case / "forget.npz")["ids"][:4]
    change(role, ids=lambda a: np.concatenate([taken, a[4:]]).astype(str).astype("S" if kind is bytes else kind))(case)
    text = refused(cli, case)
    assert f"4 ids of the forget set also stand in the {role} set" in text
    assert f"remove them from the {role} set" in text


def test_a_huge_id_does_not_flood_the_message(case: Path, cli: Cli) -> None:
    long = "Zoë [bold]🦊 " * 2000
    for role in ("forget", "test"):
        change(role, ids=lambda a: np.array([long, *a.astype(str)[1:]]))(case)
    text = refused(cli, case)
    assert "1 ids of the forget set also stand in the test set (first: 'Zoë [bold]🦊" in text
    assert len(text) < 2000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wholesale_overlap_under_other_ids_is_refused(case: Path, cli: Cli, dtype: type) -> None:
    rows = arrays(case / "forget.npz")["x"][:20]
    change("retain", x=lambda x: np.concatenate([rows, x[20:]]).astype(dtype))(case)
    text = refused(cli, case)
    assert "20 of 100 forget rows have the same content as retain rows (more than the policy's 5%)" in text
    assert "remove them from one of the two sets" in text


def test_nothing_left_after_duplicates(case: Path, cli: Cli) -> None:
    for key in ("x", "y"):
        change("holdout", **{key: arrays(case / "retain.npz")[key][:200]})(case)
    text = refused(cli, case)
    assert "200 of 200 holdout rows have the same content as retain rows" in text
    assert "no usable row is left for the holdout set: give a holdout set with new examples" in text


def test_every_problem_is_listed(case: Path, cli: Cli) -> None:
    change("holdout", x=first_values(np.nan))(case)
    (case / "test.npz").write_bytes(b"nothing")
    change("retain", ids=lambda a: np.concatenate([arrays(case / "forget.npz")["ids"][:1], a[1:]]))(case)
    change("forget", y=lambda y: y + 2)(case)
    put("original.safetensors", b"nothing")(case)
    text = refused(cli, case)
    assert "5 problems with the inputs: 1. " in text
    for part in (
        "test.npz is no .npz file",
        "holdout.npz: x holds NaN",
        "original.safetensors is no readable model file",
        "1 ids of the forget set also stand in the retain set",
        "labels of the forget set run from 2 to 11",
    ):
        assert part in text


def test_nothing_given(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("run")
    assert ended.code == 2
    for part in (
        "no forget set",
        "no retain set",
        "no test set",
        "no unlearned model: pass --unlearned FILE",
    ):
        assert part in ended.text


def test_missing_files(case: Path, cli: Cli) -> None:
    text = refused(cli, case, "--retain", "gone.npz", "--original", "gone.pt", "--retrained", "gone.safetensors")
    assert "3 problems" in text
    for name in ("gone.npz", "gone.pt", "gone.safetensors"):
        assert f"{name} does not exist: check the path" in text


def resave(path: Path, **changes: torch.Tensor | None) -> None:
    state = {**load_file(path), **changes}
    save_file({key: value for key, value in state.items() if value is not None}, path)


BAD_MODELS: dict[str, tuple[Damage, list[str]]] = {
    "missing key": (
        lambda c: resave(c / "unlearned.safetensors", **{"0.weight": None}),
        ["does not fit the factory: missing keys 0.weight", "Name the matching --arch"],
    ),
    "extra key": (
        lambda c: resave(c / "unlearned.safetensors", **{"9.bias": torch.zeros(2)}),
        ["does not fit the factory: unexpected keys 9.bias"],
    ),
    "shape": (
        lambda c: resave(c / "unlearned.safetensors", **{"4.weight": torch.zeros(3, 64)}),
        ["4.weight is (3, 64), the factory's is (10, 64)"],
    ),
    "NaN": (
        lambda c: resave(c / "retrained-0.safetensors", **{"4.bias": torch.full((10,), torch.nan)}),
        ["retrained-0.safetensors holds NaN or infinite weights in 4.bias: export it again"],
    ),
    "garbage": (
        put("unlearned.safetensors", b"\x80\x04garbage"),
        ["is no readable model file", "save it again"],
    ),
    "cut": (cut("unlearned.safetensors"), ["is no readable model file"]),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_model_file(case: Path, cli: Cli, name: str) -> None:
    damage, expected = BAD_MODELS[name]
    damage(case)
    text = refused(cli, case)
    for part in expected:
        assert part in text


BAD_PT: dict[str, tuple[object, str]] = {
    "checkpoint": ({"epoch": 3, "model": {}}, "unexpected keys epoch, model"),
    "numbered": ({0: torch.zeros(1), "a": torch.zeros(1)}, "unexpected keys 0, a"),
    "no tensor": ({"0.weight": 3.0}, "0.weight is a float, the factory's is (128, 64)"),
    "list": ([torch.zeros(1)], "holds a list: save a state dict or a torch module"),
    "tensor": (torch.zeros(1), "holds a Tensor: save a state dict or a torch module"),
}


@pytest.mark.parametrize("name", BAD_PT)
def test_bad_pt_file(case: Path, cli: Cli, name: str) -> None:
    content, expected = BAD_PT[name]
    torch.save(content, case / "model.pt")
    assert expected in refused(cli, case, "--unlearned", case / "model.pt")


def test_unknown_model_format(case: Path, cli: Cli) -> None:
    put("model.foo", b"x")(case)
    assert "model.foo: unknown model format: use a torch checkpoint (.safetensors" in refused(
        cli, case, "--unlearned", case / "model.foo"
    )


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("gone.module:make", "cannot import gone.module"),
        ("audit.demo:gone", "audit.demo has no function 'gone'"),
        ("audit.demo:STEPS", "audit.demo has no function 'STEPS'"),
        ("audit.demo", "is not of the form package.module:function"),
        ("..:x", "importing .. fails"),
        (f"{HERE}:failing", "the function fails (LookupError: no weights on this machine)"),
        (f"{HERE}:leaving", "the function fails (SystemExit: 0)"),
        (f"{HERE}:number", "returns a int: it must return a torch.nn.Module"),
        ("audit.demo:digits", "it must build the model without arguments"),
    ],
)
def test_factory(case: Path, cli: Cli, arch: str, expected: str) -> None:
    assert expected in refused(cli, case, arch=arch)


@pytest.mark.parametrize("content", ["def make(:\n", "import sys\nsys.exit(0)\n", "1 / 0\n"])
def test_factory_module_that_breaks_on_import(case: Path, cli: Cli, content: str) -> None:
    name = f"broken_{abs(hash(content))}"
    Path(f"{name}.py").write_text(content)
    assert f"importing {name} fails" in refused(cli, case, arch=f"{name}:make")


def test_no_factory(case: Path, cli: Cli) -> None:
    ended = cli("run", "--forget", case / "forget.npz")
    assert ended.code == 2
    assert "holds weights only: name the function that builds the model with --arch" in ended.text


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        ("noisy", "its output is not deterministic: switch off dropout"),
        ("batch_statistics", "its output for a row depends on the other rows of the batch"),
        ("pair", "it returns several outputs: name the logits with --output, one of 0 (8, 10), 1 (8, 64)"),
        ("deep", "its output has shape (8, 1, 10), not (rows, classes): wrap the model"),
        ("overflow", "its output is not finite: export it again"),
        ("picky", "the model rejects inputs of x (64,) floats (KeyError: 'pixel_values')"),
    ],
)
def test_model_that_cannot_be_audited(case: Path, cli: Cli, factory: str, expected: str) -> None:
    text = refused(cli, case, arch=f"{HERE}:{factory}")
    # one line for all four models, not four
    assert f"1. unlearned, original, retrained/0, retrained/1: {expected}" in text
    assert "1 problem with" in text


def test_a_network_without_a_head_gives_no_features(case: Path, cli: Cli) -> None:
    text = refused(cli, case, "--access", "features", arch=f"{HERE}:scaled")
    assert "cannot find the head: no linear layer's output is the model's output" in text
    assert "Or audit what its outputs say, with --access logits" in text
    assert "1 problem with" in text
    ended = cli("run", "--forget", case / "forget.npz", "--arch", f"{HERE}:scaled", "--dry-run")
    assert ended.code == 0
    assert "outputs alone, no features: cannot find the head" in ended.text
    assert "access logits" in ended.text


def test_wrong_head(case: Path, cli: Cli) -> None:
    text = refused(cli, case, "--head", "fc")
    assert "--head fc is no linear layer of the model: choose one of 0, 2, 4" in text


def counting() -> nn.Module:
    return Counting(*layers())


def test_forward_pass_that_changes_the_model(case: Path, cli: Cli) -> None:
    for path in case.glob("*.safetensors"):
        resave(path, calls=torch.zeros(1))
    text = refused(cli, case, arch=f"{HERE}:counting")
    assert "changes the model's own parameters or buffers: freeze them" in text


@pytest.mark.parametrize("device", ["cuda:7", "abacus"])
def test_device(case: Path, cli: Cli, device: str) -> None:
    text = refused(cli, case, "--device", device)
    assert f"--device {device} cannot be used" in text
    assert "try --device cpu" in text


@pytest.mark.parametrize(
    ("copied", "of"),
    [("retrained-1", "retrained-0"), ("retrained-0", "original"), ("retrained-0", "unlearned")],
)
def test_reference_that_is_a_copy(case: Path, cli: Cli, copied: str, of: str) -> None:
    # not the same bytes: one weight differs by a rounding error
    state = load_file(case / f"{of}.safetensors")
    state["0.weight"] = state["0.weight"] * (1 + 1e-7)
    save_file(state, case / f"{copied}.safetensors")
    text = refused(cli, case, "--dry-run")
    assert f"{copied.replace('-', '/')} is no independent retrain" in text
    assert f"kin to those of {of.replace('-', '/')} (cosine 1.00" in text
    assert "Train it from scratch with a seed of its own" in text
    # declared away, or with its hidden units in another order, it is found by what it computes
    text = refused(cli, case, "--provenance", "checkpoint")
    assert re.search(rf"\({copied}.safetensors\) computes the same function as .*\({of}.safetensors\)", text) or (
        re.search(rf"\({of}.safetensors\) computes the same function as .*\({copied}.safetensors\)", text)
    )


def test_a_copy_with_its_units_in_another_order(case: Path, cli: Cli) -> None:
    from methods.controls import permute_hidden

    from audit.demo import network, save_model

    model = network()
    model.load_state_dict(load_file(case / "original.safetensors"))
    save_model(case / "retrained-0.safetensors", permute_hidden(model, 0))
    assert "(retrained-0.safetensors) computes the same function as original (original" in refused(cli, case)


def test_a_reference_that_starts_from_the_original(case: Path, cli: Cli) -> None:
    from audit import demo

    model = demo.network()
    model.load_state_dict(load_file(case / "original.safetensors"))
    with np.load(case / "retain.npz") as retain:
        data = demo.Digits(retain["x"], retain["y"])
    warm = demo.train(data, np.arange(len(data.y)), seed=9, start=model, steps=300)
    demo.save_model(case / "retrained-1.safetensors", warm)
    text = refused(cli, case)
    assert "retrained/1 is no independent retrain" in text
    assert "declare --provenance checkpoint" in text


def test_further_runs_that_are_copies(case: Path, cli: Cli) -> None:
    shutil.copy(case / "unlearned.safetensors", case / "again.safetensors")
    assert "unlearned/1 (again.safetensors) computes the same function as unlearned (unlearned" in refused(
        cli, case, "--runs", case / "again.safetensors"
    )


def test_different_numbers_of_classes(case: Path, cli: Cli, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(64, 3)).eval()
    torch.save(model, tmp_path / "small.pt")
    text = refused(cli, case, "--retrained", tmp_path / "small.pt", "--trust-pickle")
    assert "the models have different numbers of classes" in text


class Hostile:
    """Touches a file when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.parametrize("save", ["torch", "pickle", "zip"])
def test_hostile_pickle_has_no_effect(case: Path, cli: Cli, tmp_path: Path, save: str) -> None:
    marker, path = tmp_path / "marker", case / "hostile.pt"
    if save == "pickle":
        path.write_bytes(pickle.dumps(Hostile(marker)))
    else:
        torch.save({"0.weight": Hostile(marker)}, path, _use_new_zipfile_serialization=save == "zip")
    text = refused(cli, case, "--unlearned", path)
    assert ("hostile.pt is no plain state dict but a pickled object" in text) or ("is no readable model file" in text)
    assert not marker.exists()


def test_hostile_pickle_in_data_has_no_effect(case: Path, cli: Cli, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    change("forget", ids=np.array([Hostile(marker)] * 100, dtype=object))(case)
    assert "forget.npz holds object arrays" in refused(cli, case)
    put("test.npz", pickle.dumps(Hostile(marker)))(case)
    assert "test.npz is no .npz file" in refused(cli, case)
    assert not marker.exists()


def test_pickled_module(case: Path, cli: Cli) -> None:
    from audit import demo

    module = demo.network().eval()
    module.load_state_dict(load_file(case / "unlearned.safetensors"))
    torch.save(module, case / "module.pt")
    assert "pass --trust-pickle" in refused(cli, case, "--unlearned", case / "module.pt")
    flags = ("--unlearned", case / "module.pt", "--trust-pickle")
    assert cli("run", "--forget", case / "forget.npz", "--arch", ARCH, *flags, "--dry-run").code == 0
    torch.save(module.train(), case / "module.pt")
    assert "module.pt was saved in training mode: call model.eval() before saving" in refused(cli, case, *flags)
    module.eval()[3].train()
    torch.save(module, case / "module.pt")
    assert "unlearned: it is in training mode: call model.eval()" in refused(cli, case, *flags)


def test_trusted_pickle_that_cannot_be_loaded(case: Path, cli: Cli) -> None:
    put("module.pt", b"cgone_module\nGone\n.")(case)
    text = refused(cli, case, "--unlearned", case / "module.pt", "--trust-pickle")
    assert "module.pt cannot be unpickled" in text


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("seed = [", "is no valid TOML"),
        ("data = 3", "data must be a table [data]"),
        ("[data]\nforget = [1]", "data.forget must be one path in quotes"),
        ("colour = 1", "colour: there is no such key"),
        ("[data]\ntrain = 'x.npz'", "data.train: there is no such key"),
        ("seed = -1", "seed: Input should be greater than or equal to 0"),
        ("[claim]\nkind = 'all'", "claim.kind: Input should be 'random', 'class', 'subject' or 'other'"),
        ("policy = 'lax'", "policy 'lax': No such file or directory. Use screening, standard, strict"),
        ("[model]\nretrained = 3", "model.retrained"),
    ],
)
def test_bad_config(case: Path, cli: Cli, toml: str, expected: str) -> None:
    Path("audit.toml").write_text(toml)
    assert expected in refused(cli, case)


def test_missing_config(case: Path, cli: Cli) -> None:
    assert "cannot read gone.toml (No such file or directory): `audit init`" in refused(
        cli, case, "--config", "gone.toml"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("alpha = 2", "alpha: Input should be less than or equal to 0.2"),
        ("name = 'x", "is no valid TOML"),
        ("colour = 1", "colour: there is no such key"),
        ("d2_features = []", "d2_features: name one at least, or list what is gated in [primary]"),
        ("d2_features = ['spread', 'spread']", "name each feature once"),
        ("d2_features = ['skew']", "d2_features.0: Input should be 'location', 'upper', 'lower' or 'spread'"),
        ("shams = -1", "shams: Input should be greater than or equal to 0"),
    ],
)
def test_bad_policy_file(case: Path, cli: Cli, content: str, expected: str) -> None:
    Path("mine.toml").write_text(content)
    assert expected in refused(cli, case, "--policy", "mine.toml")


@pytest.mark.parametrize("flags", [["--batch-size", "0"], ["--seed", "-1"], ["--claim", "all"], ["--gone"]])
def test_bad_flag(case: Path, cli: Cli, flags: list[str]) -> None:
    ended = cli("run", "--forget", case / "forget.npz", *flags)
    assert ended.code == 2
    assert flags[0].strip("-").replace("-", "_") in ended.text.replace("-", "_")


def test_class_claim_with_the_class_in_retain(case: Path, cli: Cli) -> None:
    text = refused(cli, case, "--claim", "class")
    assert "a class claim, but the retain set still holds rows of the forgotten labels" in text
    assert "remove them or declare --claim random" in text


@pytest.mark.parametrize("key", ["gone.key", "forget.npz"])
def test_bad_signing_key_costs_no_audit(case: Path, cli: Cli, key: str) -> None:
    text = refused(cli, case, "--sign-key", case / key)
    assert "audit keygen" in text
    assert not Path("runs").exists()


def test_unwritable_output(case: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "--out", tmp_path / "file" / "runs")
    assert (ended.code, ended.out) == (4, "")
    assert "Not a directory): choose another folder with --out" in ended.text


def test_unwritable_data_folder(case: Path, cli: Cli) -> None:
    (case / ".audit").write_text("in the way")
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH)
    assert (ended.code, ended.out) == (4, "")
    assert "cannot read or create the commitment key" in ended.text
    assert "make its folder writable" in ended.text


@pytest.mark.parametrize("at", [1, 3, 12, 16])
def test_full_disk(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The ``at``-th atomic write finds no space."""
    real, calls = os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == at + 1:  # the first is the project key's
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "-q")
    assert calls == at + 1
    assert (ended.code, ended.out) == (4, "")
    assert "cannot write" in ended.text
    assert "free space or choose another folder" in ended.text
    assert not list(Path("runs").rglob("*.tmp"))


def test_full_disk_for_real(case: Path, cli: Cli, tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", mount], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("no right to mount a file system")
    try:
        ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "-q", "--out", mount)
    finally:
        subprocess.run(["umount", mount], check=True)
    assert (ended.code, ended.out) == (4, "")
    assert "cannot write" in ended.text
    assert "free space or choose another folder" in ended.text


@pytest.mark.parametrize("where", ["factory", "forward"])
def test_hooks_of_the_whole_process_are_refused(case: Path, cli: Cli, where: str) -> None:
    """They would answer for every network, and the certificate would name files that hold none of it."""
    hook = "nn.modules.module.register_module_forward_hook(lambda *_: None)"
    once = f"{hook} if not nn.modules.module._global_forward_hooks else 0"
    lines = {"factory": ("pass", hook), "forward": (once, "0")}
    forward, factory = lines[where]
    Path("hooked.py").write_text(
        "from torch import nn\nfrom audit.demo import network\nclass Net(nn.Sequential):\n"
        f"    def forward(self, x):\n        {forward}\n        return super().forward(x)\n"
        f"def make():\n    {factory}\n    return Net(*network())\n"
    )
    try:
        ended = cli("run", "--forget", case / "forget.npz", "--arch", "hooked:make", "-q")
    finally:
        nn.modules.module._global_forward_hooks.clear()
        sys.modules.pop("hooked", None)
    assert (ended.code, ended.out) == (2, "")
    assert "hooks are registered for all modules of this process" in ended.text
