"""A few rows run through every model before anything is spent: what a network or its outputs get wrong."""

from __future__ import annotations

import numpy as np

from audit.errors import AuditError

from .called import CalledTarget
from .contained import contained
from .data import Arrays, layout
from .naming import listed
from .outputs import PrecomputedLabels, PrecomputedOutputs
from .probabilities import probabilities, stored_probabilities
from .targets import DETERMINISM, Target, TorchTarget

PROBE_ROWS = 8
STEP_ROWS = 1000  # our choice: never-seen rows from which the step of probabilities is learned
BATCH_TOLERANCE = 1e-3  # our choice: relative difference between one batch and single rows (float32 networks)
BATCH_ROUNDING = 8.0  # our choice: the same, in units of the rounding of the network's own type (bfloat16)
AHEAD = 1e-4  # our choice: relative change of a logit by a later token; ``BATCH_ROUNDING`` where that is more


def probe_models(models: dict[str, Target], files: dict[str, Arrays], problems: list[str]) -> int:
    """Run a few rows through every model; return the number of classes (0 where no model ran)."""
    rows = files["forget"].take(np.arange(min(PROBE_ROWS, len(files["forget"]))))
    widths: dict[str, int] = {}
    found: dict[str, list[str]] = {}  # one problem of many models is one line
    for name, model in models.items():
        if isinstance(model, PrecomputedOutputs):
            columns: dict[str, int] = {}
            for role, data in files.items():
                try:
                    widths[name] = columns[role] = model.outputs(role, data, 1)[0].shape[1]
                except ValueError as error:
                    found.setdefault(str(error), []).append(name)
            if len(set(columns.values())) > 1:
                text = f"its sets have different numbers of classes ({columns}): give the logits of one model"
                found.setdefault(text, []).append(name)
            plain = model.class_logits and not isinstance(model, PrecomputedLabels) and not model.probabilities
            named = stored_probabilities(model.state) if plain else ""
            if named:
                found.setdefault(named, []).append(name)
            continue
        try:
            with contained("the network"):
                widths[name] = _probe(model, rows, files.get("test", rows))
        except AuditError:
            raise
        except ValueError as error:
            found.setdefault(_first_line(error), []).append(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's forward pass may raise anything
            text = (
                f"the model rejects inputs of {layout(rows)} ({type(error).__name__}: {_first_line(error)}): "
                f"preprocess the inputs as in training{_bytes(rows)}"
            )
            found.setdefault(text, []).append(name)
    problems += [f"{listed(list(dict.fromkeys(names)))}: {text}" for text, names in found.items()]
    widest = max(widths.values(), default=0)
    for name, model in models.items():
        if isinstance(model, CalledTarget) and model.classes is not None and name in widths:
            model.width = widths[name] = widest  # of classes that it never saw it says nothing
    if len(set(widths.values())) > 1:
        of = {width: listed([name for name, own in widths.items() if own == width]) for width in widths.values()}
        said = "; ".join(f"{width}: {names}" for width, names in of.items())
        problems.append(f"the models have different numbers of classes ({said}): give models of one task")
    return widest


def _probe(model: Target, rows: Arrays, unseen: Arrays) -> int:
    """Try a network, or a model that is asked, on a few rows; return its number of classes."""
    if isinstance(model, TorchTarget):
        return _probe_network(model, rows)
    if not isinstance(model, CalledTarget):
        raise TypeError(f"{type(model).__name__} is no model that can be tried")
    if rows.x is None:
        raise ValueError("it is asked with the rows of the data, which have no inputs: add the key x to the sets")
    raw = model.raw(rows, len(rows)).astype(np.float64)
    named = probabilities(raw) if model.class_logits and not model.probabilities else ""
    if named:
        raise ValueError(f"{named}. Where the model gives nothing else, say so with --probabilities")
    scale = max(float(np.abs(raw).max()), 1e-6)
    if np.abs(model.raw(rows, len(rows)) - raw).max() > DETERMINISM * scale:
        raise ValueError("its output is not deterministic: switch off sampling")
    if np.abs(model.raw(rows, 1) - raw).max() > BATCH_TOLERANCE * scale:
        raise ValueError("its output for a row depends on the other rows of the batch: ask row by row")
    model.learn_step(unseen.take(np.arange(min(STEP_ROWS, len(unseen)))), STEP_ROWS)
    return int(model.outputs("forget", rows, len(rows))[0].shape[1])


def _probe_network(model: TorchTarget, rows: Arrays) -> int:
    if any(module.training for module in model.module.modules()):
        raise ValueError("it is in training mode: call model.eval() before saving it")
    index = np.arange(len(rows))
    model.check_output(rows.batch(index))
    model.look_for_head(rows.batch(index))
    logits, _ = model.call(rows.batch(index))
    singles = np.concatenate([model.call(rows.batch(index[i : i + 1]))[0] for i in index])
    scale = max(float(np.abs(logits).max()), 1e-6)
    import torch

    rounding = BATCH_ROUNDING * torch.finfo(model.float_type).eps
    tolerance = max(BATCH_TOLERANCE, rounding)
    if np.abs(singles - logits).max() > tolerance * scale:
        raise ValueError(
            "its output for a row depends on the other rows of the batch: it normalises by batch statistics; use "
            "running statistics"
        )
    if model.looks_ahead(rows.batch(index), max(AHEAD, rounding)):
        raise ValueError(
            "its logits of a token depend on later tokens, so they are no predictions of them: give a decoder (of a "
            "Hugging Face folder is_decoder: true and no is_causal: false in config.json; else a causal mask)"
        )
    return int(logits.shape[1])


def _bytes(rows: Arrays) -> str:
    """What helps where pictures are given as bytes."""
    picture = isinstance(rows.x, np.ndarray) and rows.x.dtype == np.uint8 and rows.x.ndim > 2
    return " (pictures of bytes: --scale 255, --channels last)" if picture else ""


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
