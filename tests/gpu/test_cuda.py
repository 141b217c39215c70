"""The same audit on a GPU: same verdict, figures as on the processor. Skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cases.digits_case import DigitsCase, build
from methods.registry import METHODS

from attacks.base import NotApplicable, discover
from audit import demo
from audit.inputs.given import given_of
from audit.inputs.resolve import resolve
from audit.record.result import AuditResult
from audit.run import prepare, run_audit
from benchmarks.battery import digits_world, networks
from fixtures.cases.module_view import ModuleView

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use on this machine"),
]
CLOSE = 0.01  # of an AUC: kernels round otherwise


@pytest.fixture(scope="module", params=["random", "class"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DigitsCase:
    return build(tmp_path_factory.mktemp(request.param), request.param, references=8)


def audited(case: DigitsCase, path: Path, device: str, access: str) -> AuditResult:
    given = {"forget": case.folder / "forget.npz", "unlearned": path, "arch": demo.ARCH, "device": device}
    settings, _ = resolve({**given, "access": access, "out": case.folder / f"runs-{device}", **case.flags})
    return run_audit(prepare(settings, given_of(settings))).result


@pytest.mark.parametrize("access", ["logits", "features", "weights"])
@pytest.mark.parametrize("method", ["retrain", "random_labels"])
def test_a_gpu_gives_the_verdict_of_the_processor(case: DigitsCase, access: str, method: str) -> None:
    from methods.base import Pair

    pairs = [
        Pair(torch.from_numpy(case.data.x[case.rows[role]]), torch.from_numpy(case.data.y[case.rows[role]]))
        for role in ("forget", "retain")
    ]
    path = case.folder / f"{method}-{access}.safetensors"
    demo.save_model(path, METHODS[method](case.original, *pairs, 5))
    ours, theirs = (audited(case, path, device, access) for device in ("cpu", "cuda"))
    assert ours.verdict.outcome is theirs.verdict.outcome
    figures = [
        {f.id: f.interval for f in found.findings if f.interval and f.metric == "auc"} for found in (ours, theirs)
    ]
    assert figures[0].keys() == figures[1].keys()
    for key, interval in figures[0].items():
        other = figures[1][key]
        assert interval is not None
        assert other is not None
        assert abs(interval.low - other.low) < CLOSE, key


@pytest.mark.parametrize("kind", ["random", "class"])
def test_every_attack_runs_on_a_gpu_and_says_the_same(kind: str) -> None:
    world, recipe, hidden = digits_world(kind, 905)
    modules = networks(world, recipe, hidden, 3, np.random.default_rng(905))
    case, seen = world.case(), []
    views = {
        device: {name: ModuleView(m, case.sets, device) for name, m in modules.items()} for device in ("cpu", "cuda")
    }
    for name, attack in discover().items():
        if attack.design:
            continue
        scores = []
        try:
            for device in ("cpu", "cuda"):
                signals = [
                    attack().observe(v, views[device]["original"], case, np.random.default_rng(2))  # type: ignore[arg-type]
                    for n, v in views[device].items()
                    if n != "retrain"
                ]
                scores.append(attack().score(signals, case))
        except NotApplicable:
            continue
        for ours, theirs in ((scores[0].examples, scores[1].examples), (scores[0].statistic, scores[1].statistic)):
            if ours is not None and theirs is not None:
                spread = ours.std() or 1.0
                assert np.median(np.abs(ours - theirs)) < 0.05 * spread, name
        seen.append(name)
    assert len(seen) >= 8
