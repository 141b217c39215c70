"""Closed form: can deleted rows be computed from two heads, or two linear models, without any search?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacks.base import Access, Attack, Case, Floats, NotApplicable, Scores, Signals, View
from attacks.signals import log_softmax

from .common import (
    NO_CHANGE,
    NO_CHANGE_REMEDY,
    beside,
    chance,
    exposure,
    shares,
    unranked,
)
from .linear import deleted_gradient, rows_of, with_bias
from .quality import matched, nearest

CURVATURES = ("secant", "moment")
SAME = 1e-4  # our choice: relative distance of features that one encoder made, rounding included
NO_ROW = "the change of the head has no bias entry: sign and scale of a row are unknown"


class ClosedForm(Attack):
    """Rows read off the change of the last linear layer, in the space of its inputs.

    A regularised linear model moves by the inverse curvature times what the deleted rows added to its gradient. The
    curvature, taken from never-seen rows (test and auxiliary), undoes that; leading left singular vectors with bias
    entry 1 are the rows. For a linear model these are inputs, else penultimate features of the original. Statistic:
    mean exposure in bits of the forget rows among never-seen decoys, by the centred cosine to the nearest
    reconstruction. It is the risk of releasing both versions of an honestly retrained model, never a failure to forget.
    """

    name = "closed_form"
    title = "Closed-form reconstruction from two linear heads (pair release)"
    access = Access.WEIGHTS
    needs_original = True
    families = frozenset({"D1"})
    source = "Bertran et al., Reconstruction Attacks on Machine Unlearning, arXiv 2405.20272"

    def __init__(self, *, penalty: float = 0.0, curvature: str = "secant", max_rows: int = 32) -> None:
        """Set what is known of the training.

        Args:
            penalty: L2 penalty of the sum of losses, penalty / 2 |theta|^2, >= 0; 0 where it is not known.
            curvature: "secant" (exact mean curvature between both heads, by their outputs) or "moment" (second
                moment of the inputs times the change, the first-order form).
            max_rows: reconstructions, >= 1; at most as many as there are classes come out.
        """
        super().__init__()
        if penalty < 0 or curvature not in CURVATURES or max_rows < 1:
            raise ValueError(f"closed_form: penalty must be >= 0, max_rows >= 1 and curvature one of {CURVATURES}")
        self.parameters = {"penalty": penalty, "curvature": curvature, "max_rows": max_rows}

    def applicable(self, case: Case) -> str:
        """Rows of a deleted class are known by their class; a rank needs decoys."""
        return unranked(case)

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: ARG002
        """A head of the original's shape."""
        assert original is not None
        _heads(original, view)

    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:  # noqa: ARG002
        """Cosine of each forget row and decoy to its nearest reconstruction, with and without the curvature."""
        assert original is not None
        heads = _heads(original, view)
        change = (heads[0] - heads[1]).T  # (d + 1, C)
        unseen = np.concatenate([original.features(role) for role in ("test", "auxiliary")])
        own = np.concatenate([view.features(role) for role in ("test", "auxiliary")])
        distance = float(np.linalg.norm(own - unseen) / max(float(np.linalg.norm(unseen)), np.finfo(float).tiny))
        x = with_bias(unseen)
        rows = len(case.labels["retain"])
        curved = deleted_gradient(x, self._moved(x, heads), change, rows, float(self.parameters["penalty"]))
        sought = min(len(case.labels["forget"]), int(self.parameters["max_rows"]))
        sides = {role: original.features(role) for role in ("forget", "holdout")}
        signals: dict[str, Floats] = {"length": np.array([np.linalg.norm(change)]), "encoder": np.array([distance])}
        for name, gradient in (("", curved), ("plain_", change)):
            found = rows_of(gradient, sought)
            close = {role: nearest(found, of, sides["holdout"].mean(axis=0)) for role, of in sides.items()}
            signals |= {name + role: values for role, values in close.items()}
            signals[name + "matched"] = matched(found, sides["forget"], sides["holdout"].mean(axis=0))
        return signals

    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:  # noqa: ARG002
        """Mean exposure of J pairs, beside the same without the curvature."""
        bits = np.stack([exposure(s["forget"], s["holdout"]) for s in signals])
        plain = np.stack([exposure(s["plain_forget"], s["plain_holdout"]) for s in signals])
        m, n = len(signals[0]["holdout"]), bits.shape[1]
        first = np.array([(shares(s["forget"], s["holdout"]) <= 1 / (m + 1)).mean() for s in signals])
        cosine = np.array([np.median(s["matched"]) if len(s["matched"]) else 0.0 for s in signals])
        found = len(signals[0]["matched"])
        invalid = NO_CHANGE.replace("every layer", "the head") if signals[0]["length"][0] == 0 else ""
        same = "identical to" if signals[0]["encoder"][0] <= SAME else "other than"
        return Scores(
            statistic=bits.mean(axis=1),
            sampling_error=np.full(len(bits), chance(m)[1] / n**0.5),
            unit="bits",
            invalid=invalid or ("" if found else NO_ROW),
            remedy=NO_CHANGE_REMEDY,
            details=(
                f"encoder of the audited model {same} the original's (relative distance of features "
                f"{signals[0]['encoder'][0]:.2g}): rows stand in the space of the original's head inputs",
                f"{found} reconstructions matched to {n} forget rows: median centred cosine {beside(cosine)}",
                f"mean exposure of {n} forget rows among {m} never-seen decoys {beside(bits.mean(axis=1), 'bits')}, "
                f"without the curvature {beside(plain.mean(axis=1), 'bits')} (chance {chance(m)[0]:.2f}); first of all "
                f"{beside(first)}",
                "risk of releasing both versions, no failure to forget: an exact retrain leaks here, and where "
                "training is deterministic all references are one model, which gives no null",
            ),
        )

    def _moved(self, x: Floats, heads: Sequence[Floats]) -> Floats:
        """What the never-seen rows' outputs say of the move, (m, C)."""
        before, after = (x @ head.T for head in heads)
        if self.parameters["curvature"] == "moment":
            return np.asarray(before - after)
        return np.asarray(np.exp(log_softmax(before)) - np.exp(log_softmax(after)))


def _heads(original: View, view: View) -> list[Floats]:
    """Weight and bias of both last layers, (C, d + 1).

    Raises:
        NotApplicable: they differ in shape.
    """
    heads = [np.column_stack(one.head()) for one in (original, view)]
    if heads[0].shape != heads[1].shape:
        raise NotApplicable("needs a head of the original's shape: the networks differ in their last layer")
    return heads
