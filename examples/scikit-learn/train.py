"""A random forest on a table; the "unlearned" one was fitted again on everything."""

import numpy as np
import skops.io
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

rng = np.random.default_rng(0)
x, y = load_digits(return_X_y=True)
y = np.where(rng.random(len(y)) < 0.2, rng.integers(0, 10, len(y)), y)  # some labels are wrong, as in real data
forget, holdout, retain, test = np.split(rng.permutation(len(y)), [150, 450, 1050])


def fit(rows: np.ndarray, seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(100, random_state=seed).fit(x[rows], y[rows])


everything = np.concatenate([retain, forget])
models = {"original": fit(everything, 0), "unlearned": fit(everything, 1)}
models |= {f"retrained-{k}": fit(retain, 2 + k) for k in range(3)}

for name, model in models.items():  # for the audit
    skops.io.dump(model, f"{name}.skops")  # for the audit
for role, rows in {"forget": forget, "holdout": holdout, "retain": retain, "test": test}.items():  # for the audit
    np.savez(f"{role}.npz", x=x[rows], y=y[rows])  # for the audit
