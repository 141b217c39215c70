"""``audit new``: write an example project that works as it is, to be made one's own."""

from __future__ import annotations

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from audit.errors import CouldNotRun, UsageError


class Starter(StrEnum):
    """What the models are made with."""

    TORCH = "torch"
    SKLEARN = "sklearn"
    HUGGINGFACE = "huggingface"
    OUTPUTS = "outputs"


#: kinds whose networks one preparation trains
NETWORKS = (Starter.TORCH, Starter.HUGGINGFACE)
#: private by nature: never committed
_IGNORED = "*.npz\n*.safetensors\n.audit/\nruns/\n__pycache__/\n"


def new(
    folder: Annotated[Path, typer.Argument(help="Folder to write; it must not exist, or be empty.")],
    kind: Annotated[Starter, typer.Option(help="What your models are made with.")] = Starter.TORCH,
) -> None:
    """Write an example project that works as it is: data export, networks, audit.toml, a CI file.

    Run it as it stands, then replace the parts that say so by your own.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty: name another folder.")
    parts = ("common", *(("network",) if kind in NETWORKS else ()), kind.value)
    found = [source for part in parts for source in (files("audit") / "starters" / part).iterdir()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in found:
            if source.is_file():
                (folder / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        (folder / ".gitignore").write_text(_IGNORED, encoding="utf-8")
    except OSError as error:
        raise CouldNotRun(f"cannot write {folder} ({error.strerror}): name a writable folder.") from error
    needs = " (needs: pip install transformers)" if kind is Starter.HUGGINGFACE else ""
    typer.echo(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}\n")
    typer.echo(f"cd {folder}\npython prepare.py{needs}   # data and models; replace by your own\naudit run")
