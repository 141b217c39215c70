"""Texts whose tokens a language model is asked for: one JSON object a line, and the signals of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attacks.base import Floats
from attacks.scorers import tokens
from attacks.tasks.scores import HIGHER
from audit.errors import brief

from .layout import Log, Rows, read_lines

#: where texts stand unless the user says otherwise, by set
FILES = {"forget": "forget.jsonl", "retain": "retain.jsonl", "holdout": "holdout.jsonl"}
OWN = {"extraction_rouge_l": HIGHER, "extraction_exact": HIGHER}  # of a greedy continuation
FORM = '{"id": ..., "text": ..., optional "prompt", "paraphrase", "perturbed": [...]}'


@dataclass(frozen=True)
class Text:
    """One row.

    Attributes:
        key: its id.
        prompt: what stands before the text and is not judged; may be "".
        text: what is judged.
        paraphrase: the same said otherwise, for the truth ratio; "" = the text itself.
        perturbed: wrong answers in its form; none = no truth ratio.
        group: author or document; "" = not known.
    """

    key: str
    prompt: str
    text: str
    paraphrase: str
    perturbed: tuple[str, ...]
    group: str

    @property
    def answers(self) -> tuple[str, ...]:
        """Of which log-probabilities are wanted: the text, and for the truth ratio paraphrase and wrong answers."""
        return (self.text, *((self.paraphrase or self.text, *self.perturbed) if self.perturbed else ()))


@dataclass(frozen=True)
class Tokens:
    """What a model says of one answer, by token (t,).

    Attributes:
        logprobs: log-probability of each token, t > 0.
        mean: of log-probabilities over the vocabulary, under the model; None = not known.
        variance: the same.
    """

    logprobs: Floats
    mean: Floats | None = None
    variance: Floats | None = None


def read_texts(path: Path, role: str, log: Log, group_key: str | None) -> list[Text]:
    """The rows of a set's file.

    Raises:
        ValueError: with the line and the remedy.
    """
    found, seen = [], set()
    for where, row in read_lines(path, log, f"{role}/{path.name}"):
        key = str(row.get("id", ""))
        if not key or key in seen:
            raise ValueError(f"{where}: id {brief(row.get('id'))} is absent or stands twice; a line is {FORM}")
        seen.add(key)
        words = {name: _word(row, name, where) for name in ("prompt", "text", "paraphrase")}
        wrong = row.get("perturbed", [])
        if not words["text"].strip() or not isinstance(wrong, list) or not all(isinstance(w, str) and w for w in wrong):
            raise ValueError(f"{where}: the text is empty, or perturbed is no list of texts; a line is {FORM}")
        group = "" if group_key is None else str(row.get(group_key, ""))
        found.append(Text(key, words["prompt"], words["text"], words["paraphrase"], tuple(wrong), group))
    if not found:
        raise ValueError(f"{path} holds no rows: a line is {FORM}")
    return found


def _word(row: dict[str, Any], name: str, where: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{where}: {name} is {brief(value)}, no text; a line is {FORM}")
    return value


def rows_of(
    texts: Sequence[Text], asked: Sequence[Sequence[Tokens]], extraction: Sequence[tuple[float, bool]] | None
) -> Rows:
    """The signals of each text.

    Args:
        texts: the rows.
        asked: of each row, what the model says of its ``answers``, or of the text alone.
        extraction: of each row, ROUGE-L of the greedy continuation of its prompt, and whether it is the text token
            for token; None = nobody asked.
    """
    columns: dict[str, dict[str, float | None]] = {}
    rows = Rows()
    for i, (text, answers) in enumerate(zip(texts, asked, strict=True)):
        own = answers[0]
        found: dict[str, float] = {
            "nll": tokens.nll(own.logprobs),
            "min_k": tokens.min_k(own.logprobs),
            "zlib_nll": tokens.zlib_nll(own.logprobs, text.text),
        }
        if own.mean is not None and own.variance is not None:
            found["min_k_pp"] = tokens.min_k(tokens.standardised(own.logprobs, own.mean, own.variance))
        if len(answers) > 1:
            right, *wrong = [tokens.nll(answer.logprobs) for answer in answers[1:]]
            found["truth_ratio"] = tokens.truth_ratio(right, wrong)
        if extraction is not None:
            found["extraction_rouge_l"], found["extraction_exact"] = extraction[i][0], float(extraction[i][1])
        for name, value in found.items():
            columns.setdefault(name, {})[text.key] = value
        rows.texts[text.key] = f"{text.prompt} {text.text}".strip()
        rows.checks[text.key] = f"{len(own.logprobs)} tokens"
        if text.group:
            rows.groups[text.key] = text.group
    for name, values in columns.items():
        if len(values) == len(texts):  # a truth ratio of some rows alone is none of the set
            rows.add(name, values, "greedy continuation" if name in OWN else "token log-probabilities")
    return rows


def finite(values: Floats, where: str) -> Floats:
    """Log-probabilities as they must be. Raises ValueError where one is positive or not finite."""
    wrong = np.flatnonzero(~(np.isfinite(values) & (values <= 1e-4)))
    if len(wrong):
        raise ValueError(f"{where}, token {wrong[0]}: {values[wrong[0]]} is no log-probability; export them again")
    return np.minimum(values, 0.0)
