"""State dicts as they are found: inside checkpoints, under the prefixes of wrappers, with tied weights left out.

What is well known is opened. What changes the weights themselves (pruning, weight norm) is named with its remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .naming import listed, shown

if TYPE_CHECKING:
    import torch

#: parts of a name that wrappers put before what they wrap: DataParallel, torch.compile, FSDP, checkpointing
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
DEEPEST = 4  # checkpoints in checkpoints
COUNTER = "num_batches_tracked"  # of BatchNorm
BESIDE = ("n_averaged",)  # counts of torch.optim.swa_utils.AveragedModel, no part of its network

State = Mapping[str, Any]

#: endings that a reparametrisation leaves, what it is, and what undoes it
REPARAMETRISED = (
    (("_orig", "_mask"), "pruned", "torch.nn.utils.prune.remove"),
    (("_orig", "_u"), "under spectral norm", "torch.nn.utils.remove_spectral_norm"),
    (("_g", "_v"), "under weight norm", "torch.nn.utils.remove_weight_norm"),
    (("_orig",), "reparametrised", "torch.nn.utils.prune.remove"),
)


@dataclass(frozen=True)
class Opened:
    """The state dict that a file holds, under the names of the factory where it fits them.

    Attributes:
        weights: by name.
        steps: what was done to get them, in words.
    """

    weights: State
    steps: tuple[str, ...] = ()


def opened(state: State, expected: Mapping[str, torch.Tensor], key: str | None = None) -> Opened:
    """Open what a file holds.

    Args:
        state: what was loaded.
        expected: the factory's state dict.
        key: where the state dict stands in the file (``--state-key``), levels with a dot between; None = found.

    Raises:
        ValueError: with the remedy; the message goes behind the name of the file.
    """
    inside, path = (_at(state, key), key) if key else _inside(state, expected)
    steps = [f"its state dict is the one under {shown(path)}"] if path else []
    renamed = _renamed(inside, expected.keys())
    if renamed is not inside:
        steps.append(_prefix_step(inside, renamed))
    left = [name for name in BESIDE if name in renamed and name not in expected]
    if left:
        steps.append(f"{listed(left)}, which the network does not have, is left out")
        renamed = {name: value for name, value in renamed.items() if name not in left}
    tied = _tied(renamed, expected)
    if tied:
        steps.append(f"{listed(sorted(tied))} is tied to a weight that is there")
    counters = _counters({**renamed, **tied}, expected)
    if counters:
        steps.append(f"{len(counters)} num_batches_tracked that are missing are 0: they count steps of training")
    return Opened({**renamed, **tied, **counters}, tuple(steps))


def _prefix_step(before: State, after: State) -> str:
    """How the names were changed, by the first of them."""
    old, new = next(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    return f"prefixes of wrappers are taken off its names ({shown(old)} is {shown(new)})"


def _at(state: State, key: str) -> State:
    """What stands under the key that the user named."""
    first, _, rest = key.partition(".")
    found = state.get(key)
    if found is None and rest and isinstance(state.get(first), Mapping):
        return _at({str(name): value for name, value in state[first].items()}, rest)
    if not _is_state(found):
        held = [name for name, value in state.items() if _is_state(value)]
        raise ValueError(
            f" holds no state dict under --state-key {shown(key)}: name one of {listed(held) or '(it holds none)'}"
        )
    return {str(name): value for name, value in found.items()}  # type: ignore[union-attr]  # a state is a mapping


def _inside(state: State, expected: Mapping[str, torch.Tensor]) -> tuple[State, str]:
    """The one state dict of a checkpoint, and under which key it stands; the state itself where it is none."""
    path: list[str] = []
    for _ in range(DEEPEST):
        found = {key: value for key, value in state.items() if _is_state(value)}
        fitting = {
            key: value
            for key, value in found.items()
            if any(_fits(inner, expected) for inner in state_dicts(value, depth=1).values())
        }
        if not found or (not fitting and any(_is_tensor(value) for value in state.values())):
            break
        if len(found) > 1:
            if len(fitting) != 1:
                which = list(fitting or found)
                raise ValueError(
                    f" holds several state dicts ({listed(which)}): name the one to audit with --state-key"
                )
            found = fitting
        ((key, inner),) = found.items()
        path.append(key)
        state = {str(name): value for name, value in inner.items()}
    return state, ".".join(path)


def state_dicts(state: Mapping[Any, Any], path: str = "", depth: int = DEEPEST) -> dict[str, State]:
    """Every mapping with tensors in what a file holds, by its key, "" where it is the file's own."""
    found = {path: state} if any(_is_tensor(value) for value in state.values()) else {}
    if depth:
        for key, value in state.items():
            if isinstance(value, Mapping):
                found |= state_dicts(value, f"{path}.{key}".lstrip("."), depth - 1)
    return found


def _is_state(value: Any) -> bool:
    """A mapping of names to tensors, or one that holds such a mapping."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(key, str) for key in value) and (
        any(_is_tensor(item) for item in value.values())
        or any(isinstance(item, Mapping) and any(_is_tensor(v) for v in item.values()) for item in value.values())
    )


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _fits(state: State, expected: Mapping[str, torch.Tensor]) -> bool:
    """Its names are the factory's, but for what can be filled in or left out."""
    names = _renamed({str(key): value for key, value in state.items()}, expected.keys())
    known = {**names, **_tied(names, expected)}
    known |= _counters(known, expected)
    return known.keys() - set(BESIDE) == expected.keys() - set(BESIDE)


def _counters(state: State, expected: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The factory's own counters of batches, where they are all that is missing: older versions of torch had none."""
    missing = expected.keys() - state.keys()
    if not all(name.rpartition(".")[2] == COUNTER for name in missing):
        return {}
    return {name: expected[name] for name in sorted(missing)}


def _renamed(state: State, expected: Iterable[str]) -> State:
    """Names without wrappers and without one common prefix, where that brings more of them to the factory's."""
    names = set(expected)
    plain = {_unwrapped(name): name for name in names}
    if state.keys() <= names or len(plain) < len(names):
        return state
    short = [_unwrapped(key) for key in state]
    prefix = _prefix([key for key in short if key not in BESIDE], plain)
    found = {plain.get(key.removeprefix(prefix), key): value for key, value in zip(short, state.values(), strict=True)}
    better = len(found) == len(state) and len(found.keys() & names) > len(state.keys() & names)
    return found if better else state


def _unwrapped(name: str) -> str:
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    return ".".join(parts) or name


def _prefix(keys: list[str], plain: Iterable[str]) -> str:
    """What stands before the factory's name in every key; "" where that is nothing, or not the same in all."""
    first = keys[0] if keys else ""
    parts = first.split(".")
    known = set(plain)
    for count in range(len(parts)):
        prefix = "".join(f"{part}." for part in parts[:count])
        if first.removeprefix(prefix) in known and all(key.startswith(prefix) for key in keys):
            return prefix
    return ""


def _tied(state: State, expected: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Values of missing names that share their memory with a name that is there (safetensors' ``save_model``)."""
    there = {_place(value): state[name] for name, value in expected.items() if name in state}
    return {name: there[_place(v)] for name, v in expected.items() if name not in state and _place(v) in there}


def _place(value: torch.Tensor) -> tuple[Any, ...]:
    return value.data_ptr(), value.dtype, tuple(value.shape), value.stride(), value.device, value.numel() or id(value)


def differing_ties(state: State, expected: Mapping[str, torch.Tensor]) -> list[str]:
    """Names that are one tensor in the factory and two different ones in the file."""
    first: dict[tuple[Any, ...], str] = {}
    found = []
    for name, value in expected.items():
        other = first.setdefault(_place(value), name)
        if other != name and not state[name].equal(state[other]):
            found.append(f"{other} and {name}")
    return found


def reparametrised(missing: Iterable[str], extra: Iterable[str]) -> str:
    """What the names say was done to the weights, with the remedy; "" where they say nothing."""
    there = set(extra)
    for name in missing:
        layer, _, weight = name.rpartition(".")
        if any(key.startswith(f"{layer}.parametrizations.{weight}.") for key in there):
            return f" holds parametrised weights ({name}): call remove_parametrizations before saving"
        for endings, what, remedy in REPARAMETRISED:
            if all(f"{name}{ending}" in there for ending in endings):
                shown = ", ".join(f"{name}{ending}" for ending in endings)
                return f" holds weights that are {what} ({shown}): make them plain with {remedy} before saving"
    return ""
