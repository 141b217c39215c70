"""The lines of the GitLab and the Jenkins recipe, run by a shell in a clean folder as a host would, pip aside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from audit.certify.keys import generate_keypair
from tests.inputs.test_borrowed_answers import CLASSES, SIZES, answers
from tests.project.documents import ROOT, blocks

FETCH = '#!/bin/sh\nset -e\ncp -r ../kept "$1"\n'


@dataclass(frozen=True)
class Recipe:
    """Lines of one recipe: of the audit, those that run whatever its verdict, and of the gate."""

    audit: list[str]
    always: list[str]
    gate: list[str]


def lines(language: str) -> str:
    return next(b.text for b in blocks("docs/ci.md") if b.language == language and "junit" in b.text)


def gitlab() -> Recipe:
    jobs = yaml.safe_load(lines("yaml"))
    script = [line for line in jobs["audit"]["script"] if not line.startswith("pip ")]
    gate = [line for line in jobs["release"]["script"] if not line.startswith("pip ")]
    return Recipe(script, jobs["audit"]["after_script"], gate)


def jenkins() -> Recipe:
    stages = re.split(r"stage\('(\w+)'\)", lines("groovy"))
    found = dict(zip(stages[1::2], stages[2::2], strict=True))
    steps, always = found["audit"].split("always {")
    return Recipe(*(re.findall(r"sh '([^']*)'", text) for text in (steps, always, found["gate"])))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that holds a configuration and a public key; the case is kept elsewhere, the tool is on the path."""
    place, kept, tools = (tmp_path / name for name in ("repository", "kept", "bin"))
    for folder in (place, kept, tools):
        folder.mkdir()
    rng = np.random.default_rng(0)
    labels = {role: rng.integers(0, CLASSES, n) for role, n in SIZES.items()}
    for role, y in labels.items():
        np.savez(kept / f"{role}.npz", y=y, x=rng.normal(size=(len(y), 3)).astype(np.float32))
    np.savez(kept / "original.npz", **answers(labels, 1, ("retain", "forget")))
    np.savez(kept / "unlearned.npz", **answers(labels, 20, ("retain",)))
    for k in range(3):
        np.savez(kept / f"retrained-{k}.npz", **answers(labels, 10 + k, ("retain",)))
    (place / "model.safetensors").write_bytes((kept / "unlearned.npz").read_bytes())
    (place / "audit.toml").write_text('[claim]\nsplit = "attested"\n')
    (place / "fetch-case.sh").write_text(FETCH)
    (tools / "audit").write_text(f'#!/bin/sh\nexec {sys.executable} -m audit "$@"\n')
    for script in (place / "fetch-case.sh", tools / "audit"):
        script.chmod(0o755)
    generate_keypair(tmp_path / "audit.key", place / "audit.key.pub")
    for name in ("AUDIT_SIGN_KEY", "SIGN_KEY"):
        monkeypatch.setenv(name, str(tmp_path / "audit.key"))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return place


def shell(steps: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    """Lines one after the other, the first that fails ends them."""
    command = ["bash", "-eo", "pipefail", "-c", "\n".join(steps)]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [gitlab, jenkins])
def test_a_recipe_runs_as_written(project: Path, recipe: object) -> None:
    found = recipe()  # type: ignore[operator]
    audited = shell(found.audit, project)
    assert audited.returncode == 0, audited.stderr  # PASS: an honest retrain
    after = shell(found.always, project)
    assert after.returncode == 0, after.stderr
    assert "<testsuite" in (project / "junit.xml").read_text()
    assert not (project / "case").exists()
    assert not list(project.glob("runs/*/private"))
    for name in ("report.html", "run.json", "certificate.dsse.json"):  # what is kept
        assert len(list(project.glob(f"runs/*/{name}"))) == 1
    gate = shell(found.gate, project)
    assert gate.returncode == 0, gate.stderr
    (project / "model.safetensors").write_bytes(b"another model")
    assert shell(found.gate, project).returncode == 1
