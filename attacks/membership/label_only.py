"""Label-only membership: how far can the input be changed before the model stops predicting the label?"""

from collections.abc import Sequence

import numpy as np

from attacks.base import PER_EXAMPLE, Access, Attack, Case, Floats, NotApplicable, Scores, Signals, View
from attacks.calibration import OUT_OF_LINE_REMEDY, adjust, leave_one_out, out_of_line
from attacks.queries import PARTNERS, is_binary
from attacks.signals import correct

from .common import SIDES, by_side, side_labels, side_logits, stacked

SIGMAS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)  # our choice, in units of the inputs' standard deviation
BITS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)  # our choice, shares of the entries of binary inputs
SHARES = (0.1, 0.2, 0.3, 0.4)  # our choice, of another row
DRAWS = 2  # our choice: directions and partners, which take turns over the sizes


class LabelOnly(Attack):
    """Score: share of changed inputs on which the predicted class is the label; nothing but predicted classes is read.

    Changes: none, the augmentation queries of the recipe, noise of rising size (bits turned where inputs are binary),
    and rising shares of another row, so that the share grows with the radius within which the label holds. Turned,
    mixed and swapped inputs look like data: a gate that knows odd inputs hardly sees them. Each size is asked once, in
    one of two directions in turn: asked in both, the forget set stands out hardly more (docs/performance.md). There
    are few levels and many ties; ties rank in the middle. With references the share is standardised by the other
    models' on that row and adjusted for label and difficulty, as for ``membership``; where they agree exactly, only
    their mean is taken off.
    """

    name = "label_only"
    title = "Label-only membership (agreement under changes)"
    version = "3"  # 3: one direction a size
    access = Access.LABELS
    symmetric = True
    rows_alone = True
    families = frozenset({"D2"})
    source = "Choquette-Choo et al., Label-Only Membership Inference Attacks, arXiv 2007.14321"
    charts = PER_EXAMPLE

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Agreement per row, in [0, 1].

        Raises:
            NotApplicable: no network to ask, or inputs that no query fits.
        """
        labels = side_labels(case)
        binary = _binary(case)
        kind, sizes = ("bits", BITS) if binary else ("noise", SIGMAS)
        changes = _in_turn(kind, sizes)
        for pair in ("swap",) if binary else ("mix", "swap"):
            changes += _in_turn(pair, SHARES)
        agreed = [correct(side_logits(view), labels)]
        refused = ""
        for query in (*case.queries, *changes):
            try:
                answers = np.concatenate([view.augmented(role, query) for role in SIDES])
            except NotApplicable as reason:
                refused = str(reason)
                continue
            agreed.append(correct(answers, labels))
        if len(agreed) == 1:
            raise NotApplicable(f"no change of the inputs is possible: {refused}")
        return by_side(np.mean(agreed, axis=0), case) | {"queries": np.array([len(agreed)])}

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Agreement calibrated on the references."""
        agreement = stacked(signals)
        examples, how = _calibrated(agreement, case)
        levels = len(np.unique(agreement[0]))
        details = (f"{int(signals[0]['queries'][0])} queries a row, {levels} levels of agreement; {how}",)
        if levels == 1:
            return Scores(examples=examples, invalid="the same agreement on every row", details=details)
        return Scores(examples=examples, invalid=out_of_line(examples), remedy=OUT_OF_LINE_REMEDY, details=details)


def _in_turn(kind: str, sizes: Sequence[float]) -> list[str]:
    """One query a size."""
    return [f"{kind}:{size}:{i % DRAWS}" for i, size in enumerate(sizes)]


def _binary(case: Case) -> bool:
    """Are all inputs zeros and ones, as far as retain rows tell? Data without inputs are not."""
    retain = case.sets.get("retain")
    if retain is None:
        return False
    try:
        return is_binary(retain.batch(np.arange(min(PARTNERS, len(case.labels["retain"])))))
    except ValueError:  # answers are stored, and the data hold labels alone
        return False


def _calibrated(agreement: Floats, case: Case) -> tuple[Floats, str]:
    """Scores (J, n) of J models, all treated alike, and how they came about."""
    if len(agreement) == 1:
        return agreement, "no reference to calibrate on"
    try:
        z, mu = leave_one_out(agreement)
        how = "standardised by the references"
    except ValueError:  # some models agree on every row: there is no scale
        mu = (agreement.sum(axis=0) - agreement) / (len(agreement) - 1)
        z = agreement - mu
        how = "less the references' mean, which agree exactly"
    return adjust(z, mu, side_labels(case)), how
