"""Every form of model and data that is promised, and odd ones: they run end to end or are refused in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.conftest import ARCH, Cli, arrays, rewrite

HERE = __name__
ROLES = ("forget", "retain", "holdout", "test")
Maker = Callable[[], nn.Module]


class Convolutions(nn.Module):
    """Convolution, BatchNorm, dropout, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Dropout(0.3)
        )  # fmt: skip
        self.fc = nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(x))


class Transformer(nn.Module):
    """One encoder layer on integer tokens, mean-pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, 16)
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.fc = nn.Linear(16, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.fc(self.encoder(self.embed(tokens)).mean(dim=1))


class TwoInputs(nn.Module):
    """Takes a mapping of inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.fc = nn.Linear(6, 8), nn.Embedding(5, 8), nn.Linear(8, 4)

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.fc(torch.relu(self.left(inputs["pixels"]) + self.right(inputs["kind"])))


class LogSoftmax(nn.Module):
    """Returns log-probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.fc = nn.Linear(6, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.fc(torch.relu(self.body(x))), dim=1)


class Scaled(LogSoftmax):
    """The head's output is scaled: it must be named."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1.5 * self.fc(torch.relu(self.body(x)))


def binary() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))


def floats(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(size=(n, 6)).astype(np.float32)


def pictures(rng: np.random.Generator, n: int) -> Any:
    return rng.random((n, 1, 8, 8)).astype(np.float32)


def tokens(rng: np.random.Generator, n: int) -> Any:
    return rng.integers(0, 12, size=(n, 10))


def batches(x: Any) -> Any:
    def one(part: Any) -> torch.Tensor:
        return torch.as_tensor(part, dtype=torch.float32 if part.dtype.kind == "f" else torch.int64)

    return {key: one(part) for key, part in x.items()} if isinstance(x, dict) else one(x)


def labels(x: Any, classes: int) -> Any:
    """Labels that can be learned: ranks of the rows by the first half of their inputs."""
    part = next(iter(x.values())) if isinstance(x, dict) else x
    flat = part.reshape(len(part), -1)
    score = flat[:, : flat.shape[1] // 2].sum(axis=1) + 1e-6 * np.arange(len(flat))
    return np.argsort(np.argsort(score)) * classes // len(flat)


def fit(make: Maker, x: Any, y: Any, seed: int) -> nn.Module:
    """A few steps from a seed: not good, but no two seeds alike."""
    torch.manual_seed(seed)
    model = make().train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        out = model(batches(x))
        target = torch.as_tensor(y)
        loss = (
            nn.functional.binary_cross_entropy_with_logits(out[:, 0], target.float())
            if out.shape[1] == 1
            else nn.functional.cross_entropy(out, target)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def write(folder: Path, make: Maker, inputs: Callable[[np.random.Generator, int], Any], classes: int = 4) -> Path:
    """A case of 40 forget, 60 holdout, 120 retain and 120 test rows with an original and two references."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    data = {}
    for role, n in (("forget", 40), ("holdout", 60), ("retain", 120), ("test", 120)):
        x = inputs(rng, n)
        data[role] = x, labels(x, classes)
        named = {f"x.{key}": part for key, part in x.items()} if isinstance(x, dict) else {"x": x}
        np.savez(folder / f"{role}.npz", y=data[role][1], **named)
    (fx, fy), (rx, ry) = data["forget"], data["retain"]
    both = {key: np.concatenate([fx[key], rx[key]]) for key in fx} if isinstance(fx, dict) else np.concatenate([fx, rx])
    torch.save(fit(make, both, np.concatenate([fy, ry]), 1).state_dict(), folder / "original.pt")
    for seed, name in ((2, "unlearned"), (3, "retrained-0"), (4, "retrained-1")):
        torch.save(fit(make, rx, ry, seed).state_dict(), folder / f"{name}.pt")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def statuses(run: str | Path) -> dict[str, tuple[str, str]]:
    """Status and reason of every attack."""
    return {attack["name"]: (attack["status"], attack["reason"]) for attack in record(run)["attacks"]}


def record(run: str | Path) -> dict[str, Any]:
    return dict(json.loads((Path(run) / "run.json").read_text()))


def findings(run: str | Path) -> dict[str, dict[str, Any]]:
    return {finding["id"]: finding for finding in record(run)["findings"]}


def judged(cli: Cli, *args: str | Path) -> dict[str, Any]:
    """Run every attack to a verdict, whatever it is, and return the JSON line."""
    ended = cli("run", *args, "--attacks", "all", "-q")
    assert ended.code in (0, 1, 3), ended.err
    assert ended.result["exit_code"] == ended.code
    return ended.result


# --- models


@pytest.mark.parametrize(
    ("factory", "inputs", "classes", "flags"),
    [
        pytest.param("plain", floats, 4, [], marks=pytest.mark.slow),
        pytest.param("binary", floats, 2, [], marks=pytest.mark.slow),
        ("Convolutions", pictures, 4, []),
        pytest.param("LogSoftmax", floats, 4, [], marks=pytest.mark.slow),
        pytest.param("Scaled", floats, 4, ["--head", "fc"], marks=pytest.mark.slow),
    ],
)
def test_networks_run_every_attack(
    here: Path, cli: Cli, factory: str, inputs: Any, classes: int, flags: list[str]
) -> None:
    case = write(here / "case", globals()[factory], inputs, classes)
    result = judged(cli, "--forget", case / "forget.npz", "--arch", f"{HERE}:{factory}", *flags)
    found = statuses(result["run"])
    assert {found[name][0] for name in ("membership", "probe", "feature_mapping", "uma")} == {"ok"}
    assert "error" not in {status for status, _ in found.values()}


@pytest.mark.parametrize("factory", ["Transformer", pytest.param("TwoInputs", marks=pytest.mark.slow)])
def test_discrete_and_named_inputs_leave_out_uma_alone(here: Path, cli: Cli, factory: str) -> None:
    def named(rng: np.random.Generator, n: int) -> Any:
        return {"pixels": floats(rng, n), "kind": rng.integers(0, 5, n)}

    case = write(here / "case", globals()[factory], tokens if factory == "Transformer" else named)
    result = judged(cli, "--forget", case / "forget.npz", "--arch", f"{HERE}:{factory}")
    found = statuses(result["run"])
    assert found.pop("uma") == (
        "skipped",
        "needs one array of continuous inputs: a small change of discrete inputs has no meaning",
    )
    assert {found[name][0] for name in ("membership", "probe", "feature_mapping")} == {"ok"}
    assert "error" not in {status for status, _ in found.values()}


def test_unknown_token_in_one_set(here: Path, cli: Cli) -> None:
    case = write(here / "case", Transformer, tokens)
    rewrite(case / "test.npz", x=arrays(case / "test.npz")["x"] + 5)
    ended = cli("run", "--forget", case / "forget.npz", "--arch", f"{HERE}:Transformer")
    assert (ended.code, ended.out) == (2, "")
    assert "unlearned fails on the test set (IndexError: index out of range in self)" in ended.text


def test_missing_named_input(here: Path, cli: Cli) -> None:
    case = write(here / "case", TwoInputs, lambda rng, n: {"pixels": floats(rng, n), "kind": rng.integers(0, 5, n)})
    for role in ROLES:
        rewrite(case / f"{role}.npz", **{"x.kind": None})
    ended = cli("run", "--forget", case / "forget.npz", "--arch", f"{HERE}:TwoInputs")
    assert ended.code == 2
    assert "the model rejects inputs of pixels (6,) floats (KeyError: 'kind')" in ended.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, *(pytest.param(d, marks=pytest.mark.slow) for d in (torch.float16, torch.float64))]
)
def test_other_float_types(case: Path, cli: Cli, dtype: torch.dtype) -> None:
    for path in case.glob("*.safetensors"):
        save_file({key: value.to(dtype) for key, value in load_file(path).items()}, path)
    judged(cli, "--forget", case / "forget.npz", "--arch", ARCH)


# --- precomputed outputs


@pytest.fixture
def outputs(case: Path) -> Path:
    """The random case as logits per set; no network is left."""
    from audit import demo

    for path in case.glob("*.safetensors"):
        network = demo.network().eval()
        network.load_state_dict(load_file(path))
        with torch.no_grad():
            logits = {role: network(torch.as_tensor(arrays(case / f"{role}.npz")["x"])).numpy() for role in ROLES}
        np.savez(path.with_suffix(".npz"), **logits)
        path.unlink()
    return case


def black_box(run: str) -> None:
    found = statuses(run)
    assert found["membership"][0] == "ok"
    for name in ("feature_mapping", "probe", "uma"):
        assert found[name][0] == "skipped"
        assert "the model grants logits" in found[name][1]


@pytest.mark.parametrize("with_inputs", [True, False])
def test_outputs(outputs: Path, cli: Cli, with_inputs: bool) -> None:
    if not with_inputs:
        for role in ROLES:
            rewrite(outputs / f"{role}.npz", x=None)
    result = judged(cli, "--forget", outputs / "forget.npz", "--split", "attested")
    black_box(result["run"])
    assert "access logits" in cli("run", "--forget", outputs / "forget.npz", "--dry-run").text


def test_outputs_with_an_auxiliary_set(outputs: Path, cli: Cli) -> None:
    rows = {key: value[:50] for key, value in arrays(outputs / "test.npz").items()}
    np.savez(outputs / "auxiliary.npz", **{**rows, "ids": np.arange(-50, 0), "x": rows["x"][::-1] + 0.5})
    ended = cli("run", "--forget", outputs / "forget.npz")
    assert ended.code == 2
    # one line for all four models
    assert "no logits for the auxiliary set: add the key 'auxiliary'" in ended.text
    assert "1 problem with" in ended.text
    for name in ("unlearned", "original", "retrained-0", "retrained-1"):
        rewrite(outputs / f"{name}.npz", auxiliary=arrays(outputs / f"{name}.npz")["test"][:50])
    black_box(judged(cli, "--forget", outputs / "forget.npz")["run"])


def test_outputs_of_one_column(outputs: Path, cli: Cli) -> None:
    for role in ROLES:
        rewrite(outputs / f"{role}.npz", y=(arrays(outputs / f"{role}.npz")["y"] == 0).astype(int))
    for name in ("unlearned", "original", "retrained-0", "retrained-1"):
        kept = arrays(outputs / f"{name}.npz")
        rewrite(
            outputs / f"{name}.npz",
            **{role: kept[role][:, 0] if name == "original" else kept[role][:, :1] for role in ROLES},
        )
    black_box(judged(cli, "--forget", outputs / "forget.npz")["run"])


def test_the_original_s_outputs_fail(outputs: Path, cli: Cli) -> None:
    shutil.copy(outputs / "original.npz", outputs / "unlearned.npz")
    ended = cli("run", "--forget", outputs / "forget.npz", "-q")
    assert ended.code == 1
    assert "bit for bit the original set of outputs: nothing was unlearned" in ended.text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"test": None}, "unlearned: no logits for the test set: add the key 'test'"),
        ({"test": np.zeros((3, 10))}, "unlearned: 3 rows of logits for 300 rows of the test set: align them"),
        ({"test": np.full((300, 10), np.nan)}, "logits must be finite floats of shape (n, C); repair test"),
        ({"test": np.zeros((300, 10), dtype=int)}, "logits must be finite floats of shape (n, C); repair test"),
        ({"test": np.zeros((300, 0))}, "logits must be finite floats of shape (n, C); repair test"),
        ({"test": np.array(1.0)}, "logits must be finite floats of shape (n, C); repair test"),
        ({"test": np.zeros((300, 10, 2))}, "logits must be finite floats of shape (n, C); repair test"),
        ({role: np.zeros((n, 3)) for role, n in (("forget", 100), ("retain", 300), ("holdout", 200), ("test", 300))},
         "the models have different numbers of classes"),
    ],
)  # fmt: skip
def test_bad_outputs(outputs: Path, cli: Cli, change: dict[str, Any], expected: str) -> None:
    rewrite(outputs / "unlearned.npz", **change)
    ended = cli("run", "--forget", outputs / "forget.npz")
    assert (ended.code, ended.out) == (2, "")
    assert expected in ended.text


def test_all_missing_outputs_are_listed(outputs: Path, cli: Cli) -> None:
    rewrite(outputs / "unlearned.npz", test=None, holdout=None, retain=None)
    ended = cli("run", "--forget", outputs / "forget.npz")
    for role in ("retain", "holdout", "test"):
        assert f"no logits for the {role} set: add the key '{role}'" in ended.text


def test_outputs_beside_a_network(outputs: Path, built: Path, cli: Cli) -> None:
    flags = ("--original", built / "original.safetensors", "--arch", ARCH)
    ended = cli("run", "--forget", outputs / "forget.npz", *flags, "--access", "features")
    assert ended.code == 2
    assert (
        "at access features all models must be networks, unlearned, retrained/0, retrained/1 give outputs" in ended.text
    )
    ended = cli("run", "--forget", outputs / "forget.npz", *flags, "--dry-run")
    assert (ended.code, "access logits" in ended.text) == (0, True)


# --- odd data


@pytest.mark.slow
def test_few_duplicates_are_a_finding_and_leave_the_figures(case: Path, cli: Cli) -> None:
    twice = arrays(case / "forget.npz")["x"][:3]
    x = arrays(case / "retain.npz")["x"]
    rewrite(case / "retain.npz", x=np.concatenate([twice.astype(np.float64), x[3:]]))
    result = judged(cli, "--forget", case / "forget.npz", "--arch", ARCH)
    found = findings(result["run"])
    reason = found["input.forget_in_retain"]["reason"]
    assert "3 of 100 forget rows also stand in the retain set; they were left out of every figure" in reason
    assert found["membership.auc"]["n_forget"] == 97


def test_duplicates_inside_the_forget_set(case: Path, cli: Cli) -> None:
    for key in ("x", "y"):
        kept = arrays(case / "forget.npz")[key]
        rewrite(case / "forget.npz", **{key: np.concatenate([kept[:50], kept[:50]])})
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "-q")
    # repeated rows are no random companion of the holdout set: the shift check sees them, and nothing is certified
    assert ended.code in (1, 3), ended.err
    gate = next(g for g in record(ended.result["run"])["gates"] if g["name"] == "shift check")
    assert gate["ok"] is False


@pytest.mark.slow
def test_names_with_spaces_brackets_and_emoji(case: Path, cli: Cli, keys: tuple[Path, Path], tmp_path: Path) -> None:
    odd = case.parent / "a [red]case [ 🦊 ünï"
    case.rename(odd)
    (odd / "unlearned.safetensors").rename(odd / "model [bold] {{x}} é.safetensors")
    (tmp_path / "kéy [x]").mkdir()
    for key in keys:
        shutil.copy(key, tmp_path / "kéy [x]" / key.name)
    result = judged(
        cli, "--forget", f"../{odd.name}/forget.npz", "--unlearned", odd / "model [bold] {{x}} é.safetensors",
        "--arch", ARCH, "--out", "runs [b] 🦊", "--sign-key", tmp_path / "kéy [x]" / "audit.key",
    )  # fmt: skip
    run = Path(result["run"])
    assert "model [bold] {{x}} é.safetensors" in (run / "report.html").read_text()
    ended = cli("report", run, "-f", "terminal")
    assert ended.code == 0
    ended = cli("score", run, "--policy", "screening")
    assert ended.code == 3, ended.err
    assert "🦊" in ended.text


@pytest.mark.slow
def test_score_signs_a_run_below_an_emoji_path(case: Path, cli: Cli, keys: tuple[Path, Path]) -> None:
    odd = case.parent / "🦊"
    case.rename(odd)
    result = judged(cli, "--forget", odd / "forget.npz", "--arch", ARCH, "--sign-key", keys[0])
    cli("score", result["run"], "--policy", "screening")  # signs with no key that a file of the run names
    assert not (Path(result["run"]) / "certificate.dsse.json").exists()
    cli("score", result["run"], "--policy", "screening", "--sign-key", keys[0])
    assert (Path(result["run"]) / "certificate.dsse.json").is_file()


def cast(key: str, dtype: Any) -> Callable[[Path], None]:
    def change(case: Path) -> None:
        for role in ROLES:
            rewrite(case / f"{role}.npz", **{key: arrays(case / f"{role}.npz")[key].astype(dtype)})

    return change


def add(role: str, **columns: Any) -> Callable[[Path], None]:
    return lambda case: rewrite(case / f"{role}.npz", **columns)


def groups(values: Any) -> Callable[[Path], None]:
    def change(case: Path) -> None:
        for role, n in (("forget", 100), ("holdout", 200)):
            rewrite(case / f"{role}.npz", group=values(role, n))

    return change


def rows(role: str, keep: Any) -> Callable[[Path], None]:
    """Keep some rows; a function gets the labels."""

    def change(case: Path) -> None:
        kept = arrays(case / f"{role}.npz")
        index = keep(kept["y"]) if callable(keep) else keep
        rewrite(case / f"{role}.npz", **{key: value[index] for key, value in kept.items()})

    return change


def every(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(case: Path) -> None:
        for one in changes:
            one(case)

    return change


def remove(*names: str) -> Callable[[Path], None]:
    return lambda case: [(case / name).unlink() for name in names] and None


ODD: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "labels as uint8": (cast("y", np.uint8), []),
    "inputs as float64": (cast("x", np.float64), []),
    "inputs as float16": (cast("x", np.float16), []),
    "huge text ids": (cast("ids", "U3000"), []),
    "byte ids": (cast("ids", "S9"), []),
    "no ids": (every(*(add(role, ids=None) for role in ROLES)), []),
    "no original": (remove("original.safetensors"), []),
    "no references": (remove("retrained-0.safetensors", "retrained-1.safetensors"), []),
    "only the model": (
        remove("original.safetensors", "retrained-0.safetensors", "retrained-1.safetensors"),
        [],
    ),
    "no holdout": (remove("holdout.npz"), []),
    "one forget row": (rows("forget", slice(1)), []),
    "one holdout row": (rows("holdout", slice(1)), []),
    "one retain row": (rows("retain", slice(1)), []),
    "two test rows": (rows("test", slice(2)), []),
    "sets of one row": (
        every(*(rows(role, slice(1)) for role in ("forget", "holdout", "retain"))),
        ["--claim", "random"],
    ),
    "one subject": (groups(lambda role, n: np.array([role] * n)), []),
    "subjects": (groups(lambda role, n: np.array([f"{role}{i // 3}" for i in range(n)])), []),
    "subjects as bytes": (
        groups(lambda role, n: np.array([f"{role}é{i // 3}".encode() for i in range(n)])),
        [],
    ),
    "subjects as numbers": (
        groups(lambda role, n: np.arange(n) // 4 + (1000 if role == "forget" else 0)),
        [],
    ),
    "subjects of the forget set": (add("forget", group=np.arange(100) // 5), []),
    "requests": (add("forget", request=np.array(["r1"] * 100)), []),
    "retain lacks a class": (rows("retain", lambda y: y != 3), []),
    "retain has one class": (rows("retain", lambda y: y == 3), ["--claim", "random"]),
    "test lacks a class": (rows("test", lambda y: y != 3), []),
    "attested": (lambda case: None, ["--split", "attested"]),
    "unknown split": (lambda case: None, ["--split", "unknown"]),
    "labels alone": (lambda case: None, ["--access", "labels"]),
    "weights": (lambda case: None, ["--access", "weights"]),
    "other": (lambda case: None, ["--claim", "other"]),
}


#: one of a kind; the others are slow
QUICK = {"only the model", "no holdout", "sets of one row"}


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ODD])
def test_odd_data_gets_a_verdict(case: Path, cli: Cli, name: str) -> None:
    change, flags = ODD[name]
    change(case)
    result = judged(cli, "--forget", case / "forget.npz", "--arch", ARCH, *flags)
    assert not [name for name, (status, _) in statuses(result["run"]).items() if status == "error"]
    if name in ("no original", "only the model", "labels alone", "one forget row", "sets of one row"):
        assert result["verdict"] != "PASS"


@pytest.fixture
def class_case(built_class: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the class case."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(built_class, tmp_path / "class"))


ODD_CLASSES: dict[str, Callable[[Path], None]] = {
    "as it is": lambda case: None,
    "one row of the class": rows("forget", slice(1)),
    "one row of it in the test set": rows("test", lambda y: (np.cumsum(y == 1) <= 1) | (y != 1)),
    "test of two rows beside it": rows("test", lambda y: (y == 1) | (np.cumsum(y != 1) <= 3)),
    "no references": remove("retrained-0.safetensors", "retrained-1.safetensors"),
    "no original": remove("original.safetensors"),
    "two classes": rows("retain", lambda y: y == 2),
}


QUICK_CLASSES = {"one row of it in the test set", "no references"}


@pytest.mark.parametrize(
    "name", [n if n in QUICK_CLASSES else pytest.param(n, marks=pytest.mark.slow) for n in ODD_CLASSES]
)
def test_odd_class_claims_get_a_verdict(class_case: Path, cli: Cli, name: str) -> None:
    ODD_CLASSES[name](class_case)
    ended = cli("run", "--forget", class_case / "forget.npz", "--arch", ARCH, "-q")
    assert ended.code in (1, 3), ended.err  # two references can never PASS a class claim
    assert "claim: class, classes [1]" in ended.text
    errors = [name for name, (status, _) in statuses(ended.result["run"]).items() if status == "error"]
    assert not errors


def test_no_never_seen_row_of_the_forgotten_class(class_case: Path, cli: Cli) -> None:
    rows("test", lambda y: y != 1)(class_case)
    ended = cli("run", "--forget", class_case / "forget.npz", "--arch", ARCH)
    assert (ended.code, ended.out) == (2, "")
    assert "no usable row is left for the holdout set: give a holdout set with new examples" in ended.text


def test_nothing_but_the_forgotten_class(class_case: Path, cli: Cli) -> None:
    rows("test", lambda y: y == 1)(class_case)
    ended = cli("run", "--forget", class_case / "forget.npz", "--arch", ARCH)
    assert (ended.code, ended.out) == (2, "")
    assert "no usable row is left for the test set: give a test set with new examples" in ended.text
