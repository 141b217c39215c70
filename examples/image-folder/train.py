"""A small CNN on pictures in folders, a folder a class; the "unlearned" one was trained on everything."""

from pathlib import Path

import numpy as np
import torch
from nets import make
from PIL import Image
from sklearn.datasets import load_digits

rng = np.random.default_rng(0)
pictures, y = load_digits(return_X_y=True)
pictures = (pictures.reshape(-1, 8, 8) * 15).astype(np.uint8)
y = np.where(rng.random(len(y)) < 0.2, rng.integers(0, 10, len(y)), y)  # some labels are wrong, as in real data
cuts = np.split(rng.permutation(len(y)), [150, 450, 1050])
sets = dict(zip(("forget", "holdout", "retain", "test"), cuts, strict=True))
for role, rows in sets.items():
    for row in rows:
        file = Path(role, str(y[row]), f"{row}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[row]).save(file)


def fit(rows: np.ndarray, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    model, inputs = make(), torch.tensor(pictures[rows, None] / 255, dtype=torch.float32)
    optimiser, labels = torch.optim.Adam(model.parameters(), lr=2e-3), torch.tensor(y[rows])
    for _ in range(60):
        for part in torch.randperm(len(rows)).split(64):
            loss = torch.nn.functional.cross_entropy(model(inputs[part]), labels[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.state_dict()


everything = np.concatenate([sets["retain"], sets["forget"]])
torch.save(fit(everything, 0), "original.pt")
torch.save(fit(everything, 1), "unlearned.pt")
torch.save(fit(sets["retain"], 2), "retrained-0.pt")
torch.save(fit(sets["retain"], 3), "retrained-1.pt")
