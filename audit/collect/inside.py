"""What stands inside the unlearned network besides what its attacks read: the original, idle parts, forget rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from audit.inputs.contained import Meddling, contained
from audit.inputs.data import Arrays
from audit.inputs.targets import Target, TorchTarget

from .held_rows import HeldRows, held_rows
from .holdings import holdings
from .idle_parts import IdleParts, idle_parts
from .original_units import NEAR, Layer, Places, encoder_layers, find_units
from .partial import agreement

FROZEN = ConfigDict(frozen=True, extra="forbid")

#: our choice: largest relative distance of a unit that stands in a network no larger than the original. Rescaling in
#: float32 stays below it; a step of training does not, and such a network is read by the attacks themselves
SAME = 1e-5
ROOM = 1.01  # our choice: a network with more than this many times the original's weights is larger
REFERENCE_SLACK = 3.0  # our choice: a unit that every reference has within so many times the distance is theirs, too
ROWS = 64  # rows of a set that the forward passes of this search take at most

Array = np.ndarray[Any, Any]


class Inside(BaseModel):
    """What the search found.

    Attributes:
        searched: both models are networks, and the original has an encoder to look for.
        larger: the unlearned network holds more weights than the original.
        counted: units of the original's encoder that could be looked for, not those that are public or shared.
        found: of these, units that stand in the unlearned network.
        excused: units found that are public or stand in every reference as well.
        distance: the largest relative distance of a unit found, up to scale.
        agreement: share of rows that the original labels as before with every unit zeroed that was neither found nor
            excused; ``excused_agreement`` with every unit zeroed that was not excused. None where not asked.
        least: smallest share of a counted layer's units that was found.
        places: layer of the original, units found, units counted, tensor of the unlearned network that holds most.
        idle: parts of the unlearned network that no retain or test row uses.
        weights: entries of the original's encoder matrices.
        rows: tensors that hold forget rows.
        problem: why a part of the search could not run, "" where all of it ran.
    """

    model_config = FROZEN

    searched: bool = False
    larger: bool = False
    counted: int = 0
    found: int = 0
    excused: int = 0
    distance: float = 0.0
    agreement: float | None = None
    excused_agreement: float | None = None
    least: float = 0.0
    places: tuple[tuple[str, int, int, str], ...] = ()
    idle: IdleParts = IdleParts()
    weights: int = 0
    rows: tuple[HeldRows, ...] = ()
    problem: str = ""


def look_inside(
    unlearned: Target,
    original: Target | None,
    references: Sequence[Target],
    excused_names: Sequence[str],
    sets: Mapping[str, Arrays],
) -> Inside:
    """Search the unlearned network; nothing is changed in any model.

    Args:
        unlearned, original: as audited; other things than networks are not searched.
        references: retrained models.
        excused_names: tensors of the original that are public or bit for bit the same in every reference.
        sets: forget, holdout, retain and test rows.
    """
    if not isinstance(unlearned, TorchTarget):
        return Inside()
    problems: list[str] = []
    some = {role: _some(data) for role, data in sets.items() if data.x is not None and len(data)}
    held = holdings(unlearned.module)
    rows = _run(lambda: held_rows(unlearned, held, sets), "forget rows were not searched", problems) or ()
    found = Inside(rows=rows)
    if isinstance(original, TorchTarget):
        layers = encoder_layers(original)
        if layers:
            found = _original(layers, held, original, references, excused_names, some, problems).model_copy(
                update={"rows": rows}
            )
        idle = (
            _run(lambda: idle_parts(unlearned, original, some), "idle parts were not searched", problems) or IdleParts()
        )
        found = found.model_copy(update={"idle": idle})
    return found.model_copy(update={"problem": "; ".join(problems)})


def _original(
    layers: Sequence[Layer],
    held: Mapping[str, Array],
    original: TorchTarget,
    references: Sequence[Target],
    excused_names: Sequence[str],
    sets: Mapping[str, Arrays],
    problems: list[str],
) -> Inside:
    theirs = holdings(original.module)
    larger = sum(a.size for a in held.values()) > ROOM * sum(a.size for a in theirs.values())
    places = find_units(layers, held)
    limit = NEAR if larger else SAME
    hits = [place.distance <= limit for place in places]
    excused = [np.full(len(layer.units), layer.name in excused_names) for layer in layers]
    shared = _shared(layers, places, hits, references, limit)
    excused = [own | (hit & other) for own, hit, other in zip(excused, hits, shared, strict=True)]
    counted = [layer.counts & ~out for layer, out in zip(layers, excused, strict=True)]
    inside = [hit & count for hit, count in zip(hits, counted, strict=True)]
    total, number = sum(int(c.sum()) for c in counted), sum(int(i.sum()) for i in inside)
    near = [place.distance[i] for place, i in zip(places, inside, strict=True) if i.any()]
    found = Inside(
        searched=True,
        larger=larger,
        counted=total,
        found=number,
        excused=sum(int((hit & out).sum()) for hit, out in zip(hits, excused, strict=True)),
        distance=max((float(d.max()) for d in near), default=0.0),
        least=min((float(i.sum() / c.sum()) for i, c in zip(inside, counted, strict=True) if c.any()), default=0.0),
        places=tuple(
            (layer.name, int(i.sum()), int(c.sum()), place.tensor)
            for layer, place, i, c in zip(layers, places, inside, counted, strict=True)
            if i.any()
        ),
        weights=sum(layer.units.size for layer in layers),
    )
    if not number:
        return found
    alone = [
        {layer.name: out for layer, out in zip(layers, kept, strict=True)} for kept in _kept(layers, inside, excused)
    ]
    shares = _run(lambda: agreement(original, alone, sets), "the units found were not tried", problems)
    if shares is not None:
        found = found.model_copy(update={"agreement": shares[0], "excused_agreement": shares[1]})
    return found


def _kept(
    layers: Sequence[Layer], inside: Sequence[Array], excused: Sequence[Array]
) -> tuple[list[Array], list[Array]]:
    """Units that stay: those found and excused; those excused. Units that nothing can be said about stay in both."""
    small = [~layer.counts for layer in layers]
    both = [i | e | s for i, e, s in zip(inside, excused, small, strict=True)]
    return both, [e | s for e, s in zip(excused, small, strict=True)]


def _shared(
    layers: Sequence[Layer], places: Sequence[Places], hits: Sequence[Array], references: Sequence[Target], limit: float
) -> list[Array]:
    """Units that every reference has as well: they cannot come from the forget set. None without references."""
    networks = [reference for reference in references if isinstance(reference, TorchTarget)]
    everywhere = [hit.copy() if networks else np.zeros(len(hit), dtype=bool) for hit in hits]
    for reference in networks:
        if not any(shared.any() for shared in everywhere):
            break
        theirs = find_units(layers, holdings(reference.module))
        near = [
            t.distance <= np.maximum(REFERENCE_SLACK * m.distance, limit) for t, m in zip(theirs, places, strict=True)
        ]
        everywhere = [shared & also for shared, also in zip(everywhere, near, strict=True)]
    return everywhere


def _some(data: Arrays) -> Arrays:
    return data.take(np.linspace(0, len(data) - 1, min(ROWS, len(data))).astype(np.int64))


def _run(search: Any, failed: str, problems: list[str]) -> Any:
    """What a search finds; None where the user's network does not bear it, with the reason."""
    try:
        with contained("the network"):
            return search()
    except Meddling:
        raise
    except Exception as error:  # noqa: BLE001 - the user's forward pass may raise anything
        problems.append(f"{failed} ({type(error).__name__})")
        return None
