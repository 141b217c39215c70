"""How large an effect is, in words and on one common axis.

The axis runs from 0, what honest retrains show, to 1, what the original model showed before unlearning. Every attack
has its own unit; on this axis their figures stand side by side. Without references, chance takes their place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from audit.record.findings import Finding, FindingStatus
from audit.record.result import AuditResult, Outcome

from .numbers import level_text, null_mean, num
from .words import decides

_SILENT = (FindingStatus.SKIPPED, FindingStatus.ERROR, FindingStatus.NOT_COVERED)
_STATUS = (FindingStatus.FAIL, FindingStatus.INCONCLUSIVE, FindingStatus.PASS, FindingStatus.NOT_DETECTED)
_ROLES = ("mandatory", "primary", "supplementary")
_BRIEF = 2  # digits on the first screen
_NEAREST = 1e-6  # of the original to the null, in the finding's unit: nearer ones give no axis


@dataclass(frozen=True)
class Place:
    """A finding on the common axis: 0 is an honest retrain, 1 the original."""

    finding: Finding
    value: float
    low: float | None
    high: float | None
    margin: tuple[float, float] | None
    spread: float | None


def place(f: Finding) -> Place | None:
    """Where a finding lies on the axis; None where it has no value, no control, or does not see the original."""
    if f.estimate is None or f.control is None or f.status in _SILENT or f.kind == "exploratory":
        return None
    zero = _zero(f)
    width = f.control - zero
    if abs(width) < _NEAREST:
        return None

    def at(value: float) -> float:
        return (value - zero) / width

    ends = sorted((at(f.interval.low), at(f.interval.high))) if f.interval else (None, None)
    spread = abs(f.null.sd / width) if f.null and f.null.source == "references" else None
    return Place(f, at(f.estimate), ends[0], ends[1], _margin(f, at), spread)


def _zero(f: Finding) -> float:
    if f.null is not None:
        return null_mean(f.null)
    return 0.5 if f.metric == "auc" and f.margin is not None and f.margin[0] > 0 else 0.0


def _margin(f: Finding, at: Callable[[float], float]) -> tuple[float, float] | None:
    if f.margin is None:
        return None
    low, high = sorted((at(f.margin[0]), at(f.margin[1])))
    return low, high


def key_finding(findings: Sequence[Finding]) -> Finding | None:
    """The figure that speaks for findings: of the worst status, gated rather than not, the largest on the axis."""
    found = [(p, f) for f in findings if (p := place(f)) is not None and f.status in _STATUS]
    if not found:
        return None
    return min(found, key=lambda pair: _rank(*pair))[1]


def _rank(p: Place, f: Finding) -> tuple[int, int, int, float]:
    whole = f.metric in ("auc", "share")
    plain = 0 if whole and f.interval else 1 if f.kind == "difference" else 2
    return _STATUS.index(f.status), _ROLES.index(f.role), plain, -abs(p.value)


def leading(result: AuditResult) -> Finding | None:
    """The figure of the first screen: the worst among those that decide, a gated AUC or share where there is one."""
    deciding = [f for f in result.findings if decides(f)]
    failing = {f.attack for f in deciding if f.status is FindingStatus.FAIL}
    failed = [f for f in result.findings if f.attack in failing and f.status is FindingStatus.FAIL]
    return key_finding(failed) or key_finding(deciding) or key_finding(result.findings)


def size(result: AuditResult) -> str:
    """One sentence on how large the effect is, with its interval and what honest retrains show."""
    f = leading(result)
    if f is None:
        return "No size was measured: no figure of this run has a value on the model and on the original."
    inside = result.verdict.outcome is Outcome.PASS and f.margin is not None
    lead = "Largest effect: " if inside else ""
    margin = f"; margin {_bounds(f)}" if inside else ""
    return f"{lead}{effect(f, title_of(result, f.attack), brief=True)}{margin}{_remainder(result, f.attack)}."


def _bounds(f: Finding) -> str:
    low, high = f.margin or (0.0, 0.0)
    if f.metric == "share" or f.metric.startswith("tpr_"):
        return f"up to {percent(high)}"
    return f"{low:.6g} to {high:.6g}"


def title_of(result: AuditResult, attack: str) -> str:
    """What an attack is called; its name where it has no record."""
    return next((a.title for a in result.attacks if a.name == attack), attack.replace("_", " "))


def effect(f: Finding, who: str, *, brief: bool = False) -> str:
    """The effect that a finding measured, without the full stop.

    Args:
        f: a finding with an estimate.
        who: what its attack is called.
        brief: two digits, and without the original.
    """
    digits, original = (_BRIEF, "") if brief else (3, _original(f))
    value, span, honest = num(f.estimate, digits), _span(f, digits), _honest(f, digits)
    if f.metric == "auc" and f.margin is not None and f.margin[0] > 0:
        return f"{who} tells forget rows from never-seen ones with AUC {value}{span}{honest}{original}"
    if f.metric == "auc":
        sign = "+" if f.estimate is not None and f.estimate > 0 else ""
        return f"{who} tells forget rows from never-seen ones; AUC {sign}{value} from honest retrains{span}{original}"
    if f.metric == "share":
        said = f"{who} finds {percent(f.estimate)} of the original's knowledge of the forgotten classes still there"
        return f"{said}{_span(f)}{_honest(f)}"
    if f.metric in ("tpr_upper", "tpr_lower") and f.margin is not None and f.margin[0] == 0:
        side = "above" if f.metric == "tpr_upper" else "below"
        said = f"{who} puts {percent(f.estimate)} of the forget rows {side} the outer 5% of never-seen rows"
        return f"{said}{_span(f)}{_honest(f)}"
    unit = f" {f.unit}" if f.unit else ""
    if f.kind == "difference":
        other = "never-seen rows" if f.family == "D2" else "honest retrains"
        return f"{who}: the forget rows differ from {other} by {value}{unit}{span}{original}"
    return f"{f.title}: {value}{unit}{span}{honest}{original}"


def percent(value: float | None) -> str:
    """A share as a whole percentage."""
    return "–" if value is None else f"{round(100 * value) + 0:d}%"


def _span(f: Finding, digits: int = 0) -> str:
    if f.interval is None:
        return " (no interval)"
    low, high = (num(v, digits) if digits else percent(v) for v in (f.interval.low, f.interval.high))
    return f" ({low} to {high}, {level_text(f.interval.level)} interval)"


def _honest(f: Finding, digits: int = 0) -> str:
    """What honest retrains show: mean and standard deviation."""
    if f.null is None or f.null.source != "references":
        return ""
    mean, sd = (num(v, digits) if digits else percent(v) for v in (null_mean(f.null), f.null.sd))
    if digits == _BRIEF and "." in mean and f.null.sd >= 0.5 * 10.0 ** -(places := len(mean.partition(".")[2])):
        sd = f"{f.null.sd:.{places}f}"
    return f"; honest retrains {mean} ± {sd}"


def _original(f: Finding) -> str:
    return "" if f.control is None else f"; the original {num(f.control)}"


def _remainder(result: AuditResult, attack: str) -> str:
    """How much of the forget set is as visible as if it were still trained on: of this attack, else of any."""
    found = [f for f in result.findings if f.metric == "remainder" and f.estimate is not None]
    chosen = next((f for f in found if f.attack == attack), max(found, key=lambda f: f.estimate or 0.0, default=None))
    if chosen is None or chosen.estimate is None:
        return ""
    by = "" if chosen.attack == attack else f", by {chosen.attack.replace('_', ' ')}"
    ends = chosen.interval
    low, high = (None, None) if ends is None else (max(0.0, ends.low), max(0.0, ends.high))
    span = "" if ends is None else f" ({percent(low)} to {percent(high)}, {level_text(ends.level)})"
    return f"; as visible as {percent(max(0.0, chosen.estimate))} of the rows fully retained{span}{by}"
