"""Is the policy of a certificate at least as strict as another one? Only then does its PASS count there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from audit.policy.policy import Policy
from audit.policy.primaries import LEVELS

#: The certified value must be at most the wanted one. A margin that is wider passes more.
_AT_MOST = (
    *("auc_margin", "tpr_margin", "share_margin", "utility_margin", "utility_part_margin"),
    *("overlap_share", "valid_days"),
)
#: ... at least the wanted one: more evidence before anything is judged.
_AT_LEAST = (*("permutations", "min_forget", "min_holdout", "min_forget_tail"),)
#: ... the same: smaller is stricter for a PASS and laxer for a FAIL, or the other way round.
_SAME = (
    *("alpha", "tpr_fpr", "d2_features", "may_pass"),
    # a family that asks for more references tests less often, and more shams have a lower bar each
    *("references_assumed_split", "references_t", "references_t_class", "references_rank", "shams"),
)
#: ... below the wanted one where that is a bound at all; 0 is none.
_BOUNDS = ("remainder_margin",)
#: Values that policies of older versions lack, and what they then are.
_SINCE: dict[str, Any] = {
    **{"remainder_margin": 0.0, "version": 1, "primary": {}, "composites": {}},
    "pass_identical": False,  # and never the weaker: it changes no PASS but those of its name, which the gate looks at
}
#: ... equal, whatever their form.
_TABLES = {"primary", "composites"}
#: ... not true where the wanted one is false.
_NOT_ADDED = ("pass_with_trace", "pass_on_transfer")


def weaker(certified: Mapping[str, Any], wanted: Policy, kind: str, access: tuple[str, ...]) -> str:
    """Why a policy is weaker than the wanted one, in words; "" where it is at least as strict.

    Args:
        certified: the values of the certificate's policy.
        wanted: the policy to compare with.
        kind: kind of the certified claim, which says which mandatory figures count.
        access: the access levels of the certified claim.
    """
    values, certified = wanted.model_dump(mode="json"), {**_SINCE, **certified}
    if certified.keys() != values.keys():
        other = ", ".join(sorted(certified.keys() ^ values.keys()))
        return f"it cannot be compared: another version of this tool made it ({other})"
    rules: tuple[tuple[tuple[str, ...], Callable[[Any, Any], bool]], ...] = (
        (_AT_MOST, lambda mine, theirs: mine <= theirs),
        (_AT_LEAST, lambda mine, theirs: mine >= theirs),
        (_SAME, lambda mine, theirs: mine == theirs),
        (_BOUNDS, lambda mine, theirs: not theirs or 0 < mine <= theirs),
        (_NOT_ADDED, lambda mine, theirs: theirs or not mine),
        (("structural",), lambda mine, theirs: mine or not theirs),
    )
    odd = ", ".join(key for key in sorted(values.keys() - _TABLES) if not _comparable(certified[key], values[key]))
    if odd:
        return f"it cannot be compared: {odd} has another form"
    broken = [
        f"{key} is {certified[key]!r}, not {values[key]!r}"
        for keys, holds in rules
        for key in keys
        if type(certified[key]) is not type(values[key]) or not holds(certified[key], values[key])
    ]
    broken += _others(certified, values, kind, access)
    return "; ".join([*broken, *_missing(certified["mandatory"], values["mandatory"], kind, access)])


def _others(certified: Mapping[str, Any], wanted: Mapping[str, Any], kind: str, access: tuple[str, ...]) -> list[str]:
    """Levels at which other statistics, or the same with other weights, decide FAIL: neither list is the stricter."""
    covered = [i for i, level in enumerate(LEVELS) if level in access]
    levels = LEVELS[: max(covered, default=-1) + 1]  # those below may block a PASS
    other = [level for level in levels if _primaries(certified, kind, level) != _primaries(wanted, kind, level)]
    found = [f"its primaries of {kind} claims are others at {', '.join(other)} access"] if other else []
    return found + (["its composites are others"] if certified["composites"] != wanted["composites"] else [])


def _primaries(values: Mapping[str, Any], kind: str, level: str) -> Any:
    """What a table of primaries lists, whatever its form; None where nothing."""
    for key in ("primary", kind, level):
        values = values.get(key) if isinstance(values, Mapping) else None  # type: ignore[assignment]
    return values


def _comparable(mine: Any, wanted: Any) -> bool:
    """Of one type, and all parts alike: what cannot be compared is not stricter."""
    if isinstance(wanted, dict):
        return isinstance(mine, dict) and all(
            isinstance(levels, dict) and all(_names(names) for names in levels.values()) for levels in mine.values()
        )
    return _names(mine) if isinstance(wanted, list | tuple) else type(mine) is type(wanted)


def _names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _missing(certified: Any, wanted: Mapping[str, Any], kind: str, access: tuple[str, ...]) -> list[str]:
    """Mandatory figures of the wanted policy that the certified one does not demand."""
    mine = certified.get(kind, {}) if isinstance(certified, Mapping) else {}
    return [
        f"{figure} is not mandatory at {level} access"
        for level in access
        for figure in wanted.get(kind, {}).get(level, ())
        if figure not in mine.get(level, ())
    ]
