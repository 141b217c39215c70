"""Probe: it reads memorised labels off the features, and never scores a row that it was fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from cases.stub import StubView, gaussian_case

from attacks.linear import probe_logits
from attacks.representation.probe import Probe

RANDOM = gaussian_case("random", n=300)
CLASS = gaussian_case("class", (2,), n=300)


def features(seed: int, *, memorised: bool) -> StubView:
    """Features that follow the label with noise; memorised forget rows lie deeper in their class."""
    rng = np.random.default_rng(seed)
    sets = {}
    for role in ("forget", "holdout", "retain"):
        place = 3.0 if memorised and role == "forget" else 2.0
        labels = RANDOM.labels[role]
        sets[role] = np.eye(3)[labels] * place + rng.normal(size=(len(labels), 3))
    return StubView(feature_sets=sets)


def test_memorised_rows_score_higher() -> None:
    attack = Probe()
    views = [features(0, memorised=True), *(features(k, memorised=False) for k in range(1, 5))]
    scores = attack.score([attack.observe(v, None, RANDOM, np.random.default_rng(0)) for v in views], RANDOM)
    assert scores.examples is not None
    difference = scores.examples[:, :300].mean(axis=1) - scores.examples[:, 300:].mean(axis=1)
    assert difference[0] > 0.4
    assert np.abs(difference[1:]).max() < 0.3


def test_class_probe_sees_a_class_that_the_features_separate() -> None:
    def view(seed: int, *, separates: bool) -> StubView:
        rng = np.random.default_rng(seed)
        sets = {}
        for role in ("holdout", "test"):
            labels = CLASS.labels[role]
            place = np.eye(3) * 3 if separates else np.array([[3, 0, 0], [0, 3, 0], [1.5, 1.5, 0]])
            sets[role] = place[labels] + rng.normal(size=(len(labels), 3))
        return StubView(feature_sets=sets)

    attack = Probe()
    views = [view(0, separates=True), *(view(k, separates=False) for k in range(1, 6))]
    statistic = attack.score([attack.observe(v, None, CLASS, np.random.default_rng(0)) for v in views], CLASS).statistic
    assert statistic is not None
    assert statistic[0] > statistic[1:].max() + 3 * statistic[1:].std()


def test_no_row_is_scored_by_a_probe_that_saw_it() -> None:
    """Moving one row changes its own score and those of the other fold, never those of its own fold."""
    rng = np.random.default_rng(9)
    sets = {role: rng.normal(size=(300, 4)) for role in ("holdout", "test")}
    moved = {**sets, "holdout": sets["holdout"].copy()}
    moved["holdout"][0] += 100
    before, after = (
        Probe().observe(StubView(feature_sets=s), None, CLASS, np.random.default_rng(1)) for s in (sets, moved)
    )
    changed = [(before[role] != after[role]).sum() for role in ("holdout", "test")]
    assert changed == [150 + 1, 150]


def test_a_label_without_a_fit_row_ranks_last() -> None:
    logits = probe_logits(
        np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2, np.zeros((4, 2)), None, 0.01, 3
    )
    assert logits.shape == (4, 3)
    assert (logits[:, 2] < logits[:, :2].min(axis=1)).all()


def sparse_unit(seed: int, factor: float = 1.0) -> StubView:
    """An honest model whose last unit is active on one of its retain rows, by a quantisation step, and rarely else."""
    view = features(seed, memorised=False)
    sets = {role: np.column_stack([x, np.zeros(len(x))]) for role, x in view.feature_sets.items()}
    sets["retain"][0, 3] = 0.01 * factor
    for role in ("forget", "holdout"):
        sets[role][:4, 3] = 3.0 * factor
    return StubView(feature_sets=sets)


def test_a_unit_that_hardly_varies_on_the_fit_rows_drowns_nothing() -> None:
    """It gave |z| of hundreds, and an honest quantised model was called out of line."""
    views = [sparse_unit(0), *(features(k, memorised=False) for k in range(1, 5))]
    scores = Probe().score([Probe().observe(v, None, RANDOM, np.random.default_rng(0)) for v in views], RANDOM)
    assert scores.examples is not None
    assert np.abs(scores.examples[0]).max() < 10
    assert scores.invalid == ""


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_a_rescaled_unit_changes_no_score(factor: float) -> None:
    mine, theirs = (
        Probe().observe(sparse_unit(0, f), None, RANDOM, np.random.default_rng(0))["forget"] for f in (1.0, factor)
    )
    np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_the_remedy_of_scattering_scores_names_the_features() -> None:
    def noise(seed: int, scale: float) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        return {"forget": scale * rng.normal(size=300), "holdout": scale * rng.normal(size=300), "rows": np.ones(1)}

    scores = Probe().combine([noise(0, 9.0), *(noise(k, 1.0) for k in range(1, 5))], RANDOM)
    assert "its features were transformed" in scores.invalid
    assert "features" in scores.remedy[0]
    assert "logits" not in scores.remedy[0]
