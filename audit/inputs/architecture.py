"""Name the code of a network in memory by a digest: the source of every class in it, and what configures each part.

The state of a network (parameters and buffers) is digested elsewhere. Together the two say what was audited, if nothing
else decides what the network computes. Where something may (a hook, a tensor in a plain attribute, a class without
source), the network cannot be named, and nothing is certified about it. Not covered: variables of a module that change
between two calls, and what libraries do.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PLAIN = (str, int, float, bool, type(None))
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Unnamed(Exception):
    """A network whose code cannot be named; the message says why, in words."""


def architecture_digest(module: torch.nn.Module) -> str:
    """SHA-256 over the parts of a network: name, class, source and configuration of each, as lower-case hex.

    Classes of torch are named by its version. Two networks with the same digest and the same state compute the same.

    Raises:
        Unnamed: something decides what the network computes that has no name.
    """
    import torch

    parts = [[name, *_part(part, name or "the model")] for name, part in module.named_modules(remove_duplicate=False)]
    document = {"torch": torch.__version__, "parts": parts}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _part(part: torch.nn.Module, name: str) -> tuple[Any, ...]:
    import torch

    if isinstance(part, torch.jit.ScriptModule):
        raise Unnamed(f"{name} is compiled (TorchScript), its code cannot be read")
    for hooks in HOOKS:
        if getattr(part, hooks, None):
            raise Unnamed(f"{name} has hooks, which run code that no class shows")
    if part._non_persistent_buffers_set:
        raise Unnamed(f"{name} has buffers that its state dict leaves out")
    internal = vars(torch.nn.Module()).keys()
    own = {key: _plain(value, f"{name}.{key}") for key, value in vars(part).items() if key not in internal}
    return _class(type(part), name), own


def _class(kind: type, name: str) -> list[str]:
    """Qualified name and source of a class and of its bases below ``torch.nn.Module``."""
    found = []
    for base in kind.__mro__:
        if base in (object, *_module_bases()):
            continue
        source = "" if _of_torch(base) else _source(base, name)
        found.append(f"{base.__module__}.{base.__qualname__}:{source}")
    return found


def _module_bases() -> tuple[type, ...]:
    import torch

    return torch.nn.Module.__mro__


def _of_torch(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] == "torch"


def _plain(value: Any, name: str) -> Any:
    """A value of the configuration in a form that has one text."""
    import torch

    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, (list, tuple, torch.Size)):
        return [type(value).__name__, [_plain(item, name) for item in value]]
    if isinstance(value, dict) and all(isinstance(key, (str, int)) for key in value):
        return {repr(key): _plain(item, name) for key, item in value.items()}
    if isinstance(value, (set, frozenset)) and all(isinstance(item, PLAIN) for item in value):
        return sorted(map(repr, value))
    if isinstance(value, (torch.dtype, torch.device)):
        return repr(value)
    if isinstance(value, functools.partial):
        return [_plain(value.func, name), _plain(value.args, name), _plain(value.keywords, name)]
    if isinstance(value, type):
        return _class(value, name)
    if isinstance(value, BuiltinFunctionType) or (isinstance(value, FunctionType) and _of_torch(value)):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, FunctionType):
        return [f"{value.__module__}.{value.__qualname__}", _function(value, name)]
    raise Unnamed(f"{name} is a {type(value).__name__} outside its parameters and buffers")


def _source(kind: type, name: str) -> str:
    """SHA-256 of the file of a class, or of its methods where it was typed in, as in a notebook."""
    methods = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
    for method in methods:
        _check_closure(method, name)
    try:
        file = inspect.getsourcefile(kind)
    except (TypeError, OSError):  # a class of __main__
        file = None
    if file is not None and Path(file).is_file():
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return hashlib.sha256("".join(_function(method, name) for method in methods).encode()).hexdigest()


def _check_closure(function: FunctionType, name: str) -> None:
    """A function may close over its class alone."""
    if set(function.__code__.co_freevars) - {"__class__"}:
        raise Unnamed(f"{name} closes over variables ({', '.join(function.__code__.co_freevars)}), which have no name")


def _function(function: FunctionType, name: str) -> str:
    _check_closure(function, name)
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        raise Unnamed(f"{name} has a function without source ({function.__qualname__})") from None
