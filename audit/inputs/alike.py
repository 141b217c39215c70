"""Sets side by side: columns, widths and forms of inputs that one model can read must be those of all sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .columns import MASK, padded
from .data import Arrays, layout
from .gathered import Gathered, noted
from .naming import listed
from .raw import Raw


def same_columns(raws: dict[str, tuple[str, Raw]], found: Gathered) -> None:
    """A column counts by its place: tables whose inputs have other names, or the same in another order, do not fit."""
    tables = [(where, raw.columns) for where, raw in raws.values() if raw.columns]
    for where, columns in tables[1:]:
        first, names = tables[0]
        if columns == names:
            continue
        other = [name for name in columns if name not in names] + [name for name in names if name not in columns]
        what = f"columns that only one of them has: {listed(other)}" if other else "the same columns in another order"
        found.add(
            where,
            f"{where} and {first} have {what}. Models read columns by their place: save both alike, or name those that "
            "the model reads, in its order ([data] inputs = [...])",
        )


def alike_width(raws: dict[str, tuple[str, Raw]], found: Gathered) -> dict[str, tuple[str, Raw]]:
    """Sequences with a mask, padded to the longest of all sets: what lies behind a row does not count."""
    masked = [raw for _, raw in raws.values() if any(MASK in key for key in raw.arrays)]
    if len(masked) != len(raws):
        return raws
    keys = {key for raw in masked for key, a in raw.arrays.items() if key.startswith("x.") and a.ndim == 2}
    widths = {
        k: {raw.arrays[k].shape[1] for raw in masked if k in raw.arrays and raw.arrays[k].ndim == 2} for k in keys
    }
    wider = {key: max(sizes) for key, sizes in widths.items() if len(sizes) > 1}
    for role, (where, raw) in raws.items():
        with noted(found, where):
            arrays = {
                k: padded(raw.arrays[k], f"{where}: {k}", width, _filler(k))
                for k, width in wider.items()
                if k in raw.arrays
            }
            notes = [f"{k} is padded with {_filler(k)} to {wider[k]} positions" for k in sorted(arrays)]
            raws[role] = where, replace(raw, arrays={**raw.arrays, **arrays}, said=(*raw.said, *notes))
    return raws


def _filler(key: str) -> int:
    """What stands behind a row: -100 is a token that is not judged."""
    return -100 if key == "x.labels" else 0


def check_layouts(files: Mapping[str, Arrays], problems: list[str]) -> None:
    """Inputs of one form; what differs is added to ``problems``."""
    layouts = {role: layout(data) for role, data in files.items() if data.x is not None}
    if len(set(layouts.values())) > 1:
        forms = "; ".join(f"{role}: {text}" for role, text in layouts.items())
        problems.append(f"the sets have inputs of different forms ({forms}): preprocess them alike")
