"""What `audit inspect` says of a data set's rows: their inputs, what they are labelled with, the task that follows."""

from __future__ import annotations

import numpy as np

from attacks.tasks import reads_tokens, truth_of

from .checks import check_keys, checked, rows_in
from .data import Arrays
from .labels import plain
from .naming import listed, shown
from .options import DataOptions
from .pictures import prepared
from .raw import Array, Raw
from .token_rows import judged_words, token_problem
from .truths import likely_task, targets_of

MANY = 100  # our choice: whole numbers of more values than this may be no classes
SET = "a set: --forget, --retain, --holdout or --test; or the one set of --data with --forget-index"
BARE = (
    "no inputs: models are given by stored outputs or scores of these rows, access logits at most; whether holdout "
    "rows are like forget rows cannot be checked: say --split attested if they were drawn together, or give 5 retrains"
)
UNREAD = "y is not read: what is judged are the tokens themselves (x.labels says which; --task causal-lm)"
UNLABELLED = (
    "no labels: a set for scores, which need none (.npz files with <set>.<signal>, as in forget.nll; --task "
    "scores); all other models need y"
)


def inspect_rows(raw: Raw, options: DataOptions, task: str, where: str) -> tuple[list[str], list[str]]:
    """What one set holds, and what an audit would do with it.

    Args:
        raw: the set as its source has it.
        options: how it is read.
        task: what was declared; "" = what the labels say.
        where: file or object, for messages.

    Raises:
        ValueError: an audit would turn it away; one problem a line, each with its remedy.
    """
    labelled = bool(task) and truth_of(task) != "optional"
    check_keys(raw.arrays, where, need_inputs=False, need_labels=labelled)
    raw = prepared(raw, options, where)
    count = rows_in(raw.arrays)
    data = checked(raw.arrays, np.zeros(count, dtype=np.int64), where)
    facts, uses = [f"{count} rows"], [SET]
    inputs = [f"{key} {array.shape[1:]} {array.dtype}" for key, array in raw.arrays.items() if key.startswith("x")]
    facts += [f"inputs of a row: {', '.join(inputs)}"] if inputs else []
    uses += [] if inputs else [BARE]
    uses += raw.said
    if reads_tokens(task):
        facts.append(_tokens(data, where))
        uses += [UNREAD] if "y" in raw.arrays else []
    elif "y" in raw.arrays:
        held, use = _labels(raw.arrays["y"], task or likely_task(raw.arrays["y"]), bool(task), where)
        facts, uses = [*facts, *held], [*uses, *use]
    else:
        uses.append(UNLABELLED)
    facts += [f"{key}: one a row" for key in ("ids", "group", "request") if key in raw.arrays]
    if "group" in raw.arrays:
        uses.append("group: as the forget set it makes the claim one about data subjects")
    return facts, [*uses, *_bytes(raw.arrays.get("x"))]


def _tokens(data: Arrays, where: str) -> str:
    problem = token_problem(data.x)
    if problem:
        raise ValueError(f"{where}: {problem}")
    return f"judged tokens of a row: {judged_words(data)}"


def _labels(y: Array, task: str, declared: bool, where: str) -> tuple[list[str], list[str]]:
    truth = truth_of(task)
    if truth not in ("numbers", "flags"):
        return _classes(y, where)
    found = targets_of(y, truth, where)
    said = "" if declared else " (an audit without it refuses them)"
    if truth == "flags":
        fact = f"{found.shape[1]} flags a row, {found.sum(axis=1).mean():.3g} of them set on average"
        return [fact], [f"labels are several flags a row: --task multilabel{said}"]
    numbers = "a number" if found.shape[1] == 1 else f"{found.shape[1]} numbers"
    return [f"{numbers} a row as label, from {found.min():.4g} to {found.max():.4g}"], [
        f"labels are numbers that the model predicts: --task regression{said}"
    ]


def _classes(y: Array, where: str) -> tuple[list[str], list[str]]:
    found, note = plain(y, where)
    values, counts = np.unique(found, return_counts=True)
    names = [f"{shown(str(value))} ({count})" for value, count in zip(values.tolist(), counts.tolist(), strict=True)]
    uses = [note] if note else []
    if found.dtype.kind == "U":
        uses.append("labels are names, numbered in sorted order over all sets; [data] classes names another order")
    elif values[0] == 1:
        uses.append("labels start at 1: they count from the first output where all sets and the models say so")
    if found.dtype.kind != "U" and len(values) > MANY:
        uses.append(f"{len(values)} different labels are taken as classes: --task regression where they are numbers")
    return [f"{len(values)} labels: {listed(names)}"], uses


def _bytes(x: Array | None) -> list[str]:
    if x is None or x.dtype != np.uint8 or x.ndim <= 2:
        return []
    return ["x holds bytes, as they are: --scale 255 divides them, --channels last turns (height, width, channels)"]
