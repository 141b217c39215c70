"""Scores as a task: directions, which signal leads, on which scale it is read, and what utility is."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.tasks.scores import VOCABULARY, Scores, directions

NOTHING = np.zeros(3, dtype=np.int64)


def test_the_first_of_the_vocabulary_leads_and_own_names_need_a_direction() -> None:
    found = directions(["mine", "correct", "nll"], {"mine": "lower"})
    assert list(found.items()) == [("nll", "lower"), ("correct", "higher"), ("mine", "lower")]
    assert next(iter(directions(["mine", "nll"], {"mine": "higher", "lead": "mine"}))) == "mine"
    with pytest.raises(ValueError, match=r'mine have no direction: declare it, \[scores\] mine = "lower"'):
        directions(["mine", "nll"], {})
    with pytest.raises(ValueError, match=r"nll: say .lower. or .higher."):
        directions(["nll"], {"nll": "higher"})
    with pytest.raises(ValueError, match="mine: say"):
        directions(["mine"], {"mine": "up"})
    with pytest.raises(ValueError, match=r"lead = 'margin' is no signal of the files: they hold nll"):
        directions(["nll"], {"lead": "margin"})


@pytest.mark.parametrize("name", VOCABULARY)
def test_every_signal_is_read_as_higher_is_more_like_a_member(name: str) -> None:
    better = {"lower": [0.1, 0.5, 0.9], "higher": [0.9, 0.5, 0.1]}[VOCABULARY[name].direction]
    sign = 1 if VOCABULARY[name].direction == "higher" else -1
    outputs = sign * np.array(better)[:, None]  # as `audit.inputs.scores` turns them
    read = Scores({name: VOCABULARY[name].direction}).confidence(outputs, NOTHING)
    assert read[0] > read[1] > read[2]


def test_errors_near_zero_are_no_further_apart_than_luck() -> None:
    task = Scores({"squared_error": "lower"})
    errors = -np.array([0.0, 1e-30, 1e-3, 1.0, 1.0, 2.0])[:, None]
    assert np.isfinite(task.confidence(errors, NOTHING)).all()
    assert np.ptp(task.confidence(errors, NOTHING, unit=1.0)[:2]) < 1e-12
    np.testing.assert_allclose(  # in another unit of measurement the same, up to a constant
        np.diff(task.confidence(errors, NOTHING)), np.diff(task.confidence(100 * errors, NOTHING)), atol=1e-9
    )


def test_utility_is_that_of_the_first_signal_that_says_how_good_a_model_is() -> None:
    both = Scores({"nll": "lower", "correct": "higher"})
    assert both.figure == "accuracy"
    assert both.quality(np.array([[-2.0, 1.0], [-1.0, 0.0]]), NOTHING[:2]).tolist() == [1.0, 0.0]  # type: ignore[union-attr]
    assert Scores({"rank": "lower"}).quality(np.array([[-1.0], [-4.0]]), NOTHING[:2]).tolist() == [1.0, 0.25]  # type: ignore[union-attr]
    assert Scores({"squared_error": "lower"}).relative
    silent = Scores({"min_k": "higher"})
    assert silent.quality(np.zeros((3, 1)), NOTHING) is None
    assert "no signal says how good the model is" in silent.no_figure


def test_only_a_likelihood_is_one() -> None:
    assert "log_likelihood" in Scores({"nll": "lower", "margin": "higher"}).signals
    assert "log_likelihood" not in Scores({"log_density": "higher"}).signals
    assert "features" in Scores({"margin": "higher"}, with_features=True).signals


def test_a_sum_over_tokens_is_a_likelihood_and_no_perplexity() -> None:
    outputs = -np.array([[1.0], [3.0]])
    mean, total = (Scores({name: "lower"}) for name in ("nll", "nll_sum"))
    assert mean.printed_loss(mean.loss(outputs, NOTHING)) == pytest.approx(np.exp(2.0))
    assert "perplexity" in mean.loss_figure
    assert total.loss_figure == ""
    np.testing.assert_array_equal(total.log_likelihood(outputs, NOTHING, 0.0), [-1.0, -3.0])
    beside = Scores({"margin": "higher", "rouge_l": "higher", "nll": "lower"})  # another signal judges
    assert beside.loss(np.array([[0.0, 0.5, -2.0]]), NOTHING) == 2.0
