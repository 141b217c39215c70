"""lm-evaluation-harness: ``samples_<task>_<time>.jsonl`` with logged samples, one task a set.

The log-likelihood is that of the right answer where a row has several (multiple choice), else that of its one request;
it is a sum over the answer's tokens, not a mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from audit.errors import brief
from audit.inputs.naming import shown

from .layout import Layout, Log, Rows, number, read_lines, within

FILE = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d\d-\d\dT[\d.:-]+\.jsonl")
ACCURACY = ("acc", "exact_match")
HASHES = ("doc_hash", "prompt_hash", "target_hash")  # of the row, what was asked, the right answer
#: of each signal, what it is read from
ORIGIN = {
    "nll_sum": "minus the log-likelihood of the right answer",
    "margin": "log-likelihood of the right answer less that of the best other one",
    "correct": "acc or exact_match, as it is",
}


class LmEval(Layout):
    """A folder a model; sets are tasks."""

    name = "lm-eval"
    words = "the folder of a model with samples_<task>_<time>.jsonl (--log_samples)"
    sets: ClassVar = {"forget": "", "retain": "", "holdout": "", "test": ""}
    meaning = "task"

    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:
        """A task a set."""
        log, tasks = Log(), _tasks(Path(source))
        for role, name in names.items():
            if name not in tasks:
                raise ValueError(f"{source} holds no samples of {name}: it holds {', '.join(sorted(tasks)) or 'none'}")
            *older, file = tasks[name]
            if older:
                runs = f"of {len(older) + 1} runs of {shown(name)} in one folder"
                log.said.append(f"{role}: {runs} the newest is read, {shown(file.name)}")
            log.sets[role] = _rows(file, within(file, Path(source)), log, group_key)
        return log


def _tasks(path: Path) -> dict[str, list[Path]]:
    """The files of each task, the newest last: names end with the time."""
    files = sorted(path.rglob("samples_*.jsonl"), key=lambda file: file.name) if path.is_dir() else [path]
    if len({file.parent for file in files}) > 1:
        raise ValueError(f"{path} holds samples in several folders: name that of one model")
    found: dict[str, list[Path]] = {}
    for file in files:
        if match := FILE.fullmatch(file.name):
            found.setdefault(match["task"], []).append(file)
    if not found:
        raise ValueError(f"{path} holds no samples_<task>_<time>.jsonl: run lm_eval with --log_samples")
    return found


def _rows(path: Path, place: str, log: Log, group_key: str | None) -> Rows:
    columns: dict[str, dict[str, float | None]] = {name: {} for name in ORIGIN}
    rows = Rows()
    for where, sample in read_lines(path, log, place):
        key = str(sample.get("doc_id", ""))
        if not key or key in rows.checks:
            raise ValueError(f"{where}: doc_id {brief(sample.get('doc_id'))} is absent or stands twice: one row a doc")
        rows.checks[key] = " ".join(str(sample.get(name, "")) for name in (*HASHES, "target"))
        of_right, best_other = _likelihoods(sample, where)
        columns["nll_sum"][key] = None if of_right is None else -of_right
        columns["margin"][key] = None if of_right is None or best_other is None else of_right - best_other
        told = next((name for name in ACCURACY if name in sample), None)
        columns["correct"][key] = _right(sample[told], f"{where}, {told}") if told else None
        document = sample.get("doc")
        if isinstance(document, dict):
            rows.texts[key] = str(document)
            if group_key and group_key in document:
                rows.groups[key] = str(document[group_key])
    for name, values in columns.items():  # generated text has no log-likelihood, a single request no margin
        rows.add(name, values if set(values.values()) != {None} else {}, ORIGIN[name])
    return rows


def _right(value: Any, where: str) -> float | None:
    """Whether an answer is right: a number, or true or false, as some tasks write it."""
    return float(value) if isinstance(value, bool) else number(value, where)


def _likelihoods(sample: Mapping[str, Any], where: str) -> tuple[float | None, float | None]:
    """Of the right answer and of the best other one; None where there is none, or null."""
    found = sample.get("filtered_resps", sample.get("resps"))
    if not isinstance(found, list) or not found:
        raise ValueError(f"{where}: no resps: run lm_eval with --log_samples")
    # a request has one answer (log-likelihood, greedy), unfiltered inside a list of repetitions
    pairs = [r[0] if isinstance(r, list) and r and isinstance(r[0], list) else r for r in found]
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return None, None  # generated text
    values = [number(pair[0], f"{where}, resps") for pair in pairs]
    if len(values) == 1:
        return values[0], None
    target = str(sample.get("target", ""))
    if not target.isdecimal() or int(target) >= len(values):
        raise ValueError(f"{where}: target is {brief(sample.get('target'))}, no position among {len(values)} answers")
    right = values.pop(int(target))
    others = [value for value in values if value is not None]
    return right, max(others) if len(others) == len(values) else None
