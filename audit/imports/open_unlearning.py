"""open-unlearning: ``TOFU_EVAL.json`` or ``MUSE_EVAL.json``, metrics with ``value_by_index``.

Its membership scores are higher for what looks *less* like a member; those are turned. ``truth_ratio`` there loses its
ids where rows are null (the code drops them and numbers the rest from 0), so it is computed here from the losses of
paraphrased and perturbed answers, or taken as it is where no row is null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from attacks.scorers.tokens import truth_ratio
from attacks.tasks.scores import LOWER
from audit.errors import brief
from audit.inputs.naming import shown

from .layout import Layout, Log, Rows, mapping, number, read_json, the_file

INDEXED = ("value_by_index", "values_by_index")  # the code writes the first, its documentation the second
#: of the membership metrics: our name of the signal, and whether their score is ours turned
MIA = {
    "mia_loss": ("nll", False),
    "mia_zlib": ("zlib_nll", False),
    "mia_min_k": ("min_k", True),
    "mia_min_k_plus_plus": ("min_k_pp", True),
    "mia_reference": ("reference_nll", False),
}
ROUGE = ("Q_A_ROUGE", "knowmem_ROUGE")


class OpenUnlearning(Layout):
    """One file a model; sets are the first words of the metrics' names."""

    name = "open-unlearning"
    words = "TOFU_EVAL.json, MUSE_EVAL.json (not _SUMMARY.json), or the folder of one"
    sets: ClassVar = {"forget": "forget", "retain": "retain", "holdout": "holdout"}
    meaning = "first word of its metrics (forget_Q_A_Prob), or section of mia_*: forget, holdout, retain, ra, wf"

    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:  # noqa: ARG002
        """All metrics of the sets."""
        log = Log(own={"reference_nll": LOWER})
        path = the_file(source, "TOFU_EVAL.json", "MUSE_EVAL.json")
        document = read_json(path, log)
        if document and not any(isinstance(value, dict) for value in document.values()):
            raise ValueError(f"{path} holds averages alone: name TOFU_EVAL.json, which has a value for each row")
        read: set[str] = set()
        for role, name in names.items():
            log.sets[role] = _rows(document, name, log, read)
        unread = sorted(shown(metric) for metric, value in document.items() if metric not in read and _by_row(value))
        if unread:
            log.said.append(f"metrics with a value for each row that are not read: {', '.join(unread)}")
        return log


def _by_row(metric: Any) -> bool:
    """It, or a section of it, has a value for each row."""
    parts = [metric, *metric.values()] if isinstance(metric, dict) else []
    return any(isinstance(part, dict) and any(key in part for key in INDEXED) for part in parts)


def _rows(document: dict[str, Any], name: str, log: Log, read: set[str]) -> Rows:
    """The rows of a set; ``read`` takes the names of the metrics that were."""
    rows = Rows()
    for metric, (signal, turned) in MIA.items():
        section = document.get(metric)
        if isinstance(section, dict) and name in section:
            read.add(metric)
            values = _column(section[name], f"{metric}.{name}", "score")
            if turned:
                values = {key: None if value is None else -value for key, value in values.items()}
            why = "turned: there higher = less like a member" if turned else "as it is"
            rows.add(signal, values, f"{metric}.{name}.score, {why}")
    if (metric := f"{name}_Q_A_Prob") in document:
        read.add(metric)
        rows.add("nll", _column(document[metric], metric, "avg_loss"), f"{metric}.avg_loss, as it is")
    for kind in ROUGE:
        if (metric := f"{name}_{kind}") in document:
            read.add(metric)
            values = _column(document[metric], metric, "rougeL_recall")
            rows.add("rouge_l", values, f"{metric}.rougeL_recall, as it is")
            rows.texts |= _texts(document[metric], metric)
    _add_truth_ratio(rows, document, name, log, read)
    return rows


def _add_truth_ratio(rows: Rows, document: dict[str, Any], name: str, log: Log, read: set[str]) -> None:
    right, wrong = f"{name}_Q_A_PARA_Prob", f"{name}_Q_A_PERT_Prob"
    metric = f"{name}_Truth_Ratio"
    if right in document and wrong in document:
        read |= {right, wrong, metric}
        above, below = _column(document[wrong], wrong, "avg_loss"), _column(document[right], right, "avg_loss")
        origin = f"exp({right}.avg_loss - mean of {wrong}.avg_loss), computed here"
        rows.add("truth_ratio", {key: _ratio(above[key], below[key]) for key in above if key in below}, origin)
        return
    if metric in document and "nll" in rows.signals:
        read.add(metric)
        values, losses = _column(document[metric], metric, "score"), rows.signals["nll"]
        if set(values) == set(losses) and None not in losses.values():
            rows.add("truth_ratio", values, f"{metric}.score, as it is")
        else:
            log.said.append(f"{metric} is left out: rows are null, and such ratios are numbered anew without them")


def _ratio(wrong: float | None, right: float | None) -> float | None:
    return None if wrong is None or right is None else truth_ratio(right, [wrong])


def _column(metric: Any, where: str, field: str) -> dict[str, float | None]:
    """One field of a metric for each row; lists, as of several wrong answers, are averaged."""
    found: dict[str, float | None] = {}
    for key, row in _indexed(metric, where).items():
        place = f"{where}, row {brief(key)}"
        value = None if row is None else mapping(row, place).get(field, "absent")
        if isinstance(value, list):
            several = [number(v, f"{place}, {field}") for v in value]
            known = [v for v in several if v is not None]
            found[key] = math.fsum(known) / len(known) if known and len(known) == len(several) else None
        else:
            found[key] = number(value, f"{place}, {field}")
    return found


def _texts(metric: Any, where: str) -> dict[str, str]:
    rows = _indexed(metric, where).items()
    return {key: f"{row.get('input', '')} {row.get('ground_truth', '')}".strip() for key, row in rows if row}


def _indexed(metric: Any, where: str) -> dict[str, Any]:
    document = mapping(metric, where)
    key = next((key for key in INDEXED if key in document), None)
    if key is None:
        raise ValueError(f"{where} has no {INDEXED[0]}: name {Path('TOFU_EVAL.json')}, not the summary")
    return mapping(document[key], f"{where}.{key}")
