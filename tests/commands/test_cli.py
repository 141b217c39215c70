"""The command line as a user and a pipeline see it: exit codes, streams, precedence, and every command."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attacks.base import discover
from tests.conftest import ARCH, Cli, events, process

MODULE_NETS = """
import sys
from audit import demo
print("building a network")
def make():
    print("made one")
    return demo.network()
"""


@pytest.fixture
def run_dir(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run to change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def raising(message: str) -> Callable[..., Any]:
    def run(*_args: Any) -> Any:
        raise ArithmeticError(message)

    return run


def verdict(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "run.json").read_text()))


# --- exit codes of a real process


def test_exit_0_and_one_json_line(finished: Path) -> None:
    """The fixture is a real process that ended with 0; `result` demands exactly one line."""
    assert verdict(finished)["verdict"]["outcome"] == "PASS"
    assert (finished / "certificate.dsse.json").is_file()
    assert not (finished / "certificate.unsigned.json").exists()


def test_exit_1_for_the_original_itself(case: Path) -> None:
    ended = process(
        "run", "--forget", case / "forget.npz", "--arch", ARCH, "--unlearned", case / "original.safetensors"
    )
    assert ended.code == 1, ended.err
    assert ended.result["verdict"] == "FAIL"
    assert ended.result["exit_code"] == 1
    assert "nothing was unlearned" in ended.text
    assert Path(ended.result["report"]).is_file()


def test_exit_2_and_no_traceback(case: Path) -> None:
    ended = process("run", "--forget", case / "forget.npz", "--arch", "gone:gone")
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err
    assert "cannot import gone" in ended.text


def test_exit_3_without_an_original(case: Path) -> None:
    (case / "original.safetensors").unlink()
    ended = process("run", "--forget", case / "forget.npz", "--arch", ARCH, "-q")
    assert ended.code == 3, ended.err
    assert ended.result["verdict"] == "INCONCLUSIVE"
    assert "no original model: silence of an attack proves nothing" in ended.text


@pytest.mark.parametrize(
    "fault",
    [
        "sys.exit(0)",
        *(pytest.param(f, marks=pytest.mark.slow) for f in ("raise ArithmeticError('boom')", "sys.exit(1)")),
    ],
)
def test_exit_4_for_any_fault(case: Path, fault: str) -> None:
    """A fault injected into the engine is neither a pass (0) nor a fail (1)."""
    code = (
        "import sys, audit.collect.collect\n"
        f"def broken(*args, **kwargs):\n    {fault}\n"
        "audit.collect.collect.compare = broken\n"
        f"sys.argv = ['audit', 'run', '--forget', {os.fspath(case / 'forget.npz')!r}, '--arch', {ARCH!r}]\n"
        "from audit.__main__ import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert "Traceback" not in done.stderr
    assert "could not run" in done.stderr
    assert "This is not a verdict" in done.stderr


def test_a_closed_pipe_is_no_fail(finished: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "audit", "report", finished, "-f", "json"],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")  # 128 + SIGPIPE, no code of a verdict


def test_an_unknown_log_level_is_ignored() -> None:
    ended = process("--version", env={"AUDIT_LOGLEVEL": "loud"})
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("unlearn-audit ")


def test_the_kept_configuration_is_the_whole_command(finished: Path, cli: Cli) -> None:
    """What the report tells to type next (reports/advice.py)."""
    planned = cli("run", "--config", finished / "config.toml", "--dry-run")
    assert planned.code == 0, planned.text
    assert "plan: " in planned.out


def test_help_verify_and_report_import_no_torch(
    finished: Path, keys: tuple[Path, Path], built: Path, tmp_path: Path, lenient: Path
) -> None:
    calls = [
        ["--help"],
        [
            "verify",
            finished / "certificate.dsse.json",
            "--key",
            keys[1],
            "--model",
            built / "unlearned.safetensors",
            "--policy",
            lenient,
        ],
        ["report", finished, "-o", tmp_path / "report.html"],
        ["report", finished, "-f", "terminal"],
    ]
    for call in calls:
        code = (
            f"import sys; sys.argv = ['audit', *{list(map(str, call))!r}]\n"
            "from audit.__main__ import _run\n"
            "assert _run() == 0\n"
            "assert 'torch' not in sys.modules, 'torch was imported'"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (call, done.stderr)


# --- streams


def test_what_model_code_prints_stays_off_standard_output(case: Path, cli: Cli) -> None:
    Path("chatty_nets.py").write_text(MODULE_NETS)
    ended = cli("run", "--forget", case / "forget.npz", "--arch", "chatty_nets:make", "-q")
    assert ended.result["exit_code"] == ended.code
    assert "made one" in ended.err


def test_ascii_terminal(finished: Path) -> None:
    ended = process("report", finished, "-f", "terminal", env={"PYTHONIOENCODING": "ascii"})
    assert ended.code in (0, 4)
    assert "Traceback" not in ended.err


# --- configuration


def test_init_writes_a_file_that_validates(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    ended = cli("init")
    assert (ended.code, ended.out.strip()) == (0, "audit.toml")
    ended = cli("run", "--arch", ARCH, "--dry-run")
    assert ended.code == 0, ended.err
    assert f"forget {case}/forget.npz (audit.toml)" in ended.text
    assert cli("init").code == 2
    ended = cli("init", "gone/audit.toml")
    assert ended.code == 4
    assert "cannot write gone/audit.toml (No such file or directory)" in ended.text


def test_every_commented_key_of_the_template_is_valid(tmp_path: Path) -> None:
    from audit.inputs.resolve import resolve, template

    lines = [re.sub(r"^# (\w+ = )", r"\1", line) for line in template().splitlines()]
    path = tmp_path / "audit.toml"
    path.write_text("\n".join(lines))
    config, _ = resolve({}, path)
    assert config.device == "cuda"
    assert config.claim.split == "attested"
    assert config.certificate.signer_name == "Jane Doe"
    assert config.data.auxiliary == tmp_path / "auxiliary.npz"


def test_flag_over_variable_over_file(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("audit.toml").write_text(f'seed = 1\n[data]\nforget = "{case}/forget.npz"\n[model]\narch = "{ARCH}"\n')

    def seed(*flags: str) -> str:
        ended = cli("run", "--dry-run", *flags)
        assert ended.code == 0, ended.err
        return next(line.strip() for line in ended.err.splitlines() if line.startswith("  seed"))

    assert seed() == "seed       1 (audit.toml)"
    monkeypatch.setenv("AUDIT_SEED", "2")
    assert seed() == "seed       2 (AUDIT_SEED)"
    assert seed("--seed", "3") == "seed       3 (flag)"
    assert seed("--seed", "0") == "seed       0 (flag)"  # zero is a value, not an absence


def test_variables_for_everything(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    retrained = os.pathsep.join(str(case / f"retrained-{k}.safetensors") for k in range(2))
    for name, value in {
        "FORGET": case / "forget.npz", "ARCH": ARCH, "RETRAINED": retrained, "OUT": tmp_path / "else",
        "POLICY": "strict", "SPLIT": "attested", "BATCH_SIZE": 64, "CLAIM": "other", "ACCESS": "logits",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AUDIT_{name}", str(value))
    ended = cli("run", "--dry-run")
    assert ended.code == 0, ended.err
    assert "retrained 2: retrained-0.safetensors, retrained-1.safetensors (AUDIT_RETRAINED)" in ended.text
    assert "policy strict (AUDIT_POLICY)" in ended.text
    assert "claim: other, split attested, access logits" in ended.text
    assert f"run {tmp_path}/else/" in ended.text
    monkeypatch.setenv("AUDIT_SEED", "many")
    ended = cli("run", "--dry-run")
    assert ended.code == 2
    assert "seed: Input should be a valid integer" in ended.text


def test_a_named_config_beside_the_forget_set_and_relative_paths(case: Path, cli: Cli) -> None:
    (case / "audit.toml").write_text(f'[data]\nforget = "forget.npz"\nholdout = "test.npz"\n[model]\narch = "{ARCH}"\n')
    flags = ("--forget", f"../{case.name}/forget.npz", "--dry-run")
    ended = cli("run", *flags, "--config", f"../{case.name}/audit.toml")
    assert ended.code == 0, ended.err
    assert "/test.npz (audit.toml)" in ended.text
    assert "found beside the forget set" in ended.text


def test_dry_run(case: Path, cli: Cli) -> None:
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "--attacks", "all", "--dry-run")
    assert ended.code == 0, ended.err
    assert not Path("runs").exists()
    for part in (
        f"plan: 4 models x {len(discover())} attacks",
        "sets: forget 100, retain 300, auxiliary 75, test 225, holdout 200",
        "membership: logits access, gated",
        "uma: gradients access, supplementary,",
        "rows forward a model, about",
        "s of the processor (measured here; without training",
        "D2 (labels permuted): 100 forget and 200 holdout rows show an AUC of 0.",
        "D1 (against retrains): not available with 2 references, needs 5",
    ):
        assert part in ended.out
    assert "dry run: nothing was run" in ended.err


def test_a_run_that_will_be_personal_data_says_so_once(case: Path, cli: Cli) -> None:
    flags = ("--forget", case / "forget.npz", "--arch", ARCH, "--attacks", "reconstruction", "--effort", "quick")
    assert "personal data" not in cli("run", *flags, "--dry-run").text
    for more in (("--dry-run",), ("-q",)):
        told = cli("run", *flags, "--include-samples", *more).err
        assert told.count("personal data: --include-samples keeps pictures of deleted rows in run.json") == 1


def test_attacks(cli: Cli) -> None:
    ended = cli("attacks")
    assert ended.code == 0
    for name in ("feature_mapping", "membership", "probe", "uma"):
        assert name in ended.out


# --- an attack that fails


@pytest.mark.parametrize(("module", "name"), [("lira", "Membership"), ("probe", "Probe"), ("uma", "UnlearningMapping")])
def test_an_attack_that_raises_is_an_error_and_never_a_pass(
    case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, lenient: Path, module: str, name: str
) -> None:
    import importlib

    package = {"lira": "membership", "probe": "representation", "uma": "recovery"}[module]
    attack = getattr(importlib.import_module(f"attacks.{package}.{module}"), name)
    monkeypatch.setattr(attack, "run", raising("boom [bold]"))
    flags = ("--split", "attested", "--policy", lenient, "--attacks", f"gated,{attack.name}", "-q")
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, *flags)
    result = verdict(Path(ended.result["run"]))
    found = next(f for f in result["findings"] if f["id"] == f"{attack.name}.execution")
    assert found["status"] == "ERROR"
    title = f"{attack.name} on unlearned"
    assert found["reason"] == f"ArithmeticError on unlearned: its text is in private/errors.log ({title})"
    log = Path(ended.result["run"]) / "private" / "errors.log"
    assert f"== {title}\nTraceback" in log.read_text()
    assert "boom [bold]" in log.read_text()
    assert f"in full: {log}" in ended.text
    assert ended.code == (0 if attack.name == "uma" else 3)  # supplementary on random claims
    if attack.name != "uma":
        assert ended.result["verdict"] == "INCONCLUSIVE"
        assert any(attack.name in reason for reason in result["verdict"]["reasons"])


def test_an_attack_that_returns_nan_is_an_error(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from attacks.membership.lira import Membership

    monkeypatch.setattr(Membership, "run", lambda *_: {"forget": np.array([np.nan])})
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "-q")
    assert ended.code == 3
    result = verdict(Path(ended.result["run"]))
    found = next(f for f in result["findings"] if f["id"] == "membership.execution")
    assert (found["status"], "is not finite numbers" in found["reason"]) == ("ERROR", True)


def test_an_attack_that_changes_the_model(case: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from attacks.membership.lira import Membership

    def run(self: Any, view: Any, *_: Any) -> Any:
        view.target.module.train()
        return {}

    monkeypatch.setattr(Membership, "run", run)
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "-q")
    assert (ended.code, ended.out) == (4, "")
    assert "an attack modified unlearned, original" in ended.text


# --- score, report


def test_score_needs_no_model(run_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.inputs.reading.load_model", raising("no model may be loaded"))
    ended = cli("score", run_dir, "--policy", "screening")
    assert (ended.code, ended.result["verdict"]) == (3, "INCONCLUSIVE")
    assert "the policy 'screening' never says PASS" in ended.text
    ended = cli("score", run_dir, "--policy", "strict")
    assert ended.code == ended.result["exit_code"] != 0
    assert verdict(run_dir)["policy"]["name"] == "strict"
    assert (run_dir / "certificate.unsigned.json").is_file()  # never signed by the key that config.toml names
    assert not (run_dir / "certificate.dsse.json").exists()
    assert "strict" in (run_dir / "report.html").read_text()


def test_score_refuses_signals_of_another_version(run_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (run_dir / "run.json").read_bytes()
    monkeypatch.setattr("attacks.membership.lira.Membership.version", "99")
    ended = cli("score", run_dir, "--policy", "strict")
    assert ended.code == 4
    assert "membership (version" in ended.text
    assert "99 now). Run the audit again" in ended.text
    assert (run_dir / "run.json").read_bytes() == before


def test_score_with_a_bad_key_leaves_the_run_as_it_was(run_dir: Path, cli: Cli) -> None:
    before = {path.name: path.read_bytes() for path in run_dir.glob("*.*") if path.is_file()}
    ended = cli("score", run_dir, "--policy", "strict", "--sign-key", "gone.key")
    assert (ended.code, "make one with `audit keygen`" in ended.text) == (2, True)
    assert {path.name: path.read_bytes() for path in run_dir.glob("*.*") if path.is_file()} == before


def test_report_formats(run_dir: Path, cli: Cli, tmp_path: Path) -> None:
    html = (run_dir / "report.html").read_bytes()
    (run_dir / "report.html").unlink()
    ended = cli("report", run_dir)
    assert (ended.code, ended.out.strip()) == (0, str(run_dir / "report.html"))
    assert (run_dir / "report.html").read_bytes() == html
    ended = cli("report", run_dir, "-f", "json")
    assert ended.out == (run_dir / "run.json").read_text()
    ended = cli("report", run_dir, "-f", "terminal")
    assert "PASS" in ended.out
    target = tmp_path / "a [b] 🦊.json"
    assert cli("report", run_dir, "-f", "json", "-o", target).code == 0
    assert target.read_text() == (run_dir / "run.json").read_text()


@pytest.mark.parametrize("command", [["score", "--policy", "strict"], ["report"], ["purge", "-y"]])
def test_commands_on_no_run(cli: Cli, tmp_path: Path, command: list[str]) -> None:
    name, *flags = command
    ended = cli(name, tmp_path / "gone", *flags)
    assert (ended.code, ended.out) == (2, "")
    assert "is no run directory: name one below the output folder" in ended.text
    (tmp_path / "empty").mkdir()
    ended = cli(name, tmp_path / "empty", *flags)
    assert ended.code == (2 if name == "purge" else 4)


def test_report_into_an_unwritable_place(run_dir: Path, cli: Cli) -> None:
    ended = cli("report", run_dir, "-o", run_dir / "run.json" / "report.html")
    assert ended.code == 4
    assert "cannot write" in ended.text
    assert "(Not a directory)" in ended.text


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"verdict": "PASS"}'])
def test_report_of_a_broken_record(run_dir: Path, cli: Cli, content: bytes) -> None:
    (run_dir / "run.json").write_bytes(content)
    ended = cli("report", run_dir)
    assert ended.code == 4
    assert "is not a run record" in ended.text
    assert "pydantic" not in ended.text


# --- keys and certificates


def test_keygen(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("keygen")
    assert (ended.code, ended.out.split()) == (0, ["audit.key", "audit.key.pub"])
    assert stat.S_IMODE(Path("audit.key").stat().st_mode) == 0o600
    secret = Path("audit.key").read_bytes()
    assert cli("keygen").code == 2
    assert Path("audit.key").read_bytes() == secret
    assert cli("keygen", "gone/audit.key").code == 4


def verify(cli: Cli, run: Path, public: Path, model: Path, *flags: str) -> tuple[int, str]:
    ended = cli("verify", run / "certificate.dsse.json", "--key", public, "--model", model, *flags)
    return ended.code, ended.out + ended.text


def test_verify(finished: Path, keys: tuple[Path, Path], built: Path, cli: Cli, tmp_path: Path, lenient: Path) -> None:
    model = built / "unlearned.safetensors"
    code, text = verify(cli, finished, keys[1], model)
    assert (code, "anybody can write a policy: name the one" in text) == (3, True)
    code, text = verify(cli, finished, keys[1], model, "--policy", str(lenient))
    digest = hashlib.sha256(lenient.read_bytes()).hexdigest()
    assert (code, f"judged by the policy 'lenient', version 4 (SHA-256 {digest})" in text) == (0, True)
    code, text = verify(cli, finished, keys[1], model, "--policy", "strict")
    assert (code, "judged by another policy" in text) == (1, True)
    assert verify(cli, finished, keys[1], model, "--policy", "lax")[0] == 2
    flipped = bytearray(model.read_bytes())
    flipped[-1] ^= 1
    (tmp_path / "flipped.safetensors").write_bytes(flipped)
    code, text = verify(cli, finished, keys[1], tmp_path / "flipped.safetensors")
    assert (code, "the certificate is not about" in text) == (1, True)
    code, text = verify(cli, finished, keys[1], tmp_path / "gone.safetensors")
    assert (code, "cannot read" in text) == (4, True)
    code, text = verify(cli, finished, tmp_path / "gone.pub", model)
    assert (code, "name the signer's public key" in text) == (4, True)
    code, text = verify(cli, tmp_path, keys[1], model)
    assert (code, "name a certificate file" in text) == (4, True)
    code, text = verify(cli, finished, keys[0], model)
    assert (code, "not an Ed25519 public key" in text) == (2, True)


def test_verify_a_fail_and_an_inconclusive(case: Path, keys: tuple[Path, Path], cli: Cli) -> None:
    flags = ("--forget", case / "forget.npz", "--arch", ARCH, "-q", "--sign-key", keys[0])
    ended = cli("run", *flags, "--policy", "screening")
    assert ended.code == 3
    assert verify(cli, Path(ended.result["run"]), keys[1], case / "unlearned.safetensors")[0] == 3
    ended = cli("run", *flags, "--unlearned", case / "original.safetensors")
    assert ended.code == 1
    code, text = verify(cli, Path(ended.result["run"]), keys[1], case / "original.safetensors")
    assert (code, "verdict for this model: FAIL" in text) == (1, True)


def test_purge(run_dir: Path, keys: tuple[Path, Path], built: Path, cli: Cli, lenient: Path) -> None:
    assert stat.S_IMODE((run_dir / "private").stat().st_mode) == 0o700
    ended = cli("purge", run_dir)
    assert (ended.code, "not confirmed, nothing was destroyed" in ended.text) == (2, True)
    assert (run_dir / "private" / "commitment.key").is_file()
    ended = cli("purge", run_dir, "-y")
    assert (ended.code, "private part and commitment key destroyed" in ended.out) == (0, True)
    assert not (run_dir / "private").exists()
    assert events(run_dir)[-1]["event"] == "purged"
    ended = cli("score", run_dir, "--policy", "strict")
    assert ended.code == 4
    assert "has no private part (purged, or no run)" in ended.text
    assert "can be reported and verified, but not judged again" in ended.text
    assert cli("report", run_dir).code == 0
    assert verify(cli, run_dir, keys[1], built / "unlearned.safetensors", "--policy", str(lenient))[0] == 0
    ended = cli("purge", run_dir, "-y")
    assert (ended.code, "nothing to purge" in ended.out) == (0, True)


def test_private_part_stays_private(finished: Path) -> None:
    """Folders 0700 and files 0600 whatever the umask; what may be shared lies outside."""
    private = finished / "private"
    for path in [private, *private.rglob("*")]:
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
        else:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    outside = {path.name for path in finished.iterdir()}
    assert outside == {"private", "run.json", "report.html", "certificate.dsse.json", "config.toml", "events.jsonl"}


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    ended = process("demo", tmp_path / "demo")
    assert ended.code == 0, ended.err
    for name, case, found in (("fine-tuned", "random", "FAIL"), ("head-masked", "class", "FAIL")):
        assert f"{name} ({case} forget set): expected {found}, found {found}" in ended.out
    assert ended.out.count("  next:   ") == 6
    assert "left out" in ended.out
    assert ended.out.splitlines()[-1].startswith("audit your own:")


def test_usage(cli: Cli) -> None:
    assert cli("--help").code == 0
    assert cli("gone").code == 2
    assert cli("score", "x").code == 2
    for command in ("run", "init", "attacks", "score", "report", "keygen", "verify", "purge", "demo"):
        assert cli(command, "--help").code == 0
