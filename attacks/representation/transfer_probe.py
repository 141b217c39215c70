"""Transfer: do frozen features classify what was forgotten by its neighbours alone?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from attacks.base import DOTS, PER_EXAMPLE, Access, Attack, Case, Floats, Ints, NotApplicable, Scores, Signals, View
from attacks.calibration import FEATURES_REMEDY, calibrated, out_of_line
from attacks.describe import beside
from attacks.fits import fit_rows
from attacks.representation.layers import compared
from attacks.representation.neighbourhood import BLOCK, unit_rows
from attacks.signals import contrast
from attacks.standard import standard_of

COUNTS = (5, 20)  # our choice, as in the public code: neighbours
FOLDS = 5  # 80/20
PENALTY = 0.01  # our choice: L2 penalty of the linear probe per fit row, as in ``probe``


class TransferProbe(Attack):
    """k nearest neighbours by cosine on frozen, standardised features; no forget row is ever a neighbour.

    Other claims than class: a row's mean cosine to its ``COUNTS[0]`` nearest retained rows of its own label minus that
    to the nearest of other labels, calibrated on the references; higher = the encoder places the row by its label,
    even a wrong one. Class claims: never-seen rows of all classes in five folds, each scored by the neighbours among
    the other four. Statistic: the same margin, mean over the forgotten classes minus mean over the retained ones;
    recall by neighbours and by a linear probe stand in the details. An honest encoder transfers to the class as well:
    only the excess over the references means anything. At most ``BLOCK`` x ``max_rows`` cosines are held at once.
    """

    name = "transfer_probe"
    title = "Transfer of frozen features (nearest neighbours)"
    access = Access.FEATURES
    features_alone = True
    symmetric = True
    source = "Are We Truly Forgetting?, arXiv 2503.06991, for the task; the margin is ours"
    charts = (*PER_EXAMPLE, DOTS)
    efforts: ClassVar = {"quick": {"max_rows": 1_000}, "thorough": {"max_rows": 20_000}}

    def __init__(self, *, max_rows: int = 5_000) -> None:
        """Set the size.

        Args:
            max_rows: at most this many rows to be near to, >= 50.
        """
        super().__init__()
        if max_rows < 50:
            raise ValueError("transfer_probe: max_rows must be >= 50")
        self.parameters = {"max_rows": max_rows}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Margin and share of right neighbours per row; for class claims what a linear probe recalls, too."""
        if case.kind == "class":
            return self._class(view, case, rng)
        bank, _ = fit_rows(case, int(self.parameters["max_rows"]), rng)
        sides = compared(case)
        features, labels = view.features("retain")[bank], case.labels["retain"][bank]
        scored = np.concatenate([view.features(role) for role in sides])
        standard = standard_of(features, scored)
        rows, near = unit_rows(standard(scored)), unit_rows(standard(features))
        own = np.concatenate([case.labels[role] for role in sides])
        margin, agree = _margins(rows, own, near, labels)
        cut = len(case.labels[sides[0]])
        return {"forget": margin[:cut], "holdout": margin[cut:], "agree": agree.T, "bank": np.array([len(bank)])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Calibrated margins, or the class contrast."""
        focus, other = compared(case)
        cut = len(signals[0][focus])
        details = [
            f"neighbours among {int(signals[0]['bank'][0])} rows, no forget row among them; {cut} {focus} rows "
            f"against {len(signals[0][other])} {other} rows"
        ]
        for k, count in enumerate(COUNTS):
            shares = np.array([[s["agree"][k, :cut].mean(), s["agree"][k, cut:].mean()] for s in signals])
            details.append(
                f"label of most of {count} neighbours is right: {focus} {beside(shares[:, 0])}, {other} "
                f"{beside(shares[:, 1])}"
            )
        if case.kind == "class":
            recall = np.array([s["linear"].mean() for s in signals])
            details.append(f"recall of the forgotten classes by a linear probe {beside(recall)}")
            statistic, error = contrast([s[focus] for s in signals], [s[other] for s in signals])
            return Scores(statistic=statistic, sampling_error=error, unit="cosine", details=tuple(details))
        values = np.stack([np.concatenate([s[focus], s[other]]) for s in signals])
        examples = calibrated(values, np.concatenate([case.labels[role] for role in (focus, other)]))
        invalid = "every row of the audited model has the same margin" if np.ptp(values[0]) == 0 else ""
        invalid = invalid or out_of_line(examples, "features")
        return Scores(examples=examples, invalid=invalid, remedy=FEATURES_REMEDY, details=tuple(details))

    def _class(self, view: View, case: Case, rng: np.random.Generator) -> Signals:
        sides = compared(case)
        labels = np.concatenate([case.labels[role] for role in sides])
        features = np.concatenate([view.features(role) for role in sides])
        cut = len(case.labels[sides[0]])
        if cut < 2 * FOLDS or len(np.unique(labels)) < 2:
            raise NotApplicable(f"needs {2 * FOLDS} never-seen rows of the forgotten classes, and rows of others")
        fold = np.empty(len(labels), dtype=np.int64)
        for side in (slice(0, cut), slice(cut, None)):  # both sides split evenly
            fold[side] = rng.permutation(len(labels[side])) % FOLDS
        usable = rng.permutation(len(labels)) < int(self.parameters["max_rows"])
        usable[:cut] = True  # the forgotten classes are few
        margin, agree, hit = np.empty(len(labels)), np.empty((len(labels), len(COUNTS))), np.zeros(len(labels))
        for k in range(FOLDS):
            fit, score = (fold != k) & usable, fold == k
            standard = standard_of(features[fit], features[score])
            near, rows = standard(features[fit]), standard(features[score])
            margin[score], agree[score] = _margins(unit_rows(rows), labels[score], unit_rows(near), labels[fit])
            hit[score] = _linear(near, labels[fit], rows) == labels[score]
        return {
            sides[0]: margin[:cut],
            sides[1]: margin[cut:],
            "agree": agree.T,
            "linear": hit[:cut],
            "bank": np.array([int(usable.sum()) * (FOLDS - 1) // FOLDS]),
        }


def _linear(features: Floats, labels: Ints, rows: Floats) -> Ints:
    """Classes (m,) that a linear probe on standardised features gives; an unfinished fit is the same rule for all."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probe = LogisticRegression(C=1 / (PENALTY * len(features)), max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(probe.fit(features, labels).predict(rows), dtype=np.int64)


def _margins(rows: Floats, own: Ints, bank: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """Margin of each unit row (n,), and is its label that of most neighbours, for each number of them, (n, 2).

    A label without a bank row has the lowest cosine there is, -1.
    """
    margin, agree = np.empty(len(rows)), np.empty((len(rows), len(COUNTS)))
    classes = int(max(own.max(), labels.max())) + 1
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        cosines = rows[part] @ bank.T
        same = own[part, None] == labels[None]
        margin[part] = _top(np.where(same, cosines, -1.0)) - _top(np.where(same, -1.0, cosines))
        order = np.argsort(-cosines, axis=1, kind="stable")[:, : max(COUNTS)]
        for k, count in enumerate(COUNTS):
            votes = (labels[order[:, :count]][..., None] == np.arange(classes)).sum(axis=1)
            agree[part, k] = votes.argmax(axis=1) == own[part]
    return margin, agree


def _top(cosines: Floats) -> Floats:
    """Mean of the ``COUNTS[0]`` largest of each row."""
    most = min(COUNTS[0], cosines.shape[1])
    return np.asarray(np.partition(cosines, cosines.shape[1] - most, axis=1)[:, -most:].mean(axis=1))
