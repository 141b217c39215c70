"""Refuses the marks that an unfinished merge leaves in a file: `python .ci/conflicts.py`, part of `make lint`.

A mark is a line of exactly seven of one of the four characters, alone or followed by a space. Longer or shorter
underlines of headings are none.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MARK = re.compile(rb"^([<=>|])\1{6}(?= |\r?$)", re.MULTILINE)


def tracked(root: Path) -> list[Path]:
    """Files that git tracks below a folder."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode()
    return [root / name for name in listed.split("\0") if name]


def marks(path: Path) -> Iterator[int]:
    """Numbers of the lines that are marks; none in a file that is not text, or is no file (a link, a deleted one)."""
    content = path.read_bytes() if path.is_file() else b""
    if b"\0" not in content:
        yield from (content.count(b"\n", 0, found.start()) + 1 for found in MARK.finditer(content))


def main(root: Path) -> int:
    """Print every mark as file:line; 1 where there is one."""
    found = [
        f"{path.relative_to(root)}:{line}: mark of an unfinished merge"
        for path in tracked(root)
        for line in marks(path)
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parents[1]))
