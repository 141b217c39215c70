"""``package.module:function`` in place of a file: the user's own function returns the data set, transforms and all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from audit.inputs.code import Names, Unnamed
from audit.inputs.contained import Meddling, contained, timed
from audit.inputs.held import raw_of
from audit.inputs.options import DataOptions
from audit.inputs.raw import Raw
from audit.inputs.usercode import describe, named_function
from audit.record.readonce import sha256_of


def read_hook(spec: str, options: DataOptions, where: str) -> Raw:
    """What the function returns: a torch data set or loader, a frame, arrays, or a mapping of arrays.

    The arrays that come out are what is audited and committed to; the function is named with the digest of its code.

    Args:
        spec: ``package.module:function``, called without arguments.
        options: how tables are read.
        where: what is read, for messages.

    Raises:
        ValueError: with the remedy.
    """
    said = f"{where} ({spec})"
    function = named_function(said, spec)
    with calling(said):
        found = raw_of(function(), said, options)
    return replace(found, said=(f"{where} is what {spec} returns ({code_of(function)})", *found.said))


@contextlib.contextmanager
def calling(said: str) -> Any:
    """Call a function of the user's: what it changes beside its answer is put back, its errors are one line.

    Raises:
        ValueError: as the block raises it; anything else as a line with the remedy.
    """
    try:
        with contained(said), timed(said):
            yield
    except (Meddling, ValueError) as error:
        if str(error).startswith(said):
            raise
        raise ValueError(f"{said} fails ({describe(error)}): repair the function") from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ValueError(f"{said} fails ({describe(error)}): repair the function") from error


def code_of(function: Callable[..., Any]) -> str:
    """The digest of a function's code and of what it reaches by name, for the record."""
    try:
        return f"code {sha256_of(repr(Names().of(function, 'it')).encode())[:16]}"
    except Unnamed as reason:
        return f"its code has no digest: {reason}"
    except Exception as error:  # noqa: BLE001 - an object of the user's may raise anything
        return f"its code has no digest: {describe(error)}"
