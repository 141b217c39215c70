"""Quantile regression: how confident would this one model be on the row, had it never seen it?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from ..base import Access, Attack, Case, Data, Floats, NotApplicable, Scores, Signals, View
from ..signals import canonical, logit_confidence
from .rows import labels_of, logits_of, refuse_class

QUANTILES = (0.1, 0.5, 0.9)
MIN_ROWS = 200  # our choice: of the auxiliary set: about 40 of them check the quantiles
COLUMNS = 40  # inputs wider than this are reduced by principal components
HELD_OUT = 5  # every fifth auxiliary row checks the quantiles


class Quantile(Attack):
    """Quantile regression on never-seen rows: no shadow model, no reference.

    Boosted trees learn, from inputs and labels of the auxiliary set, the quantiles .1, .5 and .9 of this model's
    logit-scaled confidence on rows that it never saw. Example score: (confidence - median) / (upper - lower quantile).
    Inputs come raw, never from the model, whose features may hold the forgetting itself.
    """

    name = "quantile"
    title = "Quantile regression on never-seen rows"
    access = Access.LOGITS
    symmetric = True
    families = frozenset({"D2"})
    primary_for = frozenset({"random", "subject", "other"})
    source = "Bertran et al., Scalable Membership Inference Attacks via Quantile Regression, arXiv 2307.03694"
    chart = "roc"

    def __init__(self, *, trees: int = 100) -> None:
        """Set the size of the ensemble.

        Args:
            trees: boosting rounds, >= 1 (our choice: 100 of depth 3, rate .1).
        """
        super().__init__()
        if trees < 1:
            raise ValueError("quantile: trees must be >= 1")
        self.parameters = {"trees": trees}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Standardised confidence on forget and holdout rows, and the share above the upper quantile."""
        refuse_class(case)
        auxiliary = case.sets["auxiliary"]
        if len(auxiliary) < MIN_ROWS:
            raise NotApplicable(f"the auxiliary set has {len(auxiliary)} rows, it learns from {MIN_ROWS} or more")
        x = [_columns(case.sets[role]) for role in ("auxiliary", "forget", "holdout")]
        width = x[0].shape[1]
        if width > COLUMNS:
            pca = PCA(COLUMNS, random_state=0, svd_solver="randomized").fit(x[0][: 10 * MIN_ROWS])
            x = [pca.transform(part) for part in x]
        y = [case.labels[role] for role in ("auxiliary", "forget", "holdout")]
        inputs = [np.column_stack([part, np.eye(case.n_classes)[labels]]) for part, labels in zip(x, y, strict=True)]
        both = np.concatenate([view.logits("forget"), view.logits("holdout")])
        known = logit_confidence(canonical(view.logits("auxiliary"), both), y[0])
        check = np.arange(len(known)) % HELD_OUT == 0
        model = self._fit(inputs[0][~check], known[~check])
        above = float((known[check] > np.sort(model.predict(inputs[0][check]), axis=1)[:, -1]).mean())
        spread = np.sort(model.predict(np.concatenate(inputs[1:])), axis=1)
        own = logit_confidence(logits_of(view), labels_of(case))
        width_of = np.maximum(spread[:, 2] - spread[:, 0], 0.05 * float(np.ptp(known)) + 1e-9)
        return {
            "rows": (own - spread[:, 1]) / width_of,
            "above": np.array([above]),
            "checked": np.array([int(check.sum())]),
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Scores of J models; the check is the audited model's."""
        examples = np.stack([s["rows"] for s in signals])
        above, checked = float(signals[0]["above"][0]), int(signals[0]["checked"][0])
        low, high = _band(checked, 1 - QUANTILES[-1])
        where = f"above the .9 quantile ({low:.3f} to {high:.3f} is right)"
        details = (f"{above:.3f} of {checked} auxiliary rows left out lie {where}",)
        wrong = "" if low <= above <= high else "the learned quantiles do not hold on auxiliary rows left out"
        return Scores(examples=examples, invalid=wrong, details=details)

    def _fit(self, inputs: Floats, target: Floats) -> Any:
        from xgboost import XGBRegressor

        return XGBRegressor(
            objective="reg:quantileerror",
            quantile_alpha=np.array(QUANTILES),
            n_estimators=int(self.parameters["trees"]),
            max_depth=3,
            learning_rate=0.1,
            tree_method="hist",
            n_jobs=1,
            random_state=0,
        ).fit(inputs, target)


def _columns(data: Data) -> Floats:
    try:
        x = data.batch(np.arange(len(data)))
    except ValueError as error:
        raise NotApplicable("needs the inputs x") from error
    parts = [x[name] for name in sorted(x)] if isinstance(x, Mapping) else [x]
    return np.concatenate([part.reshape(len(data), -1).astype(np.float64) for part in parts], axis=1)


def _band(n: int, share: float) -> tuple[float, float]:
    """Central 99 % of a binomial share: what a right quantile gives."""
    from scipy import stats

    low, high = stats.binom.ppf([0.005, 0.995], n, share) / n
    return float(low), float(high)
