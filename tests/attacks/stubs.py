"""Stand-ins for models that answer by arrays, and the shadow models of a leak that is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from cases.stub import StubView, gaussian_case

from attacks.base import Attack, Case, Floats, NotApplicable, Scores, Shadows, Signals

RANDOM, CLASS = gaussian_case("random", n=240), gaussian_case("class", (2,), n=240)
ROLES = ("forget", "holdout", "retain", "test", "auxiliary")


def logits(case: Case, role: str, rng: np.random.Generator) -> Floats:
    y = case.labels[role]
    return np.eye(case.n_classes)[y] * 2 + rng.normal(size=(len(y), case.n_classes))


class Queried(StubView):
    """Answers every query by the plain logits plus noise of the query's name."""

    def augmented(self, role: str, query: str) -> Floats:
        rng = np.random.default_rng(sum(map(ord, role + query)))
        return self.logit_sets[role] + rng.normal(size=self.logit_sets[role].shape)


class Precomputed(StubView):
    """No network to ask."""

    def augmented(self, role: str, query: str) -> Floats:
        raise NotApplicable("augmentation queries need a network")


def view(seed: int, *, leak: float = 0.0, case: Case = RANDOM, kind: type[StubView] = Queried) -> StubView:
    rng = np.random.default_rng(seed)
    sets = {role: logits(case, role, rng) for role in ROLES}
    for role in ("forget", "retain"):
        sets[role][np.arange(len(sets[role])), case.labels[role]] += leak if role == "forget" else 1.0
    return kind(sets)


def observe(attack: Attack, one: StubView, case: Case = RANDOM, original: StubView | None = None) -> Signals:
    return attack.observe(one, original, case, np.random.default_rng(0))


def score(attack: Attack, leak: float, *, references: int = 4, case: Case = RANDOM) -> Scores:
    views = [view(1, leak=leak, case=case), *(view(100 + k, case=case) for k in range(references))]
    return attack.score([observe(attack, v, case, view(50, leak=3.0)) for v in views], case)


def shadowed(attack: Attack, models: int = 16, leak: float = 2.0) -> Case:
    """Shadow models that are more confident on the rows of their coins."""
    n = len(RANDOM.labels["forget"])
    member = np.random.default_rng(9).random((models, 2 * n)) < 0.5
    signals = []
    for k, coins in enumerate(member):
        one = view(200 + k)
        for role, mine in (("forget", coins[:n]), ("holdout", coins[n:])):
            one.logit_sets[role][np.flatnonzero(mine), RANDOM.labels[role][mine]] += leak
        signals.append(observe(attack, one))
    return replace(RANDOM, shadows=Shadows(signals, member))


def contrast(scores: Scores) -> float:
    assert scores.examples is not None
    return float(scores.examples[0, :240].mean() - scores.examples[0, 240:].mean())
