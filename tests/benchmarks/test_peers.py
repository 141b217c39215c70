"""The comparison with public packages scores what it says, with or without them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import peers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world() -> peers.World:
    return peers.world(6, epochs=40)


def test_our_scorers_see_the_rows_that_a_target_learned_by_heart(world: peers.World) -> None:
    calls = peers.membership(world)
    for name in ("LiRA online", "LiRA offline"):
        assert roc_auc_score(world.member[0], calls[name]()) > 0.6
    assert world.logits.shape == (7, peers.TRAINED, 10)


def test_what_is_not_installed_is_skipped_with_its_pin(
    world: peers.World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert list(peers.membership(world)) == ["LiRA online", "LiRA offline"]
    assert list(peers.descents(world)) == ["descent"]
    assert "pip install 'sacroml==2.0.1'" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")  # of their code
@pytest.mark.parametrize("package", ["art", "foolbox"])
def test_a_descent_reaches_what_the_packages_reach(world: peers.World, package: str) -> None:
    pytest.importorskip(package, reason=f"needs {peers.PINS[package]}")
    calls = peers.descents(world)
    theirs = next(call() for name, call in calls.items() if name.lower().endswith(package))
    ours = calls["descent"]()
    assert np.all(ours <= theirs + 1e-4)  # the best of the path, theirs is the last point
    assert np.mean(theirs - ours) < 0.05
