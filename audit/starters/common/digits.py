"""Stand-in data: scikit-learn digits with 8 % wrong labels, which a model can only memorise. Replace by your own."""

import numpy as np
from sklearn.datasets import load_digits


def sets(seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The rows (x, y) of each set. forget: to be forgotten; holdout: never seen, drawn from the same pool."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(len(y)) < 0.08, rng.integers(0, 10, len(y)), y)
    parts = np.split(rng.permutation(len(y)), [300, 900, 1500])
    names = ("forget", "holdout", "retain", "test")
    return {name: ((x[rows] / 16).astype(np.float32), y[rows]) for name, rows in zip(names, parts, strict=True)}


def save(data: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write one .npz file a set, as the audit reads them."""
    for name, (rows, labels) in data.items():
        np.savez(f"{name}.npz", x=rows, y=labels)
