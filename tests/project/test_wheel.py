"""The wheel in an empty environment, away from the source tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from audit.demo import ARCH
from audit.errors import ExitCode

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


#: the Python interface as the notebook uses it, in the environment of the wheel
NOTEBOOK = """
import nbclient, nbformat
notebook = nbformat.read("notebook.ipynb", as_version=4)
nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.get("outputs", ()):
        print(output.get("data", {}).get("text/plain", "") or output.get("text", ""))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what is committed or about to be, so that no build folder is left behind."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(folder), str(folder / "source")]
    subprocess.run(command, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_the_three_packages_and_their_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"audit", "attacks", "reports", "unlearn_audit"}
    assert "audit/inputs/audit.toml" in names
    for folder, pattern in (("audit/policy", "*.toml"), ("reports/templates", "*"), ("reports/frameworks", "*.toml")):
        ours = {f"{folder}/{path.name}" for path in (ROOT / folder).glob(pattern) if path.is_file()}
        assert ours
        assert ours <= set(names)


def test_it_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """demo, selftest, keygen, a signed run, verify and gate, with nothing but the wheel and its dependencies."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    pip = [str(tmp_path / "venv" / "bin" / "pip"), "install", "--quiet", "-c", str(ROOT / "constraints.txt")]
    for what in ("torch", str(wheel)):
        subprocess.run([*pip, what], check=True)
    here = tmp_path / "here"
    here.mkdir()
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}

    def audit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(tmp_path / "venv" / "bin" / "audit"), *map(str, arguments)]
        return subprocess.run(command, cwd=here, env=clean, capture_output=True, text=True, check=False)

    where = "import audit, sys; print(audit.__file__.startswith(sys.prefix))"
    found = [str(tmp_path / "venv" / "bin" / "python"), "-c", where]
    assert subprocess.run(found, cwd=here, env=clean, capture_output=True, text=True, check=True).stdout == "True\n"
    tested = audit("selftest")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    demo = audit("demo", "demo")
    assert demo.returncode == 0, demo.stderr
    assert len(list(here.glob("demo/**/report.html"))) == 6
    assert audit("keygen", "audit.key").returncode == 0
    case = here / "demo" / "random"
    model = case / "candidate-fine-tuned.safetensors"
    flags = ("--arch", ARCH, "--split", "attested", "--sign-key", "audit.key", "--out", "signed", "-q")
    ran = audit("run", "--forget", case / "forget.npz", "--unlearned", model, *flags)
    assert ran.returncode == ExitCode.FAIL, ran.stderr
    certificate = json.loads(ran.stdout.splitlines()[-1])["certificate"]
    trusted = ("--key", "audit.key.pub", "--model", model)
    verified = audit("verify", certificate, *trusted)
    assert verified.returncode == ExitCode.FAIL
    assert "authentic" in verified.stdout
    assert audit("gate", certificate, *trusted, "--policy", "standard").returncode == ExitCode.FAIL
    assert audit("report", Path(certificate).parent, "-f", "compliance").returncode == 0
    subprocess.run([*pip, "pandas", "nbclient", "ipykernel"], check=True)
    (here / "notebook.ipynb").write_bytes((ROOT / "docs" / "notebook.ipynb").read_bytes())
    shown = subprocess.run(
        [*found[:1], "-c", NOTEBOOK], cwd=here, env=clean, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "'one epoch': 'FAIL'" in shown.stdout
