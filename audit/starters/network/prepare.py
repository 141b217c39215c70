"""Make the files that the audit reads. Replace the training by loading your own models.

original.safetensors: before unlearning. unlearned.safetensors: the model to audit; here it is fine-tuned for a moment,
which forgets nothing, so that the example FAILs. retrained-*.safetensors: trained without the forget set, if there are
any; the audit trains more by the [recipe] of audit.toml.
"""

import copy
import tomllib
from pathlib import Path

import numpy as np
import torch
from digits import save, sets
from nets import make
from safetensors.torch import save_file

RECIPE = tomllib.loads(Path("audit.toml").read_text())["recipe"]  # how the audit trains its references, too


def train(model: torch.nn.Module, x: np.ndarray, y: np.ndarray, epochs: int, seed: int) -> torch.nn.Module:
    """Your training."""
    torch.manual_seed(seed)
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimiser = torch.optim.Adam(model.parameters(), lr=RECIPE["lr"])
    for _ in range(epochs):
        for batch in torch.randperm(len(rows)).split(RECIPE["batch_size"]):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(rows[batch]), labels[batch]).backward()
            optimiser.step()
    return model.eval()


data = sets()
save(data)
everything = [np.concatenate([data["forget"][k], data["retain"][k]]) for k in (0, 1)]
torch.manual_seed(0)
original = train(make(), *everything, RECIPE["epochs"], seed=0)
unlearned = train(copy.deepcopy(original), *data["retain"], 1, seed=1)
for name, model in (("original", original), ("unlearned", unlearned)):
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, f"{name}.safetensors")
