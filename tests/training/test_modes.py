"""The same seed gives the same model in every mode, up to rounding; with dropout the same kind of model."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from audit.engine import worker
from audit.engine.crew import Crew, Order
from audit.engine.wire import decode
from audit.inputs.models import build_module
from audit.inputs.recipe import RecipeSection
from audit.training import group
from audit.training.jobs import Job, Pool
from audit.training.problems import TrainingError
from audit.training.service import Trained, estimate
from audit.training.stacked import free_memory
from audit.training.store import Store
from tests.training.conftest import MLP, Train, coin_jobs

FIXTURES = Path(__file__).parents[2] / "fixtures"
ROOT = FIXTURES.parent


def states(store: Store, trained: Trained) -> dict[str, dict[str, torch.Tensor]]:
    assert not trained.failed
    loaded = {name: store.load(trained.keys[name]) for name in trained.paths}
    return {name: state for name, state in loaded.items() if state is not None}


def assert_alike(a: dict[str, dict[str, torch.Tensor]], b: dict[str, dict[str, torch.Tensor]]) -> None:
    assert a.keys() == b.keys()
    for name, state in a.items():
        assert state.keys() == b[name].keys()
        for part, tensor in state.items():
            torch.testing.assert_close(tensor, b[name][part], rtol=1e-3, atol=1e-4, msg=f"{name} {part}")


class Elsewhere(Executor):
    """Each unit in a process of its own, in an empty folder, with nothing but bytes in and out."""

    CODE = (
        "import sys; from audit.training.unit import run_unit; "
        "sys.stdout.buffer.write(run_unit(sys.argv[1], sys.stdin.buffer.read()))"
    )

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def submit(self, fn, /, key, payload):
        assert (fn.__module__, fn.__qualname__) == ("audit.training.unit", "run_unit")
        assert isinstance(payload, bytes)
        future: Future[bytes] = Future()
        ended = subprocess.run(
            [sys.executable, "-c", self.CODE, key],
            input=payload,
            capture_output=True,
            cwd=self.folder,
            env={"PYTHONPATH": f"{FIXTURES}:{ROOT}", "OMP_NUM_THREADS": "1"},
            check=True,
        )
        future.set_result(ended.stdout)
        return future


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        (MLP, {}),
        (MLP, {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup": 0.1}),
        (MLP, {"nesterov": True, "weight_decay": 1e-3, "label_smoothing": 0.1, "schedule": "step"}),
        ("hooks.nets:Tied", {"optimizer": "adam", "schedule": "linear"}),
        ("hooks.nets:cnn", {"augmentation": "flip+shift"}),
    ],
)
def test_stacked_is_single(train: Train, store: Store, pictures: Pool, arch: str, options: dict) -> None:
    pool = pictures if arch.endswith("cnn") else None
    jobs = coin_jobs(5)
    with ThreadPoolExecutor(1) as executor:
        single = train(jobs, arch, pool, engine="pool", executor=executor, **options)
    stacked = train(jobs, arch, pool, **options)
    assert (single.trained, stacked.trained) == (5, 5)
    assert (single.mode, stacked.mode) == ("executor", "vectorised")
    first, second = states(store, single), states(store, stacked)
    assert_alike(first, second)
    if pool is not None:
        counts = {int(state["1.num_batches_tracked"]) for state in second.values()}
        assert counts == {29}  # ceil(2 * 898 / 64) steps
        assert len({float(state["1.running_mean"][0]) for state in second.values()}) == 5


@pytest.mark.slow
def test_pool_threads_and_processes_elsewhere_agree_exactly(train: Train, store: Store, tmp_path: Path) -> None:
    jobs, empty = coin_jobs(1), tmp_path / "empty"
    empty.mkdir()
    made = []
    for executor in (None, Elsewhere(empty)):
        result = train(jobs, engine="pool", executor=executor, workers=1)
        made.append(states(store, result))
        assert result.trained == 1
        store.discard(result.keys.values())
    for name, state in made[0].items():
        for part, tensor in state.items():
            torch.testing.assert_close(tensor, made[1][name][part], rtol=1e-5, atol=1e-6)
    assert not list(empty.iterdir())


def test_named_inputs_one_output_odd_sizes(train: Train, store: Store, digits: Pool) -> None:
    kind = np.arange(len(digits)) % 4
    named = Pool({"numbers": np.asarray(digits.x), "kind": kind}, digits.y)
    jobs = [
        Job("odd", np.arange(3, 134), 0),
        Job("fewer than a batch", np.arange(7), 1),
        Job("one row", np.array([5]), 2),
        Job("one row of a class", np.flatnonzero((digits.y != 3) | (np.arange(len(digits)) == 3))[:301], 3),
    ]
    for arch, pool in (("hooks.nets:NamedInputs", named), (MLP, digits)):
        stacked = train(jobs, arch, pool)
        with ThreadPoolExecutor(1) as executor:
            single = train(jobs, arch, pool, engine="pool", executor=executor)
        assert_alike(states(store, stacked), states(store, single))
    binary = Pool(digits.x, (digits.y > 4).astype(int))
    made = train(coin_jobs(2), "hooks.nets:one_output", binary, epochs=10)
    network = build_module("hooks.nets:one_output")
    network.load_state_dict(states(store, made)["shadow 0"])
    said = network(torch.tensor(np.asarray(digits.x), dtype=torch.float32)).detach().numpy()[:, 0] > 0
    assert (said == (digits.y > 4)).mean() > 0.85


def test_inputs_by_name_and_several_outputs_train_the_same_models(train: Train, store: Store, digits: Pool) -> None:
    named = Pool({"numbers": digits.x, "kind": digits.y % 4}, digits.y)
    jobs = coin_jobs(2)
    plain = states(store, train(jobs, "hooks.nets:NamedInputs", named))
    assert_alike(states(store, train(jobs, "hooks.nets:ByKeyword", named)), plain)
    with ThreadPoolExecutor(1) as executor:
        for arch, output in (("hooks.nets:ByKeyword", None), ("hooks.nets:InTuple", "1")):
            made = train(jobs, arch, named, output=output, engine="pool", executor=executor)
            assert_alike(states(store, made), plain)
    with pytest.raises(TrainingError, match="several outputs: name the logits with --output, one of 0"):
        train(coin_jobs(1, first=9), "hooks.nets:InTuple", named)


def test_with_dropout_the_modes_agree_in_distribution(train: Train, store: Store, digits: Pool) -> None:
    jobs, x = coin_jobs(40), torch.tensor(np.asarray(digits.x), dtype=torch.float32)
    network, made = build_module("hooks.nets:dropout_mlp").eval(), []
    with ThreadPoolExecutor(1) as executor:
        for options in ({}, {"engine": "pool", "executor": executor}):
            losses = []
            for state in states(store, train(jobs, "hooks.nets:dropout_mlp", **options)).values():
                network.load_state_dict(state)
                with torch.no_grad():
                    losses.append(float(torch.nn.functional.cross_entropy(network(x), torch.tensor(digits.y))))
            made.append(np.array(losses))
    stacked, single = made
    assert (stacked != single).all()  # other masks
    assert len(set(stacked)) == 40
    assert ks_2samp(stacked, single).pvalue > 0.01
    assert abs(stacked.mean() - single.mean()) < 4 * single.std() / 40**0.5


def test_dropout_differs_between_stacked_models(train: Train, store: Store) -> None:
    """Two models with the same weights and rows, which only their masks can tell apart."""
    from audit.training.descent import Batches
    from audit.training.jobs import Steps
    from audit.training.stacked import Stack, streams_of

    rng = np.random.default_rng(0)
    pool = Pool(rng.normal(size=(64, 64)), rng.integers(0, 10, 64)).canonical()
    stack, twin = Stack("hooks.nets:dropout_mlp", [1, 1], "cpu"), Job("twin", np.arange(64), 1)
    steps = Steps(3, 32)
    stack.train(RecipeSection(), Batches(pool, "none", "cpu"), streams_of([twin, twin], steps, 0), steps)
    assert not torch.equal(stack.parameters["0.weight"][0], stack.parameters["0.weight"][1])


@pytest.mark.parametrize(
    ("arch", "said"),
    [("hooks.nets:Branching", "cannot be stacked"), ("hooks.nets:Cached", "something else than alone")],
)
def test_what_cannot_be_stacked_goes_to_the_pool(digits: Pool, arch: str, said: str) -> None:
    found = estimate(RecipeSection(epochs=2, batch_size=64), arch, digits, coin_jobs(2))
    assert found.mode == "pool"
    assert said in found.why


def test_the_callers_generator_is_left_alone(train: Train) -> None:
    before = torch.get_rng_state()
    train(coin_jobs(2), "hooks.nets:dropout_mlp")
    with ThreadPoolExecutor(1) as executor:
        train(coin_jobs(1), train="hooks.procedures:train", executor=executor)
    assert torch.equal(before, torch.get_rng_state())


def test_the_memory_of_a_gpu_counts_what_torch_keeps_of_earlier_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 70)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 50)
    assert free_memory("cuda:0") == 120


class Inline:
    """An engine without processes: units run where they are handed over, as bytes."""

    name, limit = "inline", 2

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def share(self, content: bytes) -> bytes:
        return content

    def submit(self, function, key, payload, names, sources):
        future: Future[bytes] = Future()
        self.sizes.append(len(decode(payload)[0].get("jobs", ())))
        future.set_result(worker.call(function, key, payload, names, *sources))
        return future

    def close(self, *, now: bool) -> None:
        pass


def test_stacked_groups_are_spread_over_workers_and_halved_where_memory_is_short(
    train: Train, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, engine = coin_jobs(6), Inline()
    here = train(jobs)
    wanted = states(store, here)
    store.discard(here.keys.values())
    monkeypatch.setattr(Crew, "_started", lambda _crew: engine)
    plain = group.train_group
    monkeypatch.setattr(group, "train_group", lambda *a: None if len(a[4]) == 3 and a[4][0].seed == 3 else plain(*a))
    spread = train(jobs, order=Order(workers=2))
    assert (spread.mode, spread.trained) == ("vectorised", 6)
    assert engine.sizes == [3, 3, 1, 2]
    assert_alike(wanted, states(store, spread))


def test_a_worker_of_other_versions_refuses(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Crew, "_started", lambda _crew: Inline())
    monkeypatch.setattr(group, "versions", lambda: {"torch": "1.0"})
    with pytest.raises(TrainingError, match=r"a worker has torch .* and not 1.0: bring it to the versions"):
        train(coin_jobs(4), order=Order(workers=2))
