"""Attribution maps of one model by captum: integrated gradients of the inputs, gradient x activation of each layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from attacks.base import Floats, Ints, NotApplicable, View

FLOOR = 0.1  # our choice: a change of the logit below this share of the mean change counts as that share


@dataclass(frozen=True, eq=False)
class Maps:
    """Attributions of n rows from b baselines.

    Attributes:
        maps: (n, b, d), flattened inputs.
        error: (n, b) completeness error |sum of the map - change of the output| / |change of the output| >= 0, the
            change no smaller than ``FLOOR`` times its mean over rows.
    """

    maps: Floats
    error: Floats


class Attributions:
    """Attribution of a row's own logit less the mean of all: what every logit shares changes no prediction.

    Args:
        view: the model; it is not touched.
        baselines: (b, ...) inputs without content.
        steps: points of the Gauss-Legendre rule.
        batch: rows that pass forward and backward at once.
    """

    def __init__(self, view: View, baselines: Floats, steps: int, batch: int) -> None:
        self.view, self.baselines, self.steps, self.batch = view, baselines, steps, batch

    def integrated(self, x: Floats, y: Ints) -> Maps:
        """Integrated gradients of rows x (n, ...) with labels y from every baseline."""
        from captum.attr import IntegratedGradients

        method = IntegratedGradients(self._output)
        maps, sums, changes = [], [], []
        for baseline in self.baselines:
            start = self.view.tensor(baseline[None])
            parts = [
                method.attribute(
                    point,
                    baselines=start,
                    additional_forward_args=(labels,),
                    n_steps=self.steps,
                    internal_batch_size=max(self.batch, len(point)),
                )
                for point, labels in self._batches(x, y)
            ]
            maps.append(np.concatenate([_numpy(part.flatten(1)) for part in parts]))
            sums.append(maps[-1].sum(axis=1))
            changes.append(self._values(x, y) - self._values(np.repeat(baseline[None], len(x), axis=0), y))
        total, change = np.stack(sums, axis=1), np.stack(changes, axis=1)
        size = np.maximum(np.abs(change), max(FLOOR * float(np.abs(change).mean()), np.finfo(float).tiny))
        return Maps(np.stack(maps, axis=1), np.abs(total - change) / size)

    def by_layer(self, x: Floats, y: Ints) -> list[Floats]:
        """Gradient x activation of what each hidden layer of ``View.layers`` reads, a list of (n, d)."""
        found = self._private
        if found is None:
            return []
        from captum.attr import LayerGradientXActivation

        network, modules = found
        results = []
        for module in modules:
            method = LayerGradientXActivation(lambda p, labels: _own(network.forward(p.clone()), labels), module)
            parts = []
            for point, labels in self._batches(x, y):
                given = method.attribute(
                    point.requires_grad_(), additional_forward_args=(labels,), attribute_to_layer_input=True
                )
                one = given[0] if isinstance(given, tuple) else given
                parts.append(_numpy(one.detach().flatten(1)))
            results.append(np.concatenate(parts))
        return results

    @cached_property
    def _private(self) -> tuple[Any, list[Any]] | None:
        """A copy of the network, and its hidden layers; None where there is no network or no layer."""
        try:
            network, names = self.view.network(), self.view.layers()
        except NotApplicable:
            return None
        for parameter in network.module.parameters():
            parameter.requires_grad_(False)
        modules = dict(network.module.named_modules())
        return network, [modules[name] for name in names]

    def _output(self, point: Any, labels: Any) -> Any:
        """An activation may work in place, on the input itself: it gets a copy."""
        return _own(self.view.forward(point.clone()), labels)

    def _values(self, x: Floats, y: Ints) -> Floats:
        import torch

        with torch.no_grad():
            return np.concatenate([_numpy(self._output(point, labels)) for point, labels in self._batches(x, y)])

    def _batches(self, x: Floats, y: Ints) -> list[tuple[Any, Any]]:
        return [
            (self.view.tensor(x[start : start + self.batch]), self.view.tensor(y[start : start + self.batch]).long())
            for start in range(0, len(x), self.batch)
        ]


def _own(logits: Any, labels: Any) -> Any:
    """Logit of each row's label minus the mean over all classes, (n,)."""
    return logits.gather(1, labels[:, None])[:, 0] - logits.mean(dim=1)


def _numpy(value: Any) -> Floats:
    return np.asarray(value.detach().cpu().double().numpy())
