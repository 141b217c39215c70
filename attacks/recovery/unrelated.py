"""Relearning on unrelated data: does training on another task bring back what was forgotten?"""

from typing import Any, ClassVar

import numpy as np

from attacks.base import Case, Efforts, Inputs, Ints, NotApplicable, View
from attacks.inputs import unless_continuous

from .relearning import Relearning

NO_ENTRIES = "needs one array of continuous inputs: entries of others cannot change places"


class RelearningUnrelated(Relearning):
    """`relearning` with rows of another task: retain inputs whose entries are permuted, with labels drawn at random.

    One permutation of the entries for all rows keeps their distribution and takes their meaning; nothing that is
    taught says anything of the task. Where forgetting lies on top of what was learned, even that can wash it off. Score
    and calibration as in `relearning`.
    """

    name = "relearning_unrelated"
    signal = "class_logits"  # it teaches random classes
    title = "Relearning on unrelated data"
    source = "Hu et al., Unlearning or Obfuscating?, arXiv 2406.13356 (benign relearning); permuted rows are ours"
    efforts: ClassVar[Efforts] = {"quick": {"steps": 15, "copies": 1}, "thorough": {"steps": 60, "copies": 4}}

    def __init__(self, *, steps: int = 30, batch: int = 64, copies: int = 2, rate: float = 0.005) -> None:
        """Set the budget; see `Relearning`. The rate is a quarter of its: another task moves more (our choice)."""
        super().__init__(steps=steps, batch=batch, copies=copies, rate=rate)

    def applicable(self, case: Case) -> str:
        """Entries of discrete inputs cannot change places."""
        return super().applicable(case) or unless_continuous(case, NO_ENTRIES)

    def taught(self, view: View, case: Case, index: Ints, rng: np.random.Generator) -> tuple[Any, Ints]:
        """Permuted inputs and random labels of the rows ``index``."""
        inputs = _one_array(case.sets["retain"].batch(index.reshape(-1)))
        flat = inputs.reshape(len(inputs), -1)
        order = np.random.default_rng(flat.shape[1]).permutation(flat.shape[1])  # the same for every batch and model
        x = view.tensor(np.ascontiguousarray(flat[:, order]).reshape(inputs.shape))
        return x.reshape(*index.shape, *inputs.shape[1:]), rng.integers(0, case.n_classes, index.shape)


def _one_array(inputs: Inputs) -> np.ndarray[Any, Any]:
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind != "f":
        raise NotApplicable(NO_ENTRIES)
    return inputs
