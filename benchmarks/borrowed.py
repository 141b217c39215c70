"""How often do honest retrains answer as the original: the honest rate of the gate "answers of its own".

Each world is a fresh draw of adult rows, an original, and two honest retrains without the forget rows: one stands for
the audited model, the other for a reference. `python -m benchmarks.borrowed --worlds 64` prints, by learner and size of
the forget set, the share of retain and test rows with the original's very outputs, and in how many worlds the gate
blocks a PASS: as it would by that share alone, and as it does beside a reference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from audit.judge.gates import borrowed
from fixtures.cases import adult_case

SIZES = {"retain": 360, "test": 300}
FORGET = (120, 6)  # rows to be forgotten: many, and so few that a learner of parts may hardly notice
Train = Callable[[Any, Any, int], Callable[[Any], Any]]


def forest(x: Any, y: Any, seed: int) -> Any:
    """Votes of 50 trees, as probabilities."""
    return adult_case.forest(x, y, seed).predict_proba


def tree(x: Any, y: Any, seed: int) -> Any:
    """One tree with leaves of 5 rows or more, whose shares are no votes."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(min_samples_leaf=5, random_state=seed).fit(x, y).predict_proba


def boosted(x: Any, y: Any, seed: int) -> Any:
    """xgboost on rows drawn anew in each round."""
    return _margins(adult_case.boosted(x, y, seed))


def plain(x: Any, y: Any, seed: int) -> Any:
    """xgboost without any chance and without an intercept of the data: as near as two boosters come."""
    from cases.small_models import booster

    return _margins(booster(x, y, seed, rounds=5, max_depth=6, base_score=0.5))


def _margins(model: Any) -> Any:
    import xgboost

    return lambda rows: model.predict(xgboost.DMatrix(rows), output_margin=True)[:, None]


def logistic(x: Any, y: Any, seed: int) -> Any:
    """A logistic regression on the rows, which has one optimum whatever its seed."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=500, random_state=seed).fit(x, y)
    return lambda rows: model.decision_function(rows)[:, None]


def network(x: Any, y: Any, seed: int) -> Any:
    """A network of one hidden layer."""
    import warnings

    from sklearn.neural_network import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 60 rounds are no convergence, and need be none
        return MLPClassifier((32,), max_iter=60, random_state=seed).fit(x, y).predict_proba


KINDS: dict[str, Train] = {
    "random forest": forest,
    "single tree": tree,
    "xgboost, rows drawn": boosted,
    "xgboost, no chance": plain,
    "logistic regression": logistic,
    "network": network,
}


def shares(train: Train, seed: int, forget: int) -> tuple[float, float]:
    """Share of retain and test rows on which an honest retrain, and a reference, give the original's very outputs."""
    sets = adult_case.split(20_000 + seed, {"forget": forget, **SIZES})
    rows = adult_case.joined(sets, "retain", "test")[0]
    original = np.asarray(train(*adult_case.joined(sets, "retain", "forget"), 1)(rows))
    again = [np.asarray(train(*sets["retain"], k)(rows)) for k in (2, 3)]
    mine, reference = (float((answers == original).all(axis=1).mean()) for answers in again)
    return mine, reference


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=64)
    given = parser.parse_args()
    print("| learner | forget rows | same rows, median | most | blocked by the share alone | blocked |")
    print("|---|---|---|---|---|---|")
    for kind, train in KINDS.items():
        for forget in FORGET:
            found = [shares(train, seed, forget) for seed in range(given.worlds)]
            mine = np.array([share for share, _ in found])
            alone = sum(borrowed(share, ()) for share in mine)
            beside = sum(borrowed(share, (reference,)) for share, reference in found)
            print(f"| {kind} | {forget} | {np.median(mine):.2f} | {mine.max():.2f} | {alone} of {given.worlds} | "
                  f"{beside} of {given.worlds} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
