"""Models in a format that the audit does not open (joblib); the "unlearned" one was fitted on everything."""

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(0)
x, y = load_digits(return_X_y=True)
y = np.where(rng.random(len(y)) < 0.2, rng.integers(0, 10, len(y)), y)  # some labels are wrong, as in real data
cuts = np.split(rng.permutation(len(y)), [150, 450, 1050])
sets = dict(zip(("forget", "holdout", "retain", "test"), cuts, strict=True))


def fit(rows: np.ndarray, seed: int) -> object:
    network = MLPClassifier((64,), max_iter=100, tol=0, random_state=seed)
    return make_pipeline(StandardScaler(), network).fit(x[rows], y[rows])


everything = np.concatenate([sets["retain"], sets["forget"]])
joblib.dump(fit(everything, 0), "original.joblib")
joblib.dump(fit(everything, 1), "unlearned.joblib")
joblib.dump(fit(sets["retain"], 2), "retrained-0.joblib")
joblib.dump(fit(sets["retain"], 3), "retrained-1.joblib")

for role, rows in sets.items():  # for the audit
    np.savez(f"{role}.npz", x=x[rows], y=y[rows])  # for the audit
