"""The self-test holds here, and says so where an installation is broken."""

import numpy as np
import pytest

from audit.selftest import run_selftest
from audit.statistics.permutation import MaxT
from tests.conftest import Cli, process


def test_selftest_holds(cli: Cli) -> None:
    ended = cli("selftest")
    assert ended.code == 0, ended.out
    assert "a leaking model fails" in ended.out
    assert "11 checks hold" in ended.out


@pytest.mark.slow
def test_a_broken_permutation_test_is_found(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(scores: np.ndarray, *_: object) -> MaxT:
        return MaxT(1.0, np.ones(len(scores)), np.zeros(len(scores)))

    monkeypatch.setattr("audit.judge.d2.permutation_max_t", silent)
    ended = cli("selftest")
    assert ended.code == 4
    assert "a leaking model fails" in ended.text
    assert "do not trust it" in ended.text


@pytest.mark.slow
def test_an_interval_that_is_too_narrow_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from audit.statistics.intervals import auc_delong

    def narrow(forget: np.ndarray, holdout: np.ndarray, level: float) -> object:
        estimate = auc_delong(forget, holdout, level)
        return replace(estimate, low=estimate.value - 0.5 * estimate.se, high=estimate.value + 0.5 * estimate.se)

    monkeypatch.setattr("audit.selftest.auc_delong", narrow)
    assert "AUC interval at its level" in [check.name for check in run_selftest() if not check.ok]


@pytest.mark.slow
def test_selftest_takes_less_than_a_minute() -> None:
    import time

    started = time.monotonic()
    assert process("selftest").code == 0
    assert time.monotonic() - started < 60
