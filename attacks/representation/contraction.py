"""Contraction: are the features of forget rows drawn together, as training or a collapse draws them?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import numpy as np

from attacks.base import Access, Attack, Case, Floats, Ints, NotApplicable, Scores, Signals, View
from attacks.describe import beside, out_of_range
from attacks.representation.layers import LEAST, drawn, jackknife
from attacks.standard import standard_of

SIDES = ("forget", "holdout")
SETS = ("forget", "holdout", "retain")
NO_PAIRS = "no label has two rows on each side: distances within a class have no meaning"


class Contraction(Attack):
    """Mean distance between rows of the same label, effective rank, and mean distance between any two rows.

    Training draws the rows of a class together. Statistic: minus the logarithm of the mean distance within a label on
    forget rows over that on holdout rows (class claims: never-seen rows of the same classes); higher = the forgotten
    rows lie closer together, as trained ones do. Both directions count: a method that
    maps forget rows to one point gives a high value too, and leaves nothing for feature_mapping and similarity to
    read. The details then say so. Features are standardised unit by unit on the retained rows. All models are read on
    the same rows, so most of the error over rows is common to them: it stands in the details and floors no spread.
    """

    name = "contraction"
    title = "Contraction of the features of forget rows"
    access = Access.FEATURES
    features_alone = True
    signal = "features"
    families = frozenset({"D1"})
    source = "Papyan et al. 2020, arXiv 2008.08186 (class collapse); Roy & Vetterli 2007 (effective rank); use is ours"
    efforts: ClassVar = {"quick": {"max_rows": 256}, "thorough": {"max_rows": 3_000}}

    def __init__(self, *, max_rows: int = 1_000) -> None:
        """Set the size.

        Args:
            max_rows: at most this many rows of each set, >= 16; time and memory grow with its square.
        """
        super().__init__()
        if max_rows < LEAST:
            raise ValueError(f"contraction: max_rows must be >= {LEAST}")
        self.parameters = {"max_rows": max_rows}

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """The statistic with its error; mean distance and effective rank of each set."""
        limit = int(self.parameters["max_rows"])
        rows = {role: drawn(len(case.labels[role]), limit, rng) for role in SETS}
        raw = {role: view.features(role)[index] for role, index in rows.items()}
        standard = standard_of(raw["retain"], np.concatenate([raw[role] for role in SIDES]))
        features = {role: standard(values) for role, values in raw.items()}
        log_mean, error = [], []
        for role in SIDES:
            labels = case.labels[role][rows[role]]
            found = jackknife(partial(_log_within, features[role], labels), len(labels))
            log_mean.append(found[0])
            error.append(found[1])
        return {
            "statistic": np.array([log_mean[1] - log_mean[0], float(np.linalg.norm(error))]),
            "distance": np.array([_distances(features[role]).mean() for role in SETS]),
            "rank": np.array([effective_rank(features[role]) for role in SETS]),
            "rows": np.array([len(rows[role]) for role in SETS]),
        }

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Contraction of each model; ranks and distances beside the references."""
        statistic, error = np.stack([s["statistic"] for s in signals]).T
        distance, rank = (np.stack([s[key] for s in signals]) for key in ("distance", "rank"))
        apart = distance[:, 0] / np.maximum(distance[:, 2], np.finfo(float).tiny)
        counts = ", ".join(f"{int(n)} {role}" for n, role in zip(signals[0]["rows"], SETS, strict=True))
        details = [
            f"mean distance within a label, {' against '.join(SIDES)} rows; {counts} rows; standard error over rows "
            f"{error[0]:.3f}",
            f"mean distance between forget rows over that between retain rows {beside(apart)}",
            *(f"effective rank on {role} {beside(rank[:, k], 1)}" for k, role in enumerate(SETS)),
        ]
        if "below" in (out_of_range(apart), out_of_range(rank[:, 0])):
            details.append(
                "contracted: forget rows lie closer together, or in fewer directions, than in every reference; a low "
                "value of feature_mapping or similarity is then no sign of forgetting"
            )
        flat = distance[0].min() <= 0
        return Scores(
            statistic=statistic,
            unit="log distance",
            invalid="the audited model gives every row of a set the same features" if flat else "",
            remedy=("give the audited model as it is used: its features as its own layers compute them",)
            if flat
            else (),
            details=tuple(details),
        )


def _distances(rows: Floats) -> Floats:
    """Of all pairs of rows."""
    from scipy.spatial.distance import pdist

    return np.asarray(pdist(rows))


def _log_within(features: Floats, labels: Ints, kept: Ints) -> float:
    """Log of the mean distance between the ``kept`` rows of one label, all such pairs alike.

    Raises:
        NotApplicable: no label has two rows.
    """
    features, labels = features[kept], labels[kept]
    groups = [features[labels == label] for label in np.unique(labels)]
    distances = np.concatenate([_distances(group) for group in groups])
    if not len(distances):
        raise NotApplicable(NO_PAIRS)
    return float(np.log(max(float(distances.mean()), np.finfo(float).tiny)))


def effective_rank(features: Floats) -> float:
    """exp of the entropy of the normalised eigenvalues of the covariance, in [1, d]; 0 for constant features.

    Roy and Vetterli 2007, with eigenvalues in place of singular values.

    Args:
        features: (n, d).
    """
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False) ** 2
    if not values.sum() > 0:
        return 0.0
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
