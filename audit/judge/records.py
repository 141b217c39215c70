"""Single rows and single data subjects of the forget set, for whoever closes the request: for ``private/`` only.

A ranking, not a verdict. Rows are flagged, at a controlled false discovery rate, only where U-LiRA had enough
pipelines for that (statistics.md 9.4e); everywhere else the list says which rows to look at first.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from attacks.base import Floats, Ints
from audit.collect.evidence import Evidence
from audit.statistics.conformal import benjamini_yekutieli

from .scored import Scored

FALSE_DISCOVERY_RATE = 0.1  # our choice (statistics.md 2.5)
MIN_PIPELINES = 256  # below that hundreds of rows would have to stand out at once
#: which attack's order the ranking follows: the first of these that ran
STRONGEST = ("ulira", "lira_online", "rmia_online", "membership")


def rankings(evidence: Evidence, scored: Sequence[Scored]) -> dict[str, str]:
    """``records.csv``, and ``subjects.csv`` where rows have data subjects: CSV text by file name."""
    found = {s.attack.name: s.by_row or s.subject for s in scored if s.subject.examples is not None}
    examples = {name: scores.examples[0] for name, scores in found.items() if scores.examples is not None}
    if not examples:
        return {}
    cut = len(evidence.labels("forget"))
    columns: dict[str, Sequence[object]] = {"row": range(cut), "label": evidence.labels("forget").tolist()}
    for name, title in (("ids", "id"), ("names", "group")):
        values = evidence.arrays.get(f"{name}/forget")
        if values is not None:
            columns[title] = values.tolist()
    for name, scores in examples.items():
        columns[name] = [f"{value:.6g}" for value in scores[:cut]]
        columns[f"{name}_holdout_share"] = [f"{p:.4f}" for p in holdout_share(scores[:cut], scores[cut:])]
    records = found["ulira"].records if "ulira" in found else None
    if records is not None and len(evidence.facts.shadows.get("unlearned", ())) >= MIN_PIPELINES:
        flagged = benjamini_yekutieli(records[:cut]) <= FALSE_DISCOVERY_RATE
        columns["flagged"] = flagged.astype(int).tolist()
    first = next(name for name in (*STRONGEST, *examples) if name in examples)
    texts = {"records.csv": _csv(columns, np.argsort(-examples[first][:cut], kind="stable"))}
    names = evidence.arrays.get("names/forget")
    if names is not None:
        texts["subjects.csv"] = _subjects(names, {name: scores[:cut] for name, scores in examples.items()}, first)
    return texts


def holdout_share(forget: Floats, holdout: Floats) -> Floats:
    """Share of never-seen rows that score at least as high as each forget row, (n_F,) in (0, 1]; small stands out.

    (1 + #{holdout >= score}) / (1 + n_H): ties count against standing out.
    """
    at_least = len(holdout) - np.searchsorted(np.sort(holdout), forget, side="left")
    return np.asarray((1 + at_least) / (1 + len(holdout)))


def _subjects(names: np.ndarray[Any, Any], scores: dict[str, Floats], first: str) -> str:
    """Mean score of each data subject's rows."""
    subjects, inverse, counts = np.unique(names, return_inverse=True, return_counts=True)
    means = {name: np.bincount(inverse, weights=values) / counts for name, values in scores.items()}
    columns: dict[str, Sequence[object]] = {"group": subjects.tolist(), "rows": counts.tolist()}
    columns |= {name: [f"{value:.6g}" for value in values] for name, values in means.items()}
    return _csv(columns, np.argsort(-means[first], kind="stable"))


def _csv(columns: dict[str, Sequence[object]], order: Ints) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", *columns])
    writer.writerows([rank, *(column[i] for column in columns.values())] for rank, i in enumerate(order.tolist(), 1))
    return text.getvalue()
