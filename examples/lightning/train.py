"""Lightning checkpoints, and one data set with index lists; the "unlearned" one was trained on everything."""

import logging
import warnings

import lightning
import numpy as np
import torch
from nets import Digits
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
rng = np.random.default_rng(0)
x, y = load_digits(return_X_y=True)
x, y = (x / 16).astype(np.float32), np.where(rng.random(len(y)) < 0.2, rng.integers(0, 10, len(y)), y)
forget, holdout, retain, test = np.split(rng.permutation(len(y)), [150, 450, 1050])


def fit(rows: np.ndarray, seed: int, path: str) -> None:
    lightning.seed_everything(seed, verbose=False)
    loader = DataLoader(TensorDataset(torch.tensor(x[rows]), torch.tensor(y[rows])), batch_size=64, shuffle=True)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=40, accelerator="cpu", enable_model_summary=False, **options)
    trainer.fit(Digits(), loader)
    trainer.save_checkpoint(path)


everything = np.concatenate([retain, forget])
fit(everything, 0, "original.ckpt")
fit(everything, 1, "unlearned.ckpt")
fit(retain, 2, "retrained-0.ckpt")
fit(retain, 3, "retrained-1.ckpt")

np.savez("data.npz", x=x, y=y)  # for the audit
for role, rows in {"forget": forget, "holdout": holdout, "test": test}.items():  # for the audit
    np.save(f"{role}_idx.npy", rows)  # for the audit
