"""Concept vectors: which direction of a layer tells the examples of a concept from random ones, and how well?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attacks.base import Floats, Ints

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

PENALTY = 0.01  # our choice: L2 penalty per fit row on standardised units, that of the probes
FOLDS = 5  # our choice: of the cross-validated accuracy


@dataclass(frozen=True)
class Draws:
    """What is drawn once, so that every layer and every model is read alike.

    Attributes:
        concepts: rows of each concept, in the order of the concepts.
        counter: rows of the random counterexamples.
        halves: (r, n_0) +1 or -1: r splits of the counterexamples into a random concept and its counterexamples.
        seed: of the folds.
    """

    concepts: Sequence[Ints]
    counter: Ints
    halves: Ints
    seed: int


def draw(labels: Ints, limit: int, randoms: int, rng: np.random.Generator) -> Draws:
    """At most ``limit`` rows of each concept and of the counterexamples (label 0), and the random splits."""
    found = [np.flatnonzero(labels == number) for number in np.unique(labels)]
    counter, *concepts = (np.sort(rng.permutation(rows)[:limit]) for rows in found)
    side = np.where(np.arange(len(counter)) % 2 == 0, 1, -1)
    halves = np.stack([rng.permutation(side) for _ in range(randoms)])
    return Draws(concepts, counter, halves, int(rng.integers(2**31)))


def concept_vectors(activations: Floats, draws: Draws) -> tuple[Floats, Floats]:
    """Vectors of every concept and of every random one at one layer.

    A logistic separator on units standardised one by one, both sides weighing the same; its gradient with respect to
    the activations themselves, of length 1, points to the concept. Kim et al. 2018 (arXiv 1711.11279), section 3.2.

    Args:
        activations: (n, d) of all rows of the concepts set.
        draws: see `draw`.

    Returns:
        vectors (k + r, d), the k concepts first, zero where nothing varies; balanced accuracy (k,) of the concepts'
        separators on rows left out of their fit, five folds.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    vectors, accuracy = [], []
    for rows in draws.concepts:
        both = np.concatenate([rows, draws.counter])
        side = np.where(np.arange(len(both)) < len(rows), 1, -1)
        vectors.append(_vector(activations[both], side))
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=draws.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            predicted = cross_val_predict(_separator(len(both)), activations[both], side, cv=folds)
        accuracy.append(float(balanced_accuracy_score(side, predicted)))
    vectors += [_vector(activations[draws.counter], side) for side in draws.halves]
    return np.stack(vectors), np.array(accuracy)


def _separator(rows: int) -> Pipeline:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fit = LogisticRegression(C=1 / (PENALTY * rows), class_weight="balanced", max_iter=300, tol=1e-3)
    return make_pipeline(StandardScaler(), fit)


def _vector(x: Floats, side: Ints) -> Floats:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an unfinished fit is still the same rule for all
        found = _separator(len(x)).fit(x, side)
    vector = np.asarray(found[-1].coef_[0] / found[0].scale_)
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
