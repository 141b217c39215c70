"""What the models let an adversary have, all of them together: the least of any."""

from __future__ import annotations

from collections.abc import Mapping

from attacks.base import GRANTS, Access

from .naming import listed
from .sets import Grants
from .targets import Target, TorchTarget


def granted(models: Mapping[str, Target]) -> Grants:
    """The claim that they bear: attacks compare all of them."""
    least = min(model.access for model in models.values())
    return "labels" if least < Access.LOGITS else "logits" if least < Access.GRADIENTS else "features"


def too_little(models: Mapping[str, Target], claimed: str | None) -> list[str]:
    """Problems: networks whose head is not found, or beside models without features, where the claim needs features.

    Where all are outputs alone the claim stays as declared, and nothing supports it.

    Args:
        models: loaded and tried.
        claimed: the declared access; None = the most that they bear.
    """
    networks = {name: model for name, model in models.items() if isinstance(model, TorchTarget)}
    if claimed is None or GRANTS[claimed] <= Access.LOGITS or not networks:
        return []
    problems: dict[str, list[str]] = {}
    for name, model in networks.items():
        if model.headless:
            problems.setdefault(model.headless, []).append(name)
    lines = [
        f"{listed(names)}: {reason}. Or audit what its outputs say, with --access logits"
        for reason, names in problems.items()
    ]
    others = [name for name in models if name not in networks]
    if others:
        lines.append(
            f"at access {claimed} all models must be networks, {listed(others)} give outputs alone: give them as "
            "networks, or claim --access logits"
        )
    return lines
