"""What the action does: run the audit, write summary, annotation and outputs, and keep the tool's own exit code.

Inputs come as environment variables and reach the command line as single arguments; no shell reads them.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

AUDIT = (sys.executable, "-m", "audit")
FLAGS = {"UNLEARN_FORGET": "--forget", "UNLEARN_CONFIG": "--config", "UNLEARN_UNLEARNED": "--unlearned"}
FLAGS |= {"UNLEARN_POLICY": "--policy", "UNLEARN_ARCH": "--arch"}
SUMMARY_LIMIT = 1024 * 1024  # bytes: GitHub drops a larger one


def main() -> int:
    """Run it; the exit code is the audit's."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("RUNNER_TEMP")) as folder:
        done = _audit("run", "--quiet", *_arguments(Path(folder)))
    sys.stdout.buffer.write(done.stdout)
    result = _last_line(done.stdout)
    for name in ("verdict", "run", "report", "certificate"):
        _output(name, str(result.get(name, "")))
    _output("artifact", _artifact(result))
    _annotate(result, done.returncode)
    if os.environ.get("UNLEARN_SUMMARY", "true") == "true":
        _summary(result)
    return done.returncode


def _audit(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """The tool as a process of its own; what it prints for people goes to the log."""
    return subprocess.run([*AUDIT, *arguments], stdout=subprocess.PIPE, check=False)  # noqa: S603 - no shell


def _arguments(folder: Path) -> list[str]:
    """The inputs as arguments; a signing key goes to a private file that is gone afterwards."""
    found = [part for name, flag in FLAGS.items() if (value := os.environ.get(name, "")) for part in (flag, value)]
    if key := os.environ.pop("UNLEARN_SIGN_KEY", ""):
        path = folder / "sign.key"
        path.touch(mode=0o600)
        path.write_text(key + "\n", encoding="utf-8")
        found += ["--sign-key", str(path)]
    return found + [line for line in os.environ.get("UNLEARN_ARGUMENTS", "").splitlines() if line]


def _last_line(output: bytes) -> dict[str, object]:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _output(name: str, value: str) -> None:
    """One step output; the random delimiter keeps a value from beginning another."""
    end = secrets.token_hex(16)
    _append("GITHUB_OUTPUT", f"{name}<<{end}\n{value}\n{end}\n")


def _artifact(result: dict[str, object]) -> str:
    """One name a run, and so one for each model and claim: two audits of a workflow do not overwrite each other."""
    wanted = os.environ.get("UNLEARN_ARTIFACT", "")
    return f"{wanted}-{Path(str(result['run'])).name}" if wanted and "run" in result else ""


def _annotate(result: dict[str, object], code: int) -> None:
    verdict = result.get("verdict")
    if verdict == "PASS":
        return
    level = "warning" if verdict == "INCONCLUSIVE" else "error"
    text = f"{verdict}: {_sentence(result)}" if verdict else f"The audit did not end with a verdict (exit code {code})."
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    sys.stdout.write(f"::{level} title=Unlearning audit::{escaped}\n")
    sys.stdout.flush()


def _sentence(result: dict[str, object]) -> str:
    try:
        record = json.loads((Path(str(result["run"])) / "run.json").read_bytes())
        return str(record["verdict"]["sentence"]).partition(": ")[2]
    except (OSError, ValueError, KeyError, TypeError):
        return "see the report"


def _summary(result: dict[str, object]) -> None:
    if "run" not in result:
        _append(
            "GITHUB_STEP_SUMMARY", "### 🛑 ERROR: the audit did not end with a verdict\n\nSee the log of this step.\n"
        )
        return
    done = _audit("report", str(result["run"]), "-f", "markdown")
    if done.returncode == 0 and len(done.stdout) < SUMMARY_LIMIT:
        _append("GITHUB_STEP_SUMMARY", done.stdout.decode("utf-8") + "\n")
    else:
        _append(
            "GITHUB_STEP_SUMMARY", f"### {result.get('verdict')}\n\nThe summary could not be written: see the report.\n"
        )


def _append(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    sys.exit(main())
