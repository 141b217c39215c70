"""What is missing from a case: what can still be said, the cheapest thing to add. For plans, `inspect` and `init`."""

from __future__ import annotations

from dataclasses import dataclass

from audit.policy.policy import Policy


@dataclass(frozen=True)
class Having:
    """What a case has, as far as is known before it is read.

    Attributes:
        holdout, test, original: whether there is one.
        references: how many, those that are to be trained included.
        recipe: whether the audit was told how to train.
        kind: of the claim; "" where it is not known yet.
        networks: the models can be trained again (no outputs, no black boxes).
    """

    holdout: bool
    test: bool
    original: bool
    references: int
    recipe: bool
    kind: str = ""
    networks: bool = True


def shortfalls(having: Having, policy: Policy) -> list[str]:
    """One line a thing that is missing: what can still be said without it, and the cheapest way to it."""
    found = []
    if not having.original:
        found.append(
            "no original: FAIL and INCONCLUSIVE can be said, PASS can not, for nothing shows that an attack sees the "
            "forget set at all; cheapest: the checkpoint that was unlearned (--original)"
        )
    if not having.holdout and having.kind != "class":
        found.append(
            "no holdout set: the test set serves if it stands the shift check, and D2 is as good as that; cheapest: "
            "rows that were drawn with the forget set and that no model saw (--holdout, with --split attested)"
        )
    if not having.test:
        found.append(
            "no test set: rows of the holdout set serve, which then sees less; rows of the retain set were trained on "
            "and cannot; cheapest: any labelled rows that no model saw (--test)"
        )
    needed = policy.references_t_class if having.kind == "class" else policy.references_t
    if having.references < needed:
        found.append(_references(having, needed, policy))
    if not having.recipe and having.networks and having.references < needed:
        found.append(
            "no recipe: the audit trains neither references nor shadow models: online LiRA, the shadow attack and "
            "U-LiRA are skipped; cheapest: optimizer, lr and epochs of the original in [recipe]"
        )
    return found


def _references(having: Having, needed: int, policy: Policy) -> str:
    count = having.references
    many = "no reference" if not count else "one reference" if count == 1 else f"{count} references"
    if having.kind == "class":
        said = "a class claim is a comparison of models, and neither FAIL nor PASS can be said"
    elif count == 0:
        said = "membership is compared with the holdout set alone (D2), uncalibrated: FAIL can be said, and PASS only "
        said += "of a split that is attested"
    elif count < policy.references_assumed_split:
        said = "attacks are calibrated on it alone, and how far honest seeds differ stays unknown: no comparison with "
        said += "retrains (D1)"
    else:
        said = "attacks are calibrated on them, the comparison with retrains (D1) stays out"
    more = needed - count
    how = f"--train-references {more} with a [recipe]" if having.networks else "by the same pipeline"
    return f"{many}: {said}; cheapest: {more} more, retrained without the forget set by other seeds ({how})"
