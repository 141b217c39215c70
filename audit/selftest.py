"""The self-test: does this installation, on this machine, do what it says? Run by ``audit selftest``.

It trains real networks on scikit-learn digits, goes the whole way through files, attacks and statistics, and checks
the statistics against published values. Bars are set so that a sound installation fails by chance in fewer than one
of 500 runs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attacks.base import Access, Case, Floats
from attacks.membership.lira import Membership

from . import demo
from .inputs.resolve import resolve
from .judge.judge import judge
from .record.result import AuditResult, Outcome
from .run import prepare, run_audit
from .statistics.intervals import auc_delong, clopper_pearson, tpr_at_fpr
from .statistics.one_run import one_run_epsilon, one_run_p
from .statistics.permutation import permutation_max_t

if TYPE_CHECKING:
    import torch

REFERENCES = 3
ALPHA = 0.005  # of the two audits: an honest model must hardly ever fail this check by chance
DRAWS = 400
MIXTURES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Check:
    """One check with what was measured."""

    name: str
    ok: bool
    measured: str


@dataclass(frozen=True)
class Toy:
    """Digits with wrong labels, an original, an honest retrain, a leaking model and references."""

    data: demo.Digits
    rows: demo.Rows
    original: torch.nn.Module
    honest: torch.nn.Module
    references: tuple[torch.nn.Module, ...]


def run_selftest(seed: int = 0) -> list[Check]:
    """Run every check; takes about half a minute on one core."""
    toy = _train(seed)
    rng = np.random.default_rng([seed, 0x5E])
    return [*_verdicts(toy), _mixtures(toy, seed), _ties(), *_coverage(rng), *_pins()]


def _train(seed: int) -> Toy:
    data = demo.digits(seed)
    rows = demo.random_rows(data, seed)
    everything = np.concatenate([rows["forget"], rows["retain"]])
    models = [demo.train(data, rows["retain"], seed=100 * seed + k) for k in range(2, REFERENCES + 3)]
    original = demo.train(data, everything, seed=100 * seed + 1)
    return Toy(data, rows, original, models[0], tuple(models[1:]))


def _verdicts(toy: Toy) -> list[Check]:
    """The whole way through files: the original with a touch of noise must FAIL, an honest retrain must not."""
    import copy

    import torch

    leaking = copy.deepcopy(toy.original)
    with torch.no_grad():
        for parameter in leaking.parameters():
            parameter.mul_(1 + 1e-6)  # no longer bit for bit the original: statistics must find it
    found = []
    with tempfile.TemporaryDirectory(prefix="audit-selftest-") as name:
        folder = Path(name)
        demo.save_data(folder, toy.data, toy.rows)
        demo.save_model(folder / "original.safetensors", toy.original)
        for k, reference in enumerate(toy.references):
            demo.save_model(folder / f"retrained-{k}.safetensors", reference)
        for label, model, expected in (
            ("a leaking model fails", leaking, True),
            ("an honest model does not", toy.honest, False),
        ):
            demo.save_model(folder / "unlearned.safetensors", model)
            result = _audit(folder)
            failed = result.verdict.outcome is Outcome.FAIL
            p = min(family.p_holm for family in result.families if family.p_holm is not None)
            found.append(Check(label, failed is expected, f"{result.verdict.outcome.value}, p {p:.4f}"))
    return found


def _audit(folder: Path) -> AuditResult:
    flags: dict[str, Any] = {"forget": folder / "forget.npz", "arch": demo.ARCH, "split": "attested"}
    settings, _ = resolve({**flags, "out": folder / "runs"}, variables={}, search=False)
    prepared = prepare(settings)
    run_audit(prepared)
    from .collect.evidence import read_evidence

    policy = prepared.policy.model_copy(update={"alpha": ALPHA, "structural": False})
    return judge(read_evidence(prepared.run), policy, prepared.policy_sha256)


class _Outputs:
    """Logits alone, as an attack sees them."""

    access = Access.LOGITS

    def __init__(self, logits: dict[str, Floats]) -> None:
        self._logits = logits

    def logits(self, role: str) -> Floats:
        return self._logits[role]


def _mixtures(toy: Toy, seed: int) -> Check:
    """More of the original in the outputs must never look like less: membership on mixtures with an honest retrain."""
    import torch

    def outputs(model: torch.nn.Module) -> dict[str, Floats]:
        with torch.no_grad():
            return {role: model(torch.from_numpy(toy.data.x[rows])).double().numpy() for role, rows in toy.rows.items()}

    labels = {role: toy.data.y[rows] for role, rows in toy.rows.items()}
    case = Case("random", (), {}, labels, 10)
    attack, rng = Membership(), np.random.default_rng(seed)
    original, honest = outputs(toy.original), outputs(toy.honest)

    def signals(logits: dict[str, Floats]) -> Any:
        return attack.observe(_Outputs(logits), None, case, rng)  # type: ignore[arg-type]

    null = [signals(outputs(model)) for model in toy.references]
    aucs = []
    for share in MIXTURES:
        mixed = {role: share * original[role] + (1 - share) * honest[role] for role in original}
        examples = attack.score([signals(mixed), *null], case).examples
        assert examples is not None
        cut = len(labels["forget"])
        aucs.append(auc_delong(examples[0, :cut], examples[0, cut:], 0.9).value)
    rising = all(later > earlier for earlier, later in pairwise(aucs))
    return Check("more of the original, higher AUC", rising, " < ".join(f"{value:.3f}" for value in aucs))


def _ties() -> Check:
    """Scores that say nothing must give p = 1 and an AUC of .5 with an interval around it."""
    constant = np.zeros(300)
    p = permutation_max_t(constant[None], 100, 199, np.random.default_rng(0)).p
    auc = auc_delong(constant[:100], constant[100:], 0.9)
    ok = p == 1.0 and auc.value == 0.5 and auc.low < 0.5 < auc.high
    return Check("ties are no evidence", ok, f"p {p:g}, AUC {auc.value:g} ({auc.low:.3f} to {auc.high:.3f})")


def _coverage(rng: np.random.Generator) -> list[Check]:
    """Intervals at their stated level: misses over ``DRAWS`` null draws stay below the 99.9 % binomial point."""
    from scipy import stats

    def auc() -> bool:
        estimate = auc_delong(rng.normal(size=100), rng.normal(size=200), 0.9)
        return estimate.low <= 0.5 <= estimate.high

    def tail() -> bool:
        estimate = tpr_at_fpr(rng.normal(size=100), rng.normal(size=200), 0.05, 0.9)
        return estimate.low <= 0.05 <= estimate.high

    def rate() -> bool:
        low, high = clopper_pearson(int(rng.binomial(100, 0.1)), 100, 0.9)
        return low <= 0.1 <= high

    def permuted() -> bool:
        return permutation_max_t(rng.normal(size=(2, 90)), 30, 199, rng).p > 0.1

    bar = int(stats.binom.ppf(0.9999, DRAWS, 0.1))
    kinds: dict[str, Callable[[], bool]] = {
        "AUC interval": auc,
        "tail interval": tail,
        "rate interval": rate,
        "permutation test": permuted,
    }
    found = []
    for name, covers in kinds.items():
        missed = sum(not covers() for _ in range(DRAWS))
        found.append(Check(f"{name} at its level", missed <= bar, f"{missed} of {DRAWS} wrong, at most {bar}"))
    return found


def _pins() -> list[Check]:
    """Published values (statistics.md 7)."""
    values = {
        "one-run p, Steinke et al. 2023": (one_run_p(100, 100, 75, float(np.log(3)), 0.0), 0.5535, 1e-4),
        "one-run epsilon, Steinke et al. 2023": (one_run_epsilon(100_000, 1510, 1439, 1e-5, 0.05), 2.67585, 1e-3),
        "Clopper-Pearson 7 of 50, scipy": (clopper_pearson(7, 50, 0.95)[0], 0.058192, 1e-5),
    }
    return [
        Check(name, abs(value - expected) <= tolerance, f"{value:.5f}, expected {expected:g}")
        for name, (value, expected, tolerance) in values.items()
    ]
