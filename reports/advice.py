"""What to do next, in a few steps: after a FAIL as well as where the data could not decide."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from audit.record.findings import FindingStatus
from audit.record.result import AuditResult, Outcome

from .groups import group_of
from .words import decides

#: what a method must change to survive the attacks of a group
_SURVIVES = {
    "membership": "Retraining without the forget set (or the shards that held it) survives this; short fine-tuning or "
    "a renewed last layer does not.",
    "recovery": "Retrain the encoder as well: masking outputs or renewing the last layer is undone by this attack.",
    "representation": "Retrain the encoder as well: renewing the last layer alone leaves what was learned.",
    "weights": "Retrain every layer without the forget set: layers carried over from the original bring it along.",
    "inversion": "Do not publish both versions; forget in larger batches, or retrain.",
    "other": "Retrain without the forget set.",
}
#: what shows most plainly what has to change comes first
_FIRST = ("weights", "recovery", "membership", "representation", "inversion", "other")


@dataclass(frozen=True)
class Step:
    """One step; ``command`` is what to type, where there is something."""

    text: str
    command: str = ""


def steps(result: AuditResult) -> tuple[Step, ...]:
    """The next steps after this verdict, the most useful first; at least one."""
    outcome = result.verdict.outcome
    if outcome is Outcome.FAIL:
        return _after_fail(result)
    if outcome is Outcome.INCONCLUSIVE:
        return _after_open(result)
    return _after_pass(result)


def found_by(result: AuditResult) -> tuple[str, ...]:
    """The attacks and facts that failed the model, in the order of the record."""
    failed = [f for f in result.findings if decides(f) and f.status is FindingStatus.FAIL]
    return tuple(dict.fromkeys(f.attack.replace("_", " ") for f in failed))


def _after_fail(result: AuditResult) -> tuple[Step, ...]:
    failed = [f for f in result.findings if decides(f) and f.status is FindingStatus.FAIL]
    names = found_by(result)
    first = f"Do not release it: found by {_listed(names)}." if names else "Do not release this model."
    chosen: list[Step] = [Step(first)]
    tests = [f for f in failed if f.kind == "difference"]
    if tests and all("over-unlearned" in f.reason for f in tests):
        text = "The forget set stands out as deleted: unlearn less, or toward what never-seen rows look like."
        chosen.append(Step(text))
    else:
        keys = {group_of(f.attack) for f in failed}
        chosen += [Step(_SURVIVES[key]) for key in _FIRST if key in keys][:1]
    again = "Audit the new model on the same data; more than one attempt needs a ledger."
    chosen.append(Step(again, _again(result, "--unlearned NEW_MODEL --ledger looks.jsonl")))
    return tuple(chosen)


def _after_open(result: AuditResult) -> tuple[Step, ...]:
    ways = [Step(f"{text[:1].upper()}{text[1:].rstrip('.')}.") for text in result.verdict.settle]
    if not ways:
        ways = [Step("The record names no way to settle it: read the reasons below.")]
    return (*ways, Step("Then repeat the command: finished work is used again.", _again(result, "")))


def _after_pass(result: AuditResult) -> tuple[Step, ...]:
    names = [i.name for i in result.inputs if i.role == "unlearned"]
    model, policy = shlex.quote(names[0]) if names else "MODEL", shlex.quote(result.policy.name)
    return (
        Step(
            "Let the release check the signed certificate against the very file.",
            f"audit gate certificate.dsse.json --key KEY.pub --model {model} --policy {policy}",
        ),
        Step("Delete what this verdict does not cover: other copies, derived models, caches; audit again on expiry."),
    )


def _again(result: AuditResult, more: str) -> str:
    """The same audit from its kept configuration: flags, lists and factories included, which no record repeats."""
    return f"audit run --config runs/{result.run_id}/config.toml {more}".rstrip()


def _listed(names: tuple[str, ...]) -> str:
    shown, more = names[:4], len(names) - 4
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
