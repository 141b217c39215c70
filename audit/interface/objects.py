"""From the arguments of a call to a configuration and what was given: paths go one way, objects the other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from audit.errors import UsageError
from audit.inputs.config import Config, TaskName
from audit.inputs.given import Given, given_of, named_models
from audit.inputs.resolve import OPTIONS, resolve


class Options(TypedDict, total=False):
    """Options of a call: those of ``audit run`` under the same names, with the same defaults.

    ``split``: ``attested`` says that holdout and forget set were drawn at random from one pool, ``coins`` that each
    row went to one of them by a fair coin, ``assumed`` (default) that they are probably comparable, which is checked,
    ``unknown`` that there is no such set. ``access``: what the adversary may have. ``provenance``: of the retrains,
    from scratch (``exact``), from a clean checkpoint, or of another pipeline (``surrogate``). ``strata``: ``label``
    where holdout and forget set were drawn class by class. ``ledger``: counts every look at this forget set.
    ``arch``: ``module:factory`` of networks that are given as files of weights (``unlearned_arch`` where that of the
    unlearned model differs, ``state_key`` where a file holds several); ``output``: their logits among several outputs;
    ``head``: their final linear layer, where it cannot be found; ``predict``: ``module:function`` that asks any other
    model; ``probabilities``: models give nothing else; ``layers``: modules that are read as hidden layers.
    ``policy``: screening, standard,
    strict, or a file. ``out``: folder of the run directories, by default ``runs``. ``sign_key``: signs the certificate.
    ``attacks``, ``skip``: names, or ``default``, ``gated``, ``all``; ``effort``: their budget; ``include_samples``:
    the HTML report shows pictures of the forget set beside their reconstructions and is then personal data.
    ``train_references``, ``train_shadows``, ``train_pipelines``, ``max_minutes``, ``max_references``, ``store``:
    models that the audit trains by the recipe of ``config``. ``label``: column of the labels in tables;
    ``classes``: the labels in the order of the outputs; ``scale``, ``channels``, ``preprocess``: how inputs become
    those of the network. ``executor``, ``workers``: where units run (docs/scale.md).
    """

    provenance: Literal["exact", "checkpoint", "surrogate"]
    split: Literal["attested", "coins", "assumed", "unknown"]
    access: Literal["labels", "logits", "features", "weights"]
    strata: Literal["none", "label"]
    ledger: str | os.PathLike[str]
    arch: str
    unlearned_arch: str
    state_key: str
    output: str
    head: str
    predict: str
    probabilities: bool
    layers: str | Sequence[str]
    policy: str
    seed: int
    device: str
    batch_size: int
    executor: str
    workers: int
    out: str | os.PathLike[str]
    sign_key: str | os.PathLike[str]
    trust_pickle: bool
    attacks: str | Sequence[str]
    skip: str | Sequence[str]
    effort: Literal["quick", "standard", "thorough"]
    include_samples: bool
    train_references: int
    train_shadows: int
    train_pipelines: int
    max_minutes: float
    max_references: int
    store: str | os.PathLike[str]
    task: TaskName
    label: str
    classes: str | Sequence[str | int]
    scale: float
    channels: Literal["first", "last"]
    preprocess: str


def configured(
    data: Mapping[str, object],
    indices: Mapping[str, object],
    models: Mapping[str, object],
    lists: Mapping[str, object],
    config: str | os.PathLike[str] | None,
    options: Mapping[str, Any],
) -> tuple[Config, Given]:
    """Resolve a call.

    Args:
        data: sets by role, and ``data``: each a path, an object that `audit.inputs.held` takes, or None.
        indices: index lists of ``data`` by role, each a path, row numbers, a mask, or None.
        models: ``original`` and ``unlearned``, each a path, a network, a mapping of outputs, or None.
        lists: ``retrained`` and ``runs``.
        config: an ``audit.toml``; no other is looked for, and no environment variable is read.
        options: see `Options`.

    Raises:
        UsageError: an unknown option or a wrong value.
    """
    unknown = sorted(options.keys() - OPTIONS.keys())
    if unknown:
        known = ", ".join(sorted(Options.__annotations__))
        raise UsageError(f"there is no option {', '.join(unknown)}: the options are {known}.")
    flags: dict[str, Any] = {name: _plain(value) for name, value in options.items()}
    named = {f"{role}_index": value for role, value in indices.items()}
    flags |= {name: _plain(value) for name, value in {**data, **models, **named}.items() if _is_path(value)}
    listed = {name: _listed(value, name) for name, value in lists.items()}
    in_memory = [*models.values(), *(item for items in listed.values() for item in items)]
    held = any(model is not None and not _is_path(model) for model in in_memory)
    if not held:
        flags |= {name: [_plain(item) for item in items] for name, items in listed.items()}
    settings, _ = resolve(
        flags,
        None if config is None else Path(config),
        variables={},
        search=False,
        discover=_is_path(data.get("forget")) or _is_path(data.get("data")),
    )
    settings = settings.model_copy(update={"out": settings.out.absolute()})  # a program may change its folder later
    files = given_of(settings)
    sets = {role: source for role, source in data.items() if source is not None and not _is_path(source)}
    whole = sets.pop("data", files.whole)
    rows = {role: source for role, source in indices.items() if source is not None and not _is_path(source)}
    given = replace(files, data={**files.data, **sets}, whole=whole, indices={**files.indices, **rows})
    if held:
        together = named_models(models["unlearned"], models["original"], listed["runs"], listed["retrained"])
        given = replace(given, models={name: _source(model) for name, model in together.items()})
    return settings, given


def _listed(value: Any, name: str) -> list[object]:
    """Several models, given as such or as one."""
    if value is None:
        return []
    if _is_path(value) or isinstance(value, Mapping) or hasattr(value, "state_dict"):
        return [value]
    try:
        return list(value)
    except TypeError:
        raise UsageError(f"{name} is a {type(value).__name__}: give a list of models.") from None


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


def _plain(value: object) -> object:
    """Paths as text; the rest as it is."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _source(model: Any) -> Any:
    return Path(model).absolute() if _is_path(model) else model
