"""Shadow-model attacks: a classifier learns from shadow models what having trained on a row looks like."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..base import Access, Attack, Case, Floats, Scores, Shadows, Signals, View
from ..signals import correct, entropy, label_margin, log_label, log_softmax, logit_confidence, modified_entropy
from .rows import enough_shadows, labels_of, logits_of, refuse_class

TOP = 3  # sorted log-probabilities
MAX_CLASSES = 20  # labels are one-hot features up to here
FOLDS = 4  # of shadow models, never of rows


class ShadowLogistic(Attack):
    """Shadow-model attack with logistic regression on the posteriors.

    Features of a row: its three largest log-probabilities, logit-scaled confidence, loss, entropy, modified entropy,
    margin, correctness, label. Example score: the classifier's log-odds that the row was trained on. It is fitted on
    all shadow models, and checked on folds of shadow models that it was not fitted on.
    """

    name = "shadow_logistic"
    title = "Shadow-model attack (logistic regression)"
    access = Access.LOGITS
    symmetric = True
    design = "trained"
    families = frozenset({"D2"})
    primary_for = frozenset({"random", "subject", "other"})
    source = "Shokri et al., Membership Inference Attacks Against Machine Learning Models, arXiv 1610.05820"
    chart = "roc"

    def __init__(self, *, max_rows: int = 12_000) -> None:
        """Set the size of the fits.

        Args:
            max_rows: at most this many rows over all shadow models; >= 500 (our choice).
        """
        super().__init__()
        if max_rows < 500:
            raise ValueError(f"{self.name}: max_rows must be >= 500")
        self.parameters = {"max_rows": max_rows}
        self._fitted: tuple[Shadows, Any, Floats] | None = None  # the audited model and the original share one fit

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Features of forget and holdout rows, (n, f)."""
        refuse_class(case)
        logits, y = logits_of(view), labels_of(case)
        ordered = -np.sort(-log_softmax(logits), axis=1)[:, :TOP]
        columns = [
            logit_confidence(logits, y),
            log_label(logits, y),
            entropy(logits),
            np.log1p(modified_entropy(logits, y)),
            label_margin(logits, y),
            correct(logits, y).astype(float),
        ]
        known = np.eye(case.n_classes)[y] if case.n_classes <= MAX_CLASSES else np.empty((len(y), 0))
        return {"features": np.column_stack([ordered, *columns, known]).astype(np.float32)}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Log-odds of membership of J models' rows."""
        count, _ = enough_shadows(case)
        assert case.shadows is not None
        if self._fitted is None or self._fitted[0] is not case.shadows:
            self._fitted = (case.shadows, *self._fit(case.shadows))
        _, model, aucs = self._fitted
        examples = np.stack([self._odds(model, s["features"]) for s in signals])
        half = float(stats.t.ppf(0.975, len(aucs) - 1) * aucs.std(ddof=1) / np.sqrt(len(aucs)))
        mean = float(aucs.mean())
        details = (
            f"fitted on {count} shadow models; on those left out AUC {mean:.3f} ({mean - half:.3f} to "
            f"{mean + half:.3f}, 95 %, a shadow model is one unit)",
        )
        blind = "on shadow models left out, the classifier is not shown to beat chance" if mean - half <= 0.5 else ""
        return Scores(examples=examples, invalid=blind, details=details)

    def _fit(self, shadows: Shadows) -> tuple[Any, Floats]:
        """The classifier of all shadow models, and the AUC on each by one that was not fitted on it."""
        features = np.stack([s["features"] for s in shadows.signals])
        count, n = shadows.member.shape
        rng = np.random.default_rng(0x5AD0)
        per_model = min(n, max(1, int(self.parameters["max_rows"]) // count))
        rows = np.stack([rng.choice(n, per_model, replace=False) for _ in range(count)])
        x = np.take_along_axis(features, rows[:, :, None], axis=1)
        y = np.take_along_axis(shadows.member, rows, axis=1)
        fold = np.arange(count) % FOLDS
        aucs = np.full(count, 0.5)
        for k in range(FOLDS):
            model = self._classifier().fit(x[fold != k].reshape(-1, x.shape[2]), y[fold != k].ravel())
            for shadow in np.flatnonzero(fold == k):
                if 0 < shadows.member[shadow].sum() < n:
                    aucs[shadow] = roc_auc_score(shadows.member[shadow], self._odds(model, features[shadow]))
        return self._classifier().fit(x.reshape(-1, x.shape[2]), y.ravel()), aucs

    def _classifier(self) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced"))

    def _odds(self, model: Any, features: np.ndarray[Any, Any]) -> Floats:
        return np.asarray(model.decision_function(features), dtype=np.float64)


class ShadowXgboost(ShadowLogistic):
    """Shadow-model attack with gradient-boosted trees on the posteriors; otherwise as the logistic one."""

    name = "shadow_xgboost"
    title = "Shadow-model attack (gradient-boosted trees)"

    def _classifier(self) -> Any:
        from xgboost import XGBClassifier

        return XGBClassifier(
            n_estimators=100,
            max_depth=4,
            learning_rate=0.1,
            subsample=0.8,
            tree_method="hist",
            n_jobs=1,
            random_state=0,
        )

    def _odds(self, model: Any, features: np.ndarray[Any, Any]) -> Floats:
        return np.asarray(model.predict(features, output_margin=True), dtype=np.float64)
