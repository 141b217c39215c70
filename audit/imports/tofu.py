"""TOFU: ``eval_log_forget.json`` and its siblings, or ``eval_log_aggregated.json`` that holds them all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from attacks.scorers.tokens import truth_ratio
from audit.errors import brief

from .layout import Layout, Log, Rows, mapping, number, read_json

ALL = "eval_log_aggregated.json"
COLUMNS = {"avg_gt_loss": "nll", "rougeL_recall": "rouge_l"}


class Tofu(Layout):
    """A folder a model; sets are files."""

    name = "tofu"
    words = "the folder with eval_log_forget.json and its siblings, or eval_log_aggregated.json"
    sets: ClassVar = {
        "forget": "eval_log_forget.json",
        "retain": "eval_log.json",
        "test": "eval_real_world_wo_options.json",
    }
    meaning = "file name"

    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:  # noqa: ARG002
        """A file a set."""
        log, path = Log(), Path(source)
        if not path.is_dir() and path.name != ALL and len(names) > 1:
            raise ValueError(f"{path}: name the folder with the logs of all sets, or {ALL}")
        together = read_json(path, log) if not path.is_dir() else None
        for role, name in names.items():
            if together is None:
                document = read_json(path / name, log, _place(role, name))
            elif name in together:
                document = mapping(together[name], f"{path}: {name}")
            else:
                raise ValueError(f"{path} holds no {name}: it holds {', '.join(map(brief, together))}")
            log.sets[role] = _rows(document, name)
        return log


def _place(role: str, name: str) -> str:
    inside = not Path(name).is_absolute() and ".." not in Path(name).parts
    return Path(name).as_posix() if inside else f"{role}/{Path(name).name}"


def _rows(document: dict[str, Any], name: str) -> Rows:
    rows = Rows()
    for column, signal in COLUMNS.items():
        if column in document:
            found = mapping(document[column], f"{name}: {column}")
            values = {key: number(value, f"{name}, row {brief(key)}, {column}") for key, value in found.items()}
            rows.add(signal, values, f"{column}, as it is")
    if "avg_paraphrased_loss" in document and "average_perturb_loss" in document:
        _add_truth_ratio(rows, document, name)
    texts = document.get("generated_text", {})
    if isinstance(texts, dict):
        rows.texts = {
            key: str(value[0] if isinstance(value, list) and value else value) for key, value in texts.items()
        }
    if not rows.signals:
        raise ValueError(f"{name} holds none of {', '.join(COLUMNS)}: name a log of TOFU's evaluate_util.py")
    return rows


def _add_truth_ratio(rows: Rows, document: dict[str, Any], name: str) -> None:
    """Wrong answers over the paraphrased right one, by their mean log-likelihoods: the file's own ratio is its
    inverse in some versions."""
    right = mapping(document["avg_paraphrased_loss"], f"{name}: avg_paraphrased_loss")
    wrong = mapping(document["average_perturb_loss"], f"{name}: average_perturb_loss")
    values: dict[str, float | None] = {}
    for key in right:
        place = f"{name}, row {brief(key)}"
        several = wrong.get(key) if isinstance(wrong.get(key), list) else [wrong.get(key)]
        losses = [number(v, f"{place}, average_perturb_loss") for v in several or [None]]
        known, own = [v for v in losses if v is not None], number(right[key], f"{place}, avg_paraphrased_loss")
        values[key] = None if own is None or len(known) != len(losses) else truth_ratio(own, known)
    rows.add("truth_ratio", values, "exp(avg_paraphrased_loss - mean of average_perturb_loss), computed here")
