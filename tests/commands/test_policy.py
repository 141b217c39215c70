"""``audit policy show|check|diff``, and evidence that another version of an attack made."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases.synthetic import Setup

from attacks.base import discover
from audit.collect.versions import refuse_other_versions
from audit.errors import CouldNotRun
from audit.policy.policy import BUILT_IN, FILES, PRESENT, _built_in, load_policy
from tests.conftest import Cli


@pytest.mark.parametrize("name", FILES)
def test_every_built_in_policy_is_shown_and_in_order(cli: Cli, name: str) -> None:
    shown = cli("policy", "show", name)
    policy, digest = load_policy(name)
    assert shown.code == 0
    assert f"{policy.name}, version {policy.version}, sha256 {digest}" in shown.out
    assert f"auc_margin {policy.auc_margin:g}" in " ".join(shown.out.split())
    assert "label_only.location" in shown.out
    checked = cli("policy", "check", name, "--against", name)
    assert checked.code == 0
    assert checked.out.count(f"at least as strict as {policy.name}") == 4


def own(path: Path, **changes: str) -> Path:
    """The standard policy under another name, with some text changed."""
    text = _built_in("standard").decode().replace('name = "standard"', 'name = "ours"')
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_a_policy_of_ones_own_is_checked(tmp_path: Path, cli: Cli) -> None:
    wide = own(tmp_path / "wide.toml", **{"auc_margin = 0.10": "auc_margin = 0.20"})
    assert (
        "ours, version 4, is weaker than standard, version 4: auc_margin is 0.2, not 0.1"
        in cli("policy", "check", wide).out
    )
    other = own(tmp_path / "other.toml", **{'"membership.location" = 0.3\n': '"nothing.location" = 0.3\n'})
    ended = cli("policy", "check", other)
    assert ended.code == 2
    assert "no attack 'nothing' is installed" in ended.text
    weak = own(
        tmp_path / "weak.toml", **{'"label_only.location" = 1.0': '"label_only.location" = 0.5\n"probe.location" = 0.5'}
    )
    assert "primary.random.labels: probe needs features access" in cli("policy", "check", weak).text
    broken = own(tmp_path / "broken.toml", **{'"label_only.location" = 1.0': '"label_only.location" = 0.7'})
    assert "primary.random.labels: the weights add up to 0.7, not to 1" in cli("policy", "check", broken).text


def test_two_policies_side_by_side(cli: Cli) -> None:
    assert "no difference" in cli("policy", "diff", "strict", "strict").out
    found = cli("policy", "diff", "standard", "strict").out
    assert "auc_margin" in found
    assert "min_forget" not in found
    assert "random claims: standard, version 4, is weaker than strict, version 4: " in found
    found = cli("policy", "diff", "standard@3", "standard").out
    assert "standard, version 3, is weaker than standard, version 4: its primaries of class claims" in found
    found = cli("policy", "diff", "standard@1", "standard").out
    assert "primary.random.features.membership.location" in found
    assert "its primaries of class claims are others at logits, features access" in found


def test_the_present_version_has_its_number_for_a_name(cli: Cli) -> None:
    for name in BUILT_IN:
        assert load_policy(f"{name}@{PRESENT}") == load_policy(name)
        assert load_policy(name)[0].version == PRESENT
    assert "no difference" in cli("policy", "diff", f"standard@{PRESENT}", "standard").out
    assert f"standard@{PRESENT}" in cli("policy", "show", f"standard@{PRESENT + 1}").text


def test_evidence_of_another_version_is_refused() -> None:
    evidence, suite = Setup().evidence(), discover()
    stated = {name: attack.version for name, attack in suite.items()}
    refuse_other_versions(Path("runs/x"), evidence, stated, suite)  # of a tool that kept no versions: the record says
    with pytest.raises(CouldNotRun, match=r"probe \(version 0 then, .* now\)"):
        refuse_other_versions(Path("runs/x"), evidence, stated | {"probe": "0"}, suite)
    runs = tuple(run.model_copy(update={"version": stated[run.name]}) for run in evidence.facts.attacks)
    evidence.facts = evidence.facts.model_copy(update={"attacks": runs})
    refuse_other_versions(Path("runs/x"), evidence, {}, suite)
    gone = {name: attack for name, attack in suite.items() if name != "membership"}
    with pytest.raises(CouldNotRun, match="not installed now"):
        refuse_other_versions(Path("runs/x"), evidence, {}, gone)
