"""Name the code of a network in memory: every class in it, what configures each part, and what they reach.

The state of a network (parameters and buffers) is digested elsewhere. Together the two say what was audited, if nothing
else decides what the network computes. Where something may (a hook, a tensor in a plain attribute, a state dict that
leaves something out), the network cannot be named, and nothing is certified about it. `audit.inputs.code` says how code
is named and what that does not cover.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

from .code import Names, Unnamed, library

if TYPE_CHECKING:
    import torch

HOOKS = (
    *("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks"),
    *("_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
)
GLOBAL_HOOKS = (
    *("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks"),
    *("_global_backward_pre_hooks", "_global_module_registration_hooks"),
)
#: methods of ``torch.nn.Module`` by which a network is copied, walked through and saved
WALKED = (
    *("state_dict", "_save_to_state_dict", "get_extra_state", "named_modules", "modules", "children"),
    *("named_children", "named_parameters", "parameters", "named_buffers", "buffers", "__getattribute__"),
    *("__setattr__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__"),
)


def architecture_digest(module: torch.nn.Module) -> str:
    """SHA-256 over the parts of a network: name, class, code and configuration of each, as lower-case hex.

    Raises:
        Unnamed: something decides what the network computes that has no name.
    """
    import torch

    if has_global_hooks():
        raise Unnamed("hooks are registered for all modules of this process")
    names = Names()
    parts = [[name, *_part(part, name or "the model", names)] for name, part in torch.nn.Module.named_modules(module)]
    _check_state(module)
    document = {"python": sys.version_info[:2], "torch": torch.__version__, "parts": parts}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def has_global_hooks() -> bool:
    """Hooks are registered for all modules of this process: they run with any network and belong to none."""
    import torch

    return any(getattr(torch.nn.modules.module, hooks, None) for hooks in GLOBAL_HOOKS)


def _part(part: torch.nn.Module, name: str, names: Names) -> list[Any]:
    import torch

    if isinstance(part, torch.jit.ScriptModule):
        raise Unnamed(f"{name} is compiled (TorchScript), its code cannot be read")
    for hooks in HOOKS:
        if getattr(part, hooks, None):
            raise Unnamed(f"{name} has hooks, which run code that no class shows")
    for method in WALKED:
        owner = next((kind for kind in type(part).__mro__ if method in vars(kind)), object)
        if owner is not object and not library(owner.__module__):
            raise Unnamed(f"{name} has its own {method}, so that what it holds does not show")
    if part._non_persistent_buffers_set:
        raise Unnamed(f"{name} has buffers that its state dict leaves out")
    internal = vars(torch.nn.Module()).keys()
    own = [[key, names.of(value, f"{name}.{key}")] for key, value in vars(part).items() if key not in internal]
    return [names.of(type(part), name), own, _tensors(part, name)]


def _tensors(part: torch.nn.Module, name: str) -> list[Any]:
    """Kind and type of the part's own parameters and buffers: their values are the state's."""
    import torch

    found = []
    for key, value in {**part._parameters, **part._buffers}.items():
        if value is not None and type(value) not in (torch.nn.Parameter, torch.Tensor):
            raise Unnamed(f"{name}.{key} is a {type(value).__name__}, no plain tensor")
        found.append([key, None if value is None else str(value.dtype)])
    return found


def _check_state(module: torch.nn.Module) -> None:
    """The state dict holds every parameter and buffer, and nothing else."""
    import torch

    held = {
        f"{name}.{key}" if name else key: value
        for name, part in torch.nn.Module.named_modules(module, remove_duplicate=False)
        for key, value in {**part._parameters, **part._buffers}.items()
        if value is not None
    }
    state = module.state_dict()
    if held.keys() != state.keys() or any(state[key].data_ptr() != value.data_ptr() for key, value in held.items()):
        raise Unnamed("its state dict is not all of its parameters and buffers")
