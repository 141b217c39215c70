"""What `audit inspect` says of an ``.npz`` file that stands for a model: outputs by set, scores, log-probabilities."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attacks.base import Access
from attacks.tasks import Scores, by_scores, class_logits_of, reads_tokens, stored_words
from attacks.tasks.scores import LOWER, VOCABULARY

from .config import DATA_ROLES
from .naming import listed, shown
from .npz import npz_of
from .outputs import PrecomputedLabels, outputs_target
from .probabilities import stored_probabilities
from .scores import FEATURES, KEY, TOKENS, are_scores, of_tokens, scores_target
from .seen import Seen
from .tokens import NETWORK

Array = np.ndarray[Any, Any]
OF_A_SET = re.compile(rf"({'|'.join(DATA_ROLES)})([@.].*)?", re.DOTALL)
EVERY_SET = "one array a set, in the order of its rows: forget, retain, and test or holdout"
OTHERS = "of another task: --task regression where these are predictions, --task multilabel where logits of labels"


def stands_for_a_model(keys: Collection[str]) -> bool:
    """Keys that name sets: outputs or scores, and no data set."""
    return any(OF_A_SET.fullmatch(key) for key in keys)


def inspect_stored(path: Path, content: bytes, task: str = "") -> Seen:
    """What outputs, scores or log-probabilities are to an audit.

    Args:
        path: for messages.
        content: of the file.
        task: what was declared; "" = what the keys say.

    Raises:
        ValueError: it is no readable ``.npz`` file.
    """
    arrays = npz_of(io.BytesIO(content), path)
    if of_tokens(arrays):
        facts = tuple(f"{shown(name)}: {array.dtype} {array.shape}" for name, array in arrays.items())
        return Seen("log-probabilities of tokens by set", facts, problems=(f"{path} {TOKENS}",))
    if by_scores(task) or (not task and are_scores(arrays)):
        return _scores(path, arrays)
    return _outputs(path, arrays, task)


def _outputs(path: Path, arrays: Mapping[str, Array], task: str) -> Seen:
    kind = stored_words(task)
    facts = tuple(f"{shown(name)}: {array.dtype} {array.shape}" for name, array in arrays.items())
    if reads_tokens(task):
        return Seen(kind, facts, problems=(f"{task} {NETWORK}",))
    problems = _missing(path, {key.partition("@")[0] for key in arrays})
    try:
        target = outputs_target(arrays, str(path), class_logits=class_logits_of(task))
    except ValueError as error:
        return Seen(kind, facts, problems=(str(error), *problems))
    if isinstance(target, PrecomputedLabels):
        return Seen("predicted labels by set", facts, ("labels alone: label-only attacks",), "labels", problems)
    probable = stored_probabilities(arrays) if target.class_logits else ""
    if probable:
        problems = (f"{probable}. Where the model gives nothing else, say so with --probabilities", *problems)
    uses = ("precomputed outputs: no network and no --arch needed", *([] if task else [OTHERS]))
    return Seen(kind, facts, uses, "logits", problems)


def _scores(path: Path, arrays: Mapping[str, Array]) -> Seen:
    keys = [match for key in arrays if (match := KEY.fullmatch(key))]
    names = list(dict.fromkeys(match["signal"] for match in keys if match["signal"] != FEATURES))
    sets = list(dict.fromkeys(match["set"] for match in keys))
    holes = [f"{role}.{name}" for role in sets for name in names if f"{role}.{name}" not in arrays]
    problems = [f"{path} has no {listed(holes)}: every set needs every signal; add the keys"] if holes else []
    problems += _missing(path, set(sets))
    rows = ", ".join(f"{role} {len(arrays[key])}" for role, key in _first_of(arrays, sets).items())
    facts = [f"rows by set: {rows}"] if rows else []
    queries = sorted({match["query"] for match in keys if match["query"]})
    facts += [f"answers to changed inputs: {listed(queries)}"] if queries else []
    try:
        target = scores_target(arrays, str(path), {})
    except ValueError as error:
        facts += [f"signals: {listed(names)}"]
        return Seen("scores by set", tuple(facts), problems=(str(error), *problems))
    facts += [_signal(name, way, first=name == target.names[0]) for name, way in (target.declared or {}).items()]
    uses = ["numbers a row in place of a model: no network, no --arch, and sets need no more than ids"]
    if target.names:
        task = Scores(target.declared or {}, with_features=target.with_features)
        uses.append(f"utility by {task.figure}" if task.figure else task.no_figure)
    access = "features" if target.access >= Access.FEATURES else "logits"
    return Seen("scores by set", tuple(facts), tuple(uses), access, tuple(problems))


def _first_of(arrays: Mapping[str, Array], sets: list[str]) -> dict[str, str]:
    """The first key of each set that has rows."""
    found = {role: [k for k, a in arrays.items() if a.ndim and k.startswith(f"{role}.")] for role in sets}
    return {role: keys[0] for role, keys in found.items() if keys}


def _signal(name: str, way: str, *, first: bool) -> str:
    words = f": {VOCABULARY[name].words}" if name in VOCABULARY else ""
    lead = "; it leads" if first else ""
    return f"{shown(name)}{words} ({'lower' if way == LOWER else 'higher'} = more like a member{lead})"


def _missing(path: Path, sets: Collection[str]) -> tuple[str, ...]:
    absent = [role for role in ("forget", "retain") if role not in sets]
    absent += [] if {"test", "holdout"} & set(sets) else ["test or holdout"]
    if not absent:
        return ()
    return (f"{path} has nothing for the {' and the '.join(absent)} set: give {EVERY_SET}",)
