"""References that are one model to rounding are no null: no p-value is printed against them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from cases.synthetic import Setup

from attacks.base import REGISTRY, Attack, Case, Floats, Scores, Signals, View
from audit.collect.evidence import AttackRun
from audit.judge.differences import ONE_MODEL, coincide
from audit.judge.judge import judge
from audit.policy.policy import load_policy
from audit.record.findings import Finding
from reports.formats.html import render_html
from reports.formats.terminal import render as terminal
from reports.render import Options


@pytest.fixture
def pair_release() -> Iterator[type[Attack]]:
    """An attack on the difference of two models, as ``closed_form`` is: supplementary, with a sampling error."""

    class Difference(Attack):
        name = "stub_difference"
        title = "Difference"

        def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
            raise NotImplementedError("the test draws the signals")

        def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
            values = np.array([float(s["value"][0]) for s in signals])
            return Scores(statistic=values, sampling_error=np.full(len(values), 0.2), unit="bits")

    yield Difference
    del REGISTRY["stub_difference"]


def judged(references: Floats) -> tuple[Finding, str, str]:
    evidence = Setup(references=len(references)).evidence()
    values = {"unlearned": 5.0, "original": 0.0} | {f"retrained/{k}": v for k, v in enumerate(references)}
    evidence.signals |= {("stub_difference", name): {"value": np.array([v])} for name, v in values.items()}
    run = AttackRun(name="stub_difference", parameters={}, status="ok")
    evidence.facts = evidence.facts.model_copy(update={"attacks": (*evidence.facts.attacks, run)})
    result = judge(evidence, load_policy("standard")[0], "0" * 64)
    found = next(f for f in result.findings if f.id == "stub_difference.d1")
    return found, render_html(result), str(terminal(result, Options()))


@pytest.mark.usefixtures("pair_release")
def test_no_p_value_stands_against_references_that_coincide() -> None:
    rng = np.random.default_rng(0)
    spread, _, _ = judged(5 + rng.normal(size=8))
    assert spread.p is not None
    assert spread.interval is not None
    one, page, text = judged(1.5 + 1e-7 * rng.normal(size=8))
    assert one.p is None
    assert one.p_adjusted is None
    assert one.interval is None
    assert one.reason == ONE_MODEL
    assert one.estimate == pytest.approx(3.5, abs=1e-5)
    assert ONE_MODEL.partition(",")[0] in page + text


def test_what_coincides() -> None:
    values = np.array([1.5, 1.5015, 1.4995])
    assert coincide(values, 0.21)
    assert not coincide(values, 0.1)
    assert not coincide(values, 0.0)
    assert coincide(1.5 + 1e-12 * values, 0.0)
    assert coincide(np.zeros(3), 0.0)
