"""Entry point: maps every way to end to an exit code, so that a crash never reads as a verdict."""

from __future__ import annotations

import logging
import os
import sys

from .errors import AuditError, ExitCode


def main() -> None:
    """Run the command line and exit; an uncaught exception is 4, never 1."""
    logging.basicConfig(level=os.environ.get("AUDIT_LOGLEVEL", "CRITICAL").upper(), stream=sys.stderr)
    sys.exit(_run())


def _run() -> int:
    import typer

    from .cli import app

    try:
        code = app(standalone_mode=False)
    except AuditError as error:
        return _fail(f"error: {error}", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted: run the same command again to continue", ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the outermost wrapper
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
    return code if isinstance(code, int) else int(ExitCode.PASS)


def _fail(message: str, code: ExitCode) -> int:
    print(message, file=sys.stderr)  # noqa: T201 - the command line's own output
    return int(code)


if __name__ == "__main__":
    main()
