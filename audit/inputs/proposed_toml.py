"""The text of the ``audit.toml`` that `audit init` writes: what was found, and what the files say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from .detect import Detected
from .options import hook_of
from .propose import proposed
from .propose_scores import directions_proposed


def document(found: Detected, base: Path, advice: Iterable[str]) -> str:
    """An ``audit.toml``, paths relative to its folder.

    Args:
        found: sets and models.
        base: the folder of the file.
        advice: what is missing; becomes comments at the end.
    """

    def written(path: Path) -> str:
        inside = hook_of(path) is None and path.is_absolute() is base.is_absolute() and path.is_relative_to(base)
        return json.dumps(str(path.relative_to(base) if inside else path), ensure_ascii=False)

    data = proposed(path for path in found.sets.values() if hook_of(path) is None)
    lines = [
        "# written by `audit init` from the names in this folder: check it; `audit init --template` has every key",
        "",
    ]
    lines += [f'task = "{data.task}"   # by the labels; check it', ""] if data.task else []
    lines += ["[data]", *(f"{role} = {written(path)}" for role, path in found.sets.items())]
    lines += [f"{role}_index = {written(path)}" for role, path in found.indices.items()]
    lines += [f'# {key} = "..."   # not found' for key in found.missing if key.startswith("forget")]
    lines += data.lines
    lines += ["", "[model]", *(f"{role} = {written(path)}" for role, path in found.models.items())]
    lines += ['# unlearned = "..."   # the model to audit: not found'] if "unlearned" in found.missing else []
    lines += [f"retrained = [{', '.join(map(written, found.retrained))}]"] if found.retrained else []
    if len(found.arch) == 1:
        lines.append(f"arch = {json.dumps(found.arch[0])}")
    elif found.weights_alone:
        lines += [f"# arch = {json.dumps(name)}" for name in found.arch or ["package.module:function"]]
    directions = directions_proposed(found.models)
    lines += ["", "[scores]", *directions] if directions else []
    lines += [
        "",
        "[claim]",
        '# split = "attested"     # say so if the holdout rows were drawn at random with the forget rows',
    ]
    lines += ["", *(f"# {line}" for line in advice)]
    return "\n".join(lines) + "\n"
