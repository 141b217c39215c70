"""Which attacks of a plan a run would skip, and why: asked of the same code in the same words."""

from __future__ import annotations

from attacks.base import Attack, Case, NotApplicable
from audit.inputs.case import LoadedCase
from audit.inputs.config import TrainingSection
from audit.inputs.contained import Meddling, contained

from .failures import skip
from .observe import Layers, Observations
from .site import NOWHERE, InMemory
from .units import NO_SHADOWS
from .views import Views, all_views


def unasked_views(case: LoadedCase) -> Views:
    """Views of all models of a case: their parts can be looked at, and nothing that they answer is kept on a disk."""
    layers = Layers(wanted=True, named=case.build.layers)
    observations = Observations(NOWHERE, case.files, case.fingerprints, 1, InMemory(), layers)
    return all_views(case.models, observations, case.selection, case.build)


def refusal(attack: Attack, case: LoadedCase, training: TrainingSection, attack_case: Case, views: Views) -> str:
    """Why a run will skip the attack; "" where it will not, as far as it can be known before.

    Args:
        attack: of the suite.
        case: what is audited.
        training: says which shadow models there will be.
        attack_case: the case as attacks see it.
        views: of ``unasked_views``.
    """
    shadows = {"trained": training.shadows, "unlearned": training.pipelines}
    if attack.design and not shadows[attack.design]:
        return f"will be skipped: {NO_SHADOWS[attack.design]}"
    grants = min(model.access for model in case.models.values())
    if attack.access > grants:
        return f"will be skipped: needs {attack.access.name.lower()} access"
    if attack.needs_original and "original" not in case.models:
        return "will be skipped: needs the original model"
    reason = attack.refused(attack_case) or _of_models(attack, attack_case, views)
    return f"will be skipped: {reason}" if reason else ""


def _of_models(attack: Attack, attack_case: Case, views: Views) -> str:
    """Why the attack has no meaning for one of the models, or ""."""
    try:
        with contained("the network, or the attack,"):
            for view in views.values():
                if reason := attack.featureless(view):
                    return reason
                attack.check_models(view, views.get("original"), attack_case)
    except NotApplicable as refused:
        return skip(refused, type(attack), "on a model").reason
    except Meddling:
        raise
    except Exception:  # noqa: BLE001 - the user's network, or a plug-in: it is told where it runs
        return ""
    return ""
