"""Time of the attacks that search or train beside plain loops over rows, models or starts.

Every part compares with a baseline that is kept as it is (``benchmarks.per_row``): the same work, one at a time. Run
``python -m benchmarks.recovery [PART ...]``. Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence

from benchmarks import recovery_uma
from benchmarks.recovery_inversion import measure_inversion
from benchmarks.recovery_relearning import measure_relearning

Measure = Callable[[int], Sequence[Mapping[str, object]]]
#: each in a module of its own, ``benchmarks/recovery_<part>.py``
PARTS: dict[str, Measure] = {
    "inversion": measure_inversion,
    "relearning": measure_relearning,
    "uma": recovery_uma.measure,
}


def table(lines: Sequence[Mapping[str, object]]) -> str:
    """Lines of one part as a Markdown table."""
    names = list(lines[0])
    rows = ("| " + " | ".join(_said(line[name]) for name in names) + " |" for line in lines)
    return "\n".join(["| " + " | ".join(names) + " |", "|" + "---|" * len(names), *rows])


def _said(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--repeats", type=int, default=3, help="interleaved runs, whose median counts")
    given = parser.parse_args()
    for name in given.parts or PARTS:
        print(table(PARTS[name](given.repeats)), end="\n\n")


if __name__ == "__main__":
    main()
