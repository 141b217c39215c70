"""Probabilities in place of logits, in any form: rounding and the missing logarithm blind the membership attacks.

Log-probabilities serve as logits and are none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attacks.base import Floats

if TYPE_CHECKING:
    import torch

MOST = 0.9  # our choice: share of the rows that must look like probabilities; a few may be damaged
SUM_ERROR = 2**-8  # of a row of bfloat16 probabilities, the coarsest type; their sum is off by no more
DECIMALS = range(5)  # coarser grids than 10^-4 widen the error of a sum beyond that
EDGE = 1e-3  # a probability this far outside its range was rounded there
#: our choice: a one-logit model that never says no does not reach this logit, a percentage does
CERTAIN = 50.0
#: our choice: one sigmoid a class comes this close to 0 and to 1; logits that stay in [0, 1] do not span it
SPAN = 0.95

ROWS = "give logits or log-probabilities"
COLUMN = "give the logit log(p / (1 - p)), or two columns (0, z) if these are logits; integers are predicted labels"


def stored_probabilities(outputs: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """What is wrong with stored outputs that are probabilities, with the remedy; "" where they are none.

    Args:
        outputs: floats by set, (n,) or (n, C), of one model. One column is judged on all sets together, for those of a
            weak model may lie between 0 and 1 on a single one.
    """
    wide = [array for array in outputs.values() if array.ndim == 2 and array.shape[1] > 1]
    found = next((found for found in map(probabilities, wide) if found), "")
    narrow = [array.ravel() for array in outputs.values() if array.ndim == 1 or array.shape[1] == 1]
    return found or (probabilities(np.concatenate(narrow)[:, None]) if narrow else "")


def probabilities(outputs: np.ndarray[Any, Any]) -> str:
    """The same for one array of raw outputs, (n, C), C >= 1, before one column is made two.

    Rows that sum to 1 or 100 are recognised within the rounding of their precision. Rows inside [0, 1] that sum to
    something else are one sigmoid a class only if the values span the whole range and no column is constant: a small
    network's logits may lie there by chance, and (0, z) is a way to give one logit.
    """
    values = np.asarray(outputs, dtype=np.float64)
    if values.size == 0 or values.min() == values.max():
        return ""
    if values.shape[1] == 1:
        if _inside(values, 1.0):
            return f"its outputs are probabilities (one column between 0 and 1): {COLUMN}"
        if values.min() >= 0 and values.max() >= CERTAIN and _inside(values, 100.0):
            return f"its outputs are probabilities in percent (one column between 0 and 100): {COLUMN}"
        return ""
    if _inside(values, 1.0):
        if _sums(values, 1.0):
            return f"its outputs are probabilities (rows between 0 and 1 that sum to 1): {ROWS}"
        varied = bool((values.min(axis=0) < values.max(axis=0)).all())
        if varied and values.max() >= SPAN and values.min() <= 1 - SPAN:
            return f"its outputs are probabilities (rows between 0 and 1, one sigmoid a class): {ROWS}"
    if _inside(values, 100.0) and _sums(values, 100.0):
        return f"its outputs are probabilities in percent (rows between 0 and 100 that sum to 100): {ROWS}"
    return ""


def last_activation(output: torch.Tensor, layers: Sequence[torch.Tensor]) -> str:
    """What is wrong with a network that ends in an activation, with the remedy; "" where nothing is.

    Args:
        output: of the network, (b, C), C >= 1.
        layers: outputs of its linear layers on the same rows, in the order of their calls.
    """
    import torch

    error = max([1e-6, *(4 * torch.finfo(z.dtype).eps for z in (output, *layers) if z.is_floating_point())])
    output = output.detach().float().cpu()
    candidates = [layer.float().cpu() for layer in layers if layer.shape == output.shape]
    if any(torch.allclose(layer, output) for layer in candidates):
        return ""
    named: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "softmax, so its outputs are probabilities": lambda z: torch.softmax(z, -1),
        "sigmoid, so its outputs are probabilities": torch.sigmoid,
        "log-sigmoid, whose outputs are logarithms of one probability a class": torch.nn.functional.logsigmoid,
    }
    if output.shape[1] == 1:
        named["log-softmax of one column, which is always 0"] = lambda z: torch.log_softmax(z, -1)
    for layer in reversed(candidates):
        for what, activation in named.items():
            if torch.allclose(activation(layer), output, atol=error):
                return f"it ends in a {what}: return the logits that go into it"
    return probabilities(output.numpy())


def _inside(values: Floats, whole: float) -> bool:
    """Most rows lie between 0 and ``whole``."""
    edge = EDGE * whole
    return bool(((values >= -edge) & (values <= whole + edge)).all(axis=1).mean() >= MOST)


def _sums(values: Floats, whole: float) -> bool:
    """Most rows sum to ``whole``, each value rounded as coarsely as they all are."""
    grid = next((10.0**-d for d in DECIMALS if _on_grid(values, 10.0**d).mean() >= MOST), 0.0)
    error = max(SUM_ERROR * whole, min(whole, values.shape[1] * grid) / 2)
    return bool((np.abs(values.sum(axis=1) - whole) <= error).mean() >= MOST)


def _on_grid(values: Floats, scale: float) -> np.ndarray[Any, Any]:
    """Rows of multiples of 1 / ``scale`` alone, as float32 holds them."""
    scaled = values * scale
    return np.asarray((np.abs(scaled - np.round(scaled)) <= 1e-6 * np.maximum(np.abs(scaled), 1.0)).all(axis=1))
