"""The inputs as the record of a run lists them, and what it says of models that have no name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from audit.record.inputs import InputRecord

from .called import CalledTarget
from .data import Arrays
from .given import Build, Given
from .memory import IN_MEMORY, described
from .outputs import PrecomputedOutputs
from .targets import Target, TorchTarget

COARSE = 1e-4  # our choice: finer steps tie no rows that anybody would miss


def by_content(digests: Mapping[str, str]) -> dict[str, str]:
    """New name of each model: references, and further runs, are numbered in the order of their digests.

    So the order in which they were given changes nothing.

    Args:
        digests: of the models, by the names in which they were given.
    """
    found = {name: name for name in digests if "/" not in name}
    for group in ("unlearned/", "retrained/"):
        names = [name for name in digests if name.startswith(group)]
        found |= dict(zip(sorted(names, key=digests.__getitem__), names, strict=True))
    return found


def input_records(
    given: Given, files: dict[str, Arrays], models: dict[str, Target], digests: dict[str, str]
) -> tuple[InputRecord, ...]:
    """One record a set and a model, in the order of ``given``."""
    data = [
        InputRecord(
            role=role,
            name=_name(given.data.get(role, given.whole)),
            kind="data",
            rows=len(arrays),
            shape=_row_shape(arrays),
            note="" if role in given.data else _rows(given, role),
        )
        for role, arrays in files.items()
    ]
    trusted = "loaded as a pickle, on the user's word" if given.build.trust_pickle else ""
    without = unnamed(models)
    return (
        *data,
        *(
            InputRecord(
                role=name,
                name=source.name if isinstance(source, Path) else described(source),
                kind="outputs" if isinstance(models[name], PrecomputedOutputs) else "model",
                sha256=None if name in without else digests[name],
                note=_file_note(models[name], trusted) if isinstance(source, Path) else _note(models[name]),
                architecture=getattr(models[name], "architecture", "") or None,
            )
            for name, source in given.models.items()
        ),
    )


def _name(source: object) -> str:
    return source.name if isinstance(source, Path) else IN_MEMORY


def _rows(given: Given, role: str) -> str:
    """Which rows of the one data set a set is."""
    if role not in given.indices:
        return "the rows that no index list names"
    source = given.indices[role]
    return f"the rows that {source.name if isinstance(source, Path) else 'a list'} names"


def _file_note(model: Target, trusted: str) -> str:
    """What reads a file that is no network."""
    return f"{model.kind}, asked as a black box" if isinstance(model, CalledTarget) else trusted


def _note(model: Target) -> str:
    """How a model that a program holds is named."""
    if not isinstance(model, TorchTarget):
        return "held by the calling program; the digest is that of its arrays"
    if model.unnamed:
        return f"held by the calling program; it cannot be named: {model.unnamed}"
    return "held by the calling program; named by its state and by the source of its architecture"


def unnamed(models: Mapping[str, Target]) -> dict[str, str]:
    """Models that cannot be named, so that nothing can be certified about them, each with the reason."""
    return {name: model.unnamed for name, model in models.items() if isinstance(model, TorchTarget) and model.unnamed}


def no_names(models: Mapping[str, Target]) -> list[str]:
    """What the record says of models that nothing can be certified about."""
    return [f"no certificate can be issued: {name} cannot be named ({why})" for name, why in unnamed(models).items()]


def loading_lines(models: Mapping[str, Target], build: Build) -> list[str]:
    """What was done to load the models, and what cannot be had of them: each thing once, with the models it is about.

    Args:
        models: loaded and tried.
        build: how they were built.
    """
    said: dict[str, list[str]] = {}
    for name, model in models.items():
        if isinstance(model, (TorchTarget, CalledTarget)):
            for step in model.steps:
                said.setdefault(step, []).append(name)
        coarse = getattr(model, "step", None) or 0.0
        told = isinstance(model, CalledTarget) and bool(model.steps)  # by the library that votes
        if getattr(model, "probabilities", False) and coarse >= COARSE and not told:
            text = f"probabilities in steps of {coarse:.3g}: rows at 0 or 1 are tied and counted"
            said.setdefault(text, []).append(name)
        if isinstance(model, TorchTarget) and model.headless:
            said.setdefault(f"outputs alone, no features: {model.headless}", []).append(name)
    lines = [f"{_few(names)}: {text}" for text, names in said.items()]
    if build.unlearned_arch is not None:
        lines.append(
            f"--unlearned-arch {build.unlearned_arch}: the audited model is another network than the original, so "
            "attacks on the difference of their weights and the comparison of layers bit for bit do not apply"
        )
    return lines


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _row_shape(data: Arrays) -> tuple[int, ...] | None:
    return data.x.shape[1:] if isinstance(data.x, np.ndarray) else None
