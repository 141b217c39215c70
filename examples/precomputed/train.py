"""No model is handed over, only its logits on each set; the "unlearned" one was fitted on everything."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier

rng = np.random.default_rng(0)
x, y = load_digits(return_X_y=True)
y = np.where(rng.random(len(y)) < 0.2, rng.integers(0, 10, len(y)), y)  # some labels are wrong, as in real data
cuts = np.split(rng.permutation(len(y)), [150, 450, 1050])
sets = dict(zip(("forget", "holdout", "retain", "test"), cuts, strict=True))


def fit(rows: np.ndarray, seed: int) -> GradientBoostingClassifier:
    model = GradientBoostingClassifier(n_estimators=15, subsample=0.8, max_features=8, max_depth=4, random_state=seed)
    return model.fit(x[rows], y[rows])


everything = np.concatenate([sets["retain"], sets["forget"]])
models = {"original": fit(everything, 0), "unlearned": fit(everything, 1)}
models |= {f"retrained-{k}": fit(sets["retain"], 2 + k) for k in range(2)}

for role, rows in sets.items():  # for the audit
    np.savez(f"{role}.npz", x=x[rows], y=y[rows])  # for the audit
for name, model in models.items():  # for the audit
    logits = {role: model.decision_function(x[rows]) for role, rows in sets.items()}  # for the audit
    np.savez(f"{name}.npz", **logits)  # for the audit
