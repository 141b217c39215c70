"""What training would cost and what it would buy, in lines for a person; trains nothing but a few timed steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audit.inputs.data import Arrays
from audit.inputs.sets import Sets
from audit.inputs.training_order import TrainingOrder
from audit.policy.policy import Policy
from audit.statistics.sample_size import detectable_shift

from .jobs import MODES, Job
from .references import addresses_of, wanted_jobs
from .service import estimate
from .shadows import Design, make_design
from .store import Store

MIN_SHADOWS = 16  # what the attacks on shadow models need


def training_lines(
    order: TrainingOrder, files: Mapping[str, Arrays], sets: Sets, policy: Policy, *, key: bytes, given: int
) -> list[str]:
    """How many models, what they cost and what they buy, in lines.

    Args:
        order: what is to be trained; checked.
        files: data by file role.
        sets: claim and rows.
        policy: how many references it needs.
        key: the project key.
        given: references that are there without training.
    """
    design = make_design(files, sets.selection, order.seed)
    jobs = wanted_jobs(order.wanted, design)
    cost = estimate(order.recipe, order.factory, design.pool, jobs, device=order.device)
    held = _held(order, design, jobs, key)
    seconds = cost.seconds.get(cost.mode)
    price = (
        "not known before the first model is trained"
        if seconds is None
        else f"about {seconds * (len(jobs) - held):.0f} s"
    )
    wanted = order.wanted
    counts = {"references": wanted.references, "shadow models": wanted.shadows, "pipelines": wanted.pipelines}
    asked = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return [
        f"training: {asked}; {held} of {len(jobs)} are in the store",
        f"  cost: {price} ({cost.why})",
        *(f"  {line}" for line in _bought(order, sets.claim.kind, policy, given)),
    ]


def _held(order: TrainingOrder, design: Design, jobs: Sequence[Job], key: bytes) -> int:
    """How many of the models are there already, in the mode that has most."""
    addresses, store = addresses_of(order, design, key), Store(order.store, key)
    return max(sum(store.has(addresses.of(job, mode)) for job in jobs) for mode in MODES)


def _bought(order: TrainingOrder, kind: str, policy: Policy, given: int) -> list[str]:
    total = given + order.wanted.references
    needed = policy.references_t_class if kind == "class" else policy.references_t
    lines = []
    for count in sorted({total, policy.references_assumed_split, needed, policy.references_rank}):
        mark = " <- with this plan" if count == total else ""
        lines.append(f"{count:>3} references: {_power(count, kind, policy)}{mark}")
    if order.wanted.shadows:
        lines.append(_shadow_line(order.wanted.shadows, "online LiRA, online RMIA and the shadow-model attacks"))
    if order.wanted.pipelines:
        lines.append(_shadow_line(order.wanted.pipelines, "U-LiRA against your own procedure"))
    return lines


def _power(references: int, kind: str, policy: Policy) -> str:
    parts = []
    if kind != "class" and references >= policy.references_assumed_split:
        parts.append("rows can be compared on an assumed split (D2)")
    if references >= (policy.references_t_class if kind == "class" else policy.references_t):
        size = detectable_shift(references, policy.alpha)
        test = "exact rank test" if references >= policy.references_rank else "t"
        parts.append(f"models can be compared (D1, {test}): a shift of {size:.1f} seed sd shows with power .8")
    return "; ".join(parts) or "no comparison of models"


def _shadow_line(count: int, what: str) -> str:
    """Half of the shadow models hold a row, half do not."""
    if count < MIN_SHADOWS:
        return f"{count:>3} shadow models: too few for {what}, which need {MIN_SHADOWS}"
    return f"{count:>3} shadow models: {what}, about {count // 2} models with and {count // 2} without each row"
