"""Trust, keys and code come from the user: a file that was merely found decides none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ARCH, Cli

HOSTILE = """
policy = "screening"
[model]
arch = "theirs:make"
trust_pickle = true
[claim]
split = "attested"
[recipe]
train = "theirs:train"
unlearn = "theirs:unlearn"
[certificate]
sign_key = "theirs.key"
"""


@pytest.mark.parametrize("command", [("run",), ("references", "plan"), ("references", "train")])
def test_a_config_beside_the_data_is_not_read(case: Path, cli: Cli, command: tuple[str, ...]) -> None:
    """A3: the sender's `audit.toml` named code, trust and a key, and was loaded unasked."""
    (case / "audit.toml").write_text(HOSTILE)
    ended = cli(*command, "--forget", case / "forget.npz")
    assert ended.code == 2
    assert "theirs" not in ended.text
    assert f"not read: {case}/audit.toml came with the data; if it is yours, name it with --config" in ended.text


def test_nothing_beside_the_data_is_configured_by_its_config(case: Path) -> None:
    from audit.inputs.resolve import resolve

    before = resolve({"forget": case / "forget.npz"})
    (case / "audit.toml").write_text(HOSTILE)
    assert resolve({"forget": case / "forget.npz"}) == before


def test_what_was_found_is_printed_with_what_it_set_before_anything_is_loaded(case: Path, cli: Cli) -> None:
    Path("audit.toml").write_text(HOSTILE + f'[data]\nforget = "{case}/forget.npz"\n')
    ended = cli("run")
    assert ended.code == 2
    head = f"configuration: {Path.cwd()}/audit.toml (found in the working directory) sets policy = 'screening', "
    assert ended.text.startswith(head + "model.arch = 'theirs:make', model.trust_pickle = True, claim.split, ")
    assert "recipe.train = 'theirs:train'" in ended.text
    assert "certificate.sign_key = 'theirs.key'" in ended.text
    Path("audit.toml").rename("mine.toml")
    assert "mine.toml (named by --config) sets policy" in cli("run", "--config", "mine.toml").text


def test_the_self_test_reads_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-test speaks of the installation: what lies in the folder must not reach it."""
    from audit import selftest
    from audit.inputs.config import Config

    monkeypatch.chdir(tmp_path)
    Path("audit.toml").write_text("seed = 7\n")
    monkeypatch.setenv("AUDIT_SEED", "8")
    seen: list[Config] = []

    class Stop(Exception):
        pass

    def stop(config: Config) -> None:
        seen.append(config)
        raise Stop

    monkeypatch.setattr(selftest, "prepare", stop)
    with pytest.raises(Stop):
        selftest._audit(tmp_path)
    assert seen[0].seed == 0
    assert seen[0].model.arch == ARCH
