"""A graph network's nodes, audited by its outputs: the GCN of Kipf & Welling on Cora."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch.nn.functional import cross_entropy, relu

import audit

DATA = Path(os.environ.get("UNLEARN_TEST_DATA", "")) / "cora.npz"
SIZES = {"forget": 300, "holdout": 500, "retain": 900, "test": 900}
HIDDEN, EPOCHS, WRONG = 32, 200, 0.1


class Cora:
    """Features, labels of which a tenth is wrong, the normalised graph, and nodes by set."""

    def __init__(self) -> None:
        with np.load(DATA) as file:
            shape = tuple(file["x_shape"])
            features = torch.from_numpy(
                csr_array((file["x_data"], file["x_indices"], file["x_indptr"]), shape).toarray()
            )
            edges, y = file["edges"].astype(np.int64), file["y"]
        rng, n = np.random.default_rng(0), len(y)
        self.x = features / features.sum(dim=1, keepdim=True).clamp(min=1)
        self.y = torch.from_numpy(np.where(rng.random(n) < WRONG, (y + rng.integers(1, 7, n)) % 7, y))
        graph = torch.eye(n)
        graph[edges[0], edges[1]] = graph[edges[1], edges[0]] = 1.0
        scale = graph.sum(dim=1).rsqrt()
        self.graph = scale[:, None] * graph * scale
        order = rng.permutation(n)
        self.nodes = dict(zip(SIZES, np.split(order, np.cumsum(list(SIZES.values())))[:-1], strict=True))

    def logits(self, weights: list[torch.Tensor]) -> torch.Tensor:
        first, second = weights
        return self.graph @ (relu(self.graph @ (self.x @ first)) @ second)

    def trained(
        self, roles: tuple[str, ...], seed: int, start: list[torch.Tensor] | None = None, epochs: int = EPOCHS
    ) -> list[torch.Tensor]:
        """The two weight matrices, from scratch or continued."""
        rng = torch.Generator().manual_seed(seed)
        shapes = (self.x.shape[1], HIDDEN), (HIDDEN, 7)
        fresh = [torch.randn(s, generator=rng) * (2 / sum(s)) ** 0.5 for s in shapes]
        weights = [w.clone().requires_grad_() for w in (fresh if start is None else start)]
        nodes = np.concatenate([self.nodes[role] for role in roles])
        adam = torch.optim.Adam(weights, 0.02)
        for _ in range(epochs):
            adam.zero_grad()
            cross_entropy(self.logits(weights)[nodes], self.y[nodes]).backward()
            adam.step()
        return [w.detach() for w in weights]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_file(), reason="UNLEARN_TEST_DATA names no folder with cora.npz")
def test_nodes_of_cora_by_the_outputs_of_a_gcn(tmp_path: Path) -> None:
    cora = Cora()
    for role, nodes in cora.nodes.items():
        np.savez(tmp_path / f"{role}.npz", y=cora.y[nodes].numpy(), ids=nodes)
    original = cora.trained(("forget", "retain"), 1)
    models: dict[str, Any] = {
        "original": original,
        "honest": cora.trained(("retain",), 2),
        "tuned": cora.trained(("retain",), 3, original, 5),
        **{f"retrained-{k}": cora.trained(("retain",), 10 + k) for k in range(3)},
    }
    for name, weights in models.items():
        found = cora.logits(weights)
        np.savez(tmp_path / f"{name}.npz", **{role: found[nodes].numpy() for role, nodes in cora.nodes.items()})
    verdicts = {
        name: audit.run(
            forget=tmp_path / "forget.npz", unlearned=tmp_path / f"{name}.npz", split="attested", out=tmp_path / "runs"
        ).verdict
        for name in ("original", "tuned", "honest")
    }
    assert verdicts["honest"] != "FAIL", verdicts
    assert (verdicts["original"], verdicts["tuned"]) == ("FAIL", "FAIL"), verdicts
