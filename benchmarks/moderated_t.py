"""Does Smyth's moderated t earn its place in family D1? Level and power beside Crawford and Howell's t.

Smyth 2004 (Stat. Appl. Genet. Mol. Biol. 3:3) borrows strength: the seed variances of A statistics are taken as draws
from s0^2 d0 / chi2_d0, d0 and s0 fitted on log s^2, and t uses (d0 s0^2 + (K - 1) s^2) / (d0 + K - 1) on d0 + K - 1
degrees of freedom. Here each world has one honest model, K references and A statistics in comparable units (each
divided by its sampling error, say) whose seed spreads differ: log sd ~ N(0, spread^2). Bonferroni over A, two-sided,
alpha = .05. Power: the first statistic is shifted by five of its own seed standard deviations. ``worst`` is the level
where the first statistic is the one with an unusually large spread (3 times the others').

Run ``python -m benchmarks.moderated_t`` (under a minute). ``--output`` writes JSON.

Result: with the one to three statistics that a family gates, the fit of d0 has at most two degrees of freedom, the
level leaves its bound wherever spreads differ, and the gain comes from there. It is not in ``audit/``.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special, stats

from attacks.base import Floats

ALPHA, SHIFT, UNEVEN = 0.05, 5.0, 3.0


def trigamma_inverse(values: Floats) -> Floats:
    """y with trigamma(y) = value, by Newton's method on 1 / trigamma (Smyth 2004, appendix)."""
    y = 0.5 + 1 / values
    for _ in range(12):
        trigamma = special.polygamma(1, y)
        y += trigamma * (1 - trigamma / values) / special.polygamma(2, y)
    return y


def prior(variances: Floats, df: int) -> tuple[Floats, Floats]:
    """Fitted d0 (infinite where the variances differ by no more than chance) and s0^2 per world, from (W, A)."""
    logs = np.log(variances) - special.digamma(df / 2) + np.log(df / 2)
    mean = logs.mean(axis=1)
    excess = logs.var(axis=1, ddof=1) - special.polygamma(1, df / 2)
    half = np.where(excess > 0, trigamma_inverse(np.where(excess > 0, excess, 1.0)), np.inf)
    shape = np.where(np.isfinite(half), half, 1e8)
    return 2 * half, np.exp(mean + special.digamma(shape) - np.log(shape))


def p_values(statistics: Floats) -> dict[str, Floats]:
    """Bonferroni p of each world by both tests, from (W, A, K + 1) with the audited model first."""
    _, count, models = statistics.shape
    references, df = statistics[:, :, 1:], models - 2
    variance = references.var(axis=2, ddof=1)
    deviation = statistics[:, :, 0] - references.mean(axis=2)
    unit = 1 + 1 / (models - 1)
    plain = 2 * stats.t.sf(np.abs(deviation) / np.sqrt(variance * unit), df)
    result = {"Crawford-Howell": np.minimum(1, count * plain.min(axis=1))}
    if count == 1:  # nothing to borrow from
        return result | {"moderated": result["Crawford-Howell"]}
    d0, s0 = prior(variance, df)
    weight = np.where(np.isfinite(d0), d0, 1e8)[:, None]
    pooled = (weight * s0[:, None] + df * variance) / (weight + df)
    total = np.minimum(weight + df, count * df)  # as limma: no more than all references together have
    moderated = 2 * stats.t.sf(np.abs(deviation) / np.sqrt(pooled * unit), total)
    return result | {"moderated": np.minimum(1, count * moderated.min(axis=1))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=20_000)
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args()
    bar = float(stats.binom.ppf(0.999, options.worlds, ALPHA)) / options.worlds
    print(f"{options.worlds} worlds; level at most {bar:.4f} (99.9 % point). C-H = Crawford-Howell, mod = moderated")
    print("                     level C-H   mod   worst C-H   mod   power C-H   mod")
    table = []
    for references in (5, 8):
        for count in (1, 2, 4, 10):
            for spread in (0.0, 0.5, 1.0):
                rng = np.random.default_rng([references, count, int(10 * spread)])
                sd = np.exp(spread * rng.normal(size=(options.worlds, count, 1)))
                honest = sd * rng.normal(size=(options.worlds, count, references + 1))
                moved = honest.copy()
                moved[:, 0, 0] += SHIFT * sd[:, 0, 0]
                uneven = honest.copy()
                uneven[:, 0] *= UNEVEN
                row: dict[str, Any] = {"K": references, "A": count, "spread": spread}
                for name, worlds in (("level", honest), ("worst", uneven), ("power", moved)):
                    row[name] = {test: float((p <= ALPHA).mean()) for test, p in p_values(worlds).items()}
                table.append(row)
                cells = "   ".join("{:9.3f} {:.3f}".format(*row[name].values()) for name in ("level", "worst", "power"))
                print(f"K={references} A={count:2} spread {spread:.1f} {cells}", flush=True)
    if options.output:
        options.output.write_text(json.dumps({"worlds": options.worlds, "bar": bar, "table": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
