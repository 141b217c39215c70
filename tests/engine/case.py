"""A small case on disk, and the command line on it: what runs elsewhere must leave the record as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from audit import demo

ROOT = Path(__file__).parents[2]
SIZES = {"forget": 60, "holdout": 60, "test": 150, "auxiliary": 60, "retain": 400}


def write(folder: Path, attacks: str, *, train: int = 0, shadows: int = 0) -> None:
    """Data, original, audited model, two references and an ``audit.toml`` that may have more models trained."""
    data, rng, start, rows = demo.digits(0), np.random.default_rng(0), 0, {}
    order = rng.permutation(len(data.y))
    for role, count in SIZES.items():
        rows[role] = np.sort(order[start : start + count])
        start += count
    demo.save_data(folder, data, rows)
    both = np.concatenate([rows["forget"], rows["retain"]])
    demo.save_model(folder / "original.safetensors", demo.train(data, both, 1, steps=200))
    demo.save_model(folder / "unlearned.safetensors", demo.train(data, rows["retain"], 2, steps=200))
    for k in range(2):
        demo.save_model(folder / f"retrained-{k}.safetensors", demo.train(data, rows["retain"], 3 + k, steps=200))
    (folder / "audit.toml").write_text(
        f'[data]\nforget = "forget.npz"\n[model]\narch = "{demo.ARCH}"\n[claim]\nsplit = "attested"\n'
        f'[recipe]\ntrain = "hooks.units:slow_train"\n[training]\nreferences = {train}\nshadows = {shadows}\n'
        f"[attacks]\nrun = [{attacks}]\n"
    )


def environment(**more: str) -> dict[str, str]:
    path = f"{ROOT}{os.pathsep}{ROOT / 'fixtures'}"
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | more


def start(folder: Path, out: str, *flags: str, **more: str) -> subprocess.Popen[str]:
    """The command line on the case, with a store of its own for each ``out``."""
    command = [sys.executable, "-m", "audit", "run", "--out", out, "--store", f"store-{out}", *flags]
    return subprocess.Popen(command, cwd=folder, env=environment(**more), stderr=subprocess.PIPE, text=True)


def run(folder: Path, out: str, *flags: str, **more: str) -> Path:
    """The same to its end; the run directory."""
    process = start(folder, out, *flags, **more)
    _, said = process.communicate(timeout=900)
    assert process.returncode in (0, 1, 3), said
    return next((folder / out).iterdir())
