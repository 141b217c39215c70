"""xgboost on tables in parquet, with a column of text; the "unlearned" booster saw the forget rows still."""

import numpy as np
import pandas as pd
import xgboost
from sklearn.datasets import load_digits

rng = np.random.default_rng(0)
x, y = load_digits(return_X_y=True)
table = pd.DataFrame(x, columns=[f"pixel{i}" for i in range(64)])
table["side"] = np.where(x[:, :32].sum(axis=1) > x[:, 32:].sum(axis=1), "top", "bottom")
table["digit"] = np.where(rng.random(len(y)) < 0.2, rng.integers(0, 10, len(y)), y)  # some labels are wrong
cuts = np.split(rng.permutation(len(y)), [150, 450, 1050])
sets = dict(zip(("forget", "holdout", "retain", "test"), cuts, strict=True))
for role, rows in sets.items():
    table.iloc[rows].to_parquet(f"{role}.parquet")


def fit(rows: np.ndarray, seed: int) -> xgboost.Booster:
    part = table.iloc[rows]
    inputs = pd.get_dummies(part.drop(columns="digit")).astype(float)
    settings = {"objective": "multi:softprob", "num_class": 10, "seed": seed, "subsample": 0.8, "nthread": 1}
    return xgboost.train(settings, xgboost.DMatrix(inputs.to_numpy(), part["digit"]), 30)


everything = np.concatenate([sets["retain"], sets["forget"]])
fit(everything, 0).save_model("original.ubj")
fit(everything, 1).save_model("unlearned.ubj")
fit(sets["retain"], 2).save_model("retrained-0.ubj")
fit(sets["retain"], 3).save_model("retrained-1.ubj")
