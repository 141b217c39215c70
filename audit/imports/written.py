"""What an import writes: scores files, `audit.toml`, where it all came from; data files and texts in ``private/``.

Ids, authors and texts are personal data: they stand in ``private/`` alone, which can be left behind when the rest is
handed on. The folder and everything in it can be read by its owner alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from attacks.tasks.scores import LACKED, LEFT_OUT, VOCABULARY
from audit.errors import CouldNotRun, UsageError
from audit.record.files import save_arrays, write_private
from audit.record.version import VERSION

from .joined import Joined
from .layout import Log

PRIVATE = "private"
CONFIG, ORIGIN, TEXTS = "audit.toml", "import.json", "texts.jsonl"
FIRST_LINE = "# Written by `audit import`; `audit run --config` with this file audits what was imported.\n"


def write(folder: Path, layout: str, found: Joined, logs: Mapping[str, Log], said: list[str]) -> None:
    """Write everything.

    Args:
        folder: new or empty.
        layout: name of the layout.
        found: what was joined.
        logs: by model, for the digests of their files.
        said: what was left out or noticed.

    Raises:
        UsageError: the folder is not empty.
        CouldNotRun: it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty: name another folder with --out.")
    try:
        (folder / PRIVATE).mkdir(parents=True, mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise CouldNotRun(f"cannot write {folder} ({error.strerror}): name a writable folder with --out.") from error
    digests = {}
    for role, ids in found.ids.items():
        arrays = {"ids": np.array(ids)}
        if all(found.groups[role]):
            arrays["group"] = np.array(found.groups[role])
        digests[_data(role)] = save_arrays(folder / _data(role), arrays)
    for model, values in found.values.items():
        digests[f"{model}.npz"] = save_arrays(folder / f"{model}.npz", {k: np.array(v) for k, v in values.items()})
    write_private(folder / CONFIG, _config(found).encode())
    lines = [
        json.dumps({"set": role, "id": key, "text": text}, ensure_ascii=True)
        for role in found.ids
        for key, text in zip(found.ids[role], found.texts[role], strict=True)
        if text
    ]
    if lines:
        write_private(folder / PRIVATE / TEXTS, ("\n".join(lines) + "\n").encode())
    origin = {
        "layout": layout,
        "version": VERSION,
        "sources": {model: log.digests for model, log in logs.items()},
        "signals": {name: f"{way} = more like a member" for name, way in found.signals.items()},
        "read_from": found.origin,
        "rows": found.counts,
        "dropped": found.dropped,
        "left_out": found.left_out,
        "unlearned_lacks": found.lacked,
        "said": said,
        "written": digests,
    }
    write_private(folder / ORIGIN, (json.dumps(origin, indent=1, sort_keys=True) + "\n").encode())


def _data(role: str) -> str:
    """Where the data file of a set stands: it says who the rows are."""
    return f"{PRIVATE}/{role}.npz"


def _config(found: Joined) -> str:
    models = [model for model in found.values if model.startswith("retrained")]
    lines = [
        FIRST_LINE,
        'task = "scores"',
        "",
        "[data]",
        *(f'{role} = "{_data(role)}"' for role in found.ids),
        "",
        "[model]",
    ]
    lines += [f'{model} = "{model}.npz"' for model in ("original", "unlearned") if model in found.values]
    lines += [f"retrained = {json.dumps([f'{model}.npz' for model in models])}"] * bool(models)
    own = {name: way for name, way in found.signals.items() if name not in VOCABULARY}
    declared = [f'{name} = "{way}"' for name, way in own.items()]
    if found.left_out:
        declared.append(f"{LEFT_OUT} = {json.dumps('; '.join(found.left_out))}")
    if found.lacked:
        declared.append(f"{LACKED} = {json.dumps(', '.join(found.lacked))}")
    lines += ["", "[scores]", *declared] if declared else []
    return "\n".join(lines) + "\n"
