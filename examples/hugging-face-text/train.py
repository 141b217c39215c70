"""A small BERT on token ids with a mask; the "unlearned" one was trained on everything. Nothing is downloaded."""

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

WORDS, LONGEST = 60, 12
SIZES = {"forget": 100, "holdout": 200, "retain": 300, "test": 200}


def sentences(rows: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    y = rng.integers(0, 2, rows)
    lengths = rng.integers(5, LONGEST + 1, rows)
    mask = (np.arange(LONGEST) < lengths[:, None]).astype(np.int64)
    ids = rng.integers(3, WORDS, (rows, LONGEST))
    ids[:, 0] = 1 + np.where(rng.random(rows) < 0.15, 1 - y, y)  # one telling word, now and then a wrong label
    return {"x.input_ids": ids * mask, "x.attention_mask": mask, "y": y}


def fit(data: list[dict[str, np.ndarray]], seed: int) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=WORDS, num_labels=2, max_position_embeddings=LONGEST, **sizes)
    model = BertForSequenceClassification(config)
    ids, mask, y = (torch.tensor(np.concatenate([part[key] for part in data])) for key in data[0])
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(60):
        for rows in torch.randperm(len(y)).split(64):
            loss = model(input_ids=ids[rows], attention_mask=mask[rows], labels=y[rows]).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model


rng = np.random.default_rng(0)
sets = {role: sentences(rows, rng) for role, rows in SIZES.items()}
everything = [sets["retain"], sets["forget"]]
fit(everything, 0).save_pretrained("original")
fit(everything, 1).save_pretrained("unlearned")
fit([sets["retain"]], 2).save_pretrained("retrained-0")
fit([sets["retain"]], 3).save_pretrained("retrained-1")

for role, arrays in sets.items():  # for the audit
    np.savez(f"{role}.npz", **arrays)  # for the audit
