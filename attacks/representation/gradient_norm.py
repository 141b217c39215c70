"""Gradient norm: does a forget row pull less on the weights than never having been trained on would explain?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attacks.base import (
    PER_EXAMPLE,
    Access,
    Attack,
    Case,
    ChartSpec,
    Floats,
    Ints,
    NotApplicable,
    Plot,
    Scores,
    Signals,
    View,
)
from attacks.calibration import OUT_OF_LINE_REMEDY, calibrated, out_of_line
from attacks.describe import by_layer
from attacks.signals import logit_confidence

HELD = 1 << 25  # our choice: gradient entries held at once, 128 MiB in float32
TINY = 1e-30


class GradientNorm(Attack):
    """Minus the logarithm of the norm of a row's loss gradient with respect to all weights.

    With phi the logit-scaled confidence, grad(loss) = -sigmoid(-phi) grad(phi): the norm is taken of grad(phi) and the
    first factor from the logits, so that no confident row underflows. Calibrated on the references like the membership
    score; higher = pulls less, like a member. The contrast by weight matrix stands in the details. Gradients of single
    rows by torch.func, at most ``HELD`` entries, and as many rows as the batch size, at once.
    """

    name = "gradient_norm"
    title = "Norm of the loss gradient of single rows"
    access = Access.WEIGHTS
    symmetric = True
    rows_alone = True
    source = "Nasr et al. 2019, arXiv 1812.00910 (gradients tell members); calibration is ours"
    charts = (*PER_EXAMPLE, ChartSpec("lines", "Log gradient norm by layer", x="layer", y="difference", plot="profile"))

    def gradient_rows(self, case: Case) -> int:
        """Every row of both sides once."""
        return sum(len(case.labels[role]) for role in ("forget", "holdout"))

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Minus log gradient norm per row; mean log norm by weight matrix, forget minus holdout."""
        gradients = _Gradients(view)
        signals: dict[str, Floats] = {}
        profile = []
        for role in ("forget", "holdout"):
            labels = case.labels[role]
            squares = gradients.squares(case, role)
            loss = np.logaddexp(0.0, logit_confidence(view.logits(role), labels))  # -log sigmoid(-phi)
            signals[role] = loss - 0.5 * np.log(np.maximum(squares.sum(axis=1), TINY))
            profile.append((loss[:, None] - 0.5 * np.log(np.maximum(squares, TINY))).mean(axis=0))
        return signals | {"layers": profile[0] - profile[1]}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated scores; the contrast by weight matrix beside the references."""
        values = np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in signals])
        labels = np.concatenate([case.labels[role] for role in ("forget", "holdout")])
        examples = calibrated(values, labels)
        details = [f"{len(signals[0]['forget'])} forget rows against {len(signals[0]['holdout'])} holdout rows"]
        plots = {}
        if len({len(s["layers"]) for s in signals}) == 1:
            layers = np.stack([s["layers"] for s in signals])
            names = tuple(f"weights {k}" for k in range(1, layers.shape[1] + 1))
            details.append(f"minus log norm, forget minus holdout, by weight matrix: {by_layer(layers, names)}")
            plots["profile"] = Plot(layers, ticks=names)
        invalid = "every row of the audited model has the same gradient norm" if np.ptp(values[0]) == 0 else ""
        invalid = invalid or out_of_line(examples)
        return Scores(
            examples=examples, invalid=invalid, remedy=OUT_OF_LINE_REMEDY, details=tuple(details), plots=plots
        )


class _Gradients:
    """Gradients of the logit-scaled confidence of single rows, squared and summed by weight matrix."""

    def __init__(self, view: View) -> None:
        self.view, self.network = view, view.network()
        for module in self.network.module.modules():
            if hasattr(module, "inplace"):
                module.inplace = False  # of a copy of our own: no transform of torch.func may overwrite its input
        named = self.network.module.named_parameters()
        self.state = {name: p.detach() for name, p in named if p.is_floating_point()}
        self.matrices = [name for name, p in self.state.items() if p.ndim > 1] or list(self.state)

    def squares(self, case: Case, role: str) -> Floats:
        """(n, L): squared norms; biases and scales count with the weight matrix before them."""
        count = len(case.labels[role])
        chunk = max(1, min(case.batch, HELD // max(1, sum(p.numel() for p in self.state.values()))))
        parts = [
            self._chunk(case, role, np.arange(start, min(start + chunk, count))) for start in range(0, count, chunk)
        ]
        return np.concatenate(parts)

    def _chunk(self, case: Case, role: str, rows: Ints) -> Floats:
        import torch
        from torch.func import grad, vmap
        from torch.nn.attention import SDPBackend, sdpa_kernel

        x = case.sets[role].batch(rows)
        given: Any = {k: self.view.tensor(v) for k, v in x.items()} if isinstance(x, Mapping) else self.view.tensor(x)
        labels = self.view.tensor(case.labels[role][rows]).long()

        def confidence(state: dict[str, Any], one: Any, label: Any) -> Any:
            row = {k: v[None] for k, v in one.items()} if isinstance(one, Mapping) else one[None]
            logits = self.network.functional(state, row)[0]
            own = torch.arange(len(logits), device=logits.device) == label
            return torch.where(own, logits, 0.0).sum() - torch.where(own, -torch.inf, logits).logsumexp(0)

        try:
            with sdpa_kernel(SDPBackend.MATH):  # the fast attention has no batching rule
                found = vmap(grad(confidence), in_dims=(None, 0, 0))(self.state, given, labels)
        except RuntimeError as error:
            raise NotApplicable("the network's forward pass has no gradient of single rows (torch.func)") from error
        total = {name: torch.zeros(len(rows), dtype=torch.float64, device=labels.device) for name in self.matrices}
        current = self.matrices[0]
        for name, value in found.items():
            current = name if name in total else current
            total[current] += value.double().flatten(1).square().sum(dim=1)
        return np.asarray(torch.stack(list(total.values()), dim=1).cpu().numpy())
