"""What a command tells the process that watches it: calls of user code, the record that it wrote, and how it ended."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import Any


class Channel:
    """The writing end of a pipe; a line of JSON a message. What cannot be written is as if it was not said.

    Args:
        descriptor: of the pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._lock, self._process = descriptor, threading.Lock(), os.getpid()

    def limit(self, seconds: float | None) -> None:
        """How long a call of user code may take; None: any time."""
        self._say("limit", seconds)

    def watch(self, number: int, what: str | None) -> None:
        """A call of user code begins, or (None) ends."""
        self._say("call", [number, what])

    def record(self, line: dict[str, Any], digests: dict[str, str]) -> None:
        """A record was written: the line for standard output, and the SHA-256 of each file as it was written."""
        self._say("record", {"line": line, "digests": digests})

    def ended(self, code: int) -> None:
        """The command ended by itself."""
        self._say("ended", code)

    def _say(self, kind: str, value: Any) -> None:
        if os.getpid() != self._process:  # a process that user code forked speaks for nobody
            return
        message = json.dumps([kind, value]).encode() + b"\n"
        with self._lock, suppress(OSError):
            while message:
                message = message[os.write(self._descriptor, message) :]


#: of a command that is watched; None in a process of somebody else's
current: Channel | None = None


def limit_user_code(seconds: float | None) -> None:
    """End the command where a call of user code takes longer."""
    if current is not None:
        current.limit(seconds)
