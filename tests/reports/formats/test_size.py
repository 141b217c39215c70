"""The report stays small and quick: 20 attacks with charts of every kind, and a million scores behind them."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from cases.synthetic import Setup

from attacks.base import PER_EXAMPLE, ChartSpec, Floats, Plot, Scores, discover
from audit.judge.charts import charts
from audit.judge.scored import Scored
from audit.record.attack_record import AttackRecord, Chart
from audit.record.result import AuditResult, to_json
from reports.formats.html import render_html

LAYERS = tuple(f"encoder.block{k}.attention" for k in range(60))
MODELS = 6
#: the command line, then its peak of memory in kB (``ru_maxrss`` would count that of the parent)
RENDER = """
import re, sys
from pathlib import Path
from audit.__main__ import main
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""


def everything(forget: Floats, holdout: Floats) -> tuple[Chart, ...]:
    """Charts of every kind, each as large as the audit writes it."""
    attack = discover()["membership"]()
    plots = {
        "curves": Plot(np.random.default_rng(1).random((MODELS, 2, 5000)), rows=("forget", "holdout")),
        "layers": Plot(np.random.default_rng(2).random((MODELS, 60)), ticks=LAYERS),
        "table": Plot(np.random.default_rng(3).random((MODELS, 50, 60)), ticks=LAYERS, rows=LAYERS[:50]),
        "pictures": Plot(np.random.default_rng(4).random((MODELS, 20, 64, 64)), rows=LAYERS[:20]),
    }
    kinds = {"curves": "lines", "layers": "lines", "table": "heatmap", "pictures": "grid"}
    own = tuple(ChartSpec(kind, key, "x", "y", plot=key) for key, kind in kinds.items())  # type: ignore[arg-type]
    attack.charts = (*PER_EXAMPLE, *own)  # type: ignore[misc]
    scores = [Scores(examples=np.concatenate([side, holdout], axis=1), plots=plots) for side in (forget, forget + 1)]
    return charts(Scored(attack, scores[0], scores[1], forget.shape[1]), Setup().evidence().facts, 0.9)


def twenty(result: AuditResult, found: tuple[Chart, ...]) -> AuditResult:
    """The audit with 20 attacks of eight findings each; all have the charts of scores and curves or a profile, every
    fifth a heatmap or pictures besides."""
    named = {c.title: c for c in found}
    records: list[AttackRecord] = []
    for k in range(20):
        titles = [*(spec.title for spec in PER_EXAMPLE), ("curves", "layers")[k % 2]]
        titles += [("table", "pictures")[k % 2]] if k % 5 == 0 else []
        update = {"name": f"attack{k}", "charts": tuple(named[title] for title in titles)}
        records.append(result.attacks[0].model_copy(update=update))
    findings = tuple(
        f.model_copy(update={"id": f"attack{k}.{f.metric}", "attack": f"attack{k}"})
        for k in range(20)
        for f in result.findings[:8]
    )
    return result.model_copy(update={"attacks": tuple(records), "findings": findings})


def test_twenty_attacks_with_charts_stay_under_a_megabyte(failing: AuditResult) -> None:
    rng = np.random.default_rng(0)
    result = twenty(failing, everything(rng.normal(size=(MODELS, 2000)), rng.normal(size=(MODELS, 3000))))
    page = render_html(result)
    assert page.count('<svg class="chart"') == 2 + 20 * 3 + 4
    assert len(page.encode()) < 1_000_000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_million_scores_are_drawn_in_seconds_and_bounded_memory(failing: AuditResult, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    forget, holdout = rng.normal(0.1, 1, (MODELS, 400_000)), rng.normal(size=(MODELS, 600_000))
    everything(forget[:, :1000], holdout[:, :1000])  # imports and caches
    started = time.perf_counter()
    found = everything(forget, holdout)
    built = time.perf_counter() - started
    tracemalloc.start()
    attack = discover()["membership"]()
    scores = Scores(examples=np.concatenate([forget, holdout], axis=1))
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    charts(Scored(attack, scores, scores, 400_000), Setup().evidence().facts, 0.9)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    (tmp_path / "run.json").write_text(to_json(twenty(failing, found)))
    started = time.perf_counter()
    command = [sys.executable, "-c", RENDER, "report", str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    rendered = time.perf_counter() - started
    memory = int(done.stderr) / 1024
    size = (tmp_path / "run.json").stat().st_size, (tmp_path / "report.html").stat().st_size
    print(f"charts {built:.2f} s, peak {peak / 1e6:.0f} MB; report {rendered:.2f} s, {memory:.0f} MB, bytes {size}")
    assert built < 20
    assert peak < 100e6  # the scores themselves are 48 MB a side
    assert rendered < 10
    assert memory < 200
    assert size[0] < 4_000_000
    assert size[1] < 1_000_000
