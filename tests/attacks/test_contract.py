"""Every attack, present and future, keeps the contract of ``attacks.base``."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases.digits_case import DigitsCase, build

from attacks.base import Access, Attack, Case, NotApplicable, Scores, Shadows, Signals, View, discover
from audit.collect.model_view import ModelView
from audit.collect.observe import Observations
from audit.collect.sealed import SealedArrays
from audit.collect.views import shadow_views
from audit.inputs.case import LoadedCase, load_case
from audit.inputs.config import TrainingSection
from audit.inputs.given import given_of
from audit.inputs.recipe import RecipeSection
from audit.inputs.resolve import resolve
from audit.inputs.training_order import training_order
from audit.policy.policy import load_policy
from audit.policy.primaries import LEVELS
from audit.record.rundir import RunDir
from audit.training.references import with_trained

POLICY = load_policy("standard")[0]

NAMES = sorted(discover())
#: attacks that cost more than a tenth of an audit keep one cheap check in the quick suite, the rest under ``slow``
COSTLY = {
    *("anamnesis", "attribution", "flatness", "gradient_norm", "memory_jog", "reconstruction", "relearning"),
    *("relearning_unrelated", "svc_mia", "uma", "uma_error", "uma_label"),
}
CHECKED = [pytest.param(n, marks=[pytest.mark.slow] if n in COSTLY else []) for n in NAMES]
#: many test rows: a quarter of them is the auxiliary set, and RMIA wants 200
SIZES = {"forget": 200, "holdout": 300, "retain": 400}
RECIPE = RecipeSection(optimizer="adam", lr=3e-3, epochs=60)


class Bench:
    """A loaded case with views of all its models."""

    def __init__(self, case: DigitsCase, batch_size: int, folder: Path, *, shadows: bool = True) -> None:
        from audit import demo

        demo.save_model(case.folder / "unlearned.safetensors", case.original)

        flags = {"forget": case.folder / "forget.npz", "arch": demo.ARCH, **case.flags}
        settings, _ = resolve(flags)
        given = given_of(settings)
        self.loaded: LoadedCase = load_case(given, load_policy("standard")[0].overlap_share)
        run = RunDir(folder)
        run.create()
        arrays = SealedArrays(self.loaded.key)
        store = Observations(run.observations, self.loaded.files, self.loaded.fingerprints, batch_size, arrays)
        self.case: Case = replace(self.loaded.attack_case(), batch=batch_size)
        self.views = {
            name: ModelView(model, f"model-{i}-".ljust(64, "0"), store, self.loaded.selection)
            for i, (name, model) in enumerate(self.loaded.models.items())
        }
        for view in self.views.values():
            view.logits("forget")
        self.member, self.shadows = np.empty((0, 0), dtype=bool), {}
        if shadows and self.case.kind == "random":
            update = {"recipe": RECIPE, "training": TrainingSection(shadows=16)}
            settings = settings.model_copy(update=update)
            trained, _ = with_trained(self.loaded, training_order(settings, given.project))
            self.member = trained.shadows["trained"].member
            self.shadows = shadow_views(trained.shadows, store, trained.selection, trained.build)["trained"]
        self.seen: dict[tuple[str, str], Signals] = {}

    def observe(self, attack: Attack, name: str) -> Signals:
        """What an attack with its defaults sees of a model; kept."""
        if (attack.name, name) not in self.seen:
            self.seen[attack.name, name] = self.observed(attack, name)
        return self.seen[attack.name, name]

    def observed(self, attack: Attack, name: str) -> Signals:
        """The same, observed once more."""
        view = self.views[name] if name in self.views else self.shadows[name]
        try:
            return attack.observe(view, self.views["original"], self.case, np.random.default_rng(5))
        except NotApplicable as reason:
            pytest.skip(str(reason))

    def case_of(self, attack: Attack) -> Case:
        """With shadow models, where the attack wants some; trained ones stand for unlearned ones here."""
        if not attack.design:
            return self.case
        return replace(self.case, shadows=Shadows([self.observe(attack, n) for n in self.shadows], self.member))

    def score(self, attack: Attack, subject: str = "unlearned") -> Scores:
        names = [subject, *(n for n in self.views if n.startswith("retrained/"))]
        return attack.score([self.observe(attack, name) for name in names], self.case_of(attack))


@pytest.fixture(scope="module", params=["random", "class"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DigitsCase:
    sizes = SIZES if request.param == "random" else {}
    return build(tmp_path_factory.mktemp(request.param), request.param, references=3, **sizes)


@pytest.fixture(scope="module")
def bench(case: DigitsCase, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(case, 512, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def small_batches(case: DigitsCase, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(case, 7, tmp_path_factory.mktemp("small"), shadows=False)


@pytest.mark.parametrize("name", CHECKED)
def test_the_original_looks_more_like_a_member_than_every_reference(name: str, bench: Bench) -> None:
    """One sign convention: higher = more is left (T3, T4)."""
    scores = bench.score(discover()[name]())
    if scores.statistic is not None and bench.case.kind == "class":
        # a similarity scatters between seeds by as much as it shows: which of three is highest differs by processor
        bound = scores.statistic[1:].mean() if name == "similarity" else scores.statistic[1:].max()
        assert scores.statistic[0] > bound
    if scores.examples is not None and bench.case.kind == "random":
        forget = len(bench.case.labels["forget"])
        contrast = scores.examples[:, :forget].mean(axis=1) - scores.examples[:, forget:].mean(axis=1)
        assert contrast[0] > contrast[1:].max()


@pytest.mark.parametrize("name", CHECKED)
def test_same_generator_same_signals(name: str, bench: Bench) -> None:
    first, second = (see(discover()[name](), "unlearned") for see in (bench.observe, bench.observed))
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])


@pytest.mark.parametrize("name", CHECKED)
def test_batch_size_does_not_matter(name: str, bench: Bench, small_batches: Bench) -> None:
    other = small_batches.observe(discover()[name](), "retrained/0")
    mine = bench.observe(discover()[name](), "retrained/0")
    for key in mine:
        np.testing.assert_allclose(mine[key], other[key], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_models_are_left_as_they_were(name: str, bench: Bench) -> None:
    models = bench.loaded.models
    before = {key: model.digest() for key, model in models.items()}
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state must not move
    bench.observed(discover()[name](), "unlearned")
    assert before == {key: model.digest() for key, model in models.items()}
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    module = models["unlearned"].module  # type: ignore[attr-defined]
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("name", CHECKED)
def test_models_are_scored_symmetrically(name: str, bench: Bench) -> None:
    """Swapping two models swaps their scores: the audited one has no special place."""
    attack = discover()[name]()
    signals = [bench.observe(attack, n) for n in ("unlearned", "retrained/0", "retrained/1", "retrained/2")]
    case = bench.case_of(attack)
    straight, swapped = (attack.score(s, case) for s in (signals, [signals[1], signals[0], *signals[2:]]))
    for one, two in ((straight.examples, swapped.examples), (straight.statistic, swapped.statistic)):
        if one is not None and two is not None:
            np.testing.assert_allclose(one[[1, 0, 2, 3]], two, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CHECKED)
def test_symmetric_attacks_ignore_which_rows_are_forget_rows(name: str, bench: Bench) -> None:
    attack = discover()[name]()
    if not attack.symmetric or bench.case.kind == "class":
        pytest.skip("makes no symmetry claim here")
    cut = len(bench.case.labels["forget"])
    names = ("unlearned", "retrained/0", "retrained/1")
    signals = [dict(bench.observe(attack, n)) for n in names]
    order = np.random.default_rng(0).permutation(cut + len(bench.case.labels["holdout"]))

    def shuffled(arrays: Signals) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        found = {
            key: a[order] if key in ("rows", "features") and len(a) == len(order) else a for key, a in arrays.items()
        }
        if "forget" in arrays:
            rows = np.concatenate([arrays["forget"], arrays["holdout"]])[order]
            found |= {"forget": rows[:cut], "holdout": rows[cut:]}
        return found

    case = bench.case_of(attack)
    other = replace(case, labels=shuffled(case.labels))
    if case.shadows is not None:
        moved_shadows = Shadows([shuffled(s) for s in case.shadows.signals], case.shadows.member[:, order])
        other = replace(other, shadows=moved_shadows)
    plain = attack.score(signals, case).examples
    permuted = discover()[name]().score([shuffled(s) for s in signals], other).examples
    assert plain is not None
    assert permuted is not None
    np.testing.assert_allclose(plain[:, order], permuted, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", CHECKED)
def test_an_attack_applies_to_every_claim_that_it_may_decide(name: str, bench: Bench) -> None:
    attack = discover()[name]()
    if any(name in POLICY.attacks(bench.case.kind, level) for level in LEVELS):
        view, original = bench.views["retrained/0"], bench.views["original"]
        assert bench.seen.get((name, "retrained/0")) or attack.observe(
            view, original, bench.case, np.random.default_rng(5)
        )


@pytest.mark.parametrize("name", [p for p in CHECKED if discover()[p.values[0]].design])
def test_shadow_attacks_ignore_the_order_of_the_shadow_models_and_use_all_of_them(name: str, bench: Bench) -> None:
    """T16: permuting them changes nothing, changing any one changes the scores."""
    attack = discover()[name]()
    signals = [bench.observe(attack, n) for n in ("unlearned", "retrained/0")]
    case = bench.case_of(attack)
    shadows = case.shadows
    assert shadows is not None
    order = np.random.default_rng(1).permutation(len(shadows.signals))

    def scored(mine: Shadows) -> np.ndarray:  # type: ignore[type-arg]
        examples = discover()[name]().score(signals, replace(case, shadows=mine)).examples
        assert examples is not None
        return examples

    plain = scored(shadows)
    mixed = Shadows([shadows.signals[k] for k in order], shadows.member[order])
    np.testing.assert_allclose(scored(mixed), plain, rtol=1e-8, atol=1e-8)
    for k in (0, len(order) - 1):
        flipped = shadows.member.copy()
        flipped[k] = ~flipped[k]
        assert np.abs(scored(Shadows(shadows.signals, flipped)) - plain).max() > 0


@pytest.mark.parametrize("name", [p for p in CHECKED if discover()[p.values[0]].design])
def test_too_few_shadow_models_are_a_reason(name: str, bench: Bench) -> None:
    attack = discover()[name]()
    signals = [bench.observe(attack, n) for n in ("unlearned", "retrained/0")]
    case = bench.case_of(attack)
    assert case.shadows is not None
    few = Shadows(case.shadows.signals[:3], case.shadows.member[:3])
    for shadows in (None, few):
        with pytest.raises(NotApplicable, match="shadow models"):
            attack.score(signals, replace(case, shadows=shadows))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_recorded_and_checked(name: str) -> None:
    attack = discover()[name]
    arguments = list(inspect.signature(attack).parameters.values())
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in arguments)
    assert set(attack().parameters) == {p.name for p in arguments}
    for parameter in arguments:
        with pytest.raises(ValueError, match=name):
            attack(**{parameter.name: -1})


@pytest.mark.parametrize("name", NAMES)
def test_described(name: str) -> None:
    attack = discover()[name]
    assert attack.title
    assert attack.source
    assert (attack.__doc__ or "").strip()


class _Weak:
    access = Access.LABELS


@pytest.mark.parametrize("name", NAMES)
def test_too_little_access_is_a_reason(name: str, bench: Bench) -> None:
    if discover()[name].access is Access.LABELS:
        pytest.skip("nothing less than labels")
    with pytest.raises(NotApplicable, match=r"needs .* access"):
        discover()[name]().observe(_Weak(), None, bench.case, np.random.default_rng(0))  # type: ignore[arg-type]


def test_non_finite_signals_are_refused(bench: Bench) -> None:
    class Broken(Attack):
        access = Access.LABELS

        def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
            return {"x": np.array([np.nan])}

        def combine(self, signals: object, case: Case) -> Scores:
            return Scores(statistic=np.array([np.inf]))

    with pytest.raises(ValueError, match="not finite"):
        bench.observed(Broken(), "unlearned")
    with pytest.raises(ValueError, match="must be finite"):
        Broken().score([{}], bench.case)
