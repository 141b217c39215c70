"""Import logs: read each model's, join, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attacks.tasks.scores import LOWER
from audit.errors import InputError, UsageError
from audit.inputs.naming import shown

from .every_eval_ever import EveryEvalEver
from .grouping import add_groups, refuse_ungrouped
from .hf_models import HuggingFace, device_of
from .joined import Joined, join
from .layout import Layout, Log, Rows
from .leakpro import LeakPro
from .lm_eval import LmEval
from .muse import Muse
from .open_unlearning import OpenUnlearning
from .privacy_meter import PrivacyMeter
from .ranges import out_of_range
from .tofu import Tofu
from .token_files import TokenFiles
from .written import write

LAYOUTS: dict[str, type[Layout]] = {
    kind.name: kind
    for kind in (OpenUnlearning, Tofu, Muse, LmEval, EveryEvalEver, PrivacyMeter, LeakPro, HuggingFace, TokenFiles)
}
REFERENCE, CALIBRATED = "reference", "reference_nll"
LOSSES = ("nll", "nll_sum")  # the first of them that a log has
#: sets of scores; concepts have no score
SETS = ("forget", "retain", "holdout", "test", "auxiliary")


@dataclass(frozen=True)
class Order:
    """What is to be imported.

    Attributes:
        layout: a name of ``LAYOUTS``.
        models: file or folder by model name (``original``, ``unlearned``, ``retrained-0``, ...).
        sets: names in the log by set, in place of the layout's own; "" leaves a set out.
        group_size: so many rows of a set in a row are of one author; None = not known.
        group_key: field of a row that names its author.
        groups: file of JSON, ``{set: {id: author}}``.
        reference: log of a model that saw neither forget nor never-seen rows: losses are calibrated by its.
        device: where models are asked (``auto``, ``cpu``, ``cuda``, ...); None = ``cpu``. Logs have none.
    """

    layout: str
    models: Mapping[str, str]
    sets: Mapping[str, str] = field(default_factory=dict)
    group_size: int | None = None
    group_key: str | None = None
    groups: Path | None = None
    reference: str | None = None
    device: str | None = None


def import_logs(order: Order, folder: Path) -> tuple[Joined, list[str]]:
    """Read, join and write.

    Returns:
        what was written, and what was left out or noticed, one line each.

    Raises:
        UsageError: a set or layout that there is not; a folder that is not empty.
        InputError: logs that cannot be read or joined, each with the file, the row and the remedy.
    """
    if order.layout not in LAYOUTS:
        raise UsageError(f"there is no layout {order.layout!r}: use {', '.join(LAYOUTS)}.")
    layout, names = _layout(order), _names(order)
    logs: dict[str, Log] = {}
    problems = []
    asked = {**order.models, **({REFERENCE: order.reference} if order.reference else {})}
    for model, source in asked.items():
        try:
            logs[model] = layout.read(source, names, order.group_key)
            told = out_of_range(logs[model])
        except ValueError as error:
            told = [str(error)]
        problems += [f"{model}: {line if source in line else f'{shown(source)}: {line}'}" for line in told]
    if problems:
        raise InputError(problems)
    beside = {name: logs.pop(name) for name in [REFERENCE] if name in logs}
    if beside:
        _calibrate(logs, beside[REFERENCE])
    named = Log()
    add_groups(logs, order.group_size, order.groups, named)
    found, said = join(logs)
    if order.group_key or order.groups or order.group_size:
        refuse_ungrouped(found.groups)
    if not layout.global_ids:
        found.ids = {role: [f"{names[role]}:{key}" for key in ids] for role, ids in found.ids.items()}
    write(folder, order.layout, found, {**logs, **beside, **({"groups": named} if order.groups else {})}, said)
    return found, said


def _layout(order: Order) -> Layout:
    kind = LAYOUTS[order.layout]
    if order.device is None:
        return kind()
    if not issubclass(kind, HuggingFace):
        raise UsageError(f"--device: {order.layout} asks no model, so there is nothing to run on it: leave it out.")
    try:
        return kind(device_of(order.device))
    except ValueError as error:
        raise InputError([str(error)]) from None


def _calibrate(logs: Mapping[str, Log], reference: Log) -> None:
    """Losses less those of a reference model, which take out how hard a text is in itself (2012.07805)."""
    for log in logs.values():
        log.own = {**log.own, CALIBRATED: LOWER}
        for role, rows in log.sets.items():
            if CALIBRATED in rows.signals:
                raise InputError([f"{role}: the log holds {CALIBRATED} already: leave --reference out"])
            other = reference.sets.get(role, Rows())
            usual, own = (_losses(found) for found in (other, rows))
            found = {key: _less(value, usual[key]) for key, value in own.items() if key in usual}
            if any(rows.checks.get(key) != other.checks.get(key) for key in found):
                raise InputError([f"{role}: the reference model was asked for other documents: use the same data"])
            rows.add(CALIBRATED, found, "the loss less that of the reference model")
    if not any(CALIBRATED in rows.signals for log in logs.values() for rows in log.sets.values()):
        raise InputError([f"--reference calibrates {' or '.join(LOSSES)}, which the logs lack: leave it out"])


def _losses(rows: Rows) -> dict[str, float | None]:
    """By id; of no row where the log has none."""
    return next((rows.signals[name] for name in LOSSES if name in rows.signals), {})


def _less(value: float | None, usual: float | None) -> float | None:
    return None if value is None or usual is None else value - usual


def _names(order: Order) -> dict[str, str]:
    unknown = sorted(set(order.sets) - set(SETS))
    if unknown:
        raise UsageError(f"--set {shown(unknown[0])}: there is no such set; use {', '.join(SETS)}.")
    names = {role: name for role, name in {**LAYOUTS[order.layout].sets, **order.sets}.items() if name}
    missing = [role for role in ("forget", "retain") if role not in names]
    if missing:
        raise UsageError(
            f"--set {missing[0]}=NAME is missing: which {LAYOUTS[order.layout].meaning} holds the {missing[0]} set?"
        )
    return names


def models_of(original: str | None, unlearned: str, retrained: Sequence[str]) -> dict[str, str]:
    """Sources by the model names of the files that are written."""
    named = {
        "original": original,
        "unlearned": unlearned,
        **{f"retrained-{i}": path for i, path in enumerate(retrained)},
    }
    return {name: source for name, source in named.items() if source is not None}
