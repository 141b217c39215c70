"""The declared context of release: who can reach the model holds no more than the adversary of the claim."""

from __future__ import annotations

from attacks.base import GRANTS
from attacks.tasks import Task
from audit.policy.primaries import LEVELS
from audit.record.findings import Gate
from audit.record.inputs import INTERNAL, ClaimRecord

NAME = "release context"
#: what recipients hold, in words
HELD = {
    "labels": "a service that answers with the predicted class",
    "logits": "a service that answers with scores of all classes",
    "features": "a service that gives embeddings",
    "weights": "the model's files",
}


def release_gate(claim: ClaimRecord) -> Gate | None:
    """Whether the claim grants the adversary what recipients of the model hold; None where there are no recipients."""
    if claim.release is None or claim.release == INTERNAL:
        return None
    enough = LEVELS.index(claim.access) >= LEVELS.index(claim.release)
    held = f"declared as {HELD[claim.release]}; the claim grants the adversary {claim.access}"
    reason = held if enough else f"{held}: what recipients can do was not tested"
    return Gate(name=NAME, ok=enough, effect="blocks PASS", reason=reason)


def most_certified(claim: ClaimRecord, task: Task) -> str:
    """What to do where the claim, or what recipients hold, goes beyond what attacks read of the task; else ""."""
    beyond = [level for level in LEVELS if GRANTS[level] > GRANTS["logits"]] if task.unread else []
    if claim.release in beyond:
        return (
            f"no claim of {task.name} can PASS for a model that recipients hold by its {claim.release}, for no attack "
            f"reads {task.unread}; a claim of --access {claim.release} can find a trace"
        )
    if claim.access in beyond:
        return f"claim --access logits, which is the most that this suite certifies of {task.name}"
    return ""
