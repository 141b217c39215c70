"""Whole audits of models of other libraries: the original FAILs, a half measure FAILs, an honest retrain does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import adult_case
from cases.small_models import onnx_linear
from torch import nn

import audit

HERE = __name__
CLASSES, COLUMNS = 4, 30
ATTACKS = "membership,quantile"


def run(folder: Path, **options: Any) -> Any:
    return audit.run(forget=folder / "forget.npz", out=folder / "runs", split="attested", **options)


@pytest.fixture(scope="module", autouse=True)
def _cheap_shift_check() -> Any:
    """The shift check sees no model, and costs most of a small audit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audit.collect.exchangeability.TREES", 10)
        yield


# --- one model in four forms (quick)


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(COLUMNS, CLASSES))


def ask(path: Path, inputs: Any) -> Any:
    """A file of one's own: weight and bias behind one another."""
    stored = np.frombuffer(path.read_bytes(), dtype=np.float32)
    weight, bias = stored[: CLASSES * COLUMNS].reshape(CLASSES, COLUMNS), stored[CLASSES * COLUMNS :]
    return inputs @ weight.T + bias


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same case four times: logistic regressions on noisy rows, as .pt, ONNX, own files and stored logits."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    sizes = {"forget": 60, "holdout": 120, "retain": 100, "test": 200}
    x = {role: rng.normal(size=(n, COLUMNS)).astype(np.float32) for role, n in sizes.items()}
    y = {role: np.where(rng.random(len(v)) < 0.3, rng.integers(0, CLASSES, len(v)), v[:, :CLASSES].argmax(1))
         for role, v in x.items()}  # fmt: skip
    parts = {"original": ("retain", "forget"), "unlearned": ("retain",)}
    models = {
        name: LogisticRegression(C=10).fit(*(np.concatenate([v[role] for role in roles]) for v in (x, y)))
        for name, roles in parts.items()
    }
    folders = {form: tmp_path_factory.mktemp("forms") / form for form in ("pt", "onnx", "own", "npz")}
    for form, folder in folders.items():
        folder.mkdir()
        for role in sizes:
            np.savez(folder / f"{role}.npz", x=x[role], y=y[role])
        for name, model in models.items():
            weight, bias = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
            if form == "pt":
                state = {"0.weight": torch.from_numpy(weight), "0.bias": torch.from_numpy(bias)}
                torch.save({"model_state_dict": state, "best": np.float64(1)}, folder / f"{name}.pt")
            elif form == "onnx":
                onnx_linear(folder / f"{name}.onnx", weight, bias)
            elif form == "own":
                (folder / f"{name}.own").write_bytes(weight.tobytes() + bias.tobytes())
            else:
                np.savez(folder / f"{name}.npz", **{role: x[role] @ weight.T + bias for role in sizes})
    return folders


@pytest.fixture(scope="module")
def stored(forms: dict[str, Path]) -> Any:
    """The audit of the stored logits."""
    return run(forms["npz"], attacks=ATTACKS)


def test_the_same_model_in_four_forms_gives_the_same_findings(forms: dict[str, Path], stored: Any) -> None:
    own = {name: forms["own"] / f"{name}.own" for name in ("original", "unlearned")}
    found = {
        "pt": run(forms["pt"], access="logits", arch=f"{HERE}:linear", attacks=ATTACKS),
        "onnx": run(forms["onnx"], attacks=ATTACKS),
        "own": run(forms["own"], predict=f"{HERE}:ask", attacks=ATTACKS, **own),
        "npz": stored,
    }
    assert "its state dict is the one under model_state_dict" in " ".join(found["pt"].result.assumptions)
    black_box = {
        form: {f.id: f for f in result.findings if f.access in ("labels", "logits") and f.estimate is not None}
        for form, result in found.items()
    }
    common = set.intersection(*(set(found) for found in black_box.values()))
    assert {"membership.d2", "membership.auc", "membership.tpr_upper"} <= common
    for form in ("onnx", "own", "npz"):
        for name in common:
            mine, first = black_box[form][name], black_box["pt"][name]
            assert (mine.estimate, mine.status) == (pytest.approx(first.estimate, abs=1e-4), first.status), name


@pytest.mark.parametrize("form", ["own", "pt"])
def test_outputs_larger_than_memory_give_the_same_findings(
    forms: dict[str, Path], stored: Any, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    for name, size in (("LARGE", 2**10), ("BLOCK", 2**9)):
        monkeypatch.setattr(f"audit.inputs.spool.{name}", size)
    suffix, how = (".own", {"predict": f"{HERE}:ask"}) if form == "own" else (".pt", {"arch": f"{HERE}:linear"})
    models = {name: forms[form] / f"{name}{suffix}" for name in ("original", "unlearned")}
    found = run(forms[form], attacks=ATTACKS, access="logits", fresh=True, batch_size=7, **how, **models)
    alone = {f.id: f.estimate for f in stored.findings if f.attack in ("membership", "utility") and f.estimate}
    assert alone
    assert {f.id: pytest.approx(f.estimate, abs=1e-4) for f in found.findings if f.id in alone} == alone


def test_a_network_beside_stored_logits(forms: dict[str, Path], stored: Any) -> None:
    mixed = run(forms["npz"], original=forms["pt"] / "original.pt", arch=f"{HERE}:linear", attacks=ATTACKS)
    assert mixed.result.claim.access == "logits"
    alone = {f.id: f.estimate for f in stored.findings}
    for finding in mixed.findings:
        if finding.id in ("membership.d2", "membership.auc"):
            assert finding.estimate == pytest.approx(alone[finding.id], abs=1e-4)


def other() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(COLUMNS, 8), nn.Linear(8, CLASSES))


def test_an_unlearned_model_of_another_network(forms: dict[str, Path], tmp_path: Path) -> None:
    torch.save(other().state_dict(), tmp_path / "unlearned.pt")
    found = run(
        forms["pt"],
        unlearned=tmp_path / "unlearned.pt",
        arch=f"{HERE}:linear",
        unlearned_arch=f"{HERE}:other",
        effort="quick",
        attacks="membership,layer_profile,line_up,feature_mapping",
    )
    assert "attacks on the difference of their weights" in " ".join(found.result.assumptions)
    statuses = {f.attack: f.status.value for f in found.findings}
    assert statuses["layer_profile"] == statuses["line_up"] == "SKIPPED"
    assert "structure" not in statuses
    assert not [f for f in found.findings if f.status.value == "ERROR"]


# --- real data


@pytest.mark.slow
@pytest.mark.skipif(not adult_case.DATA.is_file(), reason="UNLEARN_TEST_DATA names no folder with adult.npz")
@pytest.mark.parametrize("kind", adult_case.KINDS)
def test_models_on_adult(kind: str, tmp_path: Path) -> None:
    train, save, suffix = adult_case.KINDS[kind]
    sets = adult_case.split(0)
    verdicts = {}
    for kept in (0.0, 0.5):
        found = adult_case.models(sets, train, kept=kept)
        folder = adult_case.write(tmp_path / str(kept), sets, found, save, suffix)
        verdicts[kept] = run(folder).verdict
        if kept == 0.0:
            again = train(*adult_case.joined(sets, "retain", "forget"), 77)
            save(folder / f"leaking{suffix}", again)
            verdicts[1.0] = run(folder, unlearned=folder / f"leaking{suffix}").verdict
    assert verdicts[0.0] != "FAIL"
    assert (verdicts[0.5], verdicts[1.0]) == ("FAIL", "FAIL")
