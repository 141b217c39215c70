"""``--max-minutes`` ends attacks: what did not run is said, blocks PASS where it is gated, and runs with more time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.inputs.resolve import resolve
from audit.record.result import AuditResult
from audit.run import prepare, run_audit
from tests.engine.case import write


def audited(folder: Path, **more: Any) -> AuditResult:
    settings, _ = resolve({"out": folder / "runs", "access": "logits", **more}, folder / "audit.toml")
    return run_audit(prepare(settings)).result


def test_a_budget_ends_attacks_and_never_in_a_pass(tmp_path: Path) -> None:
    write(tmp_path, '"membership", "population"')
    cut = audited(tmp_path, max_minutes=1e-9)
    ran = {attack.name: attack for attack in cut.attacks}
    assert all(ran[name].status == "skipped" for name in ("membership", "population"))
    assert "the same command with a larger one goes on" in ran["membership"].reason
    gate = next(gate for gate in cut.gates if gate.name == "attacks ran")
    assert not gate.ok
    assert "left out" in gate.reason
    assert cut.verdict.outcome.value != "PASS"
    again = {attack.name for attack in audited(tmp_path, max_minutes=60).attacks if attack.status == "ok"}
    assert again == {"membership", "population"}
