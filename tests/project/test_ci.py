"""The GitHub action as a runner calls it, the pre-commit hook, the fuzz harness, and the recipes in the docs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from audit import demo
from audit.errors import ExitCode

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "audit"
OUTPUTS = {"verdict", "run", "artifact", "report", "certificate"}
RECIPES = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


class Runner:
    """Runs the action's script with the environment of a runner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output, self.summary = folder / "output", folder / "summary"

    def __call__(self, **inputs: str) -> subprocess.CompletedProcess[str]:
        for path in (self.output, self.summary):
            path.write_text("")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AUDIT_", "UNLEARN_", "GITHUB_"))}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RUNNER_TEMP": str(self.folder),
            "GITHUB_ACTION_PATH": str(ACTION),
            **{f"UNLEARN_{name.upper()}": value for name, value in inputs.items()},
        }
        command = [sys.executable, str(ACTION / "run.py")]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    def outputs(self) -> dict[str, str]:
        """As the runner reads them: name, delimiter, value, delimiter."""
        text = self.output.read_text(encoding="utf-8")
        return {m[1]: m[3] for m in re.finditer(r"^(\w+)<<(\w+)\n(.*?)\n\2\n", text, re.MULTILINE | re.DOTALL)}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    folder = tmp_path / "runner"
    folder.mkdir()
    return Runner(folder)


def test_a_failed_audit_keeps_its_exit_code_and_says_so_everywhere(
    case: Path, keys: tuple[Path, Path], runner: Runner
) -> None:
    (case / "unlearned.safetensors").write_bytes((case / "original.safetensors").read_bytes())
    arguments = f"--arch\n{demo.ARCH}\n--split\nattested\n--out\n{case / 'runs'}"
    done = runner(
        forget=str(case / "forget.npz"), arguments=arguments, sign_key=keys[0].read_text(), artifact="scoring"
    )
    assert done.returncode == ExitCode.FAIL, done.stderr
    found = runner.outputs()
    assert found["verdict"] == "FAIL"
    assert Path(found["report"]).is_file()
    assert found["certificate"].endswith("certificate.dsse.json")
    assert json.loads((Path(found["run"]) / "run.json").read_bytes())["verdict"]["outcome"] == "FAIL"
    assert found["artifact"] == f"scoring-{Path(found['run']).name}"
    uploaded = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"][-1]["with"]["path"]
    names = [name for line in uploaded.splitlines() for name in re.findall(r"[\w.]+$", line)]
    assert names == ["report.html", "run.json"]  # and the certificate
    for path in (*(Path(found["run"]) / name for name in names), Path(found["certificate"])):
        assert str(case.parent) not in path.read_text(encoding="utf-8"), path  # no path of the runner
    assert re.search(r"^::error title=Unlearning audit::FAIL: ", done.stdout, re.MULTILINE)
    assert "FAIL" in runner.summary.read_text(encoding="utf-8").splitlines()[0]
    assert "PRIVATE KEY" not in done.stdout + done.stderr
    assert not list(runner.folder.rglob("sign.key"))


def test_hostile_inputs_stay_single_arguments(runner: Runner) -> None:
    marker = runner.folder / "ran"
    done = runner(forget=f"x.npz; touch {marker}", arguments=f"--policy\n$(touch {marker})\n`touch {marker}`")
    assert done.returncode == ExitCode.USAGE
    assert not marker.exists()
    assert runner.outputs() == dict.fromkeys(OUTPUTS, "")
    assert "::error title=Unlearning audit::The audit did not end with a verdict (exit code 2)." in done.stdout
    assert runner.summary.read_text(encoding="utf-8").startswith("### 🛑 ERROR")


def test_the_summary_can_be_left_out(runner: Runner) -> None:
    assert runner(forget="none.npz", summary="false").returncode == ExitCode.USAGE
    assert runner.summary.read_text() == ""


def test_the_action_is_pinned_and_interpolates_no_input_into_a_shell() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text(encoding="utf-8"))
    assert set(action["outputs"]) == OUTPUTS
    steps = action["runs"]["steps"]
    for step in steps:
        assert "${{" not in step.get("run", "")
        if "uses" in step:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", step["uses"])
    upload = next(step for step in steps if "upload-artifact" in step.get("uses", ""))
    assert upload["if"].startswith("always()")
    assert "private" not in upload["with"]["path"]
    read = set(re.findall(r"UNLEARN_\w+", (ACTION / "run.py").read_text(encoding="utf-8")))
    assert read == {name for step in steps for name in step.get("env", {}) if name.startswith("UNLEARN_")}
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for used in re.findall(r"uses: (\S+)", workflow.read_text(encoding="utf-8")):
            assert re.search(r"@[0-9a-f]{40}$", used), used


def hook() -> dict[str, Any]:
    """The one hook that this repository offers to pre-commit."""
    (found,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    return dict(found)


def installed_by_the_hook() -> dict[str, str]:
    """What pre-commit installs beside this package: version by name."""
    flag, *pins = hook()["additional_dependencies"]
    assert flag == "--no-deps"  # pre-commit hands these words to pip
    return dict(pin.split("==") for pin in pins)


#: the command line of the hook in an environment that has its packages and no other
ALONE = """
import importlib.metadata as metadata, sys
allowed = set(sys.argv.pop(1).split(","))
owners = metadata.packages_distributions()
class Absent:
    def find_spec(self, name, path=None, target=None):
        names = {owner.lower().replace("_", "-") for owner in owners.get(name.partition(".")[0], ())}
        if names and not names & allowed:
            raise ModuleNotFoundError(f"{name} is not installed by the hook", name=name)
sys.meta_path.insert(0, Absent())
from audit.__main__ import main
main()
"""


def test_the_hook_verifies_a_certificate_without_torch(
    finished: Path, built: Path, keys: tuple[Path, Path], lenient: Path
) -> None:
    assert hook()["pass_filenames"] is False
    words = shlex.split(hook()["entry"])
    assert words[0] == "audit"
    allowed = ",".join(["unlearn-audit", *installed_by_the_hook()])
    command = [sys.executable, "-c", ALONE, allowed, *words[1:], str(finished / "certificate.dsse.json")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for model, code in (("unlearned", 0), ("original", 1)):
        run = [
            *command,
            "--key",
            str(keys[1]),
            "--policy",
            str(lenient),
            "--model",
            str(built / f"{model}.safetensors"),
        ]
        done = subprocess.run(run, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
    run[3] = allowed.replace("pydantic", "gone")  # the barrier holds
    done = subprocess.run(run, env=environment, check=False, capture_output=True, text=True)
    assert "not installed by the hook" in done.stderr


def test_the_hook_installs_all_that_its_packages_need() -> None:
    pins, wanted = installed_by_the_hook(), ["cryptography", "numpy", "pydantic", "rich", "typer"]
    needed = set[str]()
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name not in needed:
            needed.add(name)
            for text in metadata.requires(name) or ():
                requirement = Requirement(text)
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    wanted.append(requirement.name)
    assert set(pins) == needed
    assert pins == {name: metadata.version(name) for name in needed}  # pydantic takes one pydantic-core


def test_recipes_are_yaml_and_their_commands_exist() -> None:
    for text in re.findall(r"```yaml\n(.*?)```", RECIPES, re.DOTALL):
        assert isinstance(yaml.safe_load(text), dict)
    commands = set(re.findall(r"audit (run|gate|report|verify) ((?:[^\n'#`;]|'')*)", RECIPES))
    assert {name for name, _ in commands} >= {"run", "gate", "report"}
    for name in {name for name, _ in commands}:
        helped = subprocess.run(
            [sys.executable, "-m", "audit", name, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for _, rest in (found for found in commands if found[0] == name):
            for flag in re.findall(r"(?<=\s)--?[a-z][\w-]*", f" {rest}"):
                assert flag in helped, (name, flag)


def test_the_fuzz_harness_runs_clean() -> None:
    pytest.importorskip("atheris", reason="atheris is not installed on this platform")
    command = [sys.executable, "tests/fuzz/certificate.py", "--runs", "3000"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'fixtures'}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 3000 runs" in done.stderr
