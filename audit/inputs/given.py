"""The files and models of a case, as they were given: read, and a few rows run through every model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from attacks.base import Floats
from audit.errors import AuditError

from .config import DATA_ROLES, Config
from .data import Arrays, read_data
from .models import OUTPUT_SUFFIXES, check_device, load_model
from .targets import PrecomputedLabels, Target, TorchTarget

REQUIRED_DATA = ("forget", "retain", "test")
PROBE_ROWS = 8
BATCH_TOLERANCE = 1e-3  # our choice: relative difference between one batch and single rows (float32 networks)


def model_paths(config: Config) -> dict[str, Path]:
    """Path of each given model by name."""
    named = {"unlearned": config.model.unlearned, "original": config.model.original}
    paths = {name: path for name, path in named.items() if path is not None}
    paths |= {f"unlearned/{i}": path for i, path in enumerate(config.model.runs, 1)}
    return paths | {f"retrained/{i}": path for i, path in enumerate(config.model.retrained)}


def outputs_only(config: Config) -> bool:
    """Whether every model is given by its outputs alone."""
    suffixes = {path.suffix for path in model_paths(config).values()}
    return bool(suffixes) and suffixes <= set(OUTPUT_SUFFIXES)


def read_files(config: Config, problems: list[str], *, need_inputs: bool) -> dict[str, Arrays]:
    """Data by file role; what is wrong is added to ``problems``."""
    files: dict[str, Arrays] = {}
    for role in DATA_ROLES:
        path = getattr(config.data, role)
        if path is None:
            if role in REQUIRED_DATA:
                problems.append(f"no {role} set: pass --{role} FILE.npz or put {role}.npz beside the forget set")
            continue
        try:
            files[role] = read_data(path, need_inputs=need_inputs)
        except ValueError as error:
            problems += str(error).splitlines()
    layouts = {role: _layout(data) for role, data in files.items() if data.x is not None}
    if len(set(layouts.values())) > 1:
        listed = "; ".join(f"{role}: {layout}" for role, layout in layouts.items())
        problems.append(f"the sets have inputs of different forms ({listed}): preprocess them alike")
    return files


def _layout(data: Arrays) -> str:
    """Names, shape and kind of the inputs of a row, in words."""
    parts = data.x if isinstance(data.x, Mapping) else {"x": data.x}
    kinds = {"f": "floats"}
    return ", ".join(
        f"{name} {array.shape[1:]} {kinds.get(array.dtype.kind, 'integers')}"
        for name, array in sorted(parts.items())
        if array is not None
    )


def read_models(config: Config, problems: list[str]) -> tuple[dict[str, Target], dict[str, str]]:
    """Models and digests of their files by name; what is wrong is added to ``problems``."""
    models: dict[str, Target] = {}
    digests: dict[str, str] = {}
    paths = model_paths(config)
    if "unlearned" not in paths:
        problems.append("no unlearned model: pass --unlearned FILE or put unlearned.* beside the forget set")
    section = config.model
    try:
        check_device(config.device)
    except ValueError as error:
        problems.append(str(error))
        return models, digests
    for name, path in paths.items():
        try:
            models[name], digests[name] = load_model(
                path, arch=section.arch, device=config.device, head=section.head, trust_pickle=section.trust_pickle
            )
        except ValueError as error:
            if str(error) not in problems:
                problems.append(str(error))
    kinds = {isinstance(model, TorchTarget) for model in models.values()}
    if len(kinds) > 1:
        problems.append("some models are networks and some precomputed outputs: give all in one form")
    return models, digests


def probe_models(models: dict[str, Target], files: dict[str, Arrays], problems: list[str]) -> int:
    """Run a few rows through every model; return the number of classes (0 where no model ran)."""
    rows = files["forget"].take(np.arange(min(PROBE_ROWS, len(files["forget"]))))
    widths: dict[str, int] = {}
    found: dict[str, list[str]] = {}  # one problem of many models is one line
    for name, model in models.items():
        if not isinstance(model, TorchTarget):
            for role, data in files.items():
                try:
                    logits = model.outputs(role, data, 1)[0]
                    widths[name] = logits.shape[1]
                    if not isinstance(model, PrecomputedLabels):
                        _refuse_probabilities(logits)
                except ValueError as error:
                    found.setdefault(str(error), []).append(name)
            continue
        try:
            widths[name] = _probe_network(model, rows)
        except AuditError:
            raise
        except ValueError as error:
            found.setdefault(_first_line(error), []).append(name)
        except Exception as error:  # noqa: BLE001 - the user's forward pass may raise anything
            text = (
                f"the model rejects inputs of {_layout(rows)} ({type(error).__name__}: {_first_line(error)}): "
                "preprocess the inputs as in training"
            )
            found.setdefault(text, []).append(name)
    problems += [f"{', '.join(names)}: {text}" for text, names in found.items()]
    if len(set(widths.values())) > 1:
        problems.append(f"the models have different numbers of classes ({widths}): give models of one task")
    return max(widths.values(), default=0)


def _probe_network(model: TorchTarget, rows: Arrays) -> int:
    if any(module.training for module in model.module.modules()):
        raise ValueError("it is in training mode: call model.eval() before saving it")
    index = np.arange(len(rows))
    model.check_output(rows.batch(index))
    logits, _ = model.call(rows.batch(index))
    _refuse_probabilities(logits)
    singles = np.concatenate([model.call(rows.batch(index[i : i + 1]))[0] for i in index])
    scale = max(float(np.abs(logits).max()), 1e-6)
    if np.abs(singles - logits).max() > BATCH_TOLERANCE * scale:
        raise ValueError(
            "its output for a row depends on the other rows of the batch: it normalises by batch statistics; use "
            "running statistics"
        )
    return int(logits.shape[1])


def _refuse_probabilities(logits: Floats) -> None:
    """Probabilities in place of logits: rounding and the missing logarithm blind the membership attacks."""
    inside = bool((logits >= 0).all() and (logits <= 1).all())
    if inside and (np.abs(logits.sum(axis=1) - 1) < 1e-3).all() and len(np.unique(logits)) > 1:
        raise ValueError(
            "its outputs are probabilities (rows between 0 and 1 that sum to 1): give logits or log-probabilities"
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
