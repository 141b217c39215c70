"""Honest models of scikit-learn and xgboost on adult, and leaking ones: how often does the verdict FAIL them?

Each world is a fresh draw of rows and labels with an original, and the models to audit: an honest retrain, one that was
still trained on half of the forget rows, and one on all of them. `python -m benchmarks.frameworks --worlds 64`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

from cases import adult_case

ALPHA = 0.05  # of an honest FAIL
SIZES = {"forget": 120, "holdout": 240, "retain": 360, "test": 300}
KEPT = {"honest": 0.0, "half": 0.5, "all": 1.0}


def verdicts(kind: str, seed: int, doses: dict[str, float]) -> dict[str, str]:
    """Verdicts in one fresh world, by what the audited model was trained on."""
    import audit
    from audit.collect import exchangeability

    # the shift check sees no model, and the rows were drawn at random: it may be cheap here
    exchangeability.TREES = 10
    train, save, suffix = adult_case.KINDS[kind]
    sets = adult_case.split(10_000 + seed, SIZES)
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for dose, kept in doses.items():
            models = adult_case.models(sets, train, kept=kept, references=0)
            folder = adult_case.write(Path(place) / dose, sets, models, save, suffix)
            options: dict[str, Any] = {"split": "attested", "attacks": "gated", "out": folder / "runs"}
            found[dose] = audit.run(forget=folder / "forget.npz", **options).verdict
    return found


def table(lines: list[dict[str, str]]) -> str:
    """Counts a kind and dose, and the bar of the honest ones: the 99.9 % point of FAILs at level ``ALPHA``."""
    rows = ["| model | trained on | worlds | FAIL | INCONCLUSIVE | PASS | bar |", "|---|---|---|---|---|---|---|"]
    for kind in dict.fromkeys(line["kind"] for line in lines):
        for dose in KEPT:
            counts = Counter(line[dose] for line in lines if line["kind"] == kind and dose in line)
            worlds = sum(counts.values())
            bar = f"at most {int(stats.binom.ppf(0.999, worlds, ALPHA))} FAIL" if dose == "honest" else ""
            cells = " | ".join(str(counts[verdict]) for verdict in ("FAIL", "INCONCLUSIVE", "PASS"))
            rows.append(f"| {kind} | {dose} | {worlds} | {cells} | {bar} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, keep each world as soon as it is there, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=64)
    parser.add_argument("--leaking", type=int, default=8, help="worlds in which leaking models are audited, too")
    parser.add_argument("--kinds", nargs="+", default=list(adult_case.KINDS), choices=list(adult_case.KINDS))
    parser.add_argument("--out", type=Path, default=Path("frameworks.jsonl"))
    given = parser.parse_args()
    lines = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.is_file() else []
    done = {(line["kind"], line["seed"]) for line in lines}
    for seed in range(given.worlds):
        for kind in given.kinds:
            if (kind, seed) in done:
                continue
            doses = KEPT if seed < given.leaking else {"honest": KEPT["honest"]}
            lines.append({"kind": kind, "seed": seed, **verdicts(kind, seed, doses)})
            with given.out.open("a") as stream:
                stream.write(json.dumps(lines[-1]) + "\n")
    print(table(lines))


if __name__ == "__main__":
    main()
