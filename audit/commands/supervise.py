"""Commands that run user code do so in a child process: what the child wrote and proved decides how the parent ends.

``os._exit(0)`` in a network's factory ends the child, not the audit. The parent is forked from before anything heavy is
imported and runs nothing of the user's.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from audit.errors import AuditError, ExitCode

from . import channel

#: commands that import or call code of the user or of plug-ins
WATCHED = ("run", "inspect", "commit", "score", "references", "demo", "selftest", "attacks")
JUDGING = ("run", "score")
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)
NO_VERDICT = "This is not a verdict."
TWICE = 0.5  # seconds: a terminal interrupts the child itself, and the parent passes it on once more


def supervised(arguments: Sequence[str], work: Callable[[], int]) -> int:
    """Do the work of a command, in a child process where it runs user code; return the exit code.

    Args:
        arguments: of the command line, without the program.
        work: the command; returns its exit code.
    """
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command not in WATCHED or not hasattr(os, "fork"):
        return work()
    _flush()
    read, write = os.pipe()
    life, alive = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.close(alive)
        _work(work, write, life)
    os.close(write)
    os.close(life)
    judges = command in JUDGING and not {"--dry-run", "--help", "-h"} & set(arguments)
    return _Parent(child, read, judges).wait()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


# --- the child


def _work(work: Callable[[], int], write: int, life: int) -> NoReturn:
    """Do the work, say how it ended, and end without running anything that user code left for the exit."""
    code = int(ExitCode.COULD_NOT_RUN)
    try:
        signal.signal(signal.SIGINT, _interrupt_once())
        threading.Thread(target=_follow, args=(life,), daemon=True).start()
        _keep_standard_output()
        channel.current = channel.Channel(write)
        from audit.inputs import contained

        contained.watch = channel.current.watch
        code = work()
        _flush()
        channel.current.ended(code)
    except KeyboardInterrupt:
        code = int(ExitCode.INTERRUPTED)
    finally:
        os._exit(code)


def _interrupt_once() -> Callable[[int, object], None]:
    """One interruption is one, whoever sends it twice."""
    last = [-TWICE]

    def interrupt(_number: int, _frame: object) -> None:
        now = time.monotonic()
        if now - last[0] >= TWICE:
            last[0] = now
            raise KeyboardInterrupt

    return interrupt


def _follow(life: int) -> None:
    """End with the parent, however it ends."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _keep_standard_output() -> None:
    """Standard output is for the tool alone: whatever else writes to its descriptor reaches standard error."""
    if sys.stdout is None:
        return
    with suppress(OSError, ValueError):
        own = os.dup(sys.stdout.fileno())
        os.dup2(2, sys.stdout.fileno())
        lines = sys.stdout.isatty()
        sys.stdout = open(  # noqa: PTH123, SIM115 - a descriptor, open to the end
            own, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, buffering=1 if lines else -1
        )


# --- the parent


class _Parent:
    """Waits for the child, passes signals on, ends it where user code takes too long, and checks what it wrote.

    Args:
        child: its process id.
        read: reading end of its channel.
        judges: the command must write a record.
    """

    def __init__(self, child: int, read: int, judges: bool) -> None:
        self.child, self.read, self.judges = child, read, judges
        self.rest, self.open = b"", True
        self.limit: float | None = None
        self.calls: dict[int, tuple[float, str]] = {}
        self.record: dict[str, Any] | None = None
        self.ended: int | None = None
        self.passed: list[int] = []

    def wait(self) -> int:
        """The exit code of the command."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._pass)
        status = None
        while status is None:
            self._listen()
            late = self._late()
            if late:
                os.kill(self.child, signal.SIGKILL)
                os.waitpid(self.child, 0)
                return _failed(
                    f"{late} took longer than --timeout {self.limit:g} s and was ended: repair it, or raise --timeout"
                )
            found, status_ = os.waitpid(self.child, 0 if self.ended is not None else os.WNOHANG)
            status = status_ if found else None
        while self.open and select.select([self.read], [], [], 0)[0]:  # the last words of one that died
            self._listen()
        return self._conclude(os.waitstatus_to_exitcode(status))

    def _listen(self) -> None:
        """Take what the child says; wait for it no longer than a second."""
        if not self.open:
            time.sleep(0.05)
            return
        patience = 1.0
        if self.limit is not None and self.calls:
            patience = min(patience, max(0.01, self.limit / 10))
        if not select.select([self.read], [], [], patience)[0]:
            return
        said = os.read(self.read, 1 << 16)
        self.open = bool(said)
        *lines, self.rest = (self.rest + said).split(b"\n")
        for line in lines:
            with suppress(ValueError, TypeError, KeyError):
                self._take(*json.loads(line))

    def _take(self, kind: str, value: Any) -> None:
        if kind == "limit":
            self.limit = value
        elif kind == "call":
            number, what = value
            if what is None:
                self.calls.pop(number, None)
            else:
                self.calls[number] = (time.monotonic(), what)
        elif kind == "record":
            self.record = value
        elif kind == "ended":
            self.ended = value

    def _late(self) -> str:
        """The call of user code that takes too long; "" where there is none."""
        now = time.monotonic()
        over = [what for start, what in self.calls.values() if self.limit is not None and now - start > self.limit]
        return over[0] if over else ""

    def _pass(self, number: int, _frame: object) -> None:
        """Pass a signal on; one that ignores three interruptions is killed."""
        self.passed.append(number)
        stubborn = self.passed.count(signal.SIGINT) > 2
        with suppress(ProcessLookupError):
            os.kill(self.child, signal.SIGKILL if stubborn else number)

    def _conclude(self, code: int) -> int:
        if code < 0 and -code in self.passed and -code != signal.SIGINT:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)  # end as the child did
        if code < 0 and signal.SIGINT in self.passed:
            return _failed("interrupted: run the same command again to continue", ExitCode.INTERRUPTED)
        if code < 0:
            why = (
                "a library met what it cannot read, perhaps a damaged model or data file: write it again"
                if -code in CRASHES
                else "out of memory, perhaps"
            )
            return _failed(f"the process of the audit was killed ({signal.Signals(-code).name}): {why}")
        if self.ended is None or self.ended != code:
            if code == ExitCode.INTERRUPTED and signal.SIGINT in self.passed:
                return code
            return _failed(f"something ended the program (exit {code}): code of the network or of [recipe], perhaps")
        return self._proven(code) if code in (ExitCode.PASS, ExitCode.FAIL, ExitCode.INCONCLUSIVE) else code

    def _proven(self, code: int) -> int:
        """The code, where a record stands behind it; then its line goes to standard output."""
        if self.record is None:
            return _failed("the command ended without a record") if self.judges else code
        from .proof import check_record

        try:
            line = check_record(self.record, code)
        except AuditError as error:
            return _failed(str(error))
        try:
            print(line, flush=True)  # noqa: T201 - the command line's own output
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return _failed("nobody reads standard output")
        if sys.stdout.isatty() and sys.stderr.isatty():
            print(self.record["line"]["verdict"], file=sys.stderr)  # noqa: T201 - the last word on the screen
        return code


def _failed(message: str, code: ExitCode = ExitCode.COULD_NOT_RUN) -> int:
    with suppress(OSError, AttributeError, ValueError):
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")  # a killed progress bar leaves the cursor hidden
        head = "" if code is ExitCode.INTERRUPTED else "error: could not run: "
        foot = "" if code is ExitCode.INTERRUPTED else f"\n{NO_VERDICT}"
        print(f"{head}{message}{foot}", file=sys.stderr, flush=True)  # noqa: T201
    return int(code)
