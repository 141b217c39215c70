"""Read what was given: the data sets and the models, files and objects alike; every problem is kept for one report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .architecture import has_global_hooks
from .data import Arrays, layout
from .given import Build, DataSource
from .memory import outputs_of, target_of
from .models import check_device, load_model
from .npz import data_of, read_data
from .targets import Target, TorchTarget

REQUIRED_DATA = ("forget", "retain", "test")


def read_files(given: Mapping[str, DataSource], problems: list[str], *, need_inputs: bool) -> dict[str, Arrays]:
    """Data by role; what is wrong is added to ``problems``."""
    problems += [
        f"no {role} set: pass --{role} FILE.npz or put {role}.npz beside the forget set"
        for role in REQUIRED_DATA
        if role not in given
    ]
    files: dict[str, Arrays] = {}
    for role, source in given.items():
        try:
            if isinstance(source, Path):
                files[role] = read_data(source, need_inputs=need_inputs)
            else:
                files[role] = data_of(source, f"the {role} set", need_inputs=need_inputs)
        except ValueError as error:
            problems += str(error).splitlines()
    layouts = {role: layout(data) for role, data in files.items() if data.x is not None}
    if len(set(layouts.values())) > 1:
        listed = "; ".join(f"{role}: {text}" for role, text in layouts.items())
        problems.append(f"the sets have inputs of different forms ({listed}): preprocess them alike")
    return files


def read_models(
    given: Mapping[str, Any], build: Build, problems: list[str]
) -> tuple[dict[str, Target], dict[str, str]]:
    """Models and their digests by name; what is wrong is added to ``problems``."""
    models: dict[str, Target] = {}
    digests: dict[str, str] = {}
    if "unlearned" not in given:
        problems.append("no unlearned model: pass --unlearned FILE or put unlearned.* beside the forget set")
    try:
        check_device(build.device)
    except ValueError as error:
        problems.append(str(error))
        return models, digests
    for name, source in given.items():
        try:
            models[name], digests[name] = _read_model(name, source, build)
        except ValueError as error:
            if str(error) not in problems:
                problems.append(str(error))
    problems += foreign_hooks(models)
    kinds = {isinstance(model, TorchTarget) for model in models.values()}
    if len(kinds) > 1:
        problems.append("some models are networks and some precomputed outputs: give all in one form")
    return models, digests


def foreign_hooks(models: Mapping[str, Target]) -> list[str]:
    """Problems: hooks of the whole process beside networks that are named; what they do no name holds."""
    named = any(isinstance(model, TorchTarget) and not model.unnamed for model in models.values())
    if not named or not has_global_hooks():
        return []
    return [
        "hooks are registered for all modules of this process (as by register_module_forward_hook): they answer for "
        "every network, and no model holds them: remove them"
    ]


def _read_model(name: str, source: Any, build: Build) -> tuple[Target, str]:
    if isinstance(source, Path):
        return load_model(
            source, arch=build.arch, device=build.device, head=build.head, trust_pickle=build.trust_pickle
        )
    if isinstance(source, Mapping):
        outputs = outputs_of(source, f"the outputs of {name}")
        return outputs, outputs.digest()
    network = target_of(source, name, build.device, build.head)
    return network, network.digest()
