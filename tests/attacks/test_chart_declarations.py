"""An attack brings its charts by a declaration beside its code: one file, no edit of the audit or of the report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from cases.synthetic import Setup

from attacks.base import REGISTRY, Attack, Case, ChartSpec, Plot, Scores, Signals, View
from attacks.charts import DOTS
from audit.collect.evidence import AttackRun
from audit.judge.judge import judge
from audit.policy.policy import load_policy
from audit.record.result import AuditResult
from reports.formats.html import render_html

LAYERS = ("stem", "block<1>", "block2", "head")


@pytest.fixture
def stub() -> Iterator[type[Attack]]:
    """The one file that a new attack needs; it leaves the registry as it was."""

    class Depth(Attack):
        name = "stub_depth"
        title = "Depth profile"
        charts = (
            ChartSpec("lines", "Similarity by layer", "layer", "similarity", plot="profile"),
            ChartSpec("heatmap", "Similarity by class and layer", "layer", "similarity", plot="table"),
            ChartSpec("grid", "What was reconstructed", plot="pictures", note="Made by the stub."),
            DOTS,
        )

        def __init__(self, *, pictures: bool = False) -> None:
            super().__init__()
            self.parameters = {"pictures": pictures}

        def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
            raise NotImplementedError("the test draws the signals")

        def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
            layers = np.stack([s["layers"] for s in signals])
            plots = {
                "profile": Plot(layers.mean(axis=1), ticks=LAYERS),
                "table": Plot(layers, ticks=LAYERS, rows=("class 0", "class 1")),
            }
            if self.parameters["pictures"]:
                plots["pictures"] = Plot(np.stack([s["picture"] for s in signals])[:, None], rows=("row 7",))
            return Scores(statistic=layers.mean(axis=(1, 2)), plots=plots)

    yield Depth
    del REGISTRY["stub_depth"]


def judged(stub: type[Attack], **parameters: Any) -> tuple[AuditResult, dict[str, Signals]]:
    """An audit on synthetic evidence in which the stub ran on every model."""
    evidence, rng = Setup().evidence(), np.random.default_rng(3)
    signals: dict[str, Signals] = {
        name: {"layers": rng.random((2, 4)), "picture": rng.random((40, 50))} for name in evidence.facts.models
    }
    evidence.signals |= {("stub_depth", name): value for name, value in signals.items()}
    run = AttackRun(name="stub_depth", parameters=stub(**parameters).parameters, status="ok")
    others = (item for item in evidence.facts.attacks if item.name != run.name)
    evidence.facts = evidence.facts.model_copy(update={"attacks": (*others, run)})
    return judge(evidence, load_policy("standard")[0], "0" * 64), signals


def test_declared_charts_stand_in_record_and_report(stub: type[Attack]) -> None:
    result, signals = judged(stub)
    record = next(a for a in result.attacks if a.name == "stub_depth")
    assert [c.kind for c in record.charts] == ["lines", "heatmap", "dots"]  # pictures were not asked for
    profile, table, _ = record.charts
    assert profile.ticks == table.ticks == LAYERS
    lines = {s.role: s for s in profile.series}
    means = {name: s["layers"].mean(axis=0) for name, s in signals.items()}
    references = np.stack([values for name, values in means.items() if name.startswith("retrained/")])
    assert lines["unlearned"].y == pytest.approx(means["unlearned"])
    assert lines["original"].y == pytest.approx(means["original"])
    assert lines["reference"].y == pytest.approx(references.mean(axis=0))
    assert lines["reference"].low == pytest.approx(references.min(axis=0))
    assert lines["reference"].high == pytest.approx(references.max(axis=0))
    cells = {(s.role, s.name): s.y for s in table.series}
    assert cells["original", "class 1"] == pytest.approx(signals["original"]["layers"][1])
    page = render_html(result)
    for words in ("Similarity by layer", "Similarity by class and layer", "block&lt;1&gt;", "the band is their range"):
        assert words in page
    assert "What was reconstructed" not in page
    assert "<image" not in page


def test_a_grid_is_drawn_where_it_is_asked_for(stub: type[Attack]) -> None:
    result, _ = judged(stub, pictures=True)
    page = render_html(result)
    grid = next(a for a in result.attacks if a.name == "stub_depth").charts[2]
    assert [(s.role, s.name, s.width, len(s.pixels)) for s in grid.series] == [
        (role, "row 7", 32, 2 * 32 * 32) for role in ("unlearned", "original", "reference")
    ]
    assert len(re.findall(r'<image class="pixels"[^>]* href="data:image/png;base64,[A-Za-z0-9+/=]+"', page)) == 3
    assert "Made by the stub." in page


def test_plots_that_do_not_fit_are_refused() -> None:
    good = np.zeros((3, 2, 4))
    Plot(good, rows=("a", "b"), ticks=LAYERS).check(3)
    for plot in (
        Plot(good[0, 0], rows=("a",)),
        Plot(good),
        Plot(good, rows=("a", "b"), ticks=("too", "few")),
        Plot(good, rows=("a", "b"), x=np.zeros(3)),
        Plot(np.full((3, 4), np.nan)),
        Plot(np.zeros((2, 4))),
    ):
        with pytest.raises(ValueError, match="a plot"):
            plot.check(3)
