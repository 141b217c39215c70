"""Concepts on digits: scores of the original and of honest retrains, with concepts made from the data.

Concept 1 is a bright upper half, concept 2 a bright left half (times 1.6, the rest times .4; 80 examples each, 160
untouched counterexamples). Run ``python -m benchmarks.concepts``. Prints one line a world and claim.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attacks.base import Case, ClaimKind
from attacks.representation.concepts import Concepts
from audit import demo
from audit.inputs.data import Arrays
from fixtures.cases.digits_world import case_of
from fixtures.cases.module_view import ModuleView

WORLDS, RETRAINS, EXAMPLES, STEPS = 3, 3, 80, 400


def with_concepts(case: Case, data: demo.Digits, seed: int) -> Case:
    """The case with the two concepts; their rows are drawn from all digits."""
    rows = np.random.default_rng(seed).permutation(len(data.x))[: 4 * EXAMPLES]
    x, y = np.array(data.x[rows]).reshape(-1, 8, 8), np.repeat([1, 2, 0, 0], EXAMPLES)
    gain = np.full((2, 8, 8), 0.4, dtype=x.dtype)
    gain[0, :4], gain[1, :, :4] = 1.6, 1.6
    for concept in (1, 2):
        x[y == concept] *= gain[concept - 1]
    given = Arrays(x.reshape(len(x), -1), y)
    return replace(case, sets={**case.sets, "concepts": given}, labels={**case.labels, "concepts": y})


def measure(kind: ClaimKind, seed: int) -> str:
    """One world: the statistic of the original beside that of the retrains, and how far single scores scatter."""
    data = demo.digits(seed)
    rows = demo.random_rows(data, seed) if kind == "random" else demo.class_rows(data, seed)
    classes = (demo.FORGOTTEN_CLASS,) if kind == "class" else ()
    if classes:
        own = data.y[rows["test"]] == demo.FORGOTTEN_CLASS
        rows = {**rows, "holdout": rows["test"][own], "test": rows["test"][~own]}
    case = with_concepts(case_of(kind, data.x, data.y, rows, classes), data, seed)
    models = [demo.train(data, np.concatenate([rows["forget"], rows["retain"]]), 10_000 + seed, steps=STEPS)]
    models += [demo.train(data, rows["retain"], 20_000 + 100 * seed + k, steps=STEPS) for k in range(RETRAINS)]
    attack = Concepts()
    views = [ModuleView(model, case.sets) for model in models]
    seen = [attack.observe(view, None, case, np.random.default_rng(5)) for view in views]
    found = attack.score(seen, case)
    assert found.statistic is not None
    assert found.sampling_error is not None
    single = np.stack([s[side][:, :, :2].mean(axis=0) for s in seen[1:] for side in ("focus", "other")])
    draws = seen[0]["focus"][:, :, 2:].mean(axis=(0, 1)) - seen[0]["other"][:, :, 2:].mean(axis=(0, 1))
    accuracy = np.stack([s["accuracy"] for s in seen])
    honest = ", ".join(f"{value:.2f}" for value in found.statistic[1:])
    return (
        f"{kind} {seed}: original {found.statistic[0]:.2f} (se {found.sampling_error[0]:.2f}), honest {honest}; "
        f"random concepts on the original {draws.min():.2f} to {draws.max():.2f}; single scores of "
        f"retrains {single.min():.2f} to {single.max():.2f}; accuracy {accuracy.min():.2f} to {accuracy.max():.2f}"
    )


def main() -> None:
    """Every world and both claims."""
    kinds: tuple[ClaimKind, ...] = ("random", "class")
    for kind in kinds:
        for seed in range(WORLDS):
            print(measure(kind, seed), flush=True)


if __name__ == "__main__":
    main()
