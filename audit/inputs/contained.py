"""User code leaves the process as it was: what it changes beside its answer is put back, or refused, after each call.

The command line watches from outside how long a call takes (`audit.commands.supervise`). A program that calls
`audit.run` shares its process with the user code, and is protected by this file alone.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from .device import autocast, precision, set_autocast, set_precision

#: told by whoever watches the time: (number, what) where a call begins, (number, None) where it ends
watch: Callable[[int, str | None], None] | None = None
_numbers = itertools.count()


class Meddling(ValueError):
    """User code replaced functions that the audit computes with. They were put back."""


def begin(what: str) -> int:
    """Say that user code starts; return a number for ``end``."""
    number = next(_numbers)
    if watch is not None:
        watch(number, what)
    return number


def end(number: int) -> None:
    """Say that it has ended."""
    if watch is not None:
        watch(number, None)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """A call of user code whose time is watched. Cheap: it may stand around every forward pass."""
    number = begin(what)
    try:
        yield
    finally:
        end(number)


@contextmanager
def forward_pass(what: str) -> Iterator[None]:
    """A call of a network that is one of many: its time is watched, and settings that are cheap to read are put back.

    The rest is put back, or refused, by ``contained`` around all of them.
    """
    if threading.current_thread() is not threading.main_thread():
        with timed(what):
            yield
        return
    before = _values(_modes())
    try:
        with timed(what):
            yield
    finally:
        _put_back(_modes(), before)


@contextmanager
def contained(what: str) -> Iterator[None]:
    """Put back what user code changes in this process.

    That is the working directory, standard streams, the global random generators of Python, NumPy and torch, and
    torch's threads, default type and modes. In other threads than the main one nothing is put back: they share it all.

    Args:
        what: whose code it is, the start of the message.

    Raises:
        Meddling: functions of torch or NumPy were replaced.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = _values(_settings())
    originals = _Originals.taken()
    try:
        yield
    except BaseException:
        originals.put_back()
        raise
    finally:
        _put_back(_settings(), before)
    replaced = originals.put_back()
    if replaced:
        raise Meddling(
            f"{what} replaces {', '.join(replaced[:5])}, which the audit computes with: call a function of your own"
        )


UNUSED = ("compile",)  # of torch: the audit compiles nothing, and importing Lightning wraps it

Setting = tuple[Callable[[], Any], Callable[[Any], object]]


def _settings() -> dict[str, Setting]:
    """How every setting is read and put back; those of torch once it is imported."""
    found = _modes() | {"random": (random.getstate, random.setstate)}
    if "numpy" in sys.modules:
        import numpy as np

        found["numpy.random"] = (np.random.get_state, np.random.set_state)
    if "torch" in sys.modules:
        import torch

        found["generator"] = (torch.get_rng_state, torch.set_rng_state)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            found["cuda generators"] = (torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)
    return found


def _modes() -> dict[str, Setting]:
    """Those that are cheap to read."""
    found: dict[str, Setting] = {
        "folder": (_folder, _go_back),
        "stdout": (lambda: sys.stdout, lambda stream: setattr(sys, "stdout", stream)),
        "stderr": (lambda: sys.stderr, lambda stream: setattr(sys, "stderr", stream)),
    }
    if "numpy" in sys.modules:
        import numpy as np

        found["numpy errors"] = (np.geterr, lambda old: np.seterr(**old))
    return found | (_torch_modes() if "torch" in sys.modules else {})


def _torch_modes() -> dict[str, Setting]:
    import torch

    def device(old: torch.device) -> None:
        torch.set_default_device(None if old.type == "cpu" else old)

    return {
        "threads": (torch.get_num_threads, torch.set_num_threads),
        "type": (torch.get_default_dtype, torch.set_default_dtype),
        "device": (torch.get_default_device, device),
        "gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
        "precision": (precision, set_precision),
        "autocast": (autocast, set_autocast),
        "determinism": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    }


def _put_back(settings: Mapping[str, Setting], before: Mapping[str, Any]) -> None:
    for name, (get, put) in settings.items():
        if name in before and not _same(get(), before[name]):
            put(before[name])


def _values(settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {name: get() for name, (get, _) in settings.items()}


def _folder() -> str:
    """The working directory; "" where it was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - as it was, no object of it
    except OSError:
        return ""


def _go_back(folder: str) -> None:
    if folder:
        os.chdir(folder)


def _same(now: Any, before: Any) -> bool:
    """Equal, arrays and tensors included."""
    if now is before:
        return True
    try:
        return bool(now == before)
    except (ValueError, RuntimeError):  # arrays, or tuples and lists that hold some
        if isinstance(before, tuple | list):
            return len(now) == len(before) and all(map(_same, now, before))
        return bool((now == before).all())


class _Originals:
    """The functions of torch and NumPy as they were before any user code ran."""

    _only: _Originals | None = None

    def __init__(self) -> None:
        self.places = {name: place for name, place in _places().items() if place is not None}
        self.names = {name: dict(vars(place)) for name, place in self.places.items()}

    @classmethod
    def taken(cls) -> _Originals:
        """Taken once, before the first user code, and again where torch came in between."""
        if cls._only is None or ("torch" in sys.modules) != ("torch" in cls._only.places):
            cls._only = cls()
        return cls._only

    def put_back(self) -> list[str]:
        """Undo what was replaced since; return the names."""
        replaced = []
        for name, place in self.places.items():
            if vars(place) != self.names[name]:
                replaced += [f"{name}.{key}" for key in self._undo(place, self.names[name])]
                self.names[name] = dict(vars(place))
        return replaced

    def _undo(self, place: Any, before: dict[str, Any]) -> list[str]:
        found = []
        for key, value in before.items():
            kept = callable(value) and key not in UNUSED and not (isinstance(place, ModuleType) and key.startswith("_"))
            if kept and not _still(vars(place).get(key), value):
                found.append(key)
                setattr(place, key, value)
        inherited = {key for base in getattr(place, "__mro__", ())[1:] for key in vars(base)}
        for key in [key for key in vars(place) if key not in before and key in inherited]:
            found.append(key)
            delattr(place, key)
        return found


def _still(now: Any, before: Any) -> bool:
    """The same function, or torch's own wrapper of it: a part of torch that is imported late wraps some of them."""
    if now is before:
        return True
    wrapped = getattr(now, "_torchdynamo_orig_callable", getattr(now, "__wrapped__", None))
    file = getattr(getattr(now, "__code__", None), "co_filename", "")
    torch = sys.modules.get("torch")
    ours = torch is not None and file.startswith(os.path.join(os.path.dirname(str(torch.__file__)), ""))  # noqa: PTH118, PTH120
    return ours and wrapped is before


def _places() -> dict[str, Any]:
    """Modules and classes that hold what the audit computes with; None: not imported."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is None:
        return {"numpy": numpy}
    places: dict[str, Any] = {"numpy": numpy, "torch": torch, "torch.nn": torch.nn, "torch.Tensor": torch.Tensor}
    places |= {"torch.nn.functional": torch.nn.functional, "torch.nn.Module": torch.nn.Module}
    return places | {"torch.linalg": torch.linalg, "torch.autograd": torch.autograd, "torch.nn.Linear": torch.nn.Linear}
