"""The weights of a model file: checked to be plain numbers that fit the factory's network, and loaded into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .naming import listed, shown
from .wrappings import differing_ties, opened, reparametrised

if TYPE_CHECKING:
    import torch

State = Mapping[str, Any]

FLOATS = ("float16", "bfloat16", "float32", "float64")
WHOLE = ("uint8", "int8", "int16", "int32", "int64", "bool")


def fit_state(where: str, module: torch.nn.Module, state: Mapping[Any, Any], key: str | None = None) -> tuple[str, ...]:
    """Load the weights of a file into the factory's network; return what was done to fit them, in words.

    Args:
        where: the file, for messages.
        module: as the factory built it.
        state: what the file holds.
        key: where the state dict stands in the file (``--state-key``); None = found.

    Raises:
        ValueError: with the remedy.
    """
    expected = module.state_dict()
    try:
        found = opened({str(name): value for name, value in state.items()}, expected, key)
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None
    weights = found.weights
    check_forms(where, weights)
    _check_names(where, weights, expected)
    _check_kinds(where, weights, expected)
    cast = _cast(weights, expected)
    weights = {name: value.to(expected[name].dtype) for name, value in weights.items()}
    check_values(where, weights)
    ties = differing_ties(weights, expected)
    if ties:
        raise ValueError(
            f"{where} holds different values for weights that the network ties ({listed(ties)}): save the network "
            "itself again, or name an --arch that does not tie them"
        )
    module.load_state_dict(weights)
    return (*found.steps, *cast)


def _cast(weights: State, expected: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    """Floats that the factory's network holds in another type, in words."""
    pairs = sorted(
        {
            (_kind(value), _kind(expected[name]))
            for name, value in weights.items()
            if value.is_floating_point() and value.dtype != expected[name].dtype
        }
    )
    return tuple(f"its {theirs} weights are computed with in the {ours} of the network" for theirs, ours in pairs)


def check_forms(where: str, state: State) -> None:
    """Refuse tensors that are no plain numbers in memory. What is no tensor passes.

    Raises:
        ValueError: with the remedy.
    """
    import torch

    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    for what, holds, remedy in _forms():
        bad = [name for name, value in tensors.items() if holds(value)]
        if bad:
            raise ValueError(f"{where} holds {what} in {listed(bad)}: {remedy}")


def _forms() -> tuple[tuple[str, Callable[[torch.Tensor], bool], str], ...]:
    """What is not plain, how it is seen, and what to do."""
    import torch
    from torch.nn.parameter import is_lazy

    def kind(value: torch.Tensor) -> str:
        return str(value.dtype).removeprefix("torch.")

    return (
        ("lazy weights that were never made", is_lazy, "run one batch through the network before saving it"),
        ("quantised weights", lambda v: v.is_quantized, "save the float network that was quantised"),
        ("weights without values (meta)", lambda v: v.is_meta, "load the network onto the cpu before saving it"),
        ("sparse weights", lambda v: v.layout != torch.strided, "save them dense, with to_dense()"),
        ("nested weights", lambda v: v.is_nested, "save them as plain tensors"),
        ("complex weights", torch.is_complex, "save real and imaginary parts, with torch.view_as_real"),
        ("8-bit floats", lambda v: kind(v).startswith("float8"), "save them as bfloat16 or float32"),
        ("weights of an odd type", lambda v: kind(v) not in (*FLOATS, *WHOLE), "save them as float32"),
    )


def _check_names(where: str, state: State, expected: Mapping[str, torch.Tensor]) -> None:
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    changed = reparametrised(missing, extra)
    if changed:
        raise ValueError(f"{where}{changed}")
    parts = []
    if missing:
        parts.append(f"missing keys {_names(missing)}")
    if extra:
        parts.append(f"unexpected keys {_names(extra)}")
    parts += [
        f"{shown(name)} is {_shape(state[name])}, the factory's is {_shape(expected[name])}"
        for name in sorted(expected.keys() & state.keys())
        if _shape(state[name]) != _shape(expected[name])
    ][:8]
    if parts:
        raise ValueError(f"{where} does not fit the factory: {'; '.join(parts)}. Name the matching --arch")


def _names(names: list[str]) -> str:
    return f"{', '.join(map(shown, names[:8]))}{' ...' if len(names) > 8 else ''}"


def _shape(value: object) -> tuple[int, ...] | str:
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" if shape is None else tuple(shape)


def _check_kinds(where: str, state: State, expected: Mapping[str, torch.Tensor]) -> None:
    """Raises ValueError where a file holds integers for floats, or the other way, or no tensor at all."""
    import torch

    foreign = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if foreign:
        raise ValueError(f"{where} holds more than tensors ({listed(foreign)}): leave extra state out of the network")
    other = [
        f"{name} {_kind(value)}, not {_kind(expected[name])}"
        for name, value in state.items()
        if not _same_kind(value, expected[name])
    ]
    if other:
        raise ValueError(f"{where} holds weights of another type than the factory's ({listed(other)}): save them as is")


def _same_kind(value: torch.Tensor, expected: torch.Tensor) -> bool:
    """Floats for floats; whole numbers for whole numbers that hold them."""
    if value.is_floating_point() or expected.is_floating_point():
        return value.is_floating_point() and expected.is_floating_point()
    return value.to(expected.dtype).long().equal(value.long())


def _kind(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def check_values(where: str, state: State) -> None:
    """Refuse weights that are not finite as the network holds them.

    Raises:
        ValueError: with the remedy.
    """
    bad = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if bad:
        raise ValueError(f"{where} holds NaN or infinite weights in {_names(bad)}: export it again")


def check_network(where: str, module: torch.nn.Module) -> None:
    """Check the weights that a network holds itself: one that was pickled, or that a factory built.

    Raises:
        ValueError: with the remedy.
    """
    import torch

    state = module.state_dict()
    check_forms(where, state)
    foreign = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if foreign:
        raise ValueError(f"{where} holds more than tensors ({listed(foreign)}): leave extra state out of the network")
    whole = [name for name, value in module.named_parameters() if not value.is_floating_point()]
    if whole:
        raise ValueError(f"{where} has integer weights ({listed(whole)}): audit the float network")
