"""Every Eval Ever: ``<uuid>_samples.jsonl``, one evaluation a set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from attacks.tasks.scores import HIGHER
from audit.errors import brief

from .layout import Layout, Log, Rows, mapping, number, read_lines, within


class EveryEvalEver(Layout):
    """A file or folder a model; sets are evaluations."""

    name = "every-eval-ever"
    words = "<uuid>_samples.jsonl of a model, or the folder of several"
    sets: ClassVar = {"forget": "", "retain": "", "holdout": "", "test": ""}
    meaning = "evaluation_name"

    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:
        """An evaluation a set."""
        path = Path(source)
        files = sorted(path.rglob("*_samples.jsonl")) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"{source} holds no <uuid>_samples.jsonl: name the folder of one model")
        log = Log(own={"score": HIGHER})
        roles: dict[str, list[str]] = {}
        for role, name in names.items():
            roles.setdefault(name, []).append(role)
            log.sets[role] = Rows(origin={"score": "evaluation.score, as it is", "correct": "evaluation.is_correct"})
        held: set[str] = set()
        for file in files:
            for where, sample in read_lines(file, log, within(file, path)):
                held.add(str(sample.get("evaluation_name")))
                for role in roles.get(str(sample.get("evaluation_name")), ()):
                    _add(log.sets[role], sample, where, group_key)
        empty = sorted(name for name in roles if name not in held)
        if empty:
            raise ValueError(f"{source} holds no samples of {', '.join(empty)}: it holds {', '.join(sorted(held))}")
        for rows in log.sets.values():  # an evaluation that never says whether an answer is right has no such signal
            rows.signals = {n: column for n, column in rows.signals.items() if set(column.values()) != {None}}
        return log


def _add(rows: Rows, sample: Mapping[str, object], where: str, group_key: str | None) -> None:
    key = str(sample.get("sample_id") or "")
    if not key or key in rows.checks:
        raise ValueError(f"{where}: sample_id {brief(sample.get('sample_id'))} is absent or stands twice in its set")
    found = mapping(sample.get("evaluation"), f"{where}, evaluation")
    rows.checks[key] = str(sample.get("sample_hash") or "")
    rows.signals.setdefault("score", {})[key] = number(found.get("score", "absent"), f"{where}, evaluation.score")
    right = found.get("is_correct")
    if right is not None and not isinstance(right, bool):
        raise ValueError(f"{where}, evaluation.is_correct is {brief(right)}: true or false is expected")
    rows.signals.setdefault("correct", {})[key] = None if right is None else float(right)
    metadata, asked = sample.get("metadata"), sample.get("input")
    if group_key and isinstance(metadata, dict) and group_key in metadata:
        rows.groups[key] = str(metadata[group_key])
    if isinstance(asked, dict):
        rows.texts[key] = str(asked.get("raw", ""))
