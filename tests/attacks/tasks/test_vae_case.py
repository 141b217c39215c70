"""A class-conditional VAE that forgets a digit, judged by what it draws and by how well it knows the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import vae_case, vae_methods
from cases.mnist import MNIST
from cases.vae_case import DIGIT, VAE, VaeCase

import audit


def test_the_bound_lies_below_the_likelihood() -> None:
    """Of a tiny VAE's picture: importance sampling with many draws comes from below, the bound of one is smaller."""
    torch.manual_seed(0)
    model = VAE()
    x = torch.bernoulli(torch.full((1, vae_case.PIXELS), 0.3))
    y = torch.tensor([DIGIT])
    with torch.no_grad():
        noise = torch.Generator().manual_seed(0)
        bound = torch.stack([vae_case.bound(model, x, y, noise) for _ in range(200)]).mean()
        latent = torch.randn(4000, vae_case.LATENT, generator=noise)
        told = -torch.nn.functional.binary_cross_entropy_with_logits(
            model.decode(latent, y.expand(4000)), x.expand(4000, -1), reduction="none"
        ).sum(1)
    assert float(bound) < float(torch.logsumexp(told, 0) - np.log(4000))


no_data = pytest.mark.skipif(not MNIST.is_file(), reason="UNLEARN_TEST_DATA names no folder with mnist.npz")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def case() -> VaeCase:
    return vae_case.build()


@pytest.fixture(scope="module")
def models(case: VaeCase) -> dict[str, VAE]:
    return {
        "honest": case.unlearned,
        "Selective Amnesia": vae_methods.amnesia(case, 0),
        "another name": vae_methods.renamed(case, 0),
        "gradient difference": vae_methods.ascent(case, 0),
        "ruined": vae_methods.ascent(case, 0, 10, keep=False),
    }


def drawn(case: VaeCase, model: VAE) -> Any:
    return audit.run(**(case.drawn() | {"unlearned": case.looks(model)}))


def known(case: VaeCase, model: VAE) -> Any:
    return audit.run(**case.reconstructed().given(unlearned=vae_case.scores(model, case.rows)))


@no_data
@pytest.mark.slow
def test_an_honest_retrain_is_not_failed(case: VaeCase, models: dict[str, VAE]) -> None:
    found = drawn(case, models["honest"])
    assert found.result.claim.classes == (DIGIT,)
    assert found.verdict != "FAIL"
    assert known(case, models["honest"]).verdict != "FAIL"


@no_data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["Selective Amnesia", "another name", "gradient difference"])
def test_shallow_methods_fail_by_the_pictures(case: VaeCase, models: dict[str, VAE], name: str) -> None:
    """By what is drawn as well; not each time where another digit is drawn: then only what is known of them tells."""
    assert known(case, models[name]).verdict == "FAIL"
    if name != "another name":
        assert drawn(case, models[name]).verdict == "FAIL"


@no_data
@pytest.mark.slow
def test_a_model_that_cannot_draw_never_passes(case: VaeCase, models: dict[str, VAE]) -> None:
    for found in (drawn(case, models["ruined"]), known(case, models["ruined"])):
        assert found.verdict != "PASS"
        assert not found.result.utility.ok
