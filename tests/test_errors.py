"""What is wrong with a document is told without the words of the library that checks it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from audit.errors import wrong_values
from audit.inputs.recipe import RecipeSection
from audit.policy.policy import Policy


def lines(model: type[Policy] | type[RecipeSection], **values: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    return wrong_values(caught.value)


def test_each_wrong_value_has_its_line() -> None:
    assert lines(RecipeSection, batchsize=3, optimizer="sgdd", lr=-1) == [
        "optimizer: Input should be 'sgd', 'adam' or 'adamw' (got 'sgdd')",
        "lr: Input should be greater than 0 (got -1)",
        "batchsize: there is no such key",
    ]


def test_a_rule_over_several_keys_is_told_without_the_whole_table() -> None:
    (line,) = lines(RecipeSection, train="nets:train", lr=0.1)
    assert line.startswith("document: train = 'nets:train' is a recipe of its own")
    assert "got" not in line
    assert "Value error" not in line
