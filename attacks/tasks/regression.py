"""Regression: outputs are numbers, truth is the numbers that they should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from .base import Array, Floats, Task, Truth, Unit, reduced

TINY = float(np.finfo(float).tiny)


class Regression(Task):
    """Outputs (n, k) beside targets (n, k); confidence is the Gaussian log-likelihood of the targets.

    Its scale, one a column, is that of the model's own residuals on never-seen rows: a model that is worse everywhere
    is not surer of anything. Deep Regression Unlearning (arXiv 2210.08196) looks at the loss alone; the calibration is
    that of the other tasks.
    """

    name = "regression"
    words = "numbers"
    figure = "R2"
    stored = "predictions by set"
    truth: ClassVar[Truth] = "numbers"
    signals = frozenset({"confidence", "log_likelihood", "features", "truth", "loss", "numbers"})
    loss_figure = "RMSE"
    loss_name = "squared_error"

    def misfits(self, width: int, targets: Mapping[str, Floats | None]) -> list[str]:
        """Outputs and targets have the same columns, and every column varies: R2 is about its variance."""
        flat = [r for r in ("retain", "test") if (y := targets.get(r)) is not None and len(y) > 1 and _flat(y)]
        return super().misfits(width, targets) + [
            f"a column of y of the {role} set does not vary, so that R2 has no meaning: leave the column out"
            for role in flat
        ]

    def unit(self, outputs: Floats, truth: Array) -> Unit:
        """Root mean square residual of each column, (k,), > 0."""
        return np.asarray(np.maximum(np.sqrt(((outputs - truth) ** 2).mean(axis=0)), TINY))

    def confidence(self, outputs: Floats, truth: Array, unit: Unit = 0.0) -> Floats:
        """Gaussian log-likelihood in nats, up to a constant; without a unit by the scale of these very rows."""
        scale = unit if np.any(unit) else self.unit(outputs, truth)
        return self.log_likelihood(outputs, truth, scale) - float(np.log(scale).sum())

    def log_likelihood(self, outputs: Floats, truth: Array, unit: Unit, temperature: float = 1.0) -> Floats:
        """The same over that of a perfect answer: 0 where the answer is exact; without a unit by a scale of 1."""
        scale = unit if np.any(unit) else 1.0
        return np.asarray(-(((outputs - truth) / scale) ** 2).sum(axis=1) / (2 * temperature))

    def quality(self, outputs: Floats, truth: Array) -> Array:
        """What a row adds to R2, averaged over columns: 1 minus its squared error over the variance of the targets."""
        variance = np.maximum(truth.var(axis=0), TINY)
        return np.asarray((1 - (outputs - truth) ** 2 / variance).mean(axis=1))

    def constant(self, truth: Array) -> float | None:
        """R2 of the mean is 0; targets that do not vary tell nothing."""
        return 0.0 if len(truth) and truth.var(axis=0).min() > 0 else None

    def errors(self, outputs: Floats, truth: Array) -> Floats:
        """Residuals."""
        return outputs - truth

    def loss(self, outputs: Floats, truth: Array) -> float:
        """Root mean square error, all columns together."""
        return float(np.sqrt(((outputs - truth) ** 2).mean())) if len(truth) else 0.0

    def training_loss(self, outputs: Any, truth: Any, reduction: str = "sum", smoothing: float = 0.0) -> Any:
        """Squared error, averaged over columns as torch's ``MSELoss`` does."""
        return reduced((outputs - truth.to(outputs.dtype)).square().mean(1), reduction)

    def probe(
        self, features: Floats, truth: Array, target: Floats, beside: Floats | None, penalty: float, width: int
    ) -> Floats:
        """Predictions of a ridge with intercept on standardised features."""
        from sklearn.linear_model import Ridge

        from attacks.standard import standard_of

        standard = standard_of(features, beside)
        fit = Ridge(alpha=penalty * len(truth)).fit(standard(features), truth)
        return np.asarray(fit.predict(standard(target)), dtype=np.float64).reshape(len(target), -1)


def _flat(y: Floats) -> bool:
    return bool((np.ptp(y, axis=0) == 0).any())
