"""What may be given away of a run, searched for what must not stand in it: ids, groups, texts and rows of the sets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import audit
from audit.record.rundir import RunDir
from reports.render import FORMATS

#: ``pdf`` prints the page of ``html`` with a program of its own; ``mlflow`` puts figures and that page on a server
ELSEWHERE = ("pdf", "mlflow")


def leaks(run: Path, words: Iterable[str | bytes], *said: str) -> list[str]:
    """Where one of the words stands: "file: word", for every public file and every report format.

    Args:
        run: the run directory; its ``private/`` stays with whoever audits.
        words: that must not get out; text is searched for as UTF-8 and as numpy keeps it, bytes as they are.
        said: on standard output and standard error.
    """
    private = RunDir(run).private
    found = {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and private not in path.parents
    }
    assert found
    loaded = audit.load(run)
    for name in FORMATS:
        if name not in ELSEWHERE:
            report = loaded.report(name)
            found[f"the report {name}"] = report if isinstance(report, bytes) else report.encode()
    found |= {f"said {at}": text.encode() for at, text in enumerate(said)}
    forms = {
        word: (word,) if isinstance(word, bytes) else (word.encode(), word.encode("utf-32-le")) for word in set(words)
    }
    return [
        f"{place}: {word!r}"
        for place, content in found.items()
        for word, written in forms.items()
        if any(form in content for form in written)
    ]
