"""One process that runs hostile cases one after another, each as the command line would, and says how they ended.

    python -m tests.hostile.worker SEED FIRST END FOLDER

One JSON line a case. A case that takes more than a minute ends the process with a traceback of all threads.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import itertools
import json
import os
import resource
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

SECONDS = 60
BEYOND = 2 * 2**30  # bytes beyond what the process has, and the damaged file


def _status(key: str) -> int:
    """A number of ``/proc/self/status``, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def command(arguments: tuple[str, ...]) -> tuple[int, str]:
    """Run a command in this process; return its exit code and all that it printed."""
    from audit.__main__ import _run

    printed = io.BytesIO()
    said = io.TextIOWrapper(printed, encoding="utf-8", errors="backslashreplace", write_through=True)
    sys.argv, sys.stdin = ["audit", *arguments], io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = _run()
    said.flush()
    return code, printed.getvalue().decode()


def loaded(arguments: tuple[str, ...]) -> Any:
    """What the dry run of these arguments loads: arrays of every set, state of every network."""
    from audit.inputs.case import load_case
    from audit.inputs.given import given_of
    from audit.inputs.resolve import OPTIONS, resolve

    flags: dict[str, Any] = {}
    config = None
    for flag, value in itertools.pairwise(arguments):
        name = flag.removeprefix("--").replace("-", "_")
        if flag == "--config":
            config = Path(value)
        elif flag.startswith("--") and name in OPTIONS:
            flags[name] = [Path(value)] if name == "retrained" else value
    case = load_case(given_of(resolve(flags, config)[0]), 0.5)
    sets = {role: data.arrays() for role, data in case.files.items()}
    return sets, {name: dict(model.state) for name, model in case.models.items()}


def judgement(arguments: tuple[str, ...], zero: str, sound: Path) -> str:
    """What is wrong with an exit 0; "" where nothing is."""
    import numpy as np

    from .sound import payload

    if zero == "never":
        return "accepted"
    if arguments[0] == "verify":
        ours, theirs = (payload(p.read_bytes()) for p in (sound / "certificate.dsse.json", Path(arguments[1])))
        return "" if ours == theirs else "another payload is accepted"
    if arguments[0] == "report":  # `audit verify` alone looks at the signature
        run = Path(arguments[1])
        if not (run / "certificate.dsse.json").is_file():  # as if none had been issued
            return ""
        ours, theirs = (payload((r / "certificate.dsse.json").read_bytes()) for r in (sound / "runs" / run.name, run))
        return "" if ours == theirs else "another payload is accepted"
    sets, states = loaded(arguments)
    arrays = [array for part in (*sets.values(), *states.values()) for array in part.values()]
    if not all(array.dtype.kind in "iufbU" and array.dtype.isnative for array in arrays):
        return "arrays of an odd type are loaded"
    if not all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f"):
        return "values that are not finite are loaded"
    if zero == "same":
        for role, found in sets.items():
            with np.load(sound / f"{role}.npz") as kept:
                if found.keys() != set(kept.files) or any(not np.array_equal(found[k], kept[k]) for k in found):
                    return f"the {role} set is another one"
    return ""


def run_case(seed: int, number: int, sound: Path, folder: Path) -> dict[str, Any]:
    """Build and run one case."""
    from .generator import make

    case = make(seed, number, sound, folder)
    os.chdir(folder)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, started = _status("VmRSS"), time.monotonic()
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + BEYOND, resource.RLIM_INFINITY))
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    try:
        code, text = command(case.arguments)
    finally:
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    found = {
        "number": number,
        "family": case.family,
        "named": case.named,
        "refusals": case.refusals,
        "code": code,
        "text": text,
        "seconds": time.monotonic() - started,
        "grown": max(0, _status("VmHWM") - before),
        "canary": (folder / "canary").exists(),
        "wrong": judgement(case.arguments, case.zero, sound) if code in (0, 3) else "",
    }
    os.chdir(folder.parent)
    shutil.rmtree(folder)
    return found


def main() -> None:
    """Run cases FIRST to END."""
    seed, first, end = (int(value) for value in sys.argv[1:4])
    place = Path(sys.argv[4])
    from .sound import build

    sound = place / "sound"
    build(sound)
    for number in range(first, end):
        print(json.dumps(run_case(seed, number, sound, place / f"case-{number}")), flush=True)


if __name__ == "__main__":
    main()
