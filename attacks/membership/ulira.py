"""U-LiRA: rows that the user's own procedure unlearned against rows that were never used."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from ..base import Access, Attack, Bools, Case, Floats, Scores, Signals, View
from ..calibration import out_of_line
from ..scorers.lira import fit, held_out, in_blocks
from .rows import confidence, enough_shadows, refuse_class

SPLITS = 50  # random halves of the pipelines, for the worst decile
WORST = 0.1


class Ulira(Attack):
    """U-LiRA with the user's procedure: a likelihood ratio per example between unlearned and never used.

    Every pipeline trains on a coin-flipped part of the rows and unlearns it by the user's own function. Example score:
    log N(s; unlearned) - log N(s; never used). What holds of the procedure, beyond the audited model, stands in the
    details: accuracy per example on pipelines left out, with pipelines as units, and the worst decile of examples,
    chosen on one half of the pipelines and measured on the other, for the best of many always look good.
    """

    name = "ulira"
    title = "U-LiRA (the user's own unlearning procedure)"
    access = Access.LOGITS
    symmetric = True
    design = "unlearned"
    families = frozenset({"D2"})
    primary_for = frozenset({"random", "subject", "other"})
    source = "Hayes et al., Inexact Unlearning Needs More Careful Evaluations, arXiv 2403.01218"
    chart = "roc"

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Logit-scaled confidence on forget and holdout rows."""
        refuse_class(case)
        return {"rows": confidence(view, case)}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Log-likelihood ratios of J models, and what they say of the procedure."""
        enough_shadows(case)
        assert case.shadows is not None
        rows = np.stack([s["rows"] for s in signals])
        pipelines, member = np.stack([s["rows"] for s in case.shadows.signals]), case.shadows.member
        examples = in_blocks(rows, fit(pipelines, member))
        return Scores(
            examples=examples,
            invalid=out_of_line(examples),
            details=procedure(pipelines, member),
            records=record_p(rows[0], pipelines, member),
        )


def procedure(pipelines: Floats, member: Bools) -> tuple[str, ...]:
    """What U-LiRA says of the procedure as such, in sentences. Arguments: (S, n) signals and coins."""
    right = (held_out(pipelines, member) > 0) == member
    each = right.mean(axis=1)
    half = float(stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each)))
    mean = float(each.mean())
    worst, plain = worst_decile(right), float(np.sort(right.mean(axis=0))[-_worst_count(right) :].mean())
    return (
        f"{len(right)} pipelines of the procedure; left out one at a time, {mean:.3f} of their rows are told apart "
        f"({mean - half:.3f} to {mean + half:.3f}, 95 %, a pipeline is one unit; chance .5)",
        f"worst decile of rows, chosen on one half of the pipelines and measured on the other: {worst:.3f} "
        f"(chosen and measured on the same ones: {plain:.3f}, which pure chance raises as well)",
    )


def worst_decile(right: Bools) -> float:
    """Accuracy on the decile of examples that are told apart best, corrected for the choice; .5 under the null.

    Args:
        right: (S, n) whether each pipeline's coin was guessed.
    """
    rng = np.random.default_rng(0x0DEC)
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(len(right))
        chosen, measured = right[order[: len(right) // 2]], right[order[len(right) // 2 :]]
        worst = np.argsort(chosen.mean(axis=0), kind="stable")[-_worst_count(right) :]
        found.append(measured[:, worst].mean())
    return float(np.mean(found))


def _worst_count(right: Bools) -> int:
    return int(max(1, round(WORST * right.shape[1])))


def record_p(own: Floats, pipelines: Floats, member: Bools) -> Floats:
    """Per row, the rank of the audited model among the pipelines that never used the row; one-sided, ties against.

    p = (1 + #{never used: s >= own}) / (1 + number never used). Exact where the audited model had not used it either.

    Args:
        own: (n,); pipelines: (S, n); member: (S, n).

    Returns:
        (n,) in (0, 1].
    """
    above = ((pipelines >= own) & ~member).sum(axis=0)
    return np.asarray((1 + above) / (1 + (~member).sum(axis=0)))
