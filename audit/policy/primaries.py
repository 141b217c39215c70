"""Primaries: the statistics whose tests decide FAIL, by kind of claim and access, each with its weight.

A statistic is named ``<attack>.<what>``. ``location``, ``upper``, ``lower`` and ``spread`` are features of the scores
of single rows (``audit.statistics.features``) and enter family D2; ``contrast`` is the attack's one number a model and
enters family D1, and so does ``<composite>.composite``, an average of several attacks' contrasts. Where D2 may not
test, an attack listed for it enters D1 by its contrast with all its weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

Kind = Literal["random", "class", "subject", "other"]
Level = Literal["labels", "logits", "features", "weights"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEVELS: tuple[Level, ...] = get_args(Level)  # weakest first
ROWS = ("location", "upper", "lower", "spread")
CONTRAST, COMPOSITE = "contrast", "composite"
MOST = 10  # statistics that a policy gates for one claim and access (statistics.md 10.2)

Primaries = dict[str, float]
Table = dict[Kind, dict[Level, Primaries]]

#: attacks whose rows the first edition gated, by the access from which on, and those whose contrasts
_FIRST_ROWS: dict[Level, tuple[str, ...]] = {
    "labels": ("label_only",),
    "logits": ("lira_online", "membership", "quantile", "rmia", "rmia_online", "shadow_logistic", "shadow_xgboost"),
    "features": ("probe",),
    "weights": (),
}
_FIRST_CLASS: dict[Level, tuple[str, ...]] = {
    "labels": (),
    "logits": ("membership.contrast",),
    "features": ("feature_mapping.contrast", "probe.contrast", "uma.contrast"),
    "weights": (),
}


def first_edition(kind: Kind, access: Level, features: tuple[str, ...]) -> Primaries:
    """What a policy gates that lists no primaries, as all did before version 2: every attack alike.

    Args:
        kind: of the claim.
        access: of the claim.
        features: of the rows' scores, as ``d2_features`` names them.
    """
    names: list[str] = []
    for level in LEVELS[: LEVELS.index(access) + 1]:
        if kind == "class":
            names += [f"membership.{f}" for f in features if level == "logits"] + list(_FIRST_CLASS[level])
            continue
        rows = [*_FIRST_ROWS[level], *(("ulira",) if level == "logits" and kind in ("random", "subject") else ())]
        names += [f"{attack}.{f}" for attack in rows for f in features]
        names += ["feature_mapping.contrast"] if level == "features" else []
    return dict.fromkeys(names, 1 / len(names)) if names else {}


def wrong_primaries(
    table: Mapping[Kind, Mapping[Level, Primaries]], composites: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """What is wrong with a table of primaries and its composites, in words."""
    found = [
        f"composites.{name}: name two attacks or more, each once" for name, m in composites.items() if len(set(m)) < 2
    ]
    owners = {name.rpartition(".")[0] for levels in table.values() for w in levels.values() for name in _rows(w)}
    members = {member for names in composites.values() for member in names}
    found += [
        f"composites.{name}: an attack has this name, choose another" for name in composites.keys() & (owners | members)
    ]
    for kind, levels in table.items():
        for level, weights in levels.items():
            found += [f"primary.{kind}.{level}: {why}" for why in _wrong(weights, composites)]
    return found


def _rows(weights: Primaries) -> list[str]:
    """Names of statistics of single attacks."""
    return [name for name in weights if not name.endswith(f".{COMPOSITE}")]


def _wrong(weights: Primaries, composites: Mapping[str, tuple[str, ...]]) -> list[str]:
    found = []
    for name in weights:
        owner, _, what = name.rpartition(".")
        if not owner or what not in (*ROWS, CONTRAST, COMPOSITE):
            found.append(f"{name!r} is no statistic: use <attack>.{'|'.join((*ROWS, CONTRAST))} or <name>.{COMPOSITE}")
        elif what == COMPOSITE and owner not in composites:
            found.append(f"{name!r}: [composites] does not say what it is made of")
    if len(weights) > MOST:
        found.append(f"{len(weights)} statistics, {MOST} at most: each costs all others power")
    if any(not (math.isfinite(w) and w > 0) for w in weights.values()):
        found.append("every weight must be above 0")
    elif weights and not math.isclose(sum(weights.values()), 1, abs_tol=1e-6):
        found.append(f"the weights add up to {sum(weights.values()):g}, not to 1")
    return found
