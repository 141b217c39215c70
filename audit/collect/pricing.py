"""What the steps of a plan cost, in processor time measured on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from attacks.base import Access, Attack, Case, Floats, NotApplicable
from audit.inputs.case import LoadedCase
from audit.inputs.targets import TorchTarget
from audit.statistics.permutation import permutation_max_t

from .exchangeability import MAX_ROWS, blind_scores

TIMED_ROWS, TIMED = 64, 5  # rows of a batch that is timed so often; the fastest counts
SIDES = (40, 120)  # our choice: rows a side at which the shift check is timed, for its fixed part and its growth
TESTED_ROWS = 4000  # our choice: at most so many rows in the test that is timed
TESTS = 18  # statistics, figures and charts of an audit, in tests of D2 of its size: 15 to 21 in ``benchmarks.audit``
BATCHED_ROWS, CHEAP = 512, 1e-3  # our choice: rows of a batch with gradients, where a row takes less than these seconds
BACKWARD = 3  # a forward and backward pass costs about three forward passes


class Asked:
    """A model without numbers that counts what it is asked (as ``attacks.base.View`` for attacks on labels)."""

    access = Access.LABELS

    def __init__(self, case: Case) -> None:
        self._case, self.rows = case, 0

    def logits(self, role: str) -> Floats:
        """The same on every row."""
        return np.zeros((len(self._case.labels[role]), self._case.n_classes))

    def augmented(self, role: str, query: str) -> Floats:  # noqa: ARG002
        """The same, counted: these rows would go through the network."""
        self.rows += len(self._case.labels[role])
        return self.logits(role)

    def __getattr__(self, name: str) -> Any:
        raise NotApplicable(name)


def asked_rows(attack: Attack, case: Case) -> int:
    """Changed rows that an attack on labels has each model answer; 0 of others, which ask nothing."""
    if attack.access > Access.LABELS:
        return 0
    view: Any = Asked(case)
    try:
        attack.run(view, view, case, np.random.default_rng(0))
    except Exception:  # noqa: BLE001 - what it asked until then is what it asks
        return int(view.rows)
    return int(view.rows)


def seconds_a_row(case: LoadedCase) -> float:
    """Of one row through the audited network; 0 of outputs that are there already."""
    model, data = case.models["unlearned"], case.files["forget"]
    if not isinstance(model, TorchTarget) or data.x is None:
        return 0.0
    rows = data.batch(np.arange(min(TIMED_ROWS, len(data))))
    model.call(rows)  # warm up
    return min(_timed(lambda: model.call(rows)) for _ in range(TIMED)) / min(TIMED_ROWS, len(data))


def seconds_a_gradient_row(case: LoadedCase, a_row: float) -> float:
    """Of one row forward and backward to its input, in a batch as attacks make them where a row is cheap.

    Args:
        case: its audited network is timed on forget rows, repeated where they are few.
        a_row: of ``seconds_a_row``; so often ``BACKWARD`` where inputs have no gradient.
    """
    model, data = case.models["unlearned"], case.files["forget"]
    if (
        not a_row
        or not isinstance(model, TorchTarget)
        or not isinstance(data.x, np.ndarray)
        or data.x.dtype.kind != "f"
    ):
        return BACKWARD * a_row
    rows = TIMED_ROWS if a_row > CHEAP else BATCHED_ROWS
    inputs = model.tensor(data.x[np.arange(rows) % len(data)])

    def both() -> None:
        model.forward(inputs.detach().requires_grad_()).logsumexp(1).sum().backward()

    both()  # warm up
    return min(_timed(both) for _ in range(TIMED)) / rows


def shift_check_seconds(case: LoadedCase) -> float:
    """Of the shift check: a fixed part and a part that grows with the rows, from two sizes."""
    forget, holdout = case.rows_of("forget"), case.rows_of("holdout")
    count = min(len(forget), len(holdout), MAX_ROWS)
    few = [min(size, count) for size in SIDES]

    def check(rows: int) -> float:
        some = np.arange(rows)
        return _timed(lambda: blind_scores(forget.take(some), holdout.take(some), 0))

    took = [check(rows) for rows in few]
    if few[0] == few[1]:
        return took[1]
    slope = max(0.0, (took[1] - took[0]) / (few[1] - few[0]))
    rows = (min(len(forget), MAX_ROWS) + min(len(holdout), MAX_ROWS)) / 2
    return took[1] + slope * (rows - few[1])


def statistics_seconds(case: LoadedCase, permutations: int) -> float:
    """Of what the judge computes: one permutation test at the size of the case, as often as an audit's work is."""
    forget, both = len(case.rows_of("forget")), len(case.rows_of("forget")) + len(case.rows_of("holdout"))
    rows = min(both, TESTED_ROWS)
    rng = np.random.default_rng(0)
    scores, own = rng.normal(size=(1, rows)), max(1, min(rows - 1, rows * forget // both))
    return TESTS * _timed(lambda: permutation_max_t(scores, own, permutations, rng)) * both / rows


def spent_seconds() -> float:
    """Of this process until now: a run would spend the same on imports, reading and checks."""
    return time.process_time()


def _timed(run: Callable[[], object]) -> float:
    """Processor seconds, of all threads."""
    started = time.process_time()
    run()
    return time.process_time() - started
