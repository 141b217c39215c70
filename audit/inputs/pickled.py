"""Pickles of weights, looked through before they are loaded: tuples that would take for ever to hash.

A tuple that holds the tuple before it twice, sixty times over, is sixty instructions; as the key of a mapping it is
hashed in 2**60 steps. No function needs to be called for it, so torch's restricted reader does it.
"""

from __future__ import annotations

import io
import pickletools
from typing import Any

#: our choice: values that one tuple holds, all those inside it counted; arguments of a tensor are some thirty
MOST_VALUES = 1_000_000

POPS = {"POP": 1, "APPEND": 1, "SETITEM": 2, "BUILD": 1}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
MARKED = ("APPENDS", "SETITEMS", "POP_MARK", "ADDITEMS")
MADE = ("LIST", "DICT", "FROZENSET", "INST", "OBJ")
CALLS = ("REDUCE", "NEWOBJ", "STACK_GLOBAL")
SILENT = ("PROTO", "FRAME", "STOP")


def grows_without_end(content: bytes) -> bool:
    """Whether a tuple in one of the pickles at the beginning of these bytes holds more values than ``MOST_VALUES``.

    Args:
        content: pickles, one behind the other; what follows them, or is none, is not looked at.
    """
    stream = io.BytesIO(content)
    try:
        while stream.tell() < len(content):
            if _largest(stream) > MOST_VALUES:
                return True
    except (ValueError, LookupError, TypeError, OverflowError, MemoryError):  # no pickle: its reader says so
        return False
    return False


def _largest(stream: io.BytesIO) -> int:
    """The most values that a tuple of one pickle holds; no more than needed is counted.

    Each value on the stack stands as the number of values in it; None is a mark.
    """
    stack: list[int | None] = []
    memo: dict[Any, int] = {}
    largest = 0
    for opcode, argument, _ in pickletools.genops(stream):
        if not _remembers(opcode.name, argument, stack, memo):
            _moves(opcode.name, stack)
        largest = max(largest, (stack[-1] or 1) if stack else 1)
        if largest > MOST_VALUES:
            break
    return largest


def _remembers(name: str, argument: Any, stack: list[int | None], memo: dict[Any, int]) -> bool:
    """Carry out an instruction of the memo; False where it is none."""
    if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
        memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1] or 1
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    else:
        return False
    return True


def _moves(name: str, stack: list[int | None]) -> None:
    """Carry out an instruction of the stack."""
    if name in POPS:
        del stack[-POPS[name] :]
    elif name in MARKED:
        _to_mark(stack)
    elif name in TUPLES or name == "TUPLE":
        held = _to_mark(stack) if name == "TUPLE" else [stack.pop() or 1 for _ in range(TUPLES[name])]
        stack.append(min(1 + sum(held), MOST_VALUES + 1))
    elif name in MADE:
        _to_mark(stack)
        stack.append(1)
    elif name in CALLS:
        stack.append(max(stack.pop() or 1, stack.pop() or 1))
    elif name == "DUP":
        stack.append(stack[-1])
    elif name == "BINPERSID":
        stack[-1] = 1
    elif name not in SILENT:
        stack.append(None if name == "MARK" else 1)


def _to_mark(stack: list[int | None]) -> list[int]:
    """Take off all that lies above the last mark, and the mark."""
    held: list[int] = []
    while (top := stack.pop()) is not None:
        held.append(top)
    return held
