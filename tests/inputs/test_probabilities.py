"""Probabilities in place of logits are recognised in any form, stored or from a network; logits are left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from audit.inputs.data import Arrays
from audit.inputs.outputs import outputs_target
from audit.inputs.probabilities import probabilities, stored_probabilities
from audit.inputs.probing import probe_models
from audit.inputs.targets import TorchTarget

RNG = np.random.default_rng(0)
LOGITS = 3 * RNG.normal(size=(400, 10))
ROWS = torch.softmax(torch.as_tensor(LOGITS), 1).numpy()
COLUMN = 1 / (1 + np.exp(-LOGITS[:, 0]))


def damaged(values: np.ndarray) -> np.ndarray:
    """One row in twenty is no probability."""
    found = values.copy()
    found[::20] = -3.0
    return found


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (ROWS, "rows between 0 and 1 that sum to 1"),
        (ROWS.astype(np.float16), "rows between 0 and 1 that sum to 1"),
        (torch.as_tensor(ROWS).bfloat16().float().numpy(), "rows between 0 and 1 that sum to 1"),
        (ROWS.round(3), "rows between 0 and 1 that sum to 1"),
        (ROWS.round(2), "rows between 0 and 1 that sum to 1"),
        (ROWS.round(1), "rows between 0 and 1 that sum to 1"),
        (np.eye(10)[RNG.integers(0, 10, 400)], "rows between 0 and 1 that sum to 1"),
        (damaged(ROWS), "rows between 0 and 1 that sum to 1"),
        (damaged(ROWS.round(2)), "rows between 0 and 1 that sum to 1"),
        (100 * ROWS, "rows between 0 and 100 that sum to 100"),
        ((100 * ROWS).round(1), "rows between 0 and 100 that sum to 100"),
        ((100 * ROWS).round(), "rows between 0 and 100 that sum to 100"),
        (1 / (1 + np.exp(-LOGITS)), "one sigmoid a class"),
        (COLUMN[:, None], "one column between 0 and 1"),
        (COLUMN.round(2)[:, None], "one column between 0 and 1"),
        (damaged(COLUMN)[:, None], "one column between 0 and 1"),
        (100 * COLUMN[:, None], "one column between 0 and 100"),
    ],
)
def test_every_form_is_named(values: np.ndarray, form: str) -> None:
    assert form in probabilities(values)
    assert "give " in probabilities(values)


@pytest.mark.parametrize(
    "values",
    [
        LOGITS,
        LOGITS.round(),
        np.log(ROWS),
        LOGITS[:, :1],
        LOGITS[:, :2],
        np.abs(LOGITS),
        np.abs(LOGITS[:, :1]),
        0.03 * LOGITS + 0.5,  # small, and all of them between 0 and 1
        np.column_stack([np.zeros(400), COLUMN]),  # one logit, as the remedy says
        0.9 * ROWS,
        np.full((400, 2), 0.5),
        np.zeros((0, 3)),
    ],
)
def test_logits_are_left_alone(values: np.ndarray) -> None:
    assert probabilities(values) == ""


def test_stored_columns_are_judged_on_all_sets_together() -> None:
    z = LOGITS[:, 0]
    assert "one column between 0 and 1" in stored_probabilities({"forget": COLUMN[:50], "retain": COLUMN[50:, None]})
    assert stored_probabilities({"forget": z[(z > 0) & (z < 1)], "retain": z}) == ""
    assert "sum to 1" in stored_probabilities({"forget": LOGITS, "forget@noise:0.1:0": ROWS})


def probed(outputs: dict[str, np.ndarray]) -> list[str]:
    """What is said of one model's stored outputs."""
    y = RNG.integers(0, 2, 400)
    files = {role: Arrays(None, y[: len(values)]) for role, values in outputs.items()}
    problems: list[str] = []
    probe_models({"original": outputs_target(outputs, "original.npz")}, files, problems)
    return problems


@pytest.mark.parametrize("column", [COLUMN, COLUMN[:, None]])
def test_a_stored_sigmoid_column_is_refused(column: np.ndarray) -> None:
    (problem,) = probed({"forget": column[:100], "retain": column})
    assert problem.startswith("original: its outputs are probabilities (one column between 0 and 1): give the logit")


def test_predicted_labels_are_no_probabilities() -> None:
    labels = RNG.integers(0, 2, 400)
    model = outputs_target({"forget": labels, "n_classes": np.array(2)}, "original.npz")
    problems: list[str] = []
    assert probe_models({"original": model}, {"forget": Arrays(None, labels)}, problems) == 2
    assert problems == []


# --- networks


class Ends(nn.Module):
    """A network of 6 inputs that ends in a function of its last layer."""

    def __init__(self, classes: int, end: Callable[[torch.Tensor], torch.Tensor], spare: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.fc, self.end = nn.Linear(6, 16), nn.Linear(16, classes), end
        self.gate = nn.Linear(16, classes) if spare else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.body(x))
        out = self.end(self.fc(hidden))
        if self.gate is not None:
            self.gate(hidden)  # of the same shape, called last, and no part of the output
        return out


def refused(network: nn.Module, head: str | None = None) -> list[str]:
    """What is said of a network."""
    rows = Arrays(RNG.normal(size=(8, 6)).astype(np.float32), RNG.integers(0, 2, 8))
    problems: list[str] = []
    probe_models({"original": TorchTarget(network.eval(), "cpu", head)}, {"forget": rows}, problems)
    return problems


@pytest.mark.parametrize("head", [None, "fc"])
@pytest.mark.parametrize(
    ("classes", "end", "name"),
    [
        (4, lambda z: torch.softmax(z, 1), "softmax, so its outputs are probabilities"),
        (4, torch.sigmoid, "sigmoid, so its outputs are probabilities"),
        (4, lambda z: z.sigmoid_(), "sigmoid, so its outputs are probabilities"),
        (4, nn.functional.logsigmoid, "log-sigmoid"),
        (1, torch.sigmoid, "sigmoid, so its outputs are probabilities"),
        (1, lambda z: torch.softmax(z, 1), "softmax, so its outputs are probabilities"),
        (1, lambda z: torch.log_softmax(z, 1), "log-softmax of one column"),
        (1, nn.functional.logsigmoid, "log-sigmoid"),
        (4, lambda z: torch.softmax(3 * z, 1), "its outputs are probabilities (rows between 0 and 1 that sum to 1)"),
        (1, lambda z: torch.sigmoid(3 * z), "its outputs are probabilities (one column between 0 and 1)"),
    ],
)
def test_a_network_is_told_what_it_ends_in_before_its_head_is_looked_for(
    classes: int, end: Callable[[torch.Tensor], torch.Tensor], name: str, head: str | None
) -> None:
    (problem,) = refused(Ends(classes, end), head)
    assert name in problem
    assert "head" not in problem


@pytest.mark.parametrize("classes", [1, 4])
def test_logits_of_a_network_are_left_alone(classes: int) -> None:
    assert refused(Ends(classes, lambda z: z)) == []
    assert refused(Ends(classes, lambda z: z.clone(), spare=True)) == []
    squeezed = Ends(classes, lambda z: z)
    with torch.no_grad():  # logits of a weak network, all between 0 and 1
        squeezed.fc.weight.mul_(0.01)
        squeezed.fc.bias.fill_(0.5)
    assert refused(squeezed) == []


def test_log_probabilities_of_a_network_are_logits() -> None:
    assert refused(Ends(4, lambda z: torch.log_softmax(z, 1))) == []


# --- the head of one logit


def test_the_head_of_one_logit_is_compared_by_its_output() -> None:
    """By log-probabilities every layer of one unit is the head: of one column they are always 0."""
    rows = torch.randn(8, 6)
    network = Ends(1, lambda z: z, spare=True)
    assert network.gate is not None
    target = TorchTarget(network.eval(), "cpu", None)
    assert target.find_head(rows.numpy()).module is network.fc
    with pytest.raises(ValueError, match="cannot find the head"):
        TorchTarget(Ends(1, lambda z: 1.5 * z - 2).eval(), "cpu", None).find_head(rows.numpy())
