"""Multi-label classification: outputs are one logit a label, truth is a flag a label."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from attacks.signals import CANONICAL

from .base import Array, Floats, Task, Truth, Unit, reduced


class MultiLabel(Task):
    """Logits (n, k) beside flags (n, k); confidence is the mean logit of what is so, at a common temperature.

    For one label it is in proportion to the logit-scaled confidence of a classifier with one logit.
    """

    name = "multilabel"
    words = "logits of labels"
    figure = "share of labels right"
    stored = "logits of labels by set"
    truth: ClassVar[Truth] = "flags"
    signals = frozenset({"confidence", "log_likelihood", "features", "truth", "loss"})
    loss_name = "binary_cross_entropy"
    unit_roles = ("forget", "holdout")

    def unit(self, outputs: Floats, truth: Array) -> Unit:
        """Median absolute logit."""
        return float(np.median(np.abs(outputs)))

    def confidence(self, outputs: Floats, truth: Array, unit: Unit = 0.0) -> Floats:
        """Mean of the logits of labels that are so and of minus the logits of those that are not."""
        return np.asarray(_own(outputs, truth, unit).mean(axis=1))

    def log_likelihood(self, outputs: Floats, truth: Array, unit: Unit, temperature: float = 1.0) -> Floats:
        """Log-probability of all flags of the row, labels taken as independent, in nats."""
        return np.asarray(-np.logaddexp(0.0, -_own(outputs, truth, unit) / temperature).sum(axis=1))

    def quality(self, outputs: Floats, truth: Array) -> Array:
        """Share of the row's labels that are right."""
        return np.asarray(((outputs > 0) == (truth > 0)).mean(axis=1))

    def constant(self, truth: Array) -> float | None:
        """Share of labels right by the more frequent flag of each."""
        shares = truth.mean(axis=0) if len(truth) else np.zeros(1)
        return float(np.maximum(shares, 1 - shares).mean()) if (shares > 0).any() else None

    def errors(self, outputs: Floats, truth: Array) -> Floats:
        """Probabilities minus flags."""
        return np.asarray(1 / (1 + np.exp(-np.clip(outputs, -500, 500))) - truth)

    def loss(self, outputs: Floats, truth: Array) -> float:
        """Mean binary cross-entropy of the labels."""
        return -float(self.log_likelihood(outputs, truth, 0.0).mean()) / truth.shape[1] if len(truth) else 0.0

    def training_loss(self, outputs: Any, truth: Any, reduction: str = "sum", smoothing: float = 0.0) -> Any:
        """Binary cross-entropy, averaged over labels as torch's ``BCEWithLogitsLoss`` does."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        return reduced(
            binary_cross_entropy_with_logits(outputs, truth.to(outputs.dtype), reduction="none").mean(1), reduction
        )

    def probe(
        self, features: Floats, truth: Array, target: Floats, beside: Floats | None, penalty: float, width: int
    ) -> Floats:
        """Logits of one penalised logistic regression a label; 0 for a label that is the same on all fit rows."""
        from attacks.linear import probe_logits

        found = np.zeros((len(target), truth.shape[1]))
        for at, flags in enumerate(truth.T):
            if np.ptp(flags) > 0:
                pair = probe_logits(features, flags.astype(np.int64), target, beside, penalty, 2)
                found[:, at] = pair[:, 1] - pair[:, 0]
        return found


def _own(logits: Floats, flags: Array, unit: Unit) -> Floats:
    """Logits turned by their flags, (n, k), at the common temperature where there is a unit."""
    turned = np.where(flags > 0, logits, -logits)
    return np.asarray(turned * (CANONICAL / unit)) if np.any(unit) else turned
