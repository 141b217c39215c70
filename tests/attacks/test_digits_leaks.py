"""Networks that overfit digits with 15 % wrong labels: which attack sees how much of what they were trained on."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from cases.stub import StubView
from methods.base import Method
from methods.registry import METHODS

from attacks.base import Attack, Bools, Case, Floats, Ints, Shadows, discover
from attacks.scorers import lira, pipelines
from audit import demo
from tests.attacks import worlds

pytestmark = pytest.mark.slow

STEPS = 400
TARGETS, REFERENCES = 4, 4
FORGET = 300


def digits(seed: int) -> tuple[demo.Digits, dict[str, Ints], Case]:
    data = demo.digits(seed, 0.15)
    rows = demo.random_rows(data, seed, forget=FORGET, holdout=300, retain=500)
    rows |= {"test": rows["test"][:300], "auxiliary": rows["test"][300:]}
    return data, rows, worlds.case_of(data.x, data.y, rows)


class World:
    """64 shadow models, 4 models that were trained on the forget rows, and 4 references that were not."""

    def __init__(self, seed: int) -> None:
        data, rows, self.case = digits(seed)
        self.member = worlds.coins(seed, 64, FORGET + 300)
        trained = np.arange(TARGETS + REFERENCES)[:, None] < TARGETS
        trained = trained & (np.arange(FORGET + 300) < FORGET)

        def views(member: Bools, start: int) -> list[StubView]:
            mine = worlds.trained_rows(len(data.y), rows, member)
            stack = worlds.train(data.x, data.y, mine, start, steps=STEPS)
            return [worlds.view(model, self.case) for model in worlds.modules(stack)]

        self.shadows, self.models = views(self.member, seed), views(trained, seed + 99)

    def aucs(self, name: str, shadows: int = 64) -> Floats:
        """AUC of forget against holdout rows: (TARGETS, 1 + REFERENCES), the target first."""
        attack = discover()[name]()
        case = self.case
        if attack.design:
            found = worlds.observe(attack, self.shadows[:shadows], case)
            case = replace(case, shadows=Shadows(found, self.member[:shadows]))
        scored = []
        for target in self.models[:TARGETS]:
            models = [target, *self.models[TARGETS:]]
            examples = attack.score(worlds.observe(attack, models, case, self.models[0]), case).examples
            assert examples is not None
            scored.append(worlds.auc_of(examples, FORGET))
        return np.array(scored)

    def leak(self, name: str, shadows: int = 64) -> float:
        """Mean AUC of the targets."""
        return float(self.aucs(name, shadows)[:, 0].mean())


@pytest.fixture(scope="module", params=[0, 1])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def test_online_lira_sees_more_than_offline_and_that_more_than_the_loss(world: World) -> None:
    online, offline, loss = (world.leak(name) for name in ("lira_online", "membership", "population"))
    assert online > offline + 0.02
    assert offline > loss + 0.05
    assert loss > 0.52


def test_rmia_with_four_shadow_models_keeps_up_with_online_lira(world: World) -> None:
    """Four models against the sixteen that LiRA needs at least, and against all of them."""
    assert world.leak("rmia_online", 4) > world.leak("lira_online", 16) - 0.02
    assert world.leak("rmia_online") > world.leak("lira_online") - 0.02


def test_offline_rmia_with_four_references_sees_more_than_the_loss(world: World) -> None:
    assert world.leak("rmia") > world.leak("population") + 0.03


@pytest.mark.parametrize("name", ["shadow_logistic", "shadow_xgboost"])
def test_classifiers_carry_over_to_other_models(name: str, world: World) -> None:
    assert world.leak(name) > 0.55


@pytest.mark.parametrize("name", ["lira_online", "rmia_online", "shadow_logistic", "shadow_xgboost", "quantile"])
def test_references_stand_at_chance(name: str, world: World) -> None:
    """Four references, each with a standard error of .024."""
    assert np.abs(world.aucs(name)[0, 1:].mean() - 0.5) < 0.04


PIPELINES = 32
BROKEN: dict[str, Method] = {
    "fine_tune": METHODS["fine_tune"],
    "gradient_ascent": partial(METHODS["gradient_ascent"], target=0.6),
    "random_labels": METHODS["random_labels"],
}


class Procedures:
    """32 networks trained on coins, to be unlearned, and as many that never saw a candidate row."""

    def __init__(self) -> None:
        self.data, self.rows, self.case = digits(0)
        self.member = worlds.coins(0, PIPELINES, FORGET + 300)
        self.originals, self.honest = (
            worlds.modules(
                worlds.train(
                    self.data.x,
                    self.data.y,
                    worlds.trained_rows(len(self.data.y), self.rows, member),
                    seed,
                    steps=STEPS,
                )
            )
            for member, seed in ((self.member, 0), (np.zeros_like(self.member), 5))
        )

    def unlearned(self, method: Method) -> list[StubView]:
        """The originals after ``method`` was asked to forget the rows of their coins."""
        models = worlds.unlearned(self.originals, method, self.data.x, self.data.y, self.rows, self.member)
        return [worlds.view(model, self.case) for model in models]

    def signals(self, attack: Attack, views: list[StubView]) -> Floats:
        """(PIPELINES, n) example signals."""
        return np.stack([np.concatenate([s["forget"], s["holdout"]]) for s in worlds.observe(attack, views, self.case)])


@pytest.fixture(scope="module")
def procedures() -> Procedures:
    return Procedures()


def interval(values: Floats) -> tuple[float, float]:
    """Mean over pipelines less and plus twice its standard error."""
    half = 2 * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


@pytest.mark.parametrize("name", BROKEN)
def test_u_lira_finds_what_the_loss_misses(name: str, procedures: Procedures) -> None:
    views = procedures.unlearned(BROKEN[name])
    observed = procedures.signals(discover()["ulira"](), views)
    found = pipelines.aucs(lira.held_out(observed, procedures.member), procedures.member)
    losses = pipelines.aucs(procedures.signals(discover()["population"](), views), procedures.member)
    assert interval(found)[0] > 0.6
    assert interval(found)[0] > 0.5 + abs(losses.mean() - 0.5) + 0.05
    assert pipelines.worst_decile_corrected(observed, procedures.member, 10, np.random.default_rng(0)) > 0.7


def test_u_lira_leaves_honest_retrains_at_chance(procedures: Procedures) -> None:
    """The null of the design: a procedure that retrains leaves nothing, on average and in the worst decile."""
    views = [worlds.view(model, procedures.case) for model in procedures.honest]
    observed = procedures.signals(discover()["ulira"](), views)
    low, high = interval(pipelines.aucs(lira.held_out(observed, procedures.member), procedures.member))
    assert low - 0.005 < 0.5 < high + 0.005
    corrected = pipelines.worst_decile_corrected(observed, procedures.member, 20, np.random.default_rng(0))
    assert corrected == pytest.approx(0.5, abs=0.03)


def test_u_lira_scores_the_audited_model(procedures: Procedures) -> None:
    """A fine-tuned original gives its forget rows away; an honest model does not."""
    method = BROKEN["fine_tune"]
    attack = discover()["ulira"]()
    shadows = worlds.shadows(attack, procedures.unlearned(method), procedures.member, procedures.case)
    case = replace(procedures.case, shadows=shadows)
    asked = np.repeat(np.arange(FORGET + 300)[None] < FORGET, 2, axis=0)
    data, rows = procedures.data, procedures.rows
    trained = worlds.trained_rows(len(data.y), rows, asked & np.array([[True], [False]]))
    original, honest = worlds.modules(worlds.train(data.x, data.y, trained, 77, steps=STEPS))
    cheat = worlds.unlearned([original], method, data.x, data.y, rows, asked[:1])[0]
    views = [worlds.view(model, case) for model in (cheat, honest)]
    scores = attack.score(worlds.observe(attack, views, case), case)
    assert scores.examples is not None
    told = worlds.auc_of(scores.examples, FORGET)
    assert told[0] > 0.65
    assert told[1] == pytest.approx(0.5, abs=0.06)
    assert any("32 pipelines" in sentence for sentence in scores.details)
