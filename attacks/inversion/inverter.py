"""One model's gradient inversion: targets, planted control, search, and the figures that are kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attacks.base import Case, Floats, Ints, NotApplicable, View
from attacks.signals import log_softmax, rows_mask

from . import labels, samples
from .common import correlations, difference, inputs, parameters, row_by_row
from .matching import Search, reconstruct
from .objective import Problems, Simulation, change_of
from .quality import nearest, pairs, psnr, ssim

MODES = ("difference", "gradient")
MAX_DECOYS = 999  # our choice: ranks to a thousandth
BOX_ROWS = 5000  # retain rows that the input range is read off


@dataclass(frozen=True)
class Settings:
    """The attack's parameters, see ``Reconstruction``."""

    iterations: int
    restarts: int
    hypotheses: int
    rate: float
    tv: float
    l2: float
    steps: int
    step_rate: float
    max_rows: int
    mode: str
    include_samples: bool = False


@dataclass(frozen=True)
class Sought:
    """Targets and what is known of their labels.

    Attributes:
        target: by parameter name, (G, *shape).
        labels: (G, h, k) hypotheses, k rows each.
    """

    target: dict[str, Any]
    labels: Ints


class Inverter:
    """Draws rows, decoys and starts in the same order for every model."""

    def __init__(self, view: View, original: View, case: Case, settings: Settings, rng: np.random.Generator) -> None:
        self.settings, self.case, self.rng = settings, case, rng
        own = settings.mode == "gradient"
        self.base = view if own else original
        self.difference = difference(view, original)
        self.network = view.network() if own else self.difference.network
        self.network.module.double()
        self.state = parameters(self.network)
        for parameter in self.network.module.parameters():
            parameter.requires_grad_(False)
        self.heads = [one.head() for one in (original, view)]
        spare = "auxiliary" if len(case.labels["auxiliary"]) else "test"
        self.rows = {role: _drawn(case, role, settings.max_rows, rng) for role in ("forget", spare)}
        self.spare, self.decoys = spare, inputs(case, "holdout", _drawn(case, "holdout", MAX_DECOYS, rng))
        seen = inputs(case, "retain", np.arange(min(len(case.labels["retain"]), BOX_ROWS)))
        low, high = float(seen.min()), float(seen.max())
        if not high > low:
            raise NotApplicable("all inputs are equal")
        one = settings
        self.search = Search(one.iterations, one.rate, low, high, one.tv, one.l2)
        self.simulation = Simulation(one.steps, one.step_rate)

    def signals(self) -> dict[str, Floats]:
        """Figures, zeros where the weights did not move; pictures where they are asked for, else none."""
        rows = inputs(self.case, "forget", self.rows["forget"])
        planted = inputs(self.case, self.spare, self.rows[self.spare])[: len(rows)]
        length = self.difference.length
        if self.settings.mode == "difference" and length == 0:
            none = {key: np.zeros(0) for key in ("psnr", "ssim")}
            still = {key: np.zeros(len(of)) for key, of in self._sides(rows, planted).items()}
            figures = {"labels": np.zeros(1), "cost": np.ones(1), "length": np.zeros(1)}
            return {**none, **still, **figures, **self._pictures(lambda: np.zeros((0, 2, 1, 1)))}
        with row_by_row():
            found, guessed, cost = self._found(self._of_forget())
            seeded, _, _ = self._found(self._planted(planted, length))
        centre = self.decoys.reshape(len(self.decoys), -1).mean(axis=0)
        close = {
            key: nearest(_flat(seeded if key == "planted" else found), _flat(of), centre)
            for key, of in self._sides(rows, planted).items()
        }
        similarity = correlations(_flat(found), _flat(rows), centre)
        one, two = pairs(similarity)
        span, true = self.search.high - self.search.low, self.case.labels["forget"][self.rows["forget"]]
        pictures = self._pictures(
            lambda: samples.shown(found, rows, similarity, (one, two), (self.search.low, self.search.high))
        )
        return {
            **close,
            **pictures,
            "psnr": psnr(found[one], rows[two], span),
            "ssim": ssim(found[one], rows[two], span),
            "labels": np.array([(guessed[one] == true[two]).mean()]),
            "cost": cost,
            "length": np.array([length]),
        }

    def _pictures(self, make: Callable[[], Floats]) -> dict[str, Floats]:
        return {samples.KEY: make()} if self.settings.include_samples else {}

    def _sides(self, rows: Floats, planted: Floats) -> dict[str, Floats]:
        return {"forget": rows, "decoys": self.decoys, "planted": planted}

    def _of_forget(self) -> Sought:
        """The difference of the weights, or each row's own gradient."""
        rows = self.rows["forget"]
        if self.settings.mode == "gradient":
            return self._own("forget", rows)
        weight, bias = (after - before for before, after in zip(*self.heads, strict=True))
        target = {name: value[None] for name, value in self.difference.change.items()}
        return Sought(target, self._hypotheses(labels.head_signal(weight, bias), len(rows))[None])

    def _planted(self, x: Floats, length: float) -> Sought:
        """The same for never-seen rows, after one step (or the simulated ones) of ascent as long as the difference.

        The step is rounded to float32, as weights are stored.
        """
        rows = self.rows[self.spare][: len(x)]
        if self.settings.mode == "gradient":
            return self._own(self.spare, rows)
        moved = self._moved(x[None], self.case.labels[self.spare][rows][None])
        if self.settings.steps == 1:
            size = sum(float(value.square().sum()) for value in moved.values()) ** 0.5
            moved = {name: value * (length / size) if size > 0 else value for name, value in moved.items()}
        target = {name: (self.state[name] + value).float().double() - self.state[name] for name, value in moved.items()}
        return Sought(target, self._hypotheses(self._errors(self.spare, rows).mean(axis=0), len(rows))[None])

    def _own(self, role: str, rows: Ints) -> Sought:
        x, y = inputs(self.case, role, rows)[:, None], self.case.labels[role][rows][:, None]
        found = [self._hypotheses(error, 1) for error in self._errors(role, rows)]
        return Sought(self._moved(x, y), np.stack(found))

    def _moved(self, x: Floats, y: Ints) -> dict[str, Any]:
        """Changes of the weights by rows x (G, k, ...), each (G, *shape)."""
        import torch
        from torch.func import vmap

        problems = Problems(self.network, self.state, {}, None)
        y_there = torch.as_tensor(y, device=next(iter(self.state.values())).device)
        step = vmap(lambda a, b: change_of(problems, a, b, self.simulation))
        return dict(step(self.base.tensor(x).double(), y_there))

    def _errors(self, role: str, rows: Ints) -> Floats:
        """p - onehot(y) of each row, (n, C): the gradient at the last bias."""
        p = np.exp(log_softmax(self.base.logits(role)[rows]))
        return np.asarray(p - rows_mask(self.case.labels[role][rows], p.shape[1]))

    def _hypotheses(self, signal: Floats, count: int) -> Ints:
        return labels.single(signal, self.settings.hypotheses) if count == 1 else labels.several(signal, count)

    def _found(self, sought: Sought) -> tuple[Floats, Ints, Floats]:
        """Reconstructions (G k, ...), their labels (G k,) and the costs (G,) of the best candidate of each target."""
        import torch

        targets, _, k = sought.labels.shape
        tried = np.repeat(sought.labels, self.settings.restarts, axis=1)  # (G, R, k)
        shape = (tried.shape[0] * tried.shape[1], k, *self.decoys.shape[1:])
        start = self.base.tensor(self.rng.uniform(self.search.low, self.search.high, size=shape)).double()
        given = torch.as_tensor(tried.reshape(-1, k), device=start.device)
        problems = Problems(self.network, self.state, sought.target, given)
        x, cost = (part.cpu().numpy() for part in reconstruct(problems, start, self.search, self.simulation))
        best = cost.reshape(targets, -1).argmin(axis=1)
        at = best + np.arange(targets) * tried.shape[1]
        return x[at].reshape(-1, *self.decoys.shape[1:]), tried.reshape(-1, k)[at].ravel(), cost[at]


def _drawn(case: Case, role: str, limit: int, rng: np.random.Generator) -> Ints:
    return np.sort(rng.permutation(len(case.labels[role]))[:limit]).astype(np.int64)


def _flat(x: Floats) -> Floats:
    return x.reshape(len(x), -1)
