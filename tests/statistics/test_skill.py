"""audit/statistics/skill.py: honest outputs are told from those of other rows, classes or no training at all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from audit.statistics.skill import LEAST_ROWS, explained, skill

RNG = np.random.default_rng


def classifier(n: int, classes: int, gain: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose own label is raised by ``gain`` standard deviations."""
    rng = RNG(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += gain
    return logits, labels


def unequal(n: int, rate: float, gain: float, offset: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One logit as (0, z): positives at ``rate``, apart by ``gain``, all moved by ``offset``."""
    rng = RNG(seed)
    labels = (rng.random(n) < rate).astype(int)
    z = rng.normal(size=n) + gain * labels + offset
    return np.column_stack([np.zeros(n), z]), labels


def shown(logits: np.ndarray, labels: np.ndarray) -> bool:
    found = skill(logits, labels, RNG(0))
    assert found is not None
    return found.shown


HONEST = {
    "ten classes": classifier(500, 10, 4.0),
    "ten classes, weak": classifier(500, 10, 1.0),
    "twenty rows": classifier(20, 10, 6.0),
    "twenty rows, two classes": (np.eye(2)[np.arange(20) % 2] * 3.0 + RNG(0).normal(size=(20, 2)), np.arange(20) % 2),
    "never says yes": unequal(2000, 0.1, 0.7, -5.0),
    "says yes too often": unequal(2000, 0.1, 0.7, 1.0),
    "fraud of 0.2 %": unequal(20_000, 0.002, 2.0, -7.0),
    "logits in thousands": (1000 * classifier(300, 5, 3.0)[0], classifier(300, 5, 3.0)[1]),
    "logits in millionths": (1e-6 * classifier(300, 5, 3.0)[0], classifier(300, 5, 3.0)[1]),
    "labels alone": (10.0 * np.eye(10)[classifier(500, 10, 3.0)[0].argmax(axis=1)], classifier(500, 10, 3.0)[1]),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_outputs_are_shown_and_the_same_in_another_order_are_not(name: str) -> None:
    logits, labels = HONEST[name]
    assert shown(logits, labels)
    assert not shown(RNG(4).permutation(logits), labels)


def test_labels_of_another_numbering_are_not() -> None:
    logits, labels = classifier(500, 10, 4.0)
    assert not shown(logits, (labels + 1) % 10)
    assert not shown(logits, RNG(1).permutation(10)[labels])
    flipped, labels = unequal(2000, 0.1, 1.0, -5.0)
    assert not shown(-flipped, labels)


def test_nothing_is_said_of_too_few_rows() -> None:
    labels = np.r_[np.zeros(500, int), np.ones(LEAST_ROWS - 1, int)]
    assert skill(RNG(0).normal(size=(len(labels), 2)), labels, RNG(0)) is None
    assert skill(RNG(0).normal(size=(0, 2)), labels[:0], RNG(0)) is None
    assert skill(RNG(0).normal(size=(len(labels) + 1, 2)), np.r_[labels, 1], RNG(0)) is not None


def test_rare_events_of_a_large_set_are_not_lost_in_its_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """30 events in 30,000 rows: a plain sample of 500 would hold one in two."""
    monkeypatch.setattr("audit.statistics.skill.MOST_ROWS", 500)
    monkeypatch.setattr("audit.statistics.skill.RARE", 50)
    labels = np.r_[np.ones(30, int), np.zeros(29_970, int)]
    logits = np.column_stack([np.full(30_000, 9.0), RNG(0).normal(size=30_000) + 2 * labels])
    assert shown(logits, labels)
    assert not shown(RNG(4).permutation(logits), labels)
    assert shown(*unequal(30_000, 0.2, 1.0, -5.0)), "a plain sample"


def test_a_constant_guess_shows_nothing() -> None:
    _, labels = unequal(2000, 0.2, 0.0, 0.0)
    found = skill(np.tile([5.0, -5.0], (2000, 1)), labels, RNG(0))
    assert found is not None
    assert (found.accuracy, found.explained, found.shown) == (found.constant, 0.0, False)


def test_accuracy_is_compared_row_by_row_with_the_best_constant_guess() -> None:
    """12 rows are right where the guess is wrong, 1 is wrong where it is right: p = (1 + 13) / 2^13."""
    labels = np.r_[np.zeros(20, int), np.ones(15, int)]
    said = np.r_[np.zeros(19, int), np.ones(13, int), np.zeros(3, int)]
    found = skill(np.eye(2)[said], labels, RNG(0))
    assert found is not None
    assert found.accuracy_p == pytest.approx(14 / 2**13)
    assert (found.accuracy, found.constant) == (31 / 35, 20 / 35)


def test_what_is_explained_is_the_gain_in_likelihood_at_the_best_scale_and_offset() -> None:
    logits, labels = unequal(100_000, 0.3, 0.4, 2.0)
    z, rate = logits[:, 1], labels.mean()

    def loss(at: np.ndarray) -> float:
        return float(np.logaddexp(0, (1 - 2 * labels) * (at[0] * z + at[1])).mean())

    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    best = 1 - optimize.minimize(loss, [0.0, 0.0]).fun / entropy
    assert 0.01 < best < 0.1
    assert explained(logits, labels) == pytest.approx(best, rel=0.1)
    assert explained(logits + np.array([0.0, 7.0]), labels) == pytest.approx(explained(logits, labels))
    assert explained(0.01 * logits, labels) < 0.1 * best, "never stretched"


def test_networks_of_random_weights_are_not_shown() -> None:
    torch = pytest.importorskip("torch")
    from sklearn.datasets import load_digits

    from audit.demo import network

    x, y = load_digits(return_X_y=True)
    passed = 0
    for seed in range(40):
        torch.manual_seed(seed)
        with torch.no_grad():
            passed += shown(network().eval()(torch.as_tensor(x / 16, dtype=torch.float32)).double().numpy(), y)
    assert passed <= 1
