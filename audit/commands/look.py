"""``audit inspect`` and ``audit init``: what a file is to an audit, and an ``audit.toml`` of what a folder holds."""

from __future__ import annotations

import json
import sys
import warnings
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.errors import CouldNotRun, ExitCode, UsageError
from audit.inputs.choices import TaskName

from .ending import listing

if TYPE_CHECKING:
    from audit.inputs.detect import Detected
    from audit.inputs.seen import Seen


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model, a data set, an index list, or a folder.")],
    arch: Annotated[
        str | None, typer.Option(metavar="MODULE:FACTORY", help="Function that builds the model, to try it.")
    ] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of a table with the labels.")] = None,
    task: Annotated[
        TaskName | None,
        typer.Option(help="What the outputs of the models are to mean. Default: what the file says."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say what a model or data file is to an audit: its content, its use, the access it gives.

    A folder that is neither a data set nor a model is looked through for both. Nothing is audited, and no code of a
    file runs. Exit code 0: an audit would take it; 2: it would not, and the lines say why.
    """
    from audit.inputs.naming import safe_lines
    from audit.inputs.options import hook_of

    if hook_of(file) is None and not file.exists():
        raise UsageError(f"{file} does not exist: check the path.")
    with redirect_stdout(sys.stderr), warnings.catch_warnings():  # the user's own code may print
        warnings.simplefilter("ignore")  # what a library thinks of a file is not what an audit would do with it
        seen = _seen(file, arch, label, task.value if task else "")
    if as_json:
        typer.echo(json.dumps({"file": str(file), **asdict(seen)}, sort_keys=True))
    else:
        out = listing()
        out.print(safe_lines(f"{file}: {seen.kind}"))
        for title, lines in (("holds", seen.facts), ("use", seen.uses), ("problem", seen.problems)):
            for line in lines:
                out.print(f"  {title}: {safe_lines(line)}")
        if seen.access:
            out.print(f"  access: {seen.access} at most")
    raise typer.Exit(int(ExitCode.USAGE if seen.problems else ExitCode.PASS))


def _seen(file: Path, arch: str | None, label: str | None, task: str) -> Seen:
    from audit.inputs.inspect_data import inspect_data, is_data
    from audit.inputs.inspect_model import inspect_model
    from audit.inputs.inspect_stored import stands_for_a_model
    from audit.inputs.npz import keys_of
    from audit.inputs.options import DataOptions

    suffix = file.suffix.lower()
    if not is_data(file) or (suffix == ".npz" and stands_for_a_model(keys_of(file))):
        model = inspect_model(file, arch, task)
        return _hinted(model, suffix)
    found = _folder(file) if file.is_dir() else None
    seen = found or inspect_data(file, DataOptions(label=label), task)
    if seen.problems and suffix in (".json", ".txt"):  # models have these names, too
        model = inspect_model(file, arch, task)
        return _hinted(seen, suffix) if model.problems else model
    return seen


def _hinted(seen: Seen, suffix: str) -> Seen:
    """What else a file that is turned away may be, by its suffix."""
    from audit.inputs.source import PICKLES

    said = "if it is a data set (a Subset, a loader): name a function that returns it (package.module:function)"
    if suffix in (".json", ".jsonl"):
        said = "if it is an evaluation log of another tool: `audit import` makes scores files of it (`audit import -h`)"
    known = suffix in (*PICKLES, ".json", ".jsonl")
    return replace(seen, problems=(*seen.problems, said)) if seen.problems and known else seen


def _folder(folder: Path) -> Seen | None:
    """A folder of sets and models; None where it is one data set."""
    from audit.inputs.detect import detect, is_set
    from audit.inputs.propose import proposed
    from audit.inputs.seen import Seen

    if is_set(folder):
        return None
    found = detect(folder)
    facts = [f"{name}: {path.relative_to(folder)}" for name, path in _named(found).items()]
    facts += [f"several candidates for {name}: {len(paths)}" for name, paths in found.unclear.items()]
    if not facts:
        return None
    problems = tuple(f"{_unfound(key)}: name it, see `audit init`" for key in found.missing if key != "arch")
    task = proposed(found.sets.values()).task
    uses = [f"by the labels: --task {task}"] if task else []
    uses += [f"{_unfound('arch')}: name it with --arch"] if "arch" in found.missing else []
    return Seen("folder of sets and models, by their names", tuple(facts), (*uses, *_advice(found)), "", problems)


def _unfound(key: str) -> str:
    """What an audit cannot be planned without, by its key in ``audit.toml``."""
    return "no one function that builds the network is found (arch)" if key == "arch" else f"no {key} is found by name"


def _named(found: Detected) -> dict[str, Path]:
    lists = {f"{role}_index": path for role, path in found.indices.items()}
    return {**found.sets, **lists, **found.models, **{f"retrained {i}": p for i, p in enumerate(found.retrained)}}


def _advice(found: Detected) -> list[str]:
    """What is missing, what can still be said, the cheapest thing to add."""
    from audit.inputs.adapters.formats import is_network
    from audit.inputs.advice import Having, shortfalls
    from audit.policy.policy import load_policy

    rows = {**found.sets, **found.indices}
    having = Having(
        holdout="holdout" in rows,
        test="test" in rows,
        original="original" in found.models,
        references=len(found.retrained),
        recipe=False,
        networks=all(map(is_network, found.models.values())),
    )
    return shortfalls(having, load_policy("standard")[0])


def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("audit.toml"),
    folder: Annotated[
        Path | None, typer.Option(help="Where sets and models lie. Default: the folder of the file.")
    ] = None,
    template: Annotated[bool, typer.Option("--template", help="Every key, commented, and nothing looked for.")] = False,
    ask: Annotated[
        bool | None, typer.Option("--ask/--no-ask", help="Ask for what is not found. Default: on a terminal.")
    ] = None,
) -> None:
    """Write an audit.toml: from what lies in the folder by its names, from your answers, or the commented template.

    What is missing is named, with what can still be said without it and the cheapest thing to add.
    """
    from audit.inputs.detect import Detected, detect
    from audit.inputs.naming import safe_lines
    from audit.inputs.proposed_toml import document
    from audit.inputs.resolve import template as commented

    place = folder or path.parent
    if not place.is_dir() and path.parent.is_dir():
        raise UsageError(f"{place} is no folder: name the one with the sets and models.")
    found = Detected() if template or not place.is_dir() else detect(place)
    asked = not template and (sys.stdin.isatty() if ask is None else ask)
    if asked:
        _ask(found)
    known = bool(found.sets or found.models)
    text = document(found, path.parent, _advice(found)) if known else commented()
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists: remove it or name another file.") from None
    except OSError as error:
        raise CouldNotRun(f"cannot write {path} ({error.strerror}): name a file in a writable folder.") from error
    typer.echo(path)
    if template:
        return
    if not known:
        typer.echo("no sets and no models were found by name: the file is the commented template", err=True)
    for key in found.missing:
        typer.echo(f"{_unfound(key)}: fill it in", err=True)
    for name, paths in found.unclear.items():
        listed = safe_lines(", ".join(map(str, paths[:4])))
        typer.echo(f"several candidates for {name}, none was taken: {listed}", err=True)
    for line in _advice(found) if known else ():
        typer.echo(line, err=True)


def _ask(found: Detected) -> None:
    """Fill in what is not there; an empty answer leaves it out."""

    def answer(question: str) -> Path | None:
        text = typer.prompt(question, default="", show_default=False, err=True).strip()
        return Path(text) if text else None

    if "forget" not in found.sets and "forget" not in found.indices:
        whole = answer("One data set with an index list (its path; empty: the forget set is a set of its own)")
        if whole is not None:
            found.sets["data"] = whole
            lists = {role: answer(f"Index list of the {role} rows") for role in ("forget", "holdout", "test")}
            found.indices.update({role: path for role, path in lists.items() if path is not None})
    asked = ("holdout", "test") if "data" in found.sets else ("forget", "retain", "holdout", "test")
    for role in asked:
        if role not in found.sets and role not in found.indices and (path := answer(f"The {role} set")) is not None:
            found.sets[role] = path
    for role, what in (("unlearned", "The model to audit"), ("original", "The model before unlearning")):
        if role not in found.models and (path := answer(what)) is not None:
            found.models[role] = path
    if not found.retrained:
        while (path := answer("An honest retrain (empty: no more)")) is not None:
            found.retrained.append(path)
    if len(found.arch) != 1:
        text = typer.prompt("Function that builds the network (module:function; empty: none is needed)", default="",
                            show_default=False, err=True).strip()  # fmt: skip
        found.arch = [text] if text else []
