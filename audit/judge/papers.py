"""What papers would print of this model, each figure beside the same of every reference: no test and no gate.

The null is each reference held against the others, so it needs two. A figure whose null is not near its ideal says how
far honest retrains lie apart; no verdict follows from any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from attacks.base import Floats
from audit.collect.evidence import Evidence
from audit.record.papers import PaperFigure
from audit.statistics import published
from audit.statistics.intervals import auc_components

ATTACK, RESIDUAL = "membership", "residual_knowledge"
SETS = ("retain rows", "never-seen rows", "forget rows")  # in the order of `audit.collect.arrays.LOSSES`
KLOM_MODELS = 20  # our choice: below it chance alone gives as much as a true shift (null mean 3 at 20, 6 at 10)

Value = Callable[[Any, list[Any]], float | None]


def papers(evidence: Evidence) -> tuple[PaperFigure, ...]:
    """All figures that the evidence allows."""
    return (
        *_accuracies(evidence),
        *_losses(evidence),
        *_forget_quality(evidence),
        *_privleak(evidence),
        *_klom(evidence),
        *_residual(evidence),
    )


def _beside(name: str, found: Mapping[str, Any], of: Value, alike: str, note: str = "") -> PaperFigure:
    """A figure of the unlearned model against the references, and of each reference against the others."""
    references = {model: value for model, value in found.items() if model.startswith("retrained/")}
    null = []
    if len(references) > 1:
        for model, own in references.items():
            null.append(of(own, [value for other, value in references.items() if other != model]))
    known = [value for value in null if value is not None]
    one = "" if len(references) > 1 else "one reference has no null" if references else "no reference, no null"
    return PaperFigure(
        name=name,
        value=of(found["unlearned"], list(references.values())),
        null=(min(known), max(known)) if known else None,
        alike=alike,
        note="; ".join(text for text in (note, one) if text),
    )


def _accuracies(evidence: Evidence) -> list[PaperFigure]:
    """UA, RA, TA and what is made of them, where answers are right or wrong."""
    if evidence.task.figure != "accuracy" or "correct_forget/unlearned" not in evidence.arrays:
        return []
    models = [m for m in evidence.facts.models if m in ("unlearned", "original") or m in evidence.facts.references]
    found: dict[str, Floats] = {}
    for model in models:
        retain = evidence.correct_retain(model)
        forget = np.asarray(evidence.arrays[f"correct_forget/{model}"], dtype=np.float64)
        if retain is None:
            return []
        found[model] = np.array([forget.mean(), retain.mean(), evidence.correct(model).mean()])
    like = "the references'"
    figures = [
        _beside("UA (1 - accuracy on forget rows)", found, lambda mine, _: float(1 - mine[0]), like),
        _beside("RA (accuracy on retain rows)", found, lambda mine, _: float(mine[1]), like),
        _beside("TA (accuracy on never-seen rows)", found, lambda mine, _: float(mine[2]), like),
    ]
    if evidence.facts.references:
        figures += [
            _beside("Average gap (UA, RA, TA)", found, _against(published.average_gap), "0"),
            _beside("ToW", found, _against(published.tug_of_war), "1"),
        ]
    if "original" in found:
        test, removed = float(found["original"][2]), evidence.facts.claim.kind == "class"
        note = "form for a removed class" if removed else "form for rows"
        figures.append(
            _beside(
                "AUS",
                found,
                lambda mine, _: published.aus(float(mine[0]), float(mine[2]), test, removed_class=removed),
                like,
                note,
            )
        )
    return figures


def _losses(evidence: Evidence) -> list[PaperFigure]:
    """The mean loss by set, where the task has words for it: RMSE, perplexity."""
    task = evidence.task
    models = [m for m in evidence.facts.models if m in ("unlearned", "original") or m in evidence.facts.references]
    kept = {model: evidence.arrays.get(f"loss/{model}") for model in models}
    losses = {model: loss for model, loss in kept.items() if loss is not None and len(loss) == len(SETS)}
    if not task.loss_figure or "unlearned" not in losses:  # or a run of an older version
        return []
    figures = []
    for at, rows in enumerate(SETS):
        found = {model: task.printed_loss(float(loss[at])) for model, loss in losses.items()}
        figures.append(_beside(f"{task.loss_figure} on {rows}", found, lambda mine, _: float(mine), "the references'"))
    return figures


def _against(measure: Callable[[Floats, Floats], float | None]) -> Value:
    return lambda mine, others: measure(mine, np.mean(others, axis=0))


def _forget_quality(evidence: Evidence) -> list[PaperFigure]:
    declared = list(evidence.task.declared)
    if "truth_ratio" not in declared or not evidence.facts.references:
        return []
    key = "forget" if declared[0] == "truth_ratio" else "forget.truth_ratio"
    found = _signals(evidence, key)
    if not found:
        return []
    rows = len(found["unlearned"])
    power = published.forget_quality_power(rows)
    note = f"on {rows} rows it sees a shift of .2 standard deviations in {power:.0%} of cases"
    return [_beside("Forget quality (KS p)", found, published.forget_quality, "any p: a high one is no equality", note)]


def _privleak(evidence: Evidence) -> list[PaperFigure]:
    """Of raw signals, as papers do: not calibrated."""
    if evidence.facts.claim.kind == "class" or not evidence.facts.references:
        return []
    forget, holdout = _signals(evidence, "forget"), _signals(evidence, "holdout")
    if not forget or not holdout:
        return []
    found = {model: float(auc_components(forget[model], holdout[model])[0].mean()) for model in forget}
    return [
        _beside(
            "privleak (two-sided, bounded)",
            found,
            lambda mine, others: published.privleak(mine, float(np.mean(others))),
            "0",
            "percent; above 0 = looks like a member, below 0 = over-unlearned",
        )
    ]


def _klom(evidence: Evidence) -> list[PaperFigure]:
    mine, references = ("unlearned", *evidence.facts.runs), evidence.facts.references
    found = _signals(evidence, "forget", mine)
    if not found or not evidence.facts.runs or not references:
        return []  # a figure of a procedure: one model has none
    n = min(len(mine), len(references) // 2)  # the null needs as many references on either side
    if n < KLOM_MODELS:
        needed = f"{KLOM_MODELS} runs and {2 * KLOM_MODELS} references"
        note = f"needs {needed}, there are {len(mine)} and {len(references)}"
        return [PaperFigure(name="KLoM", value=None, alike="its null", note=note)]
    runs, retrains = (np.stack([found[model] for model in models]) for models in (mine, references))
    value, floor = (published.klom(group[:n], retrains[n : 2 * n]) for group in (runs, retrains))
    note = f"null: {n} references against {n} others; the figure: {n} runs against these"
    return [PaperFigure(name="KLoM", value=value, null=(floor, floor), alike="its null", note=note)]


def _residual(evidence: Evidence) -> list[PaperFigure]:
    run = next((run for run in evidence.facts.attacks if run.name == RESIDUAL and run.status == "ok"), None)
    if run is None or not evidence.facts.references:
        return []
    shares = _signals(evidence, "forget", attack=RESIDUAL)
    draws = float(run.parameters["draws"])
    rates = {model: ((share * draws + 0.5) / (draws + 1)).mean(axis=1) for model, share in shares.items()}
    return [_beside("Residual knowledge", rates, _against(published.residual_knowledge), "1")] if rates else []


def _signals(
    evidence: Evidence, key: str, more: tuple[str, ...] = ("unlearned",), attack: str = ATTACK
) -> dict[str, Floats]:
    """One signal of the audited model, of ``more`` and of the references; empty where one has none."""
    models = (*more, *evidence.facts.references)
    found = {m: evidence.signals.get((attack, m), {}).get(key) for m in models}
    if any(values is None for values in found.values()):
        return {}
    return {m: np.asarray(values, dtype=np.float64) for m, values in found.items()}
