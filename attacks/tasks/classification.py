"""Classification: outputs are logits of classes, truth is one class a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from attacks.signals import CANONICAL, log_label, log_softmax, logit_confidence, logit_scale

from .base import Array, Floats, Task, Truth, Unit

if TYPE_CHECKING:
    from attacks.case import ClaimKind

COLUMNS = 64  # our choice: with more classes the label itself is the column
CELLS = 2**22  # rows times classes at once: 32 MiB


class Classification(Task):
    """Logits (n, C), C >= 2, at a common temperature; confidence is the logit-scaled one of Carlini et al. 2022."""

    name = "classification"
    words = "logits of classes"
    figure = "accuracy"
    truth: ClassVar[Truth] = "classes"
    stored = "logits by set"
    class_logits = True
    claims: ClassVar[frozenset[ClaimKind]] = frozenset({"random", "class", "subject", "other"})
    signals = frozenset({"class_logits", "confidence", "log_likelihood", "features", "truth", "loss"})
    loss_name = "cross_entropy"
    unit_roles = ("forget", "holdout")

    def unit(self, outputs: Floats, truth: Array) -> Unit:
        """The scale of the logits (`attacks.signals.logit_scale`)."""
        return logit_scale(outputs)

    def confidence(self, outputs: Floats, truth: Array, unit: Unit = 0.0) -> Floats:
        """Logit-scaled confidence in the label."""
        return logit_confidence(_scaled(outputs, unit), truth)

    def log_likelihood(self, outputs: Floats, truth: Array, unit: Unit, temperature: float = 1.0) -> Floats:
        """Log-probability of the label, in nats."""
        return log_label(_scaled(outputs, unit) / temperature, truth)

    def quality(self, outputs: Floats, truth: Array) -> Array:
        """Is the label predicted?"""
        return np.asarray(outputs.argmax(axis=1) == truth)

    def errors(self, outputs: Floats, truth: Array) -> Floats:
        """Probabilities minus 1 at the label: whether a label is believed counts, not how often each is named."""
        found = np.exp(log_softmax(outputs))
        found[np.arange(len(truth)), truth] -= 1
        return found

    def loss(self, outputs: Floats, truth: Array) -> float:
        """Mean cross-entropy, block by block: outputs may be larger than memory."""
        size = max(1, CELLS // max(1, outputs.shape[1]))
        blocks = [slice(start, start + size) for start in range(0, len(truth), size)]
        losses = [-log_label(outputs[rows].astype(np.float64), truth[rows]) for rows in blocks]
        return float(np.concatenate(losses).mean()) if losses else 0.0

    def mismatch(self, width: int, truth: Array) -> str:
        """Labels without an output; one output is the logit of the second of two classes."""
        classes, low, high = max(2, width), int(truth.min()), int(truth.max())
        if low >= 0 and high < classes:
            return ""
        return (
            f"the network has {classes} classes and the labels go from {low} to {high}: number the labels from 0, or "
            "build a network with an output for each"
        )

    def training_loss(self, outputs: Any, truth: Any, reduction: str = "sum", smoothing: float = 0.0) -> Any:
        """Cross-entropy."""
        import torch
        from torch.nn.functional import cross_entropy

        if outputs.shape[-1] == 1:
            outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=-1)
        return cross_entropy(outputs, truth, reduction=reduction, label_smoothing=smoothing)

    def probe(
        self, features: Floats, truth: Array, target: Floats, beside: Floats | None, penalty: float, width: int
    ) -> Floats:
        """Logits of a penalised logistic regression."""
        from attacks.linear import probe_logits

        return probe_logits(features, truth, target, beside, penalty, width)

    def columns(self, truth: Array, width: int) -> Floats:
        """Indicators where there are few classes, else the class as a number."""
        if width > COLUMNS:
            return truth[:, None].astype(np.float64)
        return np.asarray(truth[:, None] == np.arange(width), dtype=np.float64)


def _scaled(logits: Floats, scale: Unit) -> Floats:
    return np.asarray(logits * (CANONICAL / scale)) if np.any(scale) else logits
