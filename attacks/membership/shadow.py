"""Shadow attack classifiers: a learned rule that tells trained-on from never-seen rows by a model's answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Bools, Case, Floats, Ints, Scores, Shadows, Signals, View
from attacks.laws import t_ppf
from attacks.signals import (
    canonical,
    correct,
    entropy,
    label_margin,
    log_label,
    log_softmax,
    logit_confidence,
    modified_entropy,
)

from .common import by_side, enough_shadows, side_labels, side_logits, stacked

TOP = 3  # sorted log-posteriors kept
MAX_CLASSES = 20  # our choice: with more classes the label itself is no feature
MIN_SHADOWS = 8  # our choice
FOLDS = 5
LEVEL = 0.95  # of the interval of the held-out AUC


def answer_features(logits: Floats, y: Ints) -> Floats:
    """What an answer says of a row: (n, TOP + 6), fewer log-posteriors where C < TOP.

    Sorted log-posteriors, logit-scaled confidence, loss, entropy, modified entropy, margin, correctness.

    Args:
        logits: (n, C).
        y: labels, (n,).
    """
    posteriors = -np.sort(-log_softmax(logits), axis=1)[:, :TOP]
    columns = (
        logit_confidence(logits, y),
        -log_label(logits, y),
        entropy(logits),
        modified_entropy(logits, y),
        label_margin(logits, y),
        correct(logits, y),
    )
    return np.column_stack([posteriors, *columns])


class _Classifier(Attack):
    """Training, cross-fitting and scoring; a subclass names the learner."""

    access = Access.LOGITS
    symmetric = True
    rows_alone = True
    families = frozenset({"D2"})
    design = "trained"
    source = "Shokri et al., Membership Inference Attacks Against Machine Learning Models, arXiv 1610.05820"
    charts = PER_EXAMPLE

    def __init__(self, *, max_rows: int = 20_000) -> None:
        """Set the size of a fit.

        Args:
            max_rows: at most this many (row, shadow) pairs, evenly from all shadows; >= 1000 (our choice: 20,000).
        """
        super().__init__()
        if max_rows < 1000:
            raise ValueError(f"{self.name}: max_rows must be >= 1000")
        self.parameters = {"max_rows": max_rows}
        self._last: tuple[Shadows, Any, Floats] | None = None

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Features of the answers on forget and holdout rows, logits at a common temperature."""
        both = side_logits(view)
        return by_side(answer_features(canonical(both, both), side_labels(case)), case)

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Log-odds of IN under the classifier fitted on all shadows; the J models are none of them."""
        shadows = enough_shadows(case, MIN_SHADOWS)
        label = _one_hot(case)
        if self._last is None or self._last[0] is not shadows:
            self._last = (shadows, *self._fit_all(shadows, label))
        _, model, aucs = self._last
        low, high = _interval(aucs)
        examples = np.stack([self._log_odds(model, np.column_stack([rows, label])) for rows in stacked(signals)])
        sentence = (
            f"AUC on shadow models left out of the fit: {aucs.mean():.3f} [{low:.3f}, {high:.3f}] over {len(aucs)} "
            "shadow models"
        )
        invalid = "" if low > 0.5 else f"the rule does not carry over to other shadow models: {sentence}"
        if np.ptp(examples[0]) == 0:
            invalid = "every row has the same score"
        return Scores(examples=examples, invalid=invalid, details=(sentence,))

    def _fit_all(self, shadows: Shadows, label: Floats) -> tuple[Any, Floats]:
        """The classifier on all shadows, and the AUC of each shadow under one that never saw that shadow."""
        from sklearn.metrics import roc_auc_score

        rows = [np.column_stack([r, label]) for r in stacked(shadows.signals)]
        each = max(1, int(self.parameters["max_rows"]) // len(rows))
        chosen = [_spread_out(r, m, each) for r, m in zip(rows, shadows.member, strict=True)]
        aucs = np.full(len(rows), 0.5)
        for fold in folds(len(rows)):
            model = self._fit([chosen[k] for k in range(len(rows)) if k not in fold])
            for k in fold:
                member = shadows.member[k]
                if member.any() and not member.all():
                    aucs[k] = roc_auc_score(member, self._log_odds(model, rows[k]))
        return self._fit(chosen), aucs

    def _fit(self, chosen: Sequence[tuple[Floats, Bools]]) -> Any:
        """Fit on pairs (features, member) in an order of content, so that no order of rows or shadows matters."""
        x, member = (np.concatenate(part) for part in zip(*chosen, strict=True))
        order = _by_content(x, member)
        return self._learner().fit(x[order], member[order])

    @abstractmethod
    def _learner(self) -> Any:
        """A classifier to be fitted, members are 1."""

    @abstractmethod
    def _log_odds(self, model: Any, x: Floats) -> Floats:
        """Log-odds (m,) of being a member, by a fitted classifier."""


class ShadowLogistic(_Classifier):
    """Logistic regression (C = 1, standardised) on the answers of shadow models that were or were not trained on a row.

    The held-out AUC comes from five folds of whole shadow models, never of rows; an interval over shadow models that
    holds .5 supports no PASS.
    """

    name = "shadow_logistic"
    title = "Shadow attack classifier (logistic)"

    def _learner(self) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced"))

    def _log_odds(self, model: Any, x: Floats) -> Floats:
        return np.asarray(model.decision_function(x))


class ShadowBoosted(_Classifier):
    """The same with boosted trees: 200 of depth 4, rate .1, each on 80 % of the rows (our choice)."""

    name = "shadow_xgboost"
    title = "Shadow attack classifier (boosted trees)"

    def _learner(self) -> Any:
        from xgboost import XGBClassifier

        return XGBClassifier(
            n_estimators=200,
            max_depth=4,
            learning_rate=0.1,
            subsample=0.8,
            tree_method="hist",
            n_jobs=1,
            random_state=0,
        )

    def _log_odds(self, model: Any, x: Floats) -> Floats:
        return np.asarray(model.predict(x, output_margin=True), dtype=np.float64)


def folds(shadows: int) -> list[range]:
    """Disjoint groups of whole shadow models that cover all of them."""
    count = min(FOLDS, shadows)
    return [range(k, shadows, count) for k in range(count)]


def _one_hot(case: Case) -> Floats:
    labels = side_labels(case)
    classes = case.n_classes if case.n_classes <= MAX_CLASSES else 0
    return np.asarray(labels[:, None] == np.arange(classes), dtype=np.float64)


def _spread_out(x: Floats, member: Bools, count: int) -> tuple[Floats, Bools]:
    """``count`` rows, evenly spaced in an order of content."""
    if len(x) <= count:
        return x, member
    order = _by_content(x, member)[np.linspace(0, len(x) - 1, count).astype(np.int64)]
    return x[order], member[order]


def _by_content(x: Floats, member: Bools) -> Ints:
    """An order that depends on what the rows hold, not on where they stand."""
    return np.lexsort((member, *x.T[::-1]))


def _interval(aucs: Floats) -> tuple[float, float]:
    """Student's interval of the mean over shadow models: they are the sampling unit."""
    half = float(t_ppf((1 + LEVEL) / 2, len(aucs) - 1)) * float(aucs.std(ddof=1)) / np.sqrt(len(aucs))
    return float(aucs.mean() - half), float(aucs.mean() + half)
