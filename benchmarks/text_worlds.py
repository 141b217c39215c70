"""Fresh small worlds of texts: transformers of one layer, trained from scratch on answers of TOFU.

By row: rows of all authors, drawn at random. By author: 70 authors of four rows each are to be forgotten, and 80 were
never seen. Needs ``text/tofu.json.gz`` of ``UNLEARN_TEST_DATA``.
"""

from __future__ import annotations

import copy
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fixtures.cases import tofu_case

from .task_worlds import REFERENCES, World

TEXTS = Path(os.environ.get("UNLEARN_TEST_DATA", "/nowhere")) / "text" / "tofu.json.gz"
ROWS = {"forget": 300, "retain": 300, "holdout": 500, "test": 200}
AUTHORS = {"forget": 70, "retain": 40, "holdout": 80, "test": 10}
OF_AUTHOR = 4  # rows
WORDS, LONGEST, WIDTH = 500, 24, 48
EPOCHS = 6  # of the original; retrains take as many steps
BUILD = partial(tofu_case.Transformer, WORDS, LONGEST, WIDTH, layers=1)


def drawn(seed: int, *, by_author: bool) -> tofu_case.Corpus:
    """The sets of a world: answers alone, of ``LONGEST`` tokens at most."""
    rows = tofu_case.read(TEXTS)
    rng = np.random.default_rng([seed, 0x7E])
    sizes = AUTHORS if by_author else ROWS
    order = rng.permutation(200 if by_author else len(rows))
    role_of = dict(zip(order.tolist(), np.repeat(list(sizes), list(sizes.values())).tolist(), strict=False))
    unit = "author" if by_author else "idx"
    mine = [row for row in rows if row[unit] in role_of and (not by_author or row["idx"] % 20 < OF_AUTHOR)]
    chosen = [(role_of[row[unit]], row) for row in mine]  # in the file's order: that of words is no set's
    short = [(role, row | {"question": "", "answer": _beginning(row["answer"])}) for role, row in chosen]
    return tofu_case.written(short, WORDS, LONGEST, by_author=by_author)


def _beginning(answer: str) -> str:
    """As many words as a row may have."""
    return " ".join(tofu_case.split(answer)[: LONGEST - 1])


def networks(data: tofu_case.Corpus, seed: int) -> dict[str, Any]:
    """Models by name, in evaluation mode."""
    forget, retain = data.tokens["forget"], data.tokens["retain"]
    train = partial(tofu_case.trained, build=BUILD)
    original, again = (train(forget + retain, 1000 * seed + k, epochs=EPOCHS) for k in range(2))
    longer = round(EPOCHS * len(forget + retain) / len(retain))
    honest, *retrained = (train(retain, 1000 * seed + 10 + k, epochs=longer) for k in range(REFERENCES + 1))
    models: dict[str, Any] = {"original": original, "not unlearned": again, "honest": honest}
    models["gradient difference"] = tofu_case.gradient_difference(copy.deepcopy(original), forget, retain)
    models["NPO"] = tofu_case.npo(copy.deepcopy(original), forget, retain)
    return {name: model.eval() for name, model in models.items()} | {"retrained": [one.eval() for one in retrained]}


def texts(seed: int, *, by_author: bool = False) -> World:
    """Scores of the rows."""
    data = drawn(seed, by_author=by_author)
    models = networks(data, seed)
    retrained = [tofu_case.scores(model, data) for model in models.pop("retrained")]
    told: dict[str, Any] = {name: tofu_case.scores(model, data) for name, model in models.items()}
    return told | {"retrained": retrained}, data.sets()


def on_weights(seed: int) -> World:
    """The networks themselves, and tokens; by row."""
    data = drawn(seed, by_author=False)
    models = networks(data, seed)
    return models, {**data.rows(), "task": "causal-lm", "effort": "quick"}
