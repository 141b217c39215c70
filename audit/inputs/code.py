"""Name what a function of Python does by a digest of the code that runs, and of all that it reaches by name.

The code in memory counts, not the text of its file: a cell that was run again, a method that was replaced and a helper
that was changed are other code. Libraries are named by the version of their package. The process that calls is trusted:
it could as well change the audit itself; this finds mistakes, not a caller who deceives himself on purpose.
"""

from __future__ import annotations

import functools
import importlib.metadata
import sys
import sysconfig
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodDescriptorType, ModuleType, WrapperDescriptorType
from typing import Any

#: values that are their own text
PLAIN = (str, int, float, complex, bool, bytes, type(None), type(Ellipsis))
CONTAINERS = (list, tuple, dict, set, frozenset)
BUILT_IN = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType)
#: kinds of libraries whose values are their own text
DATA = ("dtype", "device", "Size", "layout", "memory_format", "OpOverload")
#: what classes carry that decides nothing
IGNORED = {"__doc__", "__module__", "__dict__", "__weakref__", "__annotations__", "__firstlineno__", "__qualname__"}
IGNORED |= {"__static_attributes__", "__abstractmethods__", "_abc_impl", "__parameters__", "__orig_bases__"}


class Unnamed(Exception):
    """Something decides what a network computes that has no name; the message says what, in words."""


class Names:
    """Names values one after the other; code that was named already is not gone through again."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[str, Any]] = {}  # with the thing: the address of one that is gone is another's
        self._open: set[int] = set()

    def of(self, value: Any, where: str) -> Any:
        """The name of a value: lists and text, so that equal names have equal JSON.

        Args:
            value: a function, a class, a module, or plain data.
            where: what it is, for the message.

        Raises:
            Unnamed: it cannot be named.
        """
        if type(value) in PLAIN:
            return repr(value)
        if type(value) in CONTAINERS or isinstance(value, functools.partial):
            return self._data(value, where)
        if id(value) in self._seen:
            return f"as before: {self._seen[id(value)][0]}"
        self._seen[id(value)] = where, value
        if isinstance(value, type):
            return self.kind(value, where)
        if isinstance(value, ModuleType):
            return library(value.__name__) or ["module", value.__name__]  # its parts are named where they are used
        if isinstance(value, FunctionType):
            return self.function(value, where)
        return _built_in(value, where)

    def _data(self, value: Any, where: str) -> Any:
        """A container by what it holds: equal ones have equal names, wherever they lie."""
        if id(value) in self._open:
            raise Unnamed(f"{where} holds itself")
        self._open.add(id(value))
        try:
            if type(value) is dict:
                return ["dict", [[self.of(key, where), self.of(item, where)] for key, item in value.items()]]
            if isinstance(value, functools.partial):
                return ["partial", *(self.of(part, where) for part in (value.func, value.args, value.keywords))]
            items = [self.of(item, where) for item in value]
            return [type(value).__name__, sorted(items, key=repr) if type(value) in (set, frozenset) else items]
        finally:
            self._open.remove(id(value))

    def function(self, function: FunctionType, where: str) -> Any:
        """A function: its code, its defaults, and every global that the code names."""
        named = library(function.__module__)
        if named and _found(function):
            return [named, function.__qualname__]
        if set(function.__code__.co_freevars) - {"__class__"}:
            listed = ", ".join(function.__code__.co_freevars)
            raise Unnamed(f"{where} closes over variables ({listed}), which have no name")
        defaults = [function.__defaults__, function.__kwdefaults__]
        return ["function", _code(function.__code__), self.of(defaults, where), self._globals(function, where)]

    def kind(self, kind: type, where: str) -> Any:
        """A class: its name and all that stands in it and in its bases."""
        named = library(kind.__module__)
        if named and _found(kind):
            return [named, kind.__qualname__]
        if kind.__dict__.get("__slots__"):
            raise Unnamed(f"{where} has __slots__, whose values do not show")
        if type(kind) is not type and not library(type(kind).__module__):
            raise Unnamed(f"{where} has a metaclass of its own")
        own = {key: self._member(value, f"{where}.{key}") for key, value in vars(kind).items() if key not in IGNORED}
        return ["class", kind.__qualname__, sorted(own.items()), [self.of(base, where) for base in kind.__bases__]]

    def _member(self, value: Any, where: str) -> Any:
        if isinstance(value, (staticmethod, classmethod)):
            return [type(value).__name__, self.of(value.__func__, where)]
        if isinstance(value, property):
            return ["property", *(self.of(part, where) for part in (value.fget, value.fset, value.fdel))]
        return self.of(value, where)

    def _globals(self, function: FunctionType, where: str) -> Any:
        """Globals by name; of a module that is no library, the parts that the code may reach through it."""
        names = _names(function.__code__)
        found = {}
        for name in sorted(names & function.__globals__.keys()):
            value = function.__globals__[name]
            found[name] = self.of(value, f"{where} ({name})")
            if isinstance(value, ModuleType) and not library(value.__name__):
                reached = {part: getattr(value, part) for part in sorted(names) if hasattr(value, part)}
                found |= {f"{name}.{part}": self.of(item, f"{where} ({name}.{part})") for part, item in reached.items()}
        return sorted(found.items())


def library(module: str | None) -> str:
    """Name and version of the installed package, or of Python, that a module is part of; "" where it is the user's."""
    top = str(module).partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return f"python {sys.version_info.major}.{sys.version_info.minor}"
    found = sys.modules.get(top)
    folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    if found is None or not str(getattr(found, "__file__", "") or "").startswith(tuple(f"{f}/" for f in folders)):
        return ""
    return f"{top} {_version(top)}"


@functools.cache
def _version(top: str) -> str:
    """Version of the distribution that brings a top-level package."""
    names = _distributions().get(top, [])
    return ", ".join(sorted({f"{name} {importlib.metadata.version(name)}" for name in names})) or "unknown"


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _found(thing: Any) -> bool:
    """It is what its module holds under its name: nobody put another name on it, or another thing in its place."""
    found: Any = sys.modules.get(thing.__module__)
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing


def _built_in(value: Any, where: str) -> Any:
    """Functions written in C, and the enumerations and singletons of libraries."""
    bound = getattr(value, "__self__", None)
    if isinstance(value, BUILT_IN) and (bound is None or isinstance(bound, (ModuleType, type))):
        return f"{getattr(value, '__module__', '')}.{value.__qualname__}"
    kind = type(value)
    if library(kind.__module__) and kind.__name__ in DATA:
        return repr(value)
    if isinstance(value, Callable) and library(getattr(value, "__module__", None)) and _named(value):  # type: ignore[arg-type]
        return [library(value.__module__), value.__qualname__]
    raise Unnamed(f"{where} is a {kind.__name__}, which has no name that says what it does")


def _named(value: Any) -> bool:
    return isinstance(getattr(value, "__qualname__", None), str) and _found(value)


def _names(code: CodeType) -> set[str]:
    """Names that the code and the functions inside it use."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*(_names(part) for part in inner))


def _code(code: CodeType) -> Any:
    """Instructions and constants, without file and line numbers."""
    constants = [_constant(value) for value in code.co_consts]
    arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return [code.co_code.hex(), constants, list(code.co_names), list(code.co_varnames), list(arguments)]


def _constant(value: Any) -> Any:
    """A constant of the code; the order of a set is another in each process."""
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, tuple):
        return ["tuple", [_constant(item) for item in value]]
    return ["frozenset", sorted(map(repr, value))] if isinstance(value, frozenset) else repr(value)
