"""Nodes of Cora forgotten by a GCN, judged by its logits: honest, fine-tuned, distilled to delete, and climbed away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import cora_case
from cases.cora_case import CoraCase

import audit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not cora_case.CORA.is_file(), reason="UNLEARN_TEST_DATA names no folder with cora.npz"),
]


@pytest.fixture(scope="module")
def case() -> CoraCase:
    return cora_case.build()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def audited(case: CoraCase, weights: Any = None) -> Any:
    return audit.run(**case.given(weights))


def test_a_deleted_node_is_in_no_graph_that_a_retrain_saw(case: CoraCase) -> None:
    forget = case.data.nodes["forget"]
    graph = case.data.graph(case.data.nodes["retain"]).to_dense()
    assert not graph[forget].any()
    assert not graph[:, forget].any()
    np.testing.assert_allclose(graph, graph.T)
    assert case.data.whole.to_dense()[forget].any(dim=1).all()


def test_an_honest_retrain_is_not_failed(case: CoraCase) -> None:
    assert audited(case).verdict != "FAIL"


@pytest.mark.parametrize("method", ["fine-tuned", "distilled to delete", "ascent"])
def test_shallow_methods_fail(case: CoraCase, method: str) -> None:
    weights = {
        "fine-tuned": lambda: cora_case.fine_tuned(case),
        "distilled to delete": lambda: cora_case.distilled_to_delete(case, 0),
        "ascent": lambda: cora_case.ascent(case),
    }[method]()
    assert audited(case, weights).verdict == "FAIL"


def test_a_network_that_is_ruined_never_passes(case: CoraCase) -> None:
    found = audited(case, cora_case.ascent(case, 40))
    assert found.verdict != "PASS"
    assert not found.result.utility.ok
