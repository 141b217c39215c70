"""Groups, effects and next steps: what the report leads with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attacks.base import discover
from audit.record.attack_record import LEFT_OUT, NOTHING
from audit.record.findings import Finding, FindingStatus
from audit.record.result import AuditResult, Outcome
from reports.advice import steps
from reports.charts.answer import _figure, answer_svg
from reports.effects import effect, leading, place, size
from reports.formats.html import render_html
from reports.front import front, untested
from reports.groups import GROUPS, groups
from reports.numbers import level_text, null_mean, num
from tests.reports.conftest import example
from tests.reports.page import Page


def test_every_attack_stands_in_the_group_of_its_folder() -> None:
    folders: dict[str, set[str]] = {}
    for name, kind in discover().items():
        folders.setdefault(kind.__module__.split(".")[1], set()).add(name)
    named = {key: set(names) - {"structure", "identical", "outputs"} for key, _, _, names in GROUPS}
    assert named == folders


def test_failures_lead_and_skipped_attacks_make_no_group() -> None:
    found = groups(example(Outcome.FAIL))
    assert found[0].status is FindingStatus.FAIL
    decided = [g.decided for g in found]
    assert decided == sorted(decided, reverse=True)
    assert all(f.status is not FindingStatus.SKIPPED for g in found for f in g.findings)


def test_the_axis_runs_from_honest_retrains_to_the_original() -> None:
    f = example(Outcome.FAIL).findings[2]
    assert f.null
    assert f.control is not None
    at = {
        value: placed.value
        for value in (f.null.mean, f.control)
        if (placed := place(f.model_copy(update={"estimate": value})))
    }
    assert at == {f.null.mean: 0.0, f.control: 1.0}
    assert place(f.model_copy(update={"control": f.null.mean})) is None  # sees nothing in the original
    assert place(f.model_copy(update={"status": FindingStatus.NOT_COVERED})) is None
    drawn = place(f)
    assert drawn
    assert drawn.margin
    assert drawn.margin[1] == pytest.approx((0.6 - f.null.mean) / (f.control - f.null.mean))


def test_a_control_below_the_null_keeps_its_direction() -> None:
    f = example(Outcome.FAIL).findings[2].model_copy(update={"control": 0.2, "estimate": 0.21})
    drawn = place(f)
    assert drawn
    assert 0.9 < drawn.value < 1
    assert drawn.low is not None
    assert drawn.high is not None
    assert drawn.low < drawn.high


def test_the_size_has_its_interval_and_the_honest_figure(any_result: AuditResult) -> None:
    said, f = size(any_result), leading(any_result)
    assert f
    assert f.interval
    assert f"({num(f.interval.low, 2)} to {num(f.interval.high, 2)}, 90% interval)" in said
    assert "honest retrains 0.50 ± 0.01" in said
    assert ("margin 0.4 to 0.6" in said) == (any_result.verdict.outcome is Outcome.PASS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "share", "margin": (-0.25, 0.25), "estimate": 0.97}, "97% of the original's knowledge"),
        ({"metric": "auc", "margin": (-0.1, 0.1), "estimate": 0.2}, "AUC +0.200 from honest retrains"),
        ({"metric": "tpr_upper", "margin": (0.0, 0.15), "estimate": 0.3}, "30% of the forget rows above the outer 5%"),
        (
            {"kind": "difference", "family": "D2", "metric": "d2", "unit": "sd"},
            "differ from never-seen rows by 0.844 sd",
        ),
        ({"metric": "other", "interval": None}, "0.844 (no interval)"),
    ],
)
def test_effects_in_words(changes: dict[str, Any], words: str) -> None:
    f = example(Outcome.FAIL).findings[2].model_copy(update=changes)
    assert words in effect(f, "An attack")


def test_next_steps_say_what_found_it_what_survives_and_what_to_run(failing: AuditResult) -> None:
    texts = " ".join(step.text for step in steps(failing))
    assert "found by recovery, representation" in texts
    assert "Retrain without the forget set." in texts  # both are attacks that this version does not know
    known = failing.findings[4].model_copy(update={"attack": "feature_mapping"})
    again = " ".join(step.text for step in steps(failing.model_copy(update={"findings": (known,)})))
    assert "Retrain the encoder as well" in again
    assert any(
        step.command.startswith(f"audit run --config runs/{failing.run_id}/config.toml --unlearned")
        for step in steps(failing)
    )
    reason = "over-unlearned: the forget set is recognisable as the deleted set, which reveals it as well"
    over: Finding = failing.findings[4].model_copy(update={"reason": reason})
    stood_out = failing.model_copy(update={"findings": (over,)})
    assert "unlearn less" in " ".join(step.text for step in steps(stood_out))
    passed = example(Outcome.PASS)
    assert any(step.command.startswith("audit gate") for step in steps(passed))
    opened = example(Outcome.INCONCLUSIVE)
    assert [s.text for s in steps(opened)][:2] == list(opened.verdict.settle)


def test_a_bare_run_has_a_first_screen(bare: AuditResult) -> None:
    first = front(bare)
    assert first.size.startswith("No size was measured")
    assert first.groups == ()
    assert "no data" in answer_svg(first.groups)
    assert untested(bare).startswith("Nothing was recorded")


def test_what_could_not_run_is_not_what_decides_nothing(failing: AuditResult) -> None:
    first = failing.attacks[0]
    changed = {
        "one": {"status": "skipped", "reason": f"{LEFT_OUT}{NOTHING}; --attacks all"},
        "two": {"status": "skipped", "reason": f"{LEFT_OUT}skipped on request (--skip)"},
        "three": {"status": "skipped", "reason": "needs 200 auxiliary rows"},
        "four": {"status": "error", "reason": "ValueError"},
    }
    attacks = tuple(first.model_copy(update={"name": name, **update}) for name, update in changed.items())
    said = untested(failing.model_copy(update={"attacks": attacks}))
    for part in ("1 of 4 attacks broke (four)", "could not run (three)", "were left out (two)", "did not run (one)"):
        assert part in said


def test_an_auc_off_retrains_is_no_auc(failing: AuditResult) -> None:
    """An "AUC 0.005" stood in the picture of an honest retrain."""
    found = next(f for f in failing.findings if f.metric == "auc" and f.margin)
    off = found.model_copy(update={"estimate": 0.005, "margin": (-0.1, 0.1)})
    placed = place(off)
    assert placed is not None
    assert _figure(placed).endswith("shift +0.005")


def test_the_picture_says_in_words_what_it_shows(failing: AuditResult) -> None:
    drawn = str(answer_svg(groups(failing)))
    assert "Other checks: FAIL; recovery, AUC 0.844" in drawn
    assert "of the way from honest retrains to the original" in drawn


def numbers(value: object, path: str = "") -> list[tuple[str, float]]:
    """Every number of a record but those of charts, which are drawn, with where it stands."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return []
    if isinstance(value, (int, float)):
        return [(path, value)]
    if isinstance(value, dict):
        return [found for key, part in value.items() if key != "charts" for found in numbers(part, f"{path}.{key}")]
    assert isinstance(value, list)
    return [found for at, part in enumerate(value) for found in numbers(part, f"{path}.{at}")]


def lost(result: AuditResult, page: str) -> list[tuple[str, float]]:
    """The numbers of a record that stand nowhere in its page, neither as they are nor as they are written."""
    read = Page(page)
    exact = {part for value in read.attributes("value") for part in value.split()}
    words = read.text
    for sign in "[](),;:=%×":
        words = words.replace(sign, " ")
    seen = exact | set(words.split())

    def there(path: str, value: float) -> bool:
        forms = {json.dumps(value), num(value), f"{value:.6g}", f"{-value:.6g}", f"{value:.3g}"}
        if path.endswith(".level"):
            forms.add(level_text(value).rstrip("%"))
        if path.endswith("null.mean"):
            position = int(path.split(".")[2])
            null = result.findings[position].null
            forms |= {json.dumps(null_mean(null))} if null else set()
        return bool(forms & seen)

    return [(path, value) for path, value in numbers(json.loads(result.model_dump_json())) if not there(path, value)]


def test_every_number_of_the_record_is_in_the_page(any_result: AuditResult) -> None:
    page = render_html(any_result)
    assert lost(any_result, page) == []
    first = any_result.findings[0]
    other = any_result.model_copy(update={"findings": (first.model_copy(update={"estimate": 0.7654321}),)})
    assert [value for _, value in lost(other, page)] == [0.7654321]


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_every_number_of_old_records_is_in_the_page(version: str) -> None:
    golden = Path(__file__).parents[1] / "golden" / f"run-{version}.json"
    result = AuditResult.model_validate_json(golden.read_bytes())
    page = render_html(result)
    assert lost(result, page) == []
    assert size(result)[:3] not in ("", "No ")
