"""Which attacks of the suite a run runs, with which parameters, and why it leaves others out."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from attacks.base import GRANTS, Attack, discover
from audit.errors import UsageError
from audit.inputs.config import AttacksSection
from audit.inputs.contained import contained
from audit.policy.policy import Policy
from audit.policy.primaries import LEVELS
from audit.record.attack_record import LEFT_OUT, NOTHING
from audit.record.inputs import ClaimRecord

WORDS = ("default", "gated", "all")  # the first two say the same; ``default`` stands in earlier configurations
SAMPLES = "include_samples"  #: the parameter of attacks that can keep pictures of rows (--include-samples)
LAYERS = "layers"  #: stands among the parameters of a run where the user named hidden layers (--layers)


@dataclass(frozen=True, eq=False)
class Suite:
    """The attacks of a run.

    Attributes:
        classes: every attack there is, by name.
        chosen: those that run.
        left_out: those that do not, each with the reason.
    """

    classes: Mapping[str, type[Attack]]
    chosen: tuple[Attack, ...]
    left_out: dict[str, str]


def all_attacks() -> dict[str, type[Attack]]:
    """Every attack there is, those of plug-ins included, by name; called once where a run begins."""
    with contained("a plug-in"):
        return discover()


def gates(attack: type[Attack] | Attack, claim: ClaimRecord, policy: Policy) -> bool:
    """The policy gates the attack for this claim, and the claimed adversary may run it."""
    return attack.name in policy.attacks(claim.kind, claim.access) and attack.access <= GRANTS[claim.access]


def needed(attack: type[Attack] | Attack, claim: ClaimRecord, policy: Policy) -> bool:
    """The policy gates it at the claim's access or at a weaker one, whose tests may block a PASS."""
    levels = LEVELS[: LEVELS.index(claim.access) + 1]
    return any(gates(attack, claim.model_copy(update={"access": level}), policy) for level in levels)


def choose(
    classes: Mapping[str, type[Attack]],
    section: AttacksSection,
    claim: ClaimRecord,
    policy: Policy,
    given: Collection[str] = (),
) -> Suite:
    """The attacks that are asked for: by default those that can change the verdict, and those that something was given
    for: shadow models, data that no other attack reads, or pictures of rows.

    Args:
        classes: every attack there is, by name.
        section: what is asked for.
        claim: what is audited.
        policy: says which attacks decide about it.
        given: designs of the shadow models that were asked for, and roles of the data.

    Raises:
        UsageError: an attack or a parameter that does not exist, or a value that it refuses.
    """
    _check_names(classes, [*section.run, *section.skip, *section.parameters], section)
    chosen, left_out = [], {}
    for name, attack in classes.items():
        shows = section.include_samples and SAMPLES in inspect.signature(attack).parameters
        asked = {SAMPLES: True} if shows else {}
        parameters = {**attack.efforts.get(section.effort, {}), **asked, **section.parameters.get(name, {})}
        made = _made(attack, parameters)  # wrong parameters are told of what is left out, too
        called_for = shows or attack.design in given or attack.reads in given
        reason = _reason(attack, section, needed=needed(attack, claim, policy) or called_for)
        if reason:
            left_out[name] = LEFT_OUT + reason
        else:
            chosen.append(made)
    if section.include_samples and not any(attack.parameters.get(SAMPLES) for attack in chosen):
        raise UsageError("--include-samples: no attack runs that keeps pictures: add reconstruction to --attacks.")
    return Suite(classes, tuple(chosen), left_out)


def changed(attack: type[Attack], parameters: Mapping[str, object]) -> tuple[str, ...]:
    """Names of the parameters that are not the defaults, with which the error rates were measured.

    A thorough effort asks for all that the default does and more, so it counts as no change, and neither do pictures
    that are kept beside the figures. Hidden layers that the
    user named count as one: whoever publishes a model could name those that say nothing.
    """
    usual, more = attack().parameters, attack.efforts.get("thorough", {})
    others = [n for n, v in usual.items() if n != SAMPLES and parameters.get(n, v) not in (v, more.get(n, v))]
    return (*others, *([LAYERS] if parameters.get(LAYERS) and LAYERS not in usual else []))


def _reason(attack: type[Attack], section: AttacksSection, *, needed: bool) -> str:
    """Why an attack does not run; "" where it does."""
    name = attack.name
    if name in section.skip:
        return "skipped on request (--skip)"
    if name in section.run or "all" in section.run:
        return ""
    if not {"gated", "default"} & set(section.run):
        return "not asked for (--attacks)"
    return "" if needed else f"{NOTHING}; --attacks gated,NAME runs one, --attacks all every one"


def _check_names(classes: Mapping[str, type[Attack]], names: Iterable[str], section: AttacksSection) -> None:
    unknown = sorted({name for name in names if name not in classes} - ({*WORDS} & set(section.run)))
    if unknown:
        raise UsageError(
            f"no attack {', '.join(map(repr, unknown))}: choose from {', '.join(classes)}, or the words "
            f"{', '.join(WORDS)} for --attacks."
        )


def _made(attack: type[Attack], parameters: Mapping[str, object]) -> Attack:
    known = list(inspect.signature(attack).parameters)
    unknown = sorted(parameters.keys() - set(known))
    if unknown:
        listed = ", ".join(known) or "none"
        raise UsageError(f"[attacks.parameters.{attack.name}] {', '.join(unknown)}: its parameters are {listed}.")
    try:
        return attack(**parameters)
    except (TypeError, ValueError) as error:
        raise UsageError(f"[attacks.parameters.{attack.name}]: {error}.") from None
