"""Retrains that coincide: by a recipe that has no randomness, or by copying? And is the audited model one of them?

Statistics.md, "Identical to a retrain".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from attacks.base import Floats, Ints
from audit.inputs.contained import contained
from audit.inputs.data import Arrays
from audit.inputs.sets import Selection
from audit.inputs.targets import Target, TorchTarget
from audit.inputs.training_order import TrainingOrder
from audit.record.identical import BAR, CoincidingRecord, Shares
from audit.record.inputs import ClaimRecord

from .descent import Batches
from .independence import read_state
from .near_copies import MOST, near_copies
from .own_start import odd_layers, outputs_of, parameters_of, retrained, unmoved
from .service import Trained
from .shadows import joined
from .single import fresh

if TYPE_CHECKING:
    import torch

#: our choice: the forget set must move the model by more than this share of its size: float32 leaves less to rounding
VISIBLE = 1e-5
Point = tuple[Floats, Floats]  # parameters, outputs on the forget rows


def coinciding(
    order: TrainingOrder,
    files: Mapping[str, Arrays],
    selection: Mapping[str, Selection],
    trained: Trained,
    claim: ClaimRecord,
    models: Mapping[str, Target],
) -> CoincidingRecord | None:
    """What retrains from the audit's own start say of references that coincide.

    Two networks are trained: on the retain rows, and on retain and forget rows. Only for the built-in recipe (a
    ``train`` of the user's may return what it likes), exact provenance and without given references.

    Args:
        order: what was trained.
        files, selection: of the case.
        trained: what came of it.
        claim: what is declared.
        models: under audit; none where there is nothing to audit yet.

    Returns:
        None where the references do not coincide, where training depends on its start, or where the forget set makes
        no difference that could be seen.

    Raises:
        CouldNotRun: a file of a trained model cannot be read, or changed.
        TrainingError: the factory fails.
    """
    given = any(name.startswith("retrained/") for name in models)
    names = [name for name in trained.paths if name.startswith("reference ")]
    if order.recipe.train is not None or claim.provenance != "exact" or given or not names:
        return None
    forget = files[selection["forget"].source]
    retain = len(files["retain"])
    pool, recipe = joined([files["retain"], forget]).canonical(), order.recipe
    batches = Batches(pool, recipe.augmentation, order.device, recipe.output)
    made = [retrained(order, batches, np.arange(rows)) for rows in (retain, retain + len(forget))]
    rows = np.arange(retain, retain + len(forget))
    retrain, replica = (None if m is None else _point(m, batches, rows) for m in made)
    if retrain is None or replica is None:
        return None
    scale = _distance(replica, retrain)
    if not _visible(scale, retrain):
        return None
    starts = [_shares(_point(_load(order, trained, name), batches, rows), retrain, scale) for name in names]
    start = (max(s[0] for s in starts), max(s[1] for s in starts))
    if max(start) > BAR:
        return None
    found = CoincidingRecord(
        references=len(names), start=start, problem=_seen(forget, files["retain"]) or _problem(order.factory, models)
    )
    if found.problem:
        return found
    audited, original = (_point(_module(models, name), batches, rows) for name in ("unlearned", "original"))
    scale = _distance(original, retrain)
    if not _visible(scale, retrain):
        return found.model_copy(update={"problem": "the original does not differ from a retrain"})
    return found.model_copy(
        update={"recipe": _shares(replica, original, scale), "audited": _shares(audited, retrain, scale)}
    )


def _seen(forget: Arrays, retain: Arrays) -> str:
    """Why a retrain on these retain rows may know the forget set; "" where nothing says so."""
    share = near_copies(forget, retain)
    if share is None:
        return "near copies of forget rows among the retain rows cannot be looked for in inputs of this form"
    return f"{share:.0%} of the forget rows have a near copy among the retain rows" if share > MOST else ""


def _visible(scale: Shares, retrain: Point) -> bool:
    return all(s > VISIBLE * np.linalg.norm(part) for s, part in zip(scale, retrain, strict=True))


def _problem(factory: str, models: Mapping[str, Target]) -> str:
    """Why the audit cannot answer for the networks that it would compare; "" where it can."""
    network = fresh(factory, 0, "cpu")
    if odd_layers(network):
        return f"the network is not made of torch's own layers alone ({odd_layers(network)})"
    if unmoved(network):
        return f"training does not move all of the network ({unmoved(network)})"
    for name in ("original", "unlearned"):
        model = models.get(name)
        if model is None:
            return f"there is no {name} model"
        if not isinstance(model, TorchTarget):
            return f"the {name} model is given by its outputs"
        other = str(model.module) != str(network) or _form(model.module) != _form(network)
        if other or odd_layers(model.module):
            return f"the {name} model is another network than --arch builds"
    return ""


def _form(network: torch.nn.Module) -> dict[str, tuple[object, ...]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in network.state_dict().items()}


def _module(models: Mapping[str, Target], name: str) -> torch.nn.Module:
    model = models[name]
    assert isinstance(model, TorchTarget)
    return model.module


def _point(module: torch.nn.Module, batches: Batches, rows: Ints) -> Point:
    with contained("the network"):
        return parameters_of(module), outputs_of(module, batches, rows)


def _distance(a: Point, b: Point) -> Shares:
    return float(np.linalg.norm(a[0] - b[0])), float(np.linalg.norm(a[1] - b[1]))


def _shares(a: Point, b: Point, scale: Shares) -> Shares:
    found = _distance(a, b)
    return found[0] / scale[0], found[1] / scale[1]


def _load(order: TrainingOrder, trained: Trained, name: str) -> torch.nn.Module:
    network = fresh(order.factory, 0, order.device)
    network.load_state_dict(read_state(trained, name))
    return network.eval()
