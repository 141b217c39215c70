"""Content addresses: what changes a model, what does not; damage, rights and locks."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from audit.errors import CouldNotRun
from audit.training import group, service
from audit.training.choice import Choice
from audit.training.jobs import Job, Pool
from audit.training.service import Progress
from audit.training.store import Store
from tests.training.conftest import KEY, MLP, Train, coin_jobs

NET = "from torch import nn\ndef make():\n    return nn.Linear(64, 10)\n"
OWN = "def train(model, data, seed):\n    return model\ndef unlearn(model, forget, retain, seed):\n    return model\n"


def test_a_repeated_call_trains_nothing(train: Train) -> None:
    jobs = coin_jobs(4)
    assert train(jobs).trained == 4
    again = train([Job(f"other name {k}", job.rows, job.seed, None, job.steps_rows) for k, job in enumerate(jobs)])
    assert (again.trained, again.reused, len(again.paths)) == (0, 4, 4)
    more = train([*coin_jobs(2, first=4), *jobs])
    assert (more.trained, more.reused) == (2, 4)


def test_jobs_that_are_the_same_model_are_trained_once(train: Train) -> None:
    job = coin_jobs(1)[0]
    made = train([job, Job("again", job.rows, job.seed, None, job.steps_rows)])
    assert (made.trained, len(set(made.paths.values()))) == (2, 1)
    assert len(list(next(iter(made.paths.values())).parent.glob("*.safetensors"))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},
        {"lr": 0.05},
        {"optimizer": "adam"},
        {"batch_size": 32},
        {"label_smoothing": 0.1},
        {"key": bytes(32)},
    ],
)
def test_another_recipe_is_another_model(train: Train, change: dict) -> None:
    train(coin_jobs(1))
    assert train(coin_jobs(1), **change).trained == 1


def test_other_data_rows_or_seed_are_another_model(train: Train, digits: Pool) -> None:
    job = coin_jobs(1)[0]
    train([job])
    x, y = np.array(digits.x), np.array(digits.y)
    unused = np.setdiff1d(np.arange(len(y)), job.rows)[0]
    x[unused] += 1
    assert train([job], pool=Pool(x, y)).trained == 0  # a row that it never saw
    x[job.rows[7]] += 0.01
    assert train([job], pool=Pool(x, y)).trained == 1
    y[job.rows[7]] = (y[job.rows[7]] + 1) % 10
    assert train([job], pool=Pool(np.array(digits.x), y)).trained == 1
    assert train([Job("rows", job.rows[1:], job.seed, None, job.steps_rows)]).trained == 1
    assert train([Job("seed", job.rows, job.seed + 1, None, job.steps_rows)]).trained == 1
    assert train([Job("steps", job.rows, job.seed, None, job.steps_rows + 200)]).trained == 1
    assert train([job]).trained == 0


def test_another_source_is_another_model(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    job = coin_jobs(1)[0]
    forgetting = Job("pipeline", job.rows, job.seed, job.rows[:9])

    def trained(net: str, own: str) -> tuple[int, ...]:
        (tmp_path / "own_net.py").write_text(net)
        (tmp_path / "own_functions.py").write_text(own)
        for name in ("own_net", "own_functions"):
            sys.modules.pop(name, None)
        options = {"executor": executor, "unlearn": "own_functions:unlearn"}
        plain = train([job], "own_net:make")
        by_hand = train([job], "own_net:make", train="own_functions:train", **options)
        pipeline = train([forgetting], "own_net:make", engine="pool", **options)
        return plain.trained, by_hand.trained, pipeline.trained

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with ThreadPoolExecutor(1) as executor:
        assert trained(NET, OWN) == (1, 1, 1)
        assert trained(NET, OWN) == (0, 0, 0)
        assert trained(NET, OWN + "# changed\n") == (0, 1, 1)
        assert trained(NET + "# changed\n", OWN) == (1, 1, 1)


def test_what_was_made_one_way_is_reused_that_way(train: Train) -> None:
    train(coin_jobs(3))
    again = train(coin_jobs(4), engine="auto")
    assert (again.mode, again.trained, again.reused) == ("vectorised", 1, 3)
    assert "3 models made this way are there already" in again.why


def test_pipelines_share_the_trained_model(train: Train) -> None:
    with ThreadPoolExecutor(1) as executor:
        _share(partial(train, unlearn="hooks.procedures:unlearn", executor=executor))


def _share(train: Train) -> None:
    plain = coin_jobs(2)
    pipelines = [Job(f"pipeline {k}", job.rows, job.seed, job.rows[:50], job.steps_rows) for k, job in enumerate(plain)]
    first = train(pipelines)
    assert first.trained == 2
    assert train(plain).trained == 0
    assert train(pipelines).trained == 0
    others = [Job(p.name, p.rows, p.seed, p.rows[:49], p.steps_rows) for p in pipelines]
    assert train(others).trained == 2


@pytest.mark.parametrize("damage", ["cut", "flip", "no facts", "no model"])
def test_a_damaged_model_is_made_again(train: Train, store: Store, damage: str) -> None:
    made = train(coin_jobs(2))
    path = made.paths["shadow 0"]
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-7])
    elif damage == "flip":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        path.with_suffix(".json" if damage == "no facts" else ".safetensors").unlink()
    assert store.load(made.keys["shadow 0"]) is None
    again = train(coin_jobs(2))
    assert (again.trained, again.reused) == (1, 1)
    assert path.read_bytes() == content or store.has(made.keys["shadow 0"])  # a group of another size rounds otherwise


def test_the_store_is_for_its_owner_only(train: Train, store: Store) -> None:
    made = train(coin_jobs(1))
    for path in (store.folder, *store.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    facts = json.loads(made.paths["shadow 0"].with_suffix(".json").read_text())
    assert {"name", "seed", "loss", "steps", "seconds"} <= facts.keys()
    store.discard([*made.keys.values(), "missing"])
    assert train(coin_jobs(1)).trained == 1


def test_progress_and_deadline(train: Train) -> None:
    told: list[Progress] = []
    stopped = train(coin_jobs(3), deadline=time.monotonic() - 1, notify=told.append)
    assert (stopped.stopped, stopped.paths, stopped.failed, told) == (True, {}, {}, [])
    train(coin_jobs(3), notify=told.append)
    assert [(p.name, p.done, p.total) for p in told] == [(f"shadow {k}", k + 1, 3) for k in range(3)]


def test_a_group_is_cut_to_what_the_deadline_leaves(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Counted(group.Stack):
        def __init__(self, arch, seeds, device) -> None:
            sizes.append(len(seeds))
            super().__init__(arch, seeds, device)

    monkeypatch.setattr(group, "Stack", Counted)
    monkeypatch.setattr(service, "measure", lambda *_: Choice("vectorised", "", {"vectorised": 100.0}))
    made = train(coin_jobs(6), deadline=time.monotonic() + 350)
    assert (made.trained, sizes[0], made.stopped) == (6, 3, False)


def test_the_kernel_releases_a_lock(tmp_path: Path) -> None:
    store = Store(tmp_path, KEY)
    lock = store.lock("a")
    assert lock is not None
    assert Store(tmp_path, KEY).lock("a") is None
    lock.release()
    again = store.lock("a")
    assert again is not None
    again.release()


def test_keys_do_not_betray_the_data(train: Train) -> None:
    """Without the secret key nobody can test a guess of the rows."""
    job = coin_jobs(1)[0]
    assert train([job]).keys != train([job], key=bytes(32)).keys
    assert len(KEY) == 32
    with pytest.raises(ValueError, match="32 bytes"):
        train([job], MLP, key=b"short")


# --- entries of others (A7: whatever lay under an address was taken for a model of ours)


@pytest.mark.parametrize("forgery", ["another key", "moved", "facts changed", "old version", "mac is no text"])
def test_an_entry_that_is_not_ours_is_trained_again(train: Train, store: Store, forgery: str) -> None:
    made = train(coin_jobs(2))
    first, second = made.keys["shadow 0"], made.keys["shadow 1"]
    path = store.path(first)
    state, facts = path.read_bytes(), json.loads(path.with_suffix(".json").read_text())
    if forgery == "another key":
        Store(store.folder, bytes(32)).save(first, state, {"name": "shadow 0"})
    elif forgery == "moved":
        for suffix in (".safetensors", ".json"):
            path.with_suffix(suffix).write_bytes(store.path(second).with_suffix(suffix).read_bytes())
    else:
        facts |= {"facts changed": {"loss": 0.0}, "old version": {"mac": None}, "mac is no text": {"mac": "\ud800"}}[
            forgery
        ]
        path.with_suffix(".json").write_text(json.dumps(facts))
    assert not store.has(first)
    again = train(coin_jobs(2))
    assert (again.trained, again.reused) == (1, 1)
    assert store.has(first)


def test_links_and_pipes_are_no_models(train: Train, store: Store, tmp_path: Path) -> None:
    made = train(coin_jobs(3))
    linked, piped = (store.path(made.keys[f"shadow {k}"]) for k in range(2))
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    piped.unlink()
    os.mkfifo(piped)
    before = (tmp_path / "elsewhere").read_bytes()
    assert train(coin_jobs(3)).trained == 2
    assert (tmp_path / "elsewhere").read_bytes() == before
    assert not linked.is_symlink()


@pytest.mark.parametrize("rights", [0o770, 0o707, 0o1777])
def test_a_store_that_others_may_write_is_refused(tmp_path: Path, rights: int) -> None:
    folder = tmp_path / "models"
    Store(folder, KEY)
    folder.chmod(rights)
    with pytest.raises(CouldNotRun, match=f"chmod go-w {folder}"):
        Store(folder, KEY)
    folder.chmod(0o755)  # others may read where the user lets them: no harm to the models
    Store(folder, KEY)
    (folder / "locks").chmod(rights)
    with pytest.raises(CouldNotRun, match="chmod go-w"):
        Store(folder, KEY)


def test_a_store_behind_a_link_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "models", KEY)
    (tmp_path / "link").symlink_to(tmp_path / "models")
    with pytest.raises(CouldNotRun, match="name its target"):
        Store(tmp_path / "link", KEY)


def test_a_shadow_model_that_is_exchanged_after_the_check_is_not_used(train: Train, store: Store) -> None:
    from audit.inputs.models import StoredTarget

    made = train(coin_jobs(2))
    target = StoredTarget(made.paths["shadow 0"], MLP, "cpu", None, "key", made.digests["shadow 0"])
    assert target.state
    target.path.write_bytes(store.path(made.keys["shadow 1"]).read_bytes())
    with pytest.raises(CouldNotRun, match="changed after it was trained"):
        _ = target.state
