"""Scorers and descents of public packages beside ours, on the same arrays and the same network.

65 small networks on halves of scikit-learn digits with a fifth of the labels wrong, which they learn by heart: one is
the target, the others are its shadow models. What each package scores is prepared for it outside of the timed part.
LiRA: SACRO-ML. Classifiers on shadow models' answers: ART. Projected gradient descent: ART and Foolbox. A package that
is not installed is skipped, with its pin (extra ``[peers]``). No package of PyPI has RMIA (LeakPro and Privacy Meter 2
are checkouts); ``benchmarks.scorers`` has its floor.

Run ``python -m benchmarks.peers`` (two minutes, one thread). Prints Markdown. Medians of interleaved runs.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: one core against one core

import contextlib
import copy
import importlib.util
import io
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import nn

from attacks.base import Attack, Bools, Floats, Shadows
from attacks.membership.shadow import ShadowBoosted, ShadowLogistic
from attacks.recovery.descent import STEP, Descent, cross_entropy
from attacks.scorers import lira
from attacks.signals import log_softmax, logit_confidence
from audit.inputs.recipe import RecipeSection
from audit.training.descent import Batches
from audit.training.jobs import Pool, steps_of
from audit.training.stacked import Stack, streams_of
from fixtures.cases.digits_world import case_of
from fixtures.cases.module_view import ModuleView

from .shadows import MLP, SHORT, TRAINED, coins, digits, mlp

SHADOWS, FEW = 64, 16  # of LiRA; of the classifiers, which read 19,200 pairs of row and shadow model
WRONG, EPOCHS = 0.2, 100  # share of labels; enough to learn them
ROWS, STEPS, RADIUS = 512, 40, 0.1  # of the descents
REPEATS = 3
PINS = {"sacroml": "sacroml==2.0.1", "art": "adversarial-robustness-toolbox==1.20.1", "foolbox": "foolbox==3.3.4"}

Score = Callable[[], Floats]


@dataclass(frozen=True, eq=False)
class World:
    """Answers of one target and S shadow models on n rows.

    Attributes:
        x: (n, 64).
        y: (n,).
        logits: (1 + S, n, 10), the target first.
        member: (1 + S, n).
        target: the network.
    """

    x: Floats
    y: np.ndarray[Any, Any]
    logits: Floats
    member: Bools
    target: nn.Module


def world(shadows: int = SHADOWS, epochs: int = EPOCHS) -> World:
    """Train them, in one program."""
    clean, jobs, recipe = digits(pictures=False), coins(1 + shadows), RecipeSection(**SHORT | {"epochs": epochs})
    rng = np.random.default_rng(0)
    wrong = rng.random(len(clean.y)) < WRONG
    pool = Pool(clean.x, np.where(wrong, rng.integers(0, 10, len(clean.y)), clean.y))
    batches, steps = Batches(pool, recipe.augmentation, "cpu"), steps_of(recipe, TRAINED // 2, None)
    stack = Stack(MLP, [job.seed for job in jobs], "cpu")
    stack.train(recipe, batches, streams_of(jobs, steps, batches.ways), steps)
    x, y = np.asarray(pool.x[:TRAINED]), pool.y[:TRAINED]
    member = np.array([np.isin(np.arange(TRAINED), job.rows) for job in jobs])
    answers, target = [], mlp().eval()
    for k, network in enumerate(stack.networks()):
        if k == 0:
            target.load_state_dict(network.state_dict())
        with torch.no_grad():
            answers.append(network(torch.as_tensor(x, dtype=torch.float32)).double().numpy())
    return World(x, y, np.stack(answers), member, target)


def missing(package: str) -> bool:
    """Whether it is not installed; said."""
    if importlib.util.find_spec(package) is not None:
        return False
    print(f"{package}: skipped, not installed (pip install '{PINS[package]}')")
    return True


def membership(w: World) -> dict[str, Score]:
    """LiRA: how much the target's answer speaks for having been trained on each row, (n,)."""
    signal = np.stack([logit_confidence(each, w.y) for each in w.logits])
    own, shadows, member = signal[:1], signal[1:], w.member[1:]

    def offline() -> Floats:
        outside = lira.sides(shadows, member)[1]
        return np.asarray((own[0] - outside.mean) / np.sqrt(outside.variance()))

    calls: dict[str, Score] = {"LiRA online": lambda: lira.online(own, shadows, member)[0], "LiRA offline": offline}
    if missing("sacroml"):
        return calls
    from sacroml.attacks.likelihood_attack import LIRAAttack

    inside, outside = ({i: list(shadows[m[:, i], i]) for i in range(len(w.y))} for m in (member, ~member))
    answers = np.exp(log_softmax(w.logits[0]))

    def sacro(mode: str) -> Floats:
        with tempfile.TemporaryDirectory() as folder:  # it makes one, whatever it is told
            attack = LIRAAttack(output_dir=folder, write_report=False, mode=mode)
        return np.array(attack._compute_scores(w.y, answers, outside, inside)[0])[:, 1]  # the column of members

    return calls | {
        "LiRA online, SACRO-ML": lambda: sacro("online-carlini"),
        "LiRA offline, SACRO-ML": lambda: sacro("offline"),
    }


def classifiers(w: World) -> dict[str, Score]:
    """A rule learned on shadow models' answers; ours learns it six times, for the check on shadow models left out."""
    sides = {"forget": slice(0, TRAINED // 2), "holdout": slice(TRAINED // 2, TRAINED)}
    case = case_of("random", w.x, w.y, {role: np.arange(TRAINED)[part] for role, part in sides.items()})

    def ours(attack: Attack) -> Floats:
        def seen(k: int) -> Any:
            view: Any = SimpleNamespace(logits=lambda role: w.logits[k, sides[role]])
            return attack.run(view, None, case, np.random.default_rng(0))

        shadows = Shadows([seen(1 + k) for k in range(FEW)], w.member[1 : 1 + FEW])
        return np.asarray(attack.combine([seen(0)], replace(case, shadows=shadows)).examples)[0]

    calls: dict[str, Score] = {
        "classifier, logistic": lambda: ours(ShadowLogistic()),
        "classifier, boosted trees": lambda: ours(ShadowBoosted()),
    }
    if missing("art"):
        return calls
    from art.attacks.inference.membership_inference import MembershipInferenceBlackBox

    answers, member = w.logits[1 : 1 + FEW].reshape(-1, 10), w.member[1 : 1 + FEW].ravel()
    labels = np.tile(w.y, FEW)

    def art(kind: str) -> Floats:
        attack = MembershipInferenceBlackBox(_art(w.target), attack_model_type=kind)
        inside, outside = ({"pred": answers[m].astype(np.float32), "y": labels[m]} for m in (member, ~member))
        attack.fit(**inside, **{f"test_{key}": value for key, value in outside.items()})
        return np.ravel(attack.infer(None, w.y, pred=w.logits[0].astype(np.float32), probabilities=True))

    return calls | {
        f"classifier {kind}, ART": partial(art, kind) for kind in ("lr", "gb")
    }  # its networks and forests take minutes


def descents(w: World) -> dict[str, Score]:
    """Cross-entropy (n,) with the class after the true one that is reached in an L-infinity ball, lower = better."""
    x, wanted = w.x[:ROWS].astype(np.float32), (w.y[:ROWS] + 1) % 10
    case = case_of("random", w.x, w.y, {"forget": np.arange(ROWS), "holdout": np.arange(ROWS, TRAINED)})
    log_target = np.log(np.eye(10)[wanted] + 1e-30)
    network = copy.deepcopy(w.target).requires_grad_(requires_grad=False)

    def reached(points: Any) -> Floats:
        with torch.no_grad():
            return np.asarray(
                nn.functional.cross_entropy(network(torch.as_tensor(points)), torch.as_tensor(wanted), reduction="none")
            )

    view = ModuleView(network, case.sets)

    def ours() -> Floats:
        descent = Descent(view, (0.0, 1.0), steps=STEPS, batch=ROWS)
        return descent.run(x.astype(np.float64), log_target, (RADIUS,), [None], cross_entropy).loss[:, 0]

    calls: dict[str, Score] = {"descent": ours}
    step = RADIUS / STEP
    if not missing("art"):
        from art.attacks.evasion import ProjectedGradientDescentPyTorch

        def art() -> Floats:
            attack = ProjectedGradientDescentPyTorch(
                _art(network), eps=RADIUS, eps_step=step, max_iter=STEPS, targeted=True, batch_size=ROWS, verbose=False
            )
            return reached(attack.generate(x, wanted))

        calls["descent, ART"] = art
    if not missing("foolbox"):
        import foolbox

        def fool() -> Floats:
            model = foolbox.PyTorchModel(network, bounds=(0, 1))
            attack = foolbox.attacks.LinfPGD(abs_stepsize=step, steps=STEPS, random_start=False)
            goal = foolbox.criteria.TargetedMisclassification(torch.as_tensor(wanted))
            return reached(attack.run(model, torch.as_tensor(x), goal, epsilon=RADIUS))

        calls["descent, Foolbox"] = fool
    return calls


def _art(network: nn.Module) -> Any:
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(network, nn.CrossEntropyLoss(), (64,), 10, clip_values=(0, 1), device_type="cpu")


def timed(calls: Mapping[str, Score], repeats: int) -> dict[str, tuple[float, Floats]]:
    """Median wall time in seconds and result of each; they take turns, so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    found: dict[str, Floats] = {}
    for _ in range(repeats):
        for name, call in calls.items():
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")  # theirs
                start = time.perf_counter()
                found[name] = call()
                times[name].append(time.perf_counter() - start)
    return {name: (statistics.median(each), found[name]) for name, each in times.items()}


def table(w: World, repeats: int = REPEATS) -> list[str]:
    """Markdown."""
    logging.disable(logging.INFO)  # theirs
    lines = ["| scores of one model on 1,200 rows | ms | AUC | TPR at FPR .01 |", "|---|---|---|---|"]
    for name, (seconds, scores) in timed(membership(w) | classifiers(w), repeats).items():
        fpr, tpr, _ = roc_curve(w.member[0], scores)
        auc, at = roc_auc_score(w.member[0], scores), np.interp(0.01, fpr, tpr)
        lines.append(f"| {name} | {1000 * seconds:.2f} | {auc:.3f} | {at:.3f} |")
    lines += [
        "",
        f"| {STEPS} steps on {ROWS} rows | ms | mean cross-entropy reached | rows at the class |",
        "|---|---|---|---|",
    ]
    for name, (seconds, loss) in timed(descents(w), repeats).items():
        lines.append(f"| {name} | {1000 * seconds:.0f} | {loss.mean():.3f} | {np.mean(loss < np.log(2)):.3f} |")
    return lines


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("\n".join(table(world())))
