"""Every way to fail: which model, which line of the recipe, what to do; and the others go on."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest

from audit.inputs.recipe import RecipeSection
from audit.training import group
from audit.training.jobs import Job, Pool
from audit.training.problems import TrainingError
from audit.training.service import estimate
from audit.training.store import Store
from tests.training.conftest import MLP, Train, coin_jobs

OWN = "hooks.procedures"


@pytest.mark.parametrize("engine", ["vectorised", "pool"])
def test_a_model_that_diverges_does_not_stop_the_others(train: Train, digits: Pool, engine: str) -> None:
    x = np.array(digits.x)
    x[-1] *= 1e30  # one row that blows up every model which sees it
    rows = np.arange(200)
    jobs = [Job("calm", rows, 0), Job("wild", np.append(rows, len(x) - 1), 1, None, 200), Job("calm too", rows, 2)]
    with ThreadPoolExecutor(1) as executor:
        made = train(jobs, pool=Pool(x, digits.y), engine=engine, epochs=3, executor=executor)
    assert made.paths.keys() == {"calm", "calm too"}
    message = made.failed["wild"]
    assert message.startswith("wild: training diverged")
    assert "[recipe] lr = 0.1 (sgd): lower lr" in message
    assert int(message.partition("at step ")[2].split()[0]) <= 10
    assert not made.stopped


@pytest.mark.parametrize("engine", ["vectorised", "pool"])
def test_a_rate_that_is_too_high_is_named(train: Train, engine: str) -> None:
    with ThreadPoolExecutor(1) as executor:
        made = train(coin_jobs(2), lr=1e30, engine=engine, executor=executor)
    assert made.failed.keys() == {"shadow 0", "shadow 1"}
    assert "shadow 1: training diverged" in made.failed["shadow 1"]
    assert "[recipe] lr = 1e+30" in made.failed["shadow 1"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("raises", "fails (KeyError: 'no such column'): repair it"),
        ("returns_nothing", "returns None, not a network: end it with `return model`"),
        ("returns_another", "returns a network of another architecture (unlike in 0.weight"),
        ("changes_data", "changes its argument {first}"),
        ("not_finite", "leaves weights that are not finite in 0.weight"),
        ("out_of_memory", "use smaller batches there, or lower [recipe] workers"),
    ],
)
def test_a_function_of_the_user_that_misbehaves(train: Train, function: str, said: str) -> None:
    job = coin_jobs(1)[0]
    pipeline = Job("pipeline", job.rows, 0, job.rows[:20], job.steps_rows)
    with ThreadPoolExecutor(1) as executor:
        by_hand = train([job], train=f"{OWN}:{function}", executor=executor)
        forgetting = train([pipeline], unlearn=f"{OWN}:{function}", executor=executor)
    for made, line, first in ((by_hand, "train", "data"), (forgetting, "unlearn", "forget")):
        ((name, message),) = made.failed.items()
        assert message.startswith(f"{name}: ")
        assert f'[recipe] {line} = "{OWN}:{function}"' in message
        assert said.format(first=first) in message
    assert not by_hand.paths


def test_the_users_own_functions(train: Train, store: Store) -> None:
    jobs = coin_jobs(2)
    pipelines = [Job(f"pipeline {k}", j.rows, j.seed, j.rows[:50], j.steps_rows) for k, j in enumerate(jobs)]
    made = train([*jobs, *pipelines], train=f"{OWN}:train", unlearn=f"{OWN}:unlearn", workers=1)
    assert (made.mode, made.trained, made.failed) == ("pool", 4, {})
    assert "[recipe] train is a function of yours" in made.why
    with ThreadPoolExecutor(1) as executor:
        assert train(jobs, train=f"{OWN}:train_with_loader", executor=executor).trained == 2
    before, after = (store.load(made.keys[name]) for name in ("shadow 0", "pipeline 0"))
    assert before is not None
    assert after is not None
    assert not before["0.weight"].equal(after["0.weight"])


def test_a_pipeline_fails_with_its_training(train: Train) -> None:
    job = coin_jobs(1)[0]
    pipeline = Job("pipeline", job.rows, 0, job.rows[:20])
    for engine in ("vectorised", "pool"):
        with ThreadPoolExecutor(1) as executor:
            made = train([pipeline], lr=1e30, unlearn=f"{OWN}:unlearn", engine=engine, executor=executor)
        assert made.failed["pipeline"].startswith("pipeline: training diverged")


@pytest.mark.parametrize(
    ("arch", "options", "said"),
    [
        ("nowhere:make", {}, "cannot import nowhere"),
        (MLP, {"train": "nowhere:train"}, '[recipe] train = "nowhere:train": cannot import nowhere'),
        (MLP, {"unlearn": f"{OWN}:nothing"}, "has no function 'nothing'"),
        (MLP, {"augmentation": "flip"}, '[recipe] augmentation = "flip" needs pictures'),
        ("hooks.nets:four_classes", {}, "the network has 4 classes and the labels go from 0 to 9"),
        ("hooks.nets:cnn", {}, "the network fails on its inputs"),
        ("hooks.nets:Greedy", {"batch_size": 32}, "out of memory with [recipe] batch_size = 32: lower batch_size"),
        ("hooks.nets:Branching", {}, "cannot train this network"),
    ],
)
def test_what_no_model_can_survive(train: Train, arch: str, options: dict, said: str) -> None:
    with pytest.raises(TrainingError) as caught:
        train(coin_jobs(2), arch, **options)
    assert said in str(caught.value)


def test_a_group_that_does_not_fit_is_halved(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Small(group.Stack):
        def train(self, *arguments):
            sizes.append(len(self.seeds))
            if len(self.seeds) > most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
            return super().train(*arguments)

    monkeypatch.setattr(group, "Stack", Small)
    most = 3
    assert train(coin_jobs(8)).trained == 8
    assert sizes == [8, 4, 2, 2, 2, 2]
    most = 0
    made = train(coin_jobs(2, first=20), batch_size=16)
    assert made.failed["shadow 21"] == (
        "shadow 21: out of memory with [recipe] batch_size = 16: lower batch_size, or workers"
    )


def test_a_killed_worker_costs_only_what_it_trained(train: Train) -> None:
    jobs = coin_jobs(2)
    train(jobs, engine="pool", workers=1)
    with pytest.raises(TrainingError, match=r"a worker process was killed while training pipeline.*lower \[recipe\]"):
        train(
            [*jobs, Job("pipeline", jobs[0].rows, 0, jobs[0].rows[:20], jobs[0].steps_rows)],
            engine="pool",
            workers=1,
            unlearn=f"{OWN}:dies",
        )
    assert train(jobs, engine="pool").trained == 0


def test_what_workers_print_stays_off_standard_output(train: Train, capfd: pytest.CaptureFixture[str]) -> None:
    assert train(coin_jobs(1), train=f"{OWN}:prints", workers=1).trained == 1
    out, err = capfd.readouterr()
    assert (out, err.strip()) == ("", "epoch 1: fine")


def test_a_foreign_executor_that_fails_or_answers_nonsense(train: Train) -> None:
    class Broken(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future: Future[bytes] = Future()
            if args[0] == keys[0]:
                future.set_exception(OSError("the cluster is down"))
            else:
                future.set_result(b"nonsense")
            return future

    jobs, keys = coin_jobs(2), [""]
    keys = list(train(jobs, engine="pool", executor=Broken()).keys.values())
    made = train(jobs, engine="pool", executor=Broken())
    assert "the executor fails (OSError: the cluster is down)" in made.failed["shadow 0"]
    assert "the executor fails" in made.failed["shadow 1"]


def test_a_worker_with_other_sources_refuses(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit.training import service

    real = service.import_sources
    monkeypatch.setattr(service, "import_sources", lambda *a: type(real(*a))("0" * 64))
    with ThreadPoolExecutor(1) as executor:
        made = train(coin_jobs(1), engine="pool", executor=executor)
    assert "bring both to the same version" in made.failed["shadow 0"]


@pytest.mark.parametrize(
    ("job", "options"),
    [
        (Job("empty", np.empty(0, int), 0), {}),
        (Job("outside", np.array([5, 1797]), 0), {}),
        (Job("twice", np.array([5, 5]), 0), {}),
        (Job("all", np.array([5, 6]), 0, np.array([5, 6])), {"unlearn": f"{OWN}:unlearn"}),
        (Job("none named", np.array([5, 6]), 0, np.array([5])), {}),
    ],
)
def test_jobs_that_cannot_be_meant(train: Train, job: Job, options: dict) -> None:
    with pytest.raises(ValueError, match=job.name):
        train([job], **options)


def test_an_estimate_trains_nothing(digits: Pool) -> None:
    said = estimate(RecipeSection(epochs=2, batch_size=64), MLP, digits, coin_jobs(8))
    assert said.seconds.keys() == {"pool", "vectorised"}
    assert said.steps == 29
    assert min(said.seconds, key=lambda way: said.seconds[way]) == said.mode
    assert "s a model" in said.why
    own = estimate(RecipeSection(train=f"{OWN}:train"), MLP, digits, coin_jobs(8))
    assert (own.mode, own.seconds) == ("pool", {})
