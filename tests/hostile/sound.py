"""The sound files that every hostile case is a damaged copy of: small, complete, and accepted as they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROWS = {"forget": 12, "retain": 24, "holdout": 16, "test": 24}
CLASSES, WIDTH = 3, 5


def network() -> Any:
    """The factory of ``--arch``."""
    from torch import nn

    return nn.Sequential(nn.Linear(WIDTH, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, CLASSES))


def build(folder: Path) -> None:
    """Write data, networks, outputs, configurations, keys, a ledger, a certificate and a run directory."""
    from . import learners, tables  # they damage what is written here

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    inputs, labels = {}, {}
    for i, (role, n) in enumerate(ROWS.items()):
        y = labels[role] = np.arange(n) % CLASSES
        x = inputs[role] = (rng.normal(size=(n, WIDTH)) + 3 * np.eye(WIDTH)[y]).astype(np.float32)
        np.savez(folder / f"{role}.npz", x=x, y=y, ids=np.arange(n) + 100 * i)
    tables.build(folder, {role: (inputs[role], labels[role]) for role in ROWS})
    learners.build(folder, inputs["retain"], labels["retain"])
    _models(folder, inputs["retain"], rng)
    _texts(folder)
    _certificate(folder)
    _run(folder)


def _models(folder: Path, x: Any, rng: np.random.Generator) -> None:
    """Three networks that know the retain rows a little, and outputs that do."""
    import torch
    from safetensors.torch import save_file

    for seed, name in enumerate(("unlearned", "original", "retrained-0")):
        torch.manual_seed(seed)
        model = network()
        optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(60):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(torch.tensor(x)), torch.arange(len(x)) % CLASSES).backward()
            optimiser.step()
        state = model.eval().state_dict()
        save_file(state, folder / f"{name}.safetensors")
        torch.save(state, folder / f"{name}.pt")
        torch.save(state, folder / f"{name}-legacy.pt", _use_new_zipfile_serialization=False)
        known = {role: np.eye(CLASSES)[np.arange(n) % CLASSES] for role, n in ROWS.items()}
        logits = {role: rng.normal(size=(n, CLASSES)) + 4 * known[role] for role, n in ROWS.items()}
        np.savez(folder / f"{name}.npz", **logits)
        labels = {role: values.argmax(axis=1) for role, values in logits.items()}
        np.savez(folder / f"{name}-labels.npz", **labels, n_classes=CLASSES)


def _texts(folder: Path) -> None:
    from importlib import resources

    from audit.certify.keys import generate_keypair
    from audit.certify.ledger import open_look

    policy = (resources.files("audit.policy") / "standard.toml").read_text()
    (folder / "policy.toml").write_text(policy.replace('name = "standard"', 'name = "mine"'))
    config = '[data]\nforget = "forget.npz"\n[model]\narch = "tests.hostile.sound:network"\n[recipe]\nepochs = 2\n'
    (folder / "mine.toml").write_text(config + '[claim]\nkind = "random"\n[attacks.parameters.membership]\n')
    generate_keypair(folder / "audit.key", folder / "audit.key.pub")
    for policy_name in ("standard", "strict"):
        open_look(
            folder / "ledger.jsonl",
            forget=lambda _: "f" * 32,
            unlearned="a" * 64,
            run_id="r",
            policy=(policy_name, "b" * 64),
        )


def _certificate(folder: Path) -> None:
    from cases.certified import KEY, PUBLIC, WEIGHTS, statement

    from audit.certify.envelope import encode, sign
    from tests.certify.test_gate import judged

    (folder / "certified").mkdir()
    for name, content in WEIGHTS.items():
        (folder / "certified" / name).write_bytes(content)
    document = statement(judged(), issued=datetime.now(UTC))
    (folder / "certificate.dsse.json").write_bytes(sign(encode(document), KEY))
    (folder / "signer.pub").write_bytes(PUBLIC)


def _run(folder: Path) -> None:
    """A finished, signed run below ``runs/``."""
    from audit.collect import exchangeability

    from .worker import command

    files = [part for role in ROWS for part in (f"--{role}", str(folder / f"{role}.npz"))]
    for name in ("unlearned", "original", "retrained-0"):
        files += [f"--{name.partition('-')[0]}", str(folder / f"{name}.safetensors")]
    more = ("--arch", "tests.hostile.sound:network", "--attacks", "membership", "--claim", "random", "-q")
    from sklearn.ensemble import RandomForestClassifier

    def small(**options: Any) -> RandomForestClassifier:
        return RandomForestClassifier(**{**options, "n_estimators": 5})

    exchangeability.RandomForestClassifier = small  # these cases are not about its power
    code, said = command(("run", *files, *more, "--out", str(folder / "runs"), "--sign-key", str(folder / "audit.key")))
    if code != 3:
        raise RuntimeError(f"the sound case is INCONCLUSIVE for its size, this one ended with {code}: {said}")


def payload(content: bytes) -> Any:
    """The payload of an envelope; None where it has none."""
    try:
        return json.loads(content)["payload"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
