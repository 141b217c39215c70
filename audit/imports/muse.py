"""MUSE: ``privleak/log.json``, lists of texts with perplexities and min-k, by set.

Values are those of its code: ``PPL`` is no perplexity but the mean loss, ``PPL/zlib`` that over the
compressed length, ``Min-k%`` minus the mean log-probability of the least likely tokens: all are lower for members.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .layout import Layout, Log, Rows, mapping, number, read_json, the_file

SHARE = "Min-20%"  # our choice among its eight shares: that of the paper, 2310.16789


class Muse(Layout):
    """One file a model; sets are its keys."""

    name = "muse"
    words = "temp/<name>/privleak/log.json, or its folder"
    sets: ClassVar = {"forget": "forget", "retain": "retain", "holdout": "holdout"}
    meaning = "key of the file"

    def read(self, source: str, names: Mapping[str, str], group_key: str | None) -> Log:  # noqa: ARG002
        """All sets."""
        log = Log()
        path = the_file(source, "log.json")
        document = read_json(path, log)
        for role, name in names.items():
            if name not in document:
                continue  # said where sets are joined
            found = document[name]
            if not isinstance(found, list):
                raise ValueError(f"{path}: {name} is no list of rows: name privleak/log.json, not auc.json")
            log.sets[role] = _rows(found, f"{path}: {name}")
        return log


def _rows(found: list[object], where: str) -> Rows:
    nll: dict[str, float | None] = {}
    zlib: dict[str, float | None] = {}
    least: dict[str, float | None] = {}
    rows = Rows()
    for position, value in enumerate(found):
        key, place = str(position), f"{where}, row {position}"
        row = mapping(value, place)
        nll[key] = number(row.get("PPL", "absent"), f"{place}, PPL")
        zlib[key] = number(row.get("PPL/zlib", "absent"), f"{place}, PPL/zlib")
        turned = number(row.get(SHARE, "absent"), f"{place}, {SHARE}")
        least[key] = None if turned is None else -turned
        rows.texts[key] = rows.checks[key] = str(row.get("text", ""))
    rows.add("nll", nll, "PPL, which is the mean loss there, as it is")
    rows.add("zlib_nll", zlib, "PPL/zlib, as it is")
    rows.add("min_k", least, f"{SHARE}, turned: there higher = less like a member")
    return rows
