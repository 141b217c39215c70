"""Entry point: maps every way to end to an exit code, so that a crash never reads as a verdict."""

from __future__ import annotations

import logging
import os
import sys

from .commands.supervise import supervised
from .errors import AuditError, ExitCode
from .inputs.naming import safe_lines


def main() -> None:
    """Run the command line and exit; an uncaught exception is 4, never 1."""
    level = logging.getLevelNamesMapping().get(os.environ.get("AUDIT_LOGLEVEL", "").upper(), logging.CRITICAL)
    logging.basicConfig(level=level, stream=sys.stderr)
    if any(name in os.environ for name in ("_AUDIT_COMPLETE", "_UNLEARN_AUDIT_COMPLETE")):  # a shell asks for words
        from .commands.app import app

        app()
    sys.exit(supervised(sys.argv[1:], _run))


def _run() -> int:
    try:
        from .commands.app import app

        code = app(standalone_mode=False)
    except AuditError as error:
        return _fail(f"error: {error}", error.exit_code)
    except BrokenPipeError:
        return _unread()
    except KeyboardInterrupt:
        code = int(ExitCode.INTERRUPTED)
    except SystemExit as error:  # user code, or the command line library on a closed pipe: its status is no verdict
        if isinstance(error.__context__, BrokenPipeError):
            return _unread()
        return _fail(
            f"error: could not run: something ended the program (exit {error.code})\nThis is not a verdict.",
            ExitCode.COULD_NOT_RUN,
        )
    except Exception as error:
        show = getattr(error, "show", None)
        if callable(show):  # a usage error of the command line library, which knows how to print itself
            show()
            return int(ExitCode.USAGE)
        logging.getLogger("audit").exception("uncaught")
        return _fail(
            f"error: could not run: {type(error).__name__}: {error}\n"
            "This is not a verdict. AUDIT_LOGLEVEL=DEBUG shows where it happened.",
            ExitCode.COULD_NOT_RUN,
        )
    if code == ExitCode.INTERRUPTED:  # the library turns a keyboard interrupt into this status
        return _fail("interrupted: run the same command again to continue", ExitCode.INTERRUPTED)
    return code if isinstance(code, int) else int(ExitCode.PASS)


def _unread() -> int:
    """Nobody reads standard output any more: end quietly, as any filter does, and never with a verdict's code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return int(ExitCode.NOT_READ)


def _fail(message: str, code: ExitCode) -> int:
    print(safe_lines(message), file=sys.stderr)  # noqa: T201 - the command line's own output
    return int(code)


if __name__ == "__main__":
    main()
