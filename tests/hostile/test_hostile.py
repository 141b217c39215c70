"""More than a thousand malformed inputs over every format: refused in words, or read as what they are.

No traceback, no payload that runs, no hang over a minute, no more than two GiB beyond the file, every message names the
file and what to do, and nothing is accepted that is not what it was, or plain finite numbers.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SEED, ALL, SAMPLE = 15, 1330, 38
MEMORY = 2 * 2**30
#: exit codes of a refusal that are exit codes of a verdict, too: 1 is what ``audit verify`` says of a bad certificate
OPEN = (0, 3)
WORDS = 6  # of a message that says what is wrong and what to do


def run(first: int, end: int, folder: Path, wait: float) -> list[dict[str, Any]]:
    """Run cases in a process of their own; one that hangs is named by those that came before it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.worker", *map(str, (SEED, first, end, folder))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'fixtures'}", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=wait,
        check=False,
    )
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"case {first + len(ended)} ended the process: {done.stderr[-3000:]}"
    assert len(ended) == end - first
    return ended


def faults(case: dict[str, Any]) -> list[str]:
    """What is wrong with the way in which a case ended."""
    text, code = case["text"], case["code"]
    found = []
    if code in OPEN and code not in case["refusals"]:
        found.append(case["wrong"])
    elif code not in case["refusals"]:
        found.append(f"exit {code}")
    else:
        _, _, message = text.rpartition("error: ")
        if not any(name in text for name in case["named"].split("|")):
            found.append("the message does not name the file")
        if ": " not in message or len(message.split()) < WORDS or re.match(r"\w+(Error|Exception)\b", message):
            found.append("the message names no remedy")
    if "Traceback" in text:
        found.append("a traceback")
    if not text.replace("\n", "").isprintable():
        found.append("control characters on the terminal")
    if case["canary"]:
        found.append("a payload ran")
    if case["grown"] > MEMORY:
        found.append(f"{case['grown']} bytes of memory")
    return [fault for fault in found if fault]


def check(cases: list[dict[str, Any]]) -> None:
    bad = [(case["number"], case["family"], faults(case), case["text"][-500:]) for case in cases if faults(case)]
    assert not bad, bad[:5]
    assert sum(case["code"] in case["refusals"] for case in cases) > 0.8 * len(cases)


def test_a_sample(tmp_path: Path) -> None:
    """Every family once: consecutive numbers go through all of them."""
    cases = run(0, SAMPLE, tmp_path, 300)
    check(cases)
    assert len({case["family"].partition("/")[0] for case in cases}) > 15


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_all_of_them(tmp_path: Path, part: int) -> None:
    half = ALL // 2
    cases = run(part * half, (part + 1) * half, tmp_path, 3000)
    check(cases)
    assert len({case["family"].partition("/")[0] for case in cases}) > 25
