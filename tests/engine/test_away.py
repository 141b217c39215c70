"""A whole audit on two worker processes: the record of one process, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audit.inputs.resolve import resolve
from audit.run import prepare, run_audit
from tests.engine.case import write


def audited(folder: Path, out: str, **more: Any) -> Path:
    settings, _ = resolve({"out": folder / out, "access": "logits", **more}, folder / "audit.toml")
    return run_audit(prepare(settings)).run.path


def test_two_processes_give_the_record_of_one(tmp_path: Path) -> None:
    write(tmp_path, '"membership", "population", "probe"')
    here, away = audited(tmp_path, "here"), audited(tmp_path, "away", workers=2)
    assert (away / "run.json").read_bytes() == (here / "run.json").read_bytes()
    events = [json.loads(line) for line in (away / "events.jsonl").read_text().splitlines()]
    assert [(e["name"], e["workers"]) for e in events if e["event"] == "engine"] == [("processes", 2)]
    units = [(e["attack"], e["model"], e["status"]) for e in events if e["event"] == "unit"]
    assert len(units) == len(set(units)) >= 8
