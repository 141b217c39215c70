"""Contaminated references: a null distribution is worth what its retrains are worth.

Warm starts and common seeds show in the weights (`kinship`); copies that only compute the same function are found by
`copies`, those that only vary the settings of one run by `twins`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attacks.base import Floats

from .kinship import KINSHIP, Sample, kinship, sample, shared
from .spool import steps
from .targets import Target, TorchTarget

Parts = Sequence[np.ndarray[Any, Any]]  # rows in one or more parts, which may be mapped files

#: our choice: logits of two honest retrains differ by far more than this (relative root mean square)
COPY_DISTANCE = 1e-3
#: our choice, of the usual distance. Real Llama-2-7B runs with another weight decay lie at .39 to .41 of it, separate
#: ones at .9 to 1; among five honest references forests and transformers at .8 or more, two forests at .46 or more
TWIN = 0.43


def warm_starts(models: Mapping[str, Target], public_layers: Sequence[str]) -> list[str]:
    """Problems: references whose weights are kin to the original's, the unlearned model's or another reference's.

    Only for references declared as exact retrains. The median cosine over the weight matrices (two dimensions and
    more) that are neither public nor shared by every reference and the original.

    Args:
        models: by their name in the run; those without weights are passed over.
        public_layers: layers that are declared as never trained on the forget set.
    """
    samples = {name: sample(model.state) for name, model in models.items() if isinstance(model, TorchTarget)}
    references = [name for name in samples if name.startswith("retrained/")]
    return [
        f"{name} is no independent retrain: its weights are kin to those of {other} (cosine {value:.2f}, independent "
        f"networks stay below {KINSHIP}). Train it from scratch with a seed of its own; if all models start from "
        "weights that never saw the forget set, declare --provenance checkpoint"
        for name, other, value in closest(samples, references, public_layers)
    ]


def closest(
    samples: Mapping[str, Sample], names: Sequence[str], public_layers: Sequence[str]
) -> list[tuple[str, str, float]]:
    """Models that are kin to another that they must be independent of, with that model and the cosine.

    Args:
        samples: of the models by name, original and unlearned model included where there are any.
        names: the models that must be independent of these two and of one another.
        public_layers: layers that need not differ.
    """
    others = [name for name in ("original", "unlearned") if name in samples]
    if not names:
        return []
    shared_by = [samples[name] for name in (*names, "original") if name in samples]
    order = [*others, *names]
    values = kinship([samples[name] for name in order], shared(shared_by, public_layers))
    found = []
    for at in range(len(others), len(order)):
        if at and values[at, :at].max() > KINSHIP:
            other = int(values[at, :at].argmax())
            found.append((order[at], order[other], float(values[at, other])))
    return found


def copies(
    logits: Mapping[str, Parts], files: Mapping[str, str], where: str = "", *, centred: bool = True
) -> list[str]:
    """Problems: pairs among the models that compute the same function, where they must be independent: every
    reference from every other model, and every further unlearned run from the other runs.

    Args:
        logits: model name -> logits on the same rows, (n, C), in one or more parts.
        files: model name -> what the user knows it by.
        where: which rows these are, for messages; "" = the function in general.
        centred: a common shift of a row's outputs says nothing, as of logits.
    """
    problems = []
    runs = [name for name in logits if name.startswith("unlearned/")]
    names = [name for name in logits if name.startswith("retrained/")]
    must = "a reference must be an independent retrain from scratch with a seed of its own; remove or retrain it"
    again = "a further unlearned run needs a seed of its own; remove it or run the procedure again"
    pairs = [
        (name, other, must) for i, name in enumerate(names) for other in ["original", "unlearned", *runs, *names[:i]]
    ]
    pairs += [(name, other, again) for i, name in enumerate(runs) for other in ["original", "unlearned", *runs[:i]]]
    for name, other, remedy in pairs:
        if other in logits and _distance(logits[name], logits[other], centred) < COPY_DISTANCE:
            same = f"computes the same function as {_called(other, files)}{where}"
            problems.append(f"{_called(name, files)} {same}: {remedy}")
    return problems


def _called(name: str, files: Mapping[str, str]) -> str:
    return f"{name} ({files[name]})" if name in files else name


def _distance(a: Parts, b: Parts, centred: bool) -> float:
    """Root mean square difference of (centred) outputs, relative to the spread of the first; block by block."""
    squares = total = spread = 0.0
    count, shift = 0, None
    for one, other in zip(a, b, strict=True):
        for rows in steps(one):
            x, y = (np.asarray(z[rows], dtype=np.float64) for z in (one, other))
            if centred:
                x, y = (z - z.mean(axis=1, keepdims=True) for z in (x, y))
            squares += float(((x - y) ** 2).sum())
            shift = float(x.mean()) if shift is None else shift  # so that squares lose nothing beside a large mean
            x = x - shift  # not in place: without centring it may be the array that was given
            total, spread, count = total + float(x.sum()), spread + float((x**2).sum()), count + x.size
    deviation = math.sqrt(max(spread / count - (total / count) ** 2, 0.0))
    return math.sqrt(squares / count) / max(deviation, 1e-12)


def twins(scores: Mapping[str, Mapping[Any, Floats]], files: Mapping[str, str]) -> list[str]:
    """Problems: references that order rows far more alike than separate trainings do.

    A run with the same seed and another weight decay is no copy and no independent retrain. Held against the other
    pairs of references; where there are two alone, against how far both lie from the original. Forget rows are left
    out: there the original differs; so are sets that some model scores all alike. References that are all twins of one
    another are not told by this.

    Args:
        scores: model name -> set -> what models are compared by, (n,); retain and never-seen rows.
        files: model name -> what the user knows it by.
    """
    roles = [r for r in next(iter(scores.values()), {}) if all(r in s and np.ptp(s[r]) > 0 for s in scores.values())]
    scores = {name: {role: found[role] for role in roles} for name, found in scores.items()}  # ties order nothing
    names = [name for name in scores if name.startswith("retrained/")] if roles else []
    ranks = {name: _ranks(found) for name, found in scores.items()} if len(names) > 1 else {}  # once, not once a pair
    pairs = {(a, b): _apart(ranks[a], ranks[b]) for i, b in enumerate(names) for a in names[:i]}
    problems = []
    for (a, b), value in pairs.items():
        usual = [other for pair, other in pairs.items() if pair != (a, b)]
        if not usual and "original" in scores:
            usual = [_apart(ranks[name], ranks["original"]) for name in (a, b)]
        share = value / float(np.median(usual)) if usual else 1.0
        if share < TWIN:
            problems.append(
                f"{_called(b, files)} is no independent retrain beside {_called(a, files)}: they order the rows that "
                f"are not forgotten {share:.0%} as differently as separate trainings do, as "
                "runs with one seed and other settings would (weight decay, length). Remove one, or retrain it "
                "with a seed of its own"
            )
    return problems


def _ranks(found: Mapping[Any, Floats]) -> dict[Any, Floats]:
    """Ranks of the rows of each set, centred and of length 1: their product with another model's is a correlation."""
    from scipy import stats

    ranks = {role: stats.rankdata(values) for role, values in found.items()}
    centred = {role: values - values.mean() for role, values in ranks.items()}
    return {role: values / np.linalg.norm(values) for role, values in centred.items()}


def _apart(a: Mapping[Any, Floats], b: Mapping[Any, Floats]) -> float:
    """Geometric mean over sets of the square root of 1 - rank correlation: no shift and no scale counts."""
    found = [1 - float(a[role] @ b[role]) for role in a]
    return float(np.exp(np.mean(np.log(np.maximum(found, 1e-12))) / 2))
