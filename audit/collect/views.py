"""Every model of a case as the attacks see it: the audited ones observed at once, shadow models when first asked."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping

import numpy as np

from audit.errors import AuditError, InputError
from audit.inputs.case import ShadowModels
from audit.inputs.given import Build
from audit.inputs.models import StoredTarget
from audit.inputs.sets import Selection
from audit.inputs.targets import Target, TorchTarget

from .events import Event, Notify
from .model_view import ModelView
from .observe import Observations

Views = dict[str, ModelView]


def observe_all(views: Views, observations: Observations, notify: Notify) -> None:
    """One forward pass of each model under audit over every data file, where its answers are not there yet.

    Raises:
        InputError: models that fail on the data, all of them.
    """
    problems: list[str] = []
    rows = sum(len(data) for data in observations.files.values())
    for done, (name, view) in enumerate(views.items(), 1):
        started = time.monotonic()
        notify(Event("observe", "forward pass", name, "running", done - 1, len(views), len(views), 0.0, rows))
        problems += _forward(name, view, observations)
        if problems:
            continue
        if isinstance(view.target, TorchTarget):  # a cached forward pass leaves the head unknown
            view.target.look_for_head(observations.files["forget"].batch(np.arange(1)))
        seconds = time.monotonic() - started
        notify(Event("observe", "forward pass", name, "done", done, len(views), len(views), seconds, rows))
    if problems:
        raise InputError(problems)


def all_views(
    models: Mapping[str, Target], observations: Observations, selection: dict[str, Selection], build: Build
) -> Views:
    """Views of all models under audit; none of them is observed yet."""
    return {name: _view(name, model, observations, selection, build) for name, model in models.items()}


def _view(
    name: str, model: Target, observations: Observations, selection: dict[str, Selection], build: Build
) -> ModelView:
    own = getattr(model, "architecture", "") or (name if getattr(model, "unnamed", "") else "")
    own = own or getattr(model, "numbering", "")
    return ModelView(model, _marked(model.digest(), build, own), observations, selection)


def shadow_views(
    shadows: Mapping[str, ShadowModels], observations: Observations, selection: dict[str, Selection], build: Build
) -> dict[str, Views]:
    """Views of the shadow models by design and name; none of them is loaded yet."""
    return {
        design: {
            name: ModelView(
                StoredTarget(
                    path,
                    str(build.arch),
                    build.device,
                    build.head,
                    found.keys[name],
                    found.digests[name],
                    build.output,
                    build.task,
                ),
                _marked(found.keys[name], build),
                observations,
                selection,
            )
            for name, path in found.paths.items()
        }
        for design, found in shadows.items()
    }


def _forward(name: str, view: ModelView, observations: Observations) -> list[str]:
    """Problems of one model's forward passes."""
    problems = []
    for source in observations.files:
        try:
            logits, _ = observations.get(view.target, view.digest, source)
            if not np.isfinite(logits).all():
                raise ValueError(f"outputs on the {source} set are not finite: export the model again")
        except AuditError:
            raise
        except Exception as error:  # noqa: BLE001 - the user's forward pass may raise anything
            problems.append(failing(name, source, error))
    return problems


def failing(name: str, source: str, error: Exception) -> str:
    """What is wrong where a forward pass of a model fails on a set, with the remedy."""
    return (
        f"{name} fails on the {source} set ({type(error).__name__}: {error}): preprocess all sets as in training, or "
        "lower --batch-size where memory is short"
    )


def _marked(digest: str, build: Build, code: str = "") -> str:
    """Digest of a model's content with all that decides its outputs and features: another head has other features.

    Args:
        digest: of its weights.
        build: how files are built.
        code: of a network that a program holds its digest, or the model's name where it has none; the numbers of
            classes that a model knows by name; "" of other files.
    """
    parts = [digest, str(build.head), str(build.arch), *build.layers, *([code] if code else []), *build.decides()]
    return hashlib.sha256(":".join(parts).encode()).hexdigest()
