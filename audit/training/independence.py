"""What the audit trains passes the kinship check that given references pass: a factory may fix its own seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from audit.errors import CouldNotRun, InputError, UsageError
from audit.inputs.kinship import KINSHIP, Sample, kinship, sample, shared
from audit.inputs.provenance import closest
from audit.inputs.targets import Target, TorchTarget
from audit.inputs.tensors import numpy_of
from audit.inputs.training_order import TrainingOrder
from audit.record.inputs import ClaimRecord
from audit.record.readonce import read_once, sha256_of

from .service import Trained
from .single import fresh

if TYPE_CHECKING:
    import torch

KINDS = ("reference", "shadow", "pipeline")
REMEDY = (
    "let it draw its weights from torch's generator, which the audit seeds; if it starts from weights that never saw "
    "the forget set, declare --provenance checkpoint, or name their layers as public_layers in [claim]"
)


def check_factory(order: TrainingOrder, claim: ClaimRecord) -> None:
    """Build the untrained network under two seeds: they must differ, or all that is trained starts alike.

    Not with the user's own ``train``, which may draw the start itself: its models are compared once they are trained.

    Raises:
        UsageError: they are kin.
        TrainingError: the factory fails.
    """
    if claim.provenance != "exact" or order.recipe.train is not None:
        return
    starts = [_start(order.factory, seed) for seed in (0, 1)]
    value = float(kinship(starts, shared(starts[:1], claim.public_layers))[0, 1])
    if value > KINSHIP:
        raise UsageError(
            f"--arch {order.factory} gives kin weights under two seeds ({_figure(value)}), so no model that is trained "
            f"from it would be an independent retrain: {REMEDY}."
        )


def check_independent(models: Mapping[str, Target], trained: Trained, claim: ClaimRecord) -> None:
    """Refuse trained models that are kin to one another, to the original or to the unlearned model.

    Shadow models and pipelines are each compared among themselves: one of each may have the same start.

    Args:
        models: under audit, by name; none where there is nothing to audit yet.
        trained: what was trained.
        claim: provenance and public layers.

    Raises:
        InputError: they are kin; with the remedy.
        CouldNotRun: a file changed after it was trained.
    """
    if claim.provenance != "exact":
        return
    given = {name: sample(model.state) for name, model in models.items() if isinstance(model, TorchTarget)}
    problems = []
    for kind in KINDS:
        made = {name: _read(trained, name) for name in trained.paths if name.startswith(f"{kind} ")}
        before = [name for name in given if name.startswith("retrained/")] if kind == "reference" else []
        kin = [found for found in closest({**given, **made}, [*before, *made], claim.public_layers) if found[0] in made]
        if kin:
            name, other, value = kin[0]
            problems.append(
                f"{len(kin)} of {len(made)} models of the kind {kind!r} that this audit trained are no independent "
                f"retrains: the weights of {name} are kin to those of {other} ({_figure(value)}), so the start that "
                f"--arch or [recipe] train gives does not follow the seed: {REMEDY}"
            )
    if problems:
        raise InputError(problems)


def _figure(value: float) -> str:
    return f"cosine {value:.2f}, independent networks stay below {KINSHIP}"


def _start(arch: str, seed: int) -> Sample:
    """Untrained weights that training may move."""
    network = fresh(arch, seed, "cpu")
    return sample({name: numpy_of(p) for name, p in network.named_parameters() if p.requires_grad})


def read_state(trained: Trained, name: str) -> dict[str, torch.Tensor]:
    """The state of a trained model, on the CPU.

    Raises:
        CouldNotRun: its file cannot be read, or changed after it was trained.
    """
    from safetensors.torch import load

    path = trained.paths[name]
    try:
        content = read_once(path)
    except OSError as error:
        raise CouldNotRun(f"{path} cannot be read ({error.strerror}): run again to train it anew.") from None
    if sha256_of(content) != trained.digests[name]:
        raise CouldNotRun(f"{path} changed after it was trained: see who writes there, and run again.")
    return load(content)


def _read(trained: Trained, name: str) -> Sample:
    return sample({key: numpy_of(tensor) for key, tensor in read_state(trained, name).items()})
