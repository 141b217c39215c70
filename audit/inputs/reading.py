"""Read the models that were given, files and objects alike; every problem is kept for one report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit.errors import AuditError

from .architecture import has_global_hooks
from .gathered import Gathered
from .given import Build
from .memory import arrays_of, target_of
from .models import check_device, load_model, set_task
from .naming import check_name
from .stored import stored
from .targets import Target, TorchTarget
from .usercode import describe


def read_models(
    given: Mapping[str, Any], build: Build, problems: list[str]
) -> tuple[dict[str, Target], dict[str, str]]:
    """Models and their digests by name; what is wrong is added to ``problems``."""
    models: dict[str, Target] = {}
    digests: dict[str, str] = {}
    if "unlearned" not in given:
        problems.append("no unlearned model: pass --unlearned FILE or put unlearned.* beside the forget set")
    try:
        check_device(build.device)
    except ValueError as error:
        problems.append(str(error))
        return models, digests
    found = Gathered()
    for name, source in given.items():
        where = str(source) if isinstance(source, Path) else name
        try:
            models[name], digests[name] = _read_model(name, source, build)
            set_task(models[name], build.task)
        except AuditError:
            raise
        except ValueError as error:
            found.add(where, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a file makes fail is a problem of that file
            found.add(where, f"{where} cannot be read ({describe(error)}): save plain float weights again")
    problems += found.lines()
    problems += foreign_hooks(models)
    return models, digests


def foreign_hooks(models: Mapping[str, Target]) -> list[str]:
    """Problems: hooks of the whole process beside networks that are named; what they do no name holds."""
    named = any(isinstance(model, TorchTarget) and not model.unnamed for model in models.values())
    if not named or not has_global_hooks():
        return []
    return [
        "hooks are registered for all modules of this process (as by register_module_forward_hook): they answer for "
        "every network, and no model holds them: remove them"
    ]


def _read_model(name: str, source: Any, build: Build) -> tuple[Target, str]:
    if isinstance(source, Path):
        check_name(source)
        return load_model(
            source,
            arch=build.arch_of(name),
            device=build.device,
            head=build.head,
            trust_pickle=build.trust_pickle,
            state_key=build.state_key,
            output=build.output,
            predict=build.predict,
            probabilities=build.probabilities,
            task=build.task,
            scores=build.scores,
        )
    if isinstance(source, Mapping):
        what, given = f"the outputs of {name}", (build.task, build.scores)
        outputs = stored(arrays_of(source, what), what, *given, probabilities=build.probabilities)
        return outputs, outputs.digest()
    network = target_of(source, name, build.device, build.head, build.output)
    return network, network.digest()
