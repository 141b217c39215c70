"""Writes the tables of files in docs/architecture.md from the docstrings of the code.

`python .ci/architecture.py` rewrites them, `--check` prints what differs and exits 1. The code is read, not imported.
"""

from __future__ import annotations

import ast
import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = Path("docs") / "architecture.md"
PACKAGES = ("attacks", "audit", "reports", "benchmarks")
BEGIN, END = "<!-- files: begin -->", "<!-- files: end -->"


def docstring(path: Path) -> str:
    """The docstring of a module as Markdown."""
    found = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not found:
        raise SystemExit(f"{path} has no docstring: its first line says what the file is for.")
    return found.replace("``", "`")


def packages(root: Path) -> Iterator[Path]:
    """Every package of the project, each before those in it."""
    for name in PACKAGES:
        yield from sorted(path.parent for path in (root / name).rglob("__init__.py"))


def section(package: Path, root: Path) -> str:
    """The heading of a package, the sentences of its docstring, and the table of its files."""
    text = " ".join(docstring(package / "__init__.py").split())
    files = [path for path in sorted(package.glob("*.py")) if path.name != "__init__.py"]
    rows = "".join(f"| `{path.name}` | {first_line(path)} |\n" for path in files)
    table = f"\n| file | content |\n|---|---|\n{rows}" if files else ""
    return f"### {package.relative_to(root).as_posix()}\n\n{text}\n{table}"


def first_line(path: Path) -> str:
    """The first line of a module's docstring, safe in a table."""
    return docstring(path).splitlines()[0].replace("|", r"\|")


def rewritten(page: str, root: Path) -> str:
    """The page with its tables as the code has it."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} needs the lines {BEGIN} and {END}: the tables stand between them.")
    tables = "\n".join(section(package, root) for package in packages(root))
    return f"{head}{BEGIN}\n\n{tables}\n{END}{tail}"


def main(root: Path, check: bool) -> int:
    """Rewrite the page, or say what differs."""
    before = (root / PAGE).read_text(encoding="utf-8")
    after = rewritten(before, root)
    if not check:
        (root / PAGE).write_text(after, encoding="utf-8")
        return 0
    changed = difflib.unified_diff(before.splitlines(), after.splitlines(), "as it stands", "as the code has it", n=0)
    lines = [line for line in changed if re.match(r"[-+]", line)]
    if lines:
        print(f"{PAGE} is not what the code says; `make tables` mends it:", *lines, sep="\n")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(ROOT, "--check" in sys.argv[1:]))
