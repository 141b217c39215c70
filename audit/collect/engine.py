"""Run every attack on every model, one resumable work unit at a time."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from attacks.base import Attack, Case, Floats, Ints, discover
from audit import __version__
from audit.errors import AuditError, InputError
from audit.inputs.case import LoadedCase
from audit.inputs.config import Config
from audit.inputs.models import StoredTarget
from audit.inputs.provenance import copies
from audit.inputs.targets import Target, TorchTarget
from audit.record.digest import keyed_digest, sha256_file
from audit.record.run_records import LookRecord
from audit.record.rundir import RunDir

from .evidence import Evidence, Facts
from .exchangeability import blind_scores
from .observe import ModelView, Observations
from .structure import compare
from .units import Event, Notify, Units


def build_attacks() -> list[Attack]:
    """One instance of every attack with its default parameters, by name."""
    return [attack() for attack in discover().values()]


def run_identifier(config: Config, policy_sha256: str, case: LoadedCase, attacks: Sequence[Attack], key: bytes) -> str:
    """Digest of configuration and inputs under the project key: names the run directory.

    Paths, device, batch size and output folder do not enter: they change no finding.
    """
    document = {
        "tool": __version__,
        "policy": policy_sha256,
        "seed": config.seed,
        "arch": config.model.arch,
        "head": config.model.head,
        "claim": case.claim.model_dump(mode="json"),
        "data": case.fingerprints,
        "models": case.digests,
        "shadows": {name: dict(shadows.keys) for name, shadows in case.shadows.items()},
        "attacks": {a.name: [a.version, a.parameters] for a in attacks},
    }
    content = np.frombuffer(json.dumps(document, sort_keys=True).encode(), dtype=np.uint8)
    return keyed_digest(key, {"run": content})[:16]


def collect(
    config: Config,
    case: LoadedCase,
    attacks: Sequence[Attack],
    run: RunDir,
    run_id: str,
    notify: Notify,
    look: LookRecord | None = None,
) -> Evidence:
    """Observe all models once, run all attacks on all models, and gather the evidence.

    Finished work units found in the run directory are reused. The audited models are never modified: their digests
    before and after are compared.

    Raises:
        InputError: references that are copies, or a model that fails on the data.
    """
    before = {name: model.digest() for name, model in case.models.items()}
    views = _observe(config, case, run, notify)
    changed = [name for name, model in case.models.items() if model.digest() != before[name]]
    if changed:
        raise InputError(
            [f"the forward pass of {', '.join(changed)} changes the model's own parameters or buffers: freeze them"]
        )
    flags = {name: _flags(model) for name, model in case.models.items()}
    facing = {name: np.concatenate([view.logits("forget"), view.logits("holdout")]) for name, view in views.items()}
    # models that give labels alone may well agree on every row
    problems = [] if case.claim.access == "labels" else copies(facing)
    if problems:
        raise InputError(problems)
    structure = compare(
        case.models["unlearned"],
        case.models.get("original"),
        [case.models[name] for name in case.references],
        case.claim.public_layers,
    )
    attack_case = case.attack_case()
    shadows = _shadow_views(config, case, run)
    units = Units(config, case, run, attack_case, views, notify, attacks, shadows)
    runs = [units.run(attack) for attack in attacks]
    changed = [
        name for name, model in case.models.items() if model.digest() != before[name] or _flags(model) != flags[name]
    ]
    if changed:
        raise RuntimeError(f"an attack modified {', '.join(changed)}: no result of this run can be trusted")
    facts = Facts(
        run_id=run_id,
        seed=config.seed,
        tool_version=__version__,
        environment=environment(config.device),
        claim=case.claim,
        inputs=case.inputs,
        assumptions=case.assumptions,
        overlaps=tuple((o.role, o.other, o.dropped, o.total) for o in case.overlaps),
        models=tuple(case.models),
        n_classes=case.n_classes,
        structure=structure,
        attacks=tuple(runs),
        signal_files=tuple((a, m, path.name, sha256_file(path)) for (a, m), path in units.paths.items()),
        look=look,
        training=case.training,
        shadows={design: tuple(found) for design, found in shadows.items()},
    )
    arrays = _arrays(config, case, attack_case, views)
    for design, found in shadows.items():
        arrays[f"member/{design}"] = case.shadows[design].member
        arrays[f"accuracy/{design}"] = np.array([_accuracy(view, attack_case) for view in found.values()])
    return Evidence(facts, arrays, units.signals)


def _accuracy(view: ModelView, case: Case) -> float:
    """Accuracy on the test set."""
    return float((view.logits("test").argmax(axis=1) == case.labels["test"]).mean())


def _shadow_views(config: Config, case: LoadedCase, run: RunDir) -> dict[str, dict[str, ModelView]]:
    """Views of the shadow models by design and name; none of them is loaded yet."""
    observations = Observations(run.observations, case.files, case.fingerprints, config.batch_size)
    section = config.model
    return {
        design: {
            name: ModelView(
                StoredTarget(path, str(section.arch), config.device, section.head, found.keys[name]),
                hashlib.sha256(f"{found.keys[name]}:{section.head}:{section.arch}".encode()).hexdigest(),
                observations,
                case.selection,
            )
            for name, path in found.paths.items()
        }
        for design, found in case.shadows.items()
    }


def _flags(model: Target) -> list[bool]:
    """Training and gradient flags of a network: an attack must leave them as they are."""
    if not isinstance(model, TorchTarget):
        return []
    return [module.training for module in model.module.modules()] + [
        parameter.requires_grad for parameter in model.module.parameters()
    ]


def environment(device: str) -> dict[str, str]:
    """Versions that a figure may depend on; no host names, no paths."""
    import scipy
    import sklearn
    import torch

    used = device
    if device.startswith("cuda") and torch.cuda.is_available():
        used = f"{device} ({torch.cuda.get_device_name()})"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": used,
    }


def _observe(config: Config, case: LoadedCase, run: RunDir, notify: Notify) -> dict[str, ModelView]:
    observations = Observations(run.observations, case.files, case.fingerprints, config.batch_size)
    views: dict[str, ModelView] = {}
    problems = []
    for done, (name, model) in enumerate(case.models.items(), 1):
        started = time.monotonic()
        # the digest of the content with the head's name: another head has other features
        marked = f"{model.digest()}:{config.model.head}:{config.model.arch}"
        views[name] = ModelView(model, hashlib.sha256(marked.encode()).hexdigest(), observations, case.selection)
        for source in case.files:
            try:
                logits, _ = observations.get(model, views[name].digest, source)
                if not np.isfinite(logits).all():
                    raise ValueError(f"outputs on the {source} set are not finite: export the model again")
            except AuditError:
                raise
            except Exception as error:  # noqa: BLE001 - the user's forward pass may raise anything
                problems.append(
                    f"{name} fails on the {source} set ({type(error).__name__}: {error}): preprocess all sets as in "
                    "training, or lower --batch-size where memory is short"
                )
                continue
        if problems:
            continue
        if isinstance(model, TorchTarget):  # a cached forward pass leaves the head unknown
            model.find_head(case.files["forget"].batch(np.arange(1)))
        notify(
            Event(
                "observe",
                "forward pass",
                name,
                "done",
                done,
                len(case.models),
                len(case.models),
                time.monotonic() - started,
            )
        )
    if problems:
        raise InputError(problems)
    return views


def _loss(logits: Floats, labels: Ints) -> float:
    """Mean cross-entropy."""
    top = logits - logits.max(axis=1, keepdims=True)
    own = top[np.arange(len(labels)), labels]
    return float((np.log(np.exp(top).sum(axis=1)) - own).mean()) if len(labels) else 0.0


def _arrays(
    config: Config, case: LoadedCase, attack_case: Case, views: dict[str, ModelView]
) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {f"labels/{role}": labels for role, labels in attack_case.labels.items()}
    sides = {
        role: case.files[case.selection[role].source].take(case.selection[role].rows) for role in ("forget", "holdout")
    }
    groups = [side.group for side in sides.values()]
    if all(group is not None for group in groups):
        _, codes = np.unique(np.concatenate([g.astype(str) for g in groups if g is not None]), return_inverse=True)
        arrays["group/forget"], arrays["group/holdout"] = codes[: len(sides["forget"])], codes[len(sides["forget"]) :]
    elif groups[0] is not None:
        arrays["group/forget"] = np.unique(groups[0], return_inverse=True)[1]
    for key, values in (("ids", sides["forget"].ids), ("names", groups[0])):
        if values is not None:
            arrays[f"{key}/forget"] = values.astype(str)
    # never-seen rows of the task that is left; a holdout set that is the test set counts once
    separate = case.claim.kind != "class" and case.selection["holdout"].source == "holdout"
    roles = ("test", "holdout") if separate else ("test",)
    arrays["task/labels"] = np.concatenate([attack_case.labels[role] for role in roles])
    groups = [attack_case.sets[role].group for role in roles]
    if all(group is not None for group in groups):
        joined = np.concatenate([group.astype(str) for group in groups if group is not None])
        arrays["task/group"] = np.unique(joined, return_inverse=True)[1]
    for name, view in views.items():
        hits = {role: view.logits(role).argmax(axis=1) == attack_case.labels[role] for role in (*roles, "retain")}
        arrays[f"correct/{name}"] = np.concatenate([hits[role] for role in roles])
        arrays[f"correct_retain/{name}"] = hits["retain"]
        arrays[f"loss/{name}"] = np.array(
            [_loss(view.logits(role), attack_case.labels[role]) for role in ("retain", "test")]
        )
    blind = blind_scores(sides["forget"], sides["holdout"], config.seed)
    if blind is not None:
        arrays["blind/forget"], arrays["blind/holdout"] = blind
    return arrays
