"""The audited models are never modified: their state and flags before and after must agree."""

from __future__ import annotations

from collections.abc import Mapping

from audit.errors import InputError
from audit.inputs.reading import foreign_hooks
from audit.inputs.targets import Target, TorchTarget


class Guard:
    """Remembers all models as they were when it was made."""

    def __init__(self, models: Mapping[str, Target]) -> None:
        self._models = models
        self._digests = {name: model.digest() for name, model in models.items()}
        self._flags: dict[str, list[bool]] = {}

    def after_forward(self) -> None:
        """Raises InputError where a forward pass changed its own model, or hooked all of them."""
        changed = [name for name, model in self._models.items() if model.digest() != self._digests[name]]
        if changed:
            raise InputError(
                [f"the forward pass of {', '.join(changed)} changes the model's own parameters or buffers: freeze them"]
            )
        problems = foreign_hooks(self._models)  # a forward pass may register some
        if problems:
            raise InputError(problems)
        self._flags = {name: flags(model) for name, model in self._models.items()}

    def after_attacks(self) -> None:
        """Raises RuntimeError where an attack changed a model: a defect of ours, or of a plug-in."""
        changed = [
            name
            for name, model in self._models.items()
            if model.digest() != self._digests[name] or flags(model) != self._flags[name]
        ]
        if changed:
            raise RuntimeError(f"an attack modified {', '.join(changed)}: no result of this run can be trusted")


def flags(model: Target) -> list[bool]:
    """Training and gradient flags of a network: an attack must leave them as they are."""
    if not isinstance(model, TorchTarget):
        return []
    return [module.training for module in model.module.modules()] + [
        parameter.requires_grad for parameter in model.module.parameters()
    ]
