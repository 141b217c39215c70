"""A quick version of ``benchmarks.scorers``: time beside the NumPy floor, memory beside the dense matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attacks.scorers import lira
from benchmarks import scorers as bench


def test_the_floors_compute_the_same_scores() -> None:
    w = bench.world(500, 16)
    np.testing.assert_allclose(
        lira.online(w.target, w.shadows, w.member), bench.floor_online(w.target, w.shadows, w.member)
    )
    np.testing.assert_allclose(lira.offline(w.target[0], w.references), bench.floor_offline(w.target[0], w.references))


def test_memory_mapped_float32_gives_the_scores_of_arrays(tmp_path: Path) -> None:
    signals, member = bench.write_large(tmp_path, 9_000, 16)  # two blocks and a part
    target = np.asarray(signals[:1]) + 1
    held = lira.online(target.astype(float), np.asarray(signals, dtype=float), np.asarray(member))
    np.testing.assert_allclose(lira.online(target, signals, member), held, rtol=1e-9, atol=1e-9)
    enough = (np.minimum(member.sum(axis=0), (~member).sum(axis=0)) > 1)[None]
    floor = bench.floor_online(target.astype(float), np.asarray(signals, dtype=float), np.asarray(member))
    np.testing.assert_allclose(held[enough], floor[enough], rtol=1e-3, atol=1e-3)  # another pooled variance


def test_rmia_needs_a_twentieth_of_the_dense_matrix() -> None:
    """T18: the bound on peak memory, at the same AUC."""
    found = bench.rmia_memory(12_000, 16, 4_000)
    assert found["ratio"] > 20
    assert found["auc"] == pytest.approx(found["dense"], abs=1e-4)


@pytest.mark.slow
def test_lira_stays_near_the_numpy_floor() -> None:
    ratios = bench.lira_ratios(48_000, 64, repeats=5)
    assert max(ratios.values()) < 1.3
