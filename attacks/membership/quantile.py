"""Quantile regression: how confident should the model be on such a row, had it never seen it? No reference needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from attacks.base import (
    PER_EXAMPLE,
    Access,
    Attack,
    Bools,
    Case,
    Data,
    Floats,
    Scores,
    Signals,
    View,
)

from .common import SIDES, stacked, unit_of

LEVELS = (0.01, 0.05, 0.1)  # our choice: false positive rates, the smallest that the auxiliary set carries is used
MIN_TAIL = 10  # auxiliary rows expected above the quantile
FIFTHS = 5  # of the auxiliary rows, three fit the trees, one shifts the upper quantile, one checks it
COLUMNS = 64  # our choice: wider inputs are reduced by principal components of the auxiliary set
ALPHA = 0.05  # of the check of the realised false positive rate, two-sided
MAX_CROSSING = 0.01  # our choice: rows whose quantiles may stand in the wrong order
FLOOR = 0.25  # our choice: quantiles closer than this share of their median distance are told apart by noise alone
Predictor = Callable[[Floats], Floats]


class QuantileRegression(Attack):
    """Score: (s - median) / (upper quantile - median) of the logit-scaled confidence s, both predicted from the row.

    Boosted trees (100 of depth 2, rate .05: our choice; deeper ones overfit a few hundred rows, measured) predict the
    median and the 1 - alpha quantile of one model's confidence from the raw inputs and the label. They are fitted on
    three fifths of the auxiliary set, which no model saw; the upper quantile is shifted to fit a fourth (split
    conformal, Romano et al. 2019, arXiv 1905.03222). A score above 1 is a member at false positive rate alpha = .01,
    .05 or .1, the smallest with ten auxiliary rows above it. Inputs are flattened; beyond 64 columns, 64 principal
    components of the auxiliary set stand for them. A realised rate on the last fifth outside its band, or
    crossing quantiles, support no PASS.
    """

    name = "quantile"
    version = "2"  # 2: the floor of the spread follows its typical size
    title = "Quantile regression"
    access = Access.LOGITS
    signal = "confidence"
    symmetric = True
    rows_alone = True
    families = frozenset({"D2"})
    source = "Bertran et al., Scalable Membership Inference Attacks via Quantile Regression, arXiv 2307.03694"
    charts = PER_EXAMPLE

    def __init__(self) -> None:
        super().__init__()
        self._known: tuple[Mapping[str, Data], Mapping[str, Floats]] | None = None

    def applicable(self, case: Case) -> str:
        """Enough auxiliary rows, and inputs of numbers; no row but the first of a set is read."""
        if reason := super().applicable(case):
            return reason
        size = len(case.labels.get("auxiliary", ()))
        if not _carried(size):
            return f"needs {MIN_TAIL / LEVELS[-1]:.0f} auxiliary rows, there are {size}: give more"
        reasons = (_no_inputs(case.sets[role]) for role in (*SIDES, "auxiliary"))
        return next((reason for reason in reasons if reason), "")

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Standardised confidences, and the check on held-out auxiliary rows."""
        size = len(case.labels["auxiliary"])
        carried = _carried(size)
        inputs = self._inputs_of(case)
        unit, confidence = unit_of(view, case), case.task.confidence
        own = confidence(view.logits("auxiliary"), case.truth("auxiliary"), unit)
        fifth = np.arange(size) % FIFTHS
        predict = _conformal(inputs["auxiliary"][fifth > 0], own[fifth > 0], fifth[fifth > 0] == 1, carried[0])
        between = predict(inputs["auxiliary"])
        typical = float(np.median(np.abs(between[:, 1] - between[:, 0])))
        floor = FLOOR * max(typical, float(np.finfo(float).tiny))
        found: dict[str, np.ndarray] = {}
        crossed = 0
        for role in SIDES:
            s = confidence(view.logits(role), case.truth(role), unit)
            quantiles = predict(inputs[role])
            crossed += int((quantiles[:, 1] < quantiles[:, 0]).sum())
            found[role] = (s - quantiles[:, 0]) / np.maximum(quantiles[:, 1] - quantiles[:, 0], floor)
        above = own[fifth == 0] > predict(inputs["auxiliary"][fifth == 0])[:, 1]
        check = [carried[0], above.sum(), len(above), (fifth == 1).sum(), crossed]
        return found | {"check": np.array(check, dtype=np.float64)}

    def _inputs_of(self, case: Case) -> Mapping[str, Floats]:
        """The same for every model: computed for the first."""
        if self._known is None or self._known[0] is not case.sets:
            self._known = case.sets, _inputs(case)
        return self._known[1]

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """The scores as they are: one model needs no other."""
        examples = stacked(signals)
        alpha, (above, rows, shifting, crossed) = float(signals[0]["check"][0]), signals[0]["check"][1:].astype(int)
        low, high = _expected(shifting, rows, alpha)
        sentence = (
            f"of {rows} held-out auxiliary rows {above} lie above the {1 - alpha:g} quantile, {low} to {high} expected"
        )
        invalid = ""
        if not low <= above <= high:
            invalid = f"the quantiles are off: {sentence}"
        elif crossed > MAX_CROSSING * examples.shape[1]:
            invalid = f"the quantiles cross on {crossed} of {examples.shape[1]} rows"
        elif np.ptp(examples[0]) == 0:
            invalid = "every row has the same score"
        return Scores(examples=examples, invalid=invalid, details=(sentence,))


def _conformal(x: Floats, target: Floats, shifting: Bools, alpha: float) -> Predictor:
    """``_fitted`` on the other rows, its upper quantile shifted so that a share alpha of ``shifting`` lies above."""
    predict = _fitted(x[~shifting], target[~shifting], alpha)
    excess = target[shifting] - predict(x[shifting])[:, 1]
    rank = min(len(excess), math.ceil((1 - alpha) * (len(excess) + 1)))
    shift = np.array([0.0, np.sort(excess)[rank - 1]])
    return lambda rows: predict(rows) + shift


def _fitted(x: Floats, target: Floats, alpha: float) -> Predictor:
    """Median and 1 - alpha quantile as a function of the inputs: (n, d) -> (n, 2)."""
    from xgboost import XGBRegressor

    model = XGBRegressor(
        objective="reg:quantileerror",
        quantile_alpha=np.array([0.5, 1 - alpha]),
        n_estimators=100,
        max_depth=2,
        learning_rate=0.05,
        tree_method="hist",
        n_jobs=1,
        random_state=0,
    ).fit(x, target)
    return lambda rows: np.asarray(model.predict(rows), dtype=np.float64)


def _inputs(case: Case) -> dict[str, Floats]:
    """Flattened inputs, reduced where wide, with the label as indicators: (n, d) by role."""
    flat = {role: _flat(case.sets[role]) for role in (*SIDES, "auxiliary")}
    if flat["auxiliary"].shape[1] > COLUMNS:
        from sklearn.decomposition import PCA

        reduced = PCA(min(COLUMNS, len(flat["auxiliary"])), svd_solver="randomized", random_state=0)
        reduced.fit(flat["auxiliary"])
        flat = {role: np.asarray(reduced.transform(x)) for role, x in flat.items()}
    return {role: np.column_stack([x, case.task.columns(case.truth(role), case.n_classes)]) for role, x in flat.items()}


def _carried(size: int) -> list[float]:
    """The rates that so many auxiliary rows carry, smallest first."""
    return [level for level in LEVELS if size * level >= MIN_TAIL]


def _no_inputs(data: Data) -> str:
    """Why a set has no inputs to predict from (those of outputs have none, others are no numbers), or ""."""
    try:
        parts = _parts(data, min(1, len(data)))
    except ValueError as error:
        return f"needs the inputs of the rows: {error}"
    return "needs inputs that are numbers" if any(part.dtype.kind not in "fiub" for part in parts) else ""


def _flat(data: Data) -> Floats:
    parts = _parts(data, len(data))
    return np.column_stack([part.reshape(len(part), -1).astype(np.float64) for part in parts])


def _parts(data: Data, rows: int) -> list[np.ndarray]:
    """Inputs of the first rows, one array a name."""
    inputs = data.batch(np.arange(rows))
    return list(inputs.values()) if isinstance(inputs, Mapping) else [inputs]


def _expected(shifting: int, checking: int, alpha: float) -> tuple[int, int]:
    """Band of the count above the quantile among ``checking`` rows, where ``shifting`` others placed it.

    The share above the k-th smallest of m values is Beta(m + 1 - k, k), so the count is beta-binomial. A
    Clopper-Pearson band would forget that the quantile itself is an estimate, and be left too often.
    """
    from scipy import stats

    rank = min(shifting, math.ceil((1 - alpha) * (shifting + 1)))
    law = stats.betabinom(checking, shifting + 1 - rank, rank)
    return int(law.ppf(ALPHA / 2)), int(law.ppf(1 - ALPHA / 2))
