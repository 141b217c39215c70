"""The share of the original's knowledge as a matched filter reads it: rows that tell it from retrains count most."""

from __future__ import annotations

import numpy as np

from attacks.base import Floats

MIN_REFERENCES = 3  # two others at least, for each reference to have a spread to be held against
SHRINKAGE = 0.5  # our choice, measured (docs/statistics.md, class claims): .3 to .7 differ little
MIN_ROWS = 30  # our choice: with fewer, what single rows happen to show counts more than the spread between seeds
LEAST_SIGNAL = 0.85  # our choice, measured: below it the plain mean of the rows scatters no more


def matched(models: Floats, original: Floats, runs: int) -> tuple[Floats, float] | None:
    """What is left in each model of the way from retrains to the original, by rows.

    A plain mean gives every row the same weight, and scatters between honest retrains mostly along a few patterns of
    rows: examples of a class that was never seen look like this or that retained class, by the seed. With m and S the
    mean and covariance of rows over the references and o the original's rows, the weights w = S^-1 (o - m) make the
    spread between retrains as small as it can be beside what the original shows (Fisher's discriminant; Kay 1998,
    section 4.4, the matched filter in coloured noise). A model reads w (x - m) / c w (o - m): 0 like a retrain, and in
    expectation s where it holds the share s of what another original of this recipe holds.

    S has the rank of a handful of references, so half of it is a multiple of the identity with the same trace.
    Weights that were fitted to a reference would understate its scatter: each is read by those of the others.
    The weights are fitted to the seed noise of the original as well, and would read the knowledge of another one as
    less than it is. The factor c mends that: of (o - m) S^-1 (o - m) the part that a reference's own noise shows on
    average, (r - m) S^-1 (r - m) with m and S of the others, is no knowledge.

    Args:
        models: (J + K, n) what each row adds, the J unlearned models first.
        original: (n,) the same of the original.
        runs: J >= 1.

    Returns:
        readings (J + K,), those of the references around 0; and the mean standard error of a reference's over the
        rows. None where there are fewer than three references or thirty rows, or where less than 85 % of what the
        original shows (c < .85) is more than seed noise: the plain mean is the better reading there.

    Raises:
        ValueError: non-finite input.
    """
    if not (np.isfinite(models).all() and np.isfinite(original).all()):
        raise ValueError("matched needs finite rows")
    k = len(models) - runs
    if k < MIN_REFERENCES or models.shape[1] < MIN_ROWS:
        return None
    size = float(np.abs(original - models[runs:].mean(axis=0)).max())
    if not size > 0:
        return None
    models, original = models / size, original / size  # squares of it stay finite
    audited, references = models[:runs], models[runs:]
    read, noise, errors = [], [], []
    for at in range(k):
        mean, inverse = _fitted(np.delete(references, at, axis=0))
        # the distance from the others' mean is K / (K - 1) times that from the mean of all
        away, wanted = (references[at] - mean) * (k - 1) / k, original - mean
        weights = inverse(wanted)
        row = weights * away / (weights @ wanted)
        read.append(row.sum())
        errors.append(row.std() * np.sqrt(len(row)))
        noise.append(away @ inverse(away) * k / (k - 1))
    mean, inverse = _fitted(references)
    weights = inverse(original - mean)
    whole = float(weights @ (original - mean))
    signal = 1 - float(np.mean(noise)) / whole
    if not signal >= LEAST_SIGNAL:
        return None
    return np.concatenate([(audited - mean) @ weights / whole, read]) / signal, float(np.mean(errors)) / signal


class _Inverse:
    """v -> (S + its shrinkage)^-1 v in the dual form, for S has the rank of the references; v where S is 0."""

    def __init__(self, deviations: Floats) -> None:
        count, degrees = len(deviations), len(deviations) - 1
        self.deviations = deviations
        self.level = SHRINKAGE * float((deviations**2).mean()) * count / degrees
        share = (1 - SHRINKAGE) / degrees
        self.gram = self.level / share * np.eye(count) + deviations @ deviations.T

    def __call__(self, v: Floats) -> Floats:
        if not self.level > 0:
            return v
        explained = self.deviations.T @ np.linalg.solve(self.gram, self.deviations @ v)
        return np.asarray((v - explained) / self.level)


def _fitted(references: Floats) -> tuple[Floats, _Inverse]:
    mean = references.mean(axis=0)
    return mean, _Inverse(references - mean)
