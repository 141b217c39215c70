"""Do outputs know the labels of their rows, clearly better than a constant guess?

Accuracy against the best constant guess, and the signal of the own label against permuted labels, each by an exact
test and by a least size.

A test alone is not enough: the outputs of a network of random weights hang together with its inputs and so, by luck,
with the labels. Of such networks on digits (200 seeds, three forms) one in a hundred gained an accuracy of .1 or
explained .03 of the labels. With two or three classes that are easy to tell apart such a network may well rank the
rows by luck (two in five on iris), and nothing in its outputs tells it from a weak model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from attacks.base import Bools, Floats, Ints
from attacks.laws import binomial_sf

ALPHA = 0.01  # our choice: chance of each of the two tests that outputs in a random order are taken for sound
LEAST_GAIN = 0.1  # our choice: gained of the accuracy that the constant guess lacks
LEAST_EXPLAINED = 0.03  # our choice: of the labels' entropy
#: our choice, where a constant guess is right on half of the rows or more, as with two classes: there accuracy tells
#: little, and honest models may be weak. About an AUC of .53
LEAST_EXPLAINED_UNEQUAL = 0.003
LEAST_ROWS = 10  # our choice: rows outside the most frequent label, below which honest outputs could fail both tests
PERMUTATIONS = 999
MOST_ROWS = 100_000  # our choice: the signal of more rows is looked at on a sample of this size
RARE = 1000  # our choice: rows outside the most frequent label that such a sample must hold, or all that there are


@dataclass(frozen=True)
class Skill:
    """What the outputs of one model know of the labels.

    Attributes:
        rows: how many were looked at.
        accuracy: share of rows labelled correctly, in [0, 1].
        constant: share of the most frequent label, in (0, 1): accuracy of the best constant guess.
        accuracy_p: one-sided sign test of the rows that only one of the two labels correctly (McNemar, exact).
        explained: share of the labels' entropy that the outputs explain, to second order, in [0, 1].
        signal_p: of the signal of the own label against permuted labels, one-sided; 1 where not needed or hopeless.
    """

    rows: int
    accuracy: float
    constant: float
    accuracy_p: float
    explained: float
    signal_p: float

    @property
    def better_guess(self) -> bool:
        """Clearly more accurate than the best constant guess."""
        gain = (self.accuracy - self.constant) / (1 - self.constant)
        return self.accuracy_p <= ALPHA and gain >= LEAST_GAIN

    @property
    def shown(self) -> bool:
        """The outputs know the labels: by accuracy or, where labels are too unequal for that, by their signal."""
        return self.better_guess or (self.signal_p <= ALPHA and self.explains)

    @property
    def explains(self) -> bool:
        """The outputs explain enough of the labels to mean something."""
        return self.explained >= (LEAST_EXPLAINED if self.constant < 0.5 else LEAST_EXPLAINED_UNEQUAL)


def skill(logits: Floats, labels: Ints, rng: np.random.Generator) -> Skill | None:
    """What outputs know of the labels of their rows.

    Args:
        logits: (n, C), finite, in any precision; a mapped array stays where it is.
        labels: (n,) in [0, C).
        rng: for the permutations.

    Returns:
        None where fewer than ``LEAST_ROWS`` rows lie outside the most frequent label: nothing can be told.
    """
    counts = np.bincount(labels, minlength=logits.shape[1])
    constant = int(counts.argmax()) if len(labels) else 0
    if len(labels) - counts.max(initial=0) < LEAST_ROWS:
        return None
    chosen = _sample(labels != constant, rng)
    looked = np.asarray(logits[chosen], dtype=np.float64)
    right, guessed = logits.argmax(axis=1) == labels, labels == constant
    gained, lost = int((right & ~guessed).sum()), int((guessed & ~right).sum())
    found = Skill(
        rows=len(labels),
        accuracy=float(right.mean()),
        constant=float(guessed.mean()),
        accuracy_p=float(binomial_sf(gained - 1, gained + lost, 0.5)),
        explained=explained(looked, labels[chosen]),
        signal_p=1.0,
    )
    if found.better_guess or not found.explains:
        return found
    return replace(found, signal_p=_permuted(looked, labels[chosen], rng))


def _sample(rare: Bools, rng: np.random.Generator) -> Ints:
    """Rows of which the signal is looked at: all, or so many that the rare ones among them tell something."""
    if len(rare) <= MOST_ROWS:
        return np.arange(len(rare))
    if rare.mean() * MOST_ROWS >= RARE:
        return rng.choice(len(rare), MOST_ROWS, replace=False)
    kept = np.flatnonzero(rare)[: MOST_ROWS // 2]
    return np.concatenate([kept, rng.choice(np.flatnonzero(~rare), MOST_ROWS - len(kept), replace=False)])


def explained(logits: Floats, labels: Ints) -> float:
    """Share of the labels' entropy that the outputs explain, with any offset of a class and shrunk as it suits them.

    To second order in the logits. With f the shares of the labels and c the logits minus their mean in each column, a
    row gains G = mean(c of its label) and pays V / 2, V = mean(variance of c under f): max over s <= 1 of s G - s^2 V
    / 2. Outputs are never stretched, for then the small ones of a network of random weights would do.

    Returns:
        in [0, 1]; 0 where the own label has no more signal than a permuted one.
    """
    shares = np.bincount(labels, minlength=logits.shape[1]) / len(labels)
    centred = logits - logits.mean(axis=0)
    gain = float(centred[np.arange(len(labels)), labels].mean())
    squares = np.einsum("ij,ij,j->i", centred, centred, shares)  # no third array of this size
    spread = float((squares - (centred @ shares) ** 2).mean())
    entropy = float(special.entr(shares / shares.sum()).sum())
    if gain <= 0 or spread <= 0 or entropy <= 0:
        return 0.0
    value = gain**2 / (2 * spread) if gain < spread else gain - spread / 2
    return min(1.0, value / entropy)


def _permuted(logits: Floats, labels: Ints, rng: np.random.Generator) -> float:
    """p of the summed log-likelihood of the labels against permuted ones; 1 as soon as it must exceed ``ALPHA``.

    A permutation leaves the normaliser of each row as it is, so the logits themselves are summed.
    """
    centred, rows = logits - logits.mean(axis=0), np.arange(len(labels))
    own, above = float(centred[rows, labels].sum()), 0
    for _ in range(PERMUTATIONS):
        above += float(centred[rows, rng.permutation(labels)].sum()) >= own
        if (above + 1) / (PERMUTATIONS + 1) > ALPHA:
            return 1.0
    return (above + 1) / (PERMUTATIONS + 1)
