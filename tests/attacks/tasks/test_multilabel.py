"""Multi-label and one-logit classifiers: closed forms, and real networks on the bits of scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import audit
from attacks.signals import logit_confidence
from attacks.tasks.multilabel import MultiLabel
from audit.errors import InputError

TASK = MultiLabel()
SIZES = {"forget": 100, "retain": 200, "holdout": 200, "test": 200}


def test_one_label_is_a_classifier_with_one_logit() -> None:
    z, y = np.random.default_rng(0).normal(size=(20, 1)), np.arange(20) % 2
    both = np.column_stack([np.zeros(20), z])
    np.testing.assert_allclose(TASK.confidence(z, y[:, None]), logit_confidence(both, y))


def test_likelihood_quality_and_probe() -> None:
    flags = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    logits = np.array([[2.0, -1.0], [1.0, -3.0], [0.5, -0.5]])
    p = 1 / (1 + np.exp(-logits))
    expected = np.log(np.where(flags > 0, p, 1 - p)).sum(axis=1)
    np.testing.assert_allclose(TASK.log_likelihood(logits, flags, 0.0), expected)
    assert TASK.loss(logits, flags) == pytest.approx(-expected.mean() / 2)
    assert TASK.quality(logits, flags).tolist() == [1.0, 0.5, 0.5]
    assert TASK.constant(flags) == pytest.approx(2 / 3)
    tensors = torch.tensor(logits), torch.tensor(flags)
    assert float(TASK.training_loss(*tensors)) == pytest.approx(-expected.sum() / 2)
    x = np.random.default_rng(0).normal(size=(200, 2))
    found = TASK.probe(x, np.column_stack([x[:, 0] > 0, np.ones(200)]).astype(float), x, None, 0.01, 2)
    assert ((found[:, 0] > 0) == (x[:, 0] > 0)).mean() > 0.95
    assert not found[:, 1].any()  # a flag that never changes is not learned


def bits(y: Any) -> Any:
    return ((y[:, None] >> np.arange(4)) & 1).astype(np.float32)


@pytest.fixture(scope="module")
def rows() -> dict[str, tuple[Any, Any]]:
    """Pixels with noise, so that rows have to be remembered, and the four bits of each digit."""
    data = load_digits()
    rng = np.random.default_rng(0)
    x = (data.data / 16 + rng.normal(size=data.data.shape) * 0.5).astype(np.float32)
    parts = np.split(rng.permutation(len(x)), np.cumsum(list(SIZES.values())))[:-1]
    return {role: (x[index], bits(data.target[index])) for role, index in zip(SIZES, parts, strict=True)}


def train(x: Any, y: Any, seed: int, steps: int = 120) -> nn.Module:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, y.shape[1]))
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(network(torch.tensor(x)), torch.tensor(y)).backward()
        optimiser.step()
    return network.eval()


@pytest.fixture(scope="module")
def models(rows: dict[str, tuple[Any, Any]]) -> dict[str, nn.Module]:
    everything = [np.concatenate([rows["forget"][i], rows["retain"][i]]) for i in (0, 1)]
    honest = {name: train(*rows["retain"], seed=10 + k) for k, name in enumerate(("unlearned", "a", "b"))}
    return {"original": train(*everything, seed=1), **honest}


def given(rows: dict[str, Any], models: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = {**rows, "original": models["original"], "unlearned": models["unlearned"]}
    return named | {"retrained": [models["a"], models["b"]], "split": "attested", "progress": "off"} | more


def test_honest_networks_are_no_fail_and_a_fine_tuned_original_is_one(
    rows: dict[str, Any],
    models: dict[str, nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keys: tuple[Path, Path],
) -> None:
    """The certificate of the FAIL holds for the network that was audited, and for no other."""
    monkeypatch.chdir(tmp_path)
    found = audit.run(**given(rows, models, task="multilabel"))
    assert found.verdict != "FAIL"
    assert found.result.utility is not None
    assert found.result.utility.figure == "share of labels right"
    shaken = {k: v + 1e-3 * torch.randn_like(v) for k, v in models["original"].state_dict().items()}
    leaking = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    leaking.load_state_dict(shaken)
    failed = audit.run(**given(rows, models, task="multilabel", unlearned=leaking.eval(), sign_key=keys[0]))
    assert failed.verdict == "FAIL"
    assert failed.certificate is not None
    assert audit.verify(failed.certificate, key=keys[1], model=leaking).verdict == "FAIL"
    with pytest.raises(audit.CertificateError, match="covers other content"):
        audit.verify(failed.certificate, key=keys[1], model=models["original"])
    with pytest.raises(InputError, match="y must be flags, 0 or 1"):
        audit.run(**given({**rows, "forget": (rows["forget"][0], rows["forget"][1] * 2)}, models, task="multilabel"))
    with pytest.raises(InputError, match="y of the forget set has 3 flags a row, the models give 4"):
        audit.run(**given({r: (x, y[:, :3]) for r, (x, y) in rows.items()}, models, task="multilabel"))


def test_one_logit_is_a_classifier_of_two_classes(
    rows: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last bit of a digit by one logit, as networks and, with the very figures, as stored logits (n,)."""
    monkeypatch.chdir(tmp_path)
    odd = {role: (x, y[:, 0].astype(int)) for role, (x, y) in rows.items()}
    parts = {role: (x, y[:, None].astype(np.float32)) for role, (x, y) in odd.items()}
    everything = [np.concatenate([parts["forget"][i], parts["retain"][i]]) for i in (0, 1)]
    models = {"original": train(*everything, seed=1)}
    models |= {name: train(*parts["retain"], seed=10 + k) for k, name in enumerate(("unlearned", "a", "b"))}
    with torch.no_grad():
        logits = {n: {r: m(torch.tensor(x))[:, 0].numpy() for r, (x, _) in odd.items()} for n, m in models.items()}
    found, by_logits = (audit.run(**given(odd, m, access="logits")) for m in (models, logits))
    one, two = (next(f for f in r.findings if f.id == "membership.auc").estimate for r in (found, by_logits))
    assert one == pytest.approx(two, abs=1e-3)
    assert found.result.task is None


def broken(how: str, honest: dict[str, Any], forget: Any) -> dict[str, Any]:
    """Logits of an honest network, over-forgetting: the same everywhere, or wrong on every flag of forget rows."""
    if how == "constant":
        return {role: np.full_like(logits, 0.3) for role, logits in honest.items()}
    return honest | {"forget": np.where(forget > 0, -1, 1) * np.abs(honest["forget"])}


@pytest.mark.parametrize("how", ["constant", "wrong on forget rows"])
def test_over_forgetting_never_passes_and_is_named(
    rows: dict[str, Any], models: dict[str, nn.Module], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside retrains that the same logits of an honest network PASS with."""
    monkeypatch.chdir(tmp_path)
    with torch.no_grad():
        logits = {n: {r: m(torch.tensor(x)).numpy() for r, (x, _) in rows.items()} for n, m in models.items()}
    unlearned = broken(how, logits["unlearned"], rows["forget"][1])
    found = audit.run(**given(rows, logits, task="multilabel", unlearned=unlearned))
    utility = next(gate for gate in found.result.gates if gate.name == "utility")
    known = {f.id: f for f in found.findings}
    if how == "constant":
        assert audit.run(**given(rows, logits, task="multilabel")).verdict == "PASS"
        assert found.verdict == "INCONCLUSIVE"
        assert not utility.ok
        assert "nothing could be tested" in found.result.verdict.sentence
        assert "share of labels right on 350 never-seen rows is worse" in utility.reason
        assert "a broken model is no evidence of forgetting" in " ".join(found.result.verdict.reasons)
    else:
        assert found.verdict == "FAIL"
        assert utility.ok
        assert "Over-unlearned: the forget set is recognisable as the deleted set" in found.result.verdict.sentence
        assert known["membership.tpr_lower"].status == "FAIL"
        assert known["membership.tpr_lower"].estimate > 0.9  # type: ignore[operator]
        assert known["membership.auc"].estimate < 0.1  # type: ignore[operator]
