"""Make the files that the audit reads: the data, and what each model answers on them. Replace the training by yours.

A file of answers holds one array of logits a set, in the order of the rows. The unlearned model here is the original
itself, so that the example FAILs.
"""

import warnings

import numpy as np
from digits import save, sets
from sklearn.neural_network import MLPClassifier


def fit(x: np.ndarray, y: np.ndarray, seed: int) -> MLPClassifier:
    """Your training."""
    model = MLPClassifier((128,), alpha=0, max_iter=150, tol=0, n_iter_no_change=150, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that 150 rounds were not enough to converge
        return model.fit(x, y)


def answers(model: MLPClassifier, path: str) -> None:
    """Logits on every set; probabilities would be refused, their logarithms are logits."""
    np.savez(path, **{name: model.predict_log_proba(x).clip(min=-60) for name, (x, _) in data.items()})


data = sets()
save(data)
original = fit(*(np.concatenate([data["forget"][k], data["retain"][k]]) for k in (0, 1)), seed=0)
answers(original, "original.npz")
answers(original, "unlearned.npz")
for number in range(3):
    answers(fit(*data["retain"], seed=1 + number), f"retrained-{number}.npz")
