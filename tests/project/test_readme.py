"""The README cannot rot: its help block, exit codes and commands are checked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from audit.errors import ExitCode

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def audit(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    command = [sys.executable, "-m", "audit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def test_help_block_is_the_real_help() -> None:
    block = re.search(r"## Help\n\n```text\n(.*?)\n```", README, re.DOTALL)
    assert block
    assert block.group(1).strip() == audit("--help").stdout.strip().replace("python -m audit", "audit")


def test_exit_codes_are_the_real_ones() -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.*?) \|$", README, re.MULTILINE))
    closed_pipe = 128 + signal.SIGPIPE  # as shells say it: no code of ours (tests/commands/test_cli.py)
    assert {int(code) for code in table} == {*map(int, ExitCode), closed_pipe}


def test_own_network_as_the_readme_tells_it(tmp_path: Path) -> None:
    """The README's own CNN and data in `.npz`, with its commands, in an empty folder."""
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code
    (tmp_path / "nets.py").write_text(code.group(1))
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    subprocess.run([sys.executable, script.name], cwd=tmp_path, check=True)
    arguments = ("run", "--forget", "forget.npz", "--arch", "nets:make")
    plan = audit(*arguments, "--dry-run", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "show an AUC of" in plan.stdout
    assert not (tmp_path / "runs").exists()
    audit("keygen", "audit.key", cwd=tmp_path)
    result = audit(*arguments, "--sign-key", "audit.key", cwd=tmp_path)
    assert result.returncode in (ExitCode.FAIL, ExitCode.INCONCLUSIVE), result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "report.html").stat().st_size > 10_000
    verified = audit(
        "verify",
        str(run / "certificate.dsse.json"),
        "--key",
        "audit.key.pub",
        "--model",
        "unlearned.safetensors",
        cwd=tmp_path,
    )
    assert verified.returncode == result.returncode, verified.stderr
    assert np.load(tmp_path / "forget.npz")["x"].shape[1:] == (1, 8, 8)


TRAIN = """
import numpy as np, torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from nets import make

x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32").reshape(-1, 1, 8, 8)
order = np.random.default_rng(0).permutation(len(y))
rows = dict(zip(["forget", "holdout", "test", "retain"], np.split(order, [100, 300, 500])))
for name, index in rows.items():
    np.savez(f"{name}.npz", x=x[index], y=y[index], ids=index)

def train(index, seed, name):
    torch.manual_seed(seed)
    model = make().train()
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(4):
        for batch in np.array_split(np.random.default_rng([seed, epoch]).permutation(index), 20):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(torch.tensor(x[batch])), torch.tensor(y[batch])).backward()
            optimiser.step()
    save_file(model.state_dict(), name)

both = np.concatenate([rows["forget"], rows["retain"]])
train(both, 1, "original.safetensors")
train(rows["retain"], 2, "unlearned.safetensors")
for k in range(3):
    train(rows["retain"], 10 + k, f"retrained-{k}.safetensors")
"""
