"""The contract of every attack: observe one model, then score all models symmetrically.

``observe(view, original, case, rng)`` sees one model (and the original where the attack declares so) and never a
reference. ``score(signals, case)`` sees the signals of all J models, the audited one first, and must treat them
alike, so that an honest retrain in place of the audited model is exchangeable with the references. An attack
never sees a threshold and never judges itself.

Adding an attack: one file below ``attacks/`` with a subclass of :class:`Attack`, its charts declared in it, and one
test. No other file changes, the report's neither. It is supplementary, and changes no error rate of the verdict, until
a policy lists one of its statistics among the primaries.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np

from .case import (
    GRANTS,
    Access,
    Bools,
    Case,
    ClaimKind,
    Data,
    Design,
    Floats,
    Inputs,
    Ints,
    Network,
    NotApplicable,
    Shadows,
    Signals,
    View,
)
from .charts import DOTS, HISTOGRAM, PER_EXAMPLE, ROC, ChartKind, ChartSpec, Plot
from .frozen import Malformed, frozen
from .plugins import load_plugins

__all__ = [
    "DOTS",
    "GRANTS",
    "HISTOGRAM",
    "PER_EXAMPLE",
    "ROC",
    "Access",
    "Attack",
    "Bools",
    "Case",
    "ChartKind",
    "ChartSpec",
    "ClaimKind",
    "Data",
    "Design",
    "Efforts",
    "Floats",
    "Inputs",
    "Ints",
    "Malformed",
    "Network",
    "NotApplicable",
    "Plot",
    "Scores",
    "Shadows",
    "Signals",
    "View",
    "discover",
]


Efforts = Mapping[str, Mapping[str, float | int | str | bool]]


@dataclass(frozen=True)
class Scores:
    """What an attack says of J models, the audited one in row 0.

    Attributes:
        examples: (J, n_F + n_H) per-example scores, forget rows first; higher = more like a member; or None.
        statistic: (J,) the primary model-level statistic for class claims; higher = more is left; or None.
        sampling_error: (J,) standard error of ``statistic`` over the examples; or None.
        rows: (J, n) what each never-seen row of the forgotten classes adds, where ``statistic`` is their mean; or None.
        lighter: the same rows under a fit that shrinks less, whose share of the original must keep the margin, too; or
            None.
        unit: unit of ``statistic``.
        invalid: "" or why the result on the audited model supports no PASS.
        remedy: what to do where it is invalid.
        details: sentences for the report (composition of fit sets, validity).
        records: optional (n_F + n_H,) p-values of the audited model's rows, each against models that never saw it.
        plots: numbers of the declared charts that need some, by ``ChartSpec.plot``.
    """

    examples: Floats | None = None
    statistic: Floats | None = None
    sampling_error: Floats | None = None
    rows: Floats | None = None
    lighter: Floats | None = None
    unit: str = ""
    invalid: str = ""
    remedy: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    records: Floats | None = None
    plots: Mapping[str, Plot] = field(default_factory=dict)


ROWS_ALONE = (
    "compares rows of the forgotten class with each other and says nothing about the class: see membership, probe and "
    "feature_mapping"
)
INPUTS_ALONE = (
    "the network has no layer before its head: its features are the inputs, which are the same in every model"
)
REGISTRY: dict[str, type[Attack]] = {}


class Attack(ABC):
    """Base of all attacks. Subclasses set the class attributes and write ``run`` and ``combine``.

    Hyper-parameters are keyword-only constructor arguments, kept in ``self.parameters``.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    access: ClassVar[Access] = Access.LOGITS
    needs_original: ClassVar[bool] = False
    #: The score treats forget and holdout rows alike: only then may their labels be permuted (family D2).
    symmetric: ClassVar[bool] = False
    #: Families of difference tests that may gate it, where a policy lists it: D2 permutes rows, D1 compares models.
    families: ClassVar[frozenset[str]] = frozenset({"D2", "D1"})
    #: What it needs of the rows (``attacks.tasks.base.SIGNALS``): it serves the tasks that offer this; "" = nothing.
    signal: ClassVar[str] = "class_logits"
    #: Shadow models that it cannot do without; the engine skips it, with the remedy, where there are none.
    design: ClassVar[Design] = ""
    source: ClassVar[str] = ""
    #: Data file beyond the usual ones that it reads; giving one asks for the attack.
    reads: ClassVar[str] = ""
    #: Compares single rows, and so says nothing about a class as a whole.
    rows_alone: ClassVar[bool] = False
    #: Its figures are of the features alone: they say nothing where all models have the same (``View.reads_inputs``).
    features_alone: ClassVar[bool] = False
    #: Reads hidden layers (``View.activations``), which the shared forward pass then keeps.
    reads_layers: ClassVar[bool] = False
    #: Parameters under ``--effort quick`` and ``--effort thorough``, where they differ from the defaults.
    efforts: ClassVar[Efforts] = {}
    #: Charts that it brings to the report (``attacks/charts.py``).
    charts: ClassVar[tuple[ChartSpec, ...]] = (DOTS,)

    parameters: dict[str, float | int | str | bool]

    def __init__(self) -> None:
        self.parameters = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name:
            if REGISTRY.get(cls.name, cls).__qualname__ != cls.__qualname__:
                raise TypeError(f"two attacks are named {cls.name!r}: rename one")
            REGISTRY[cls.name] = cls

    def applicable(self, case: Case) -> str:
        """Why the attack has no meaning for such a case, or "": asked by plan and run; reads labels, and one row."""
        return ROWS_ALONE if self.rows_alone and case.kind == "class" else ""

    @final
    def refused(self, case: Case) -> str:
        """Why the attack has no meaning for such a task or case, or ""."""
        return case.task.refuses(self.signal) or self.applicable(case)

    @final
    def featureless(self, view: View) -> str:
        """Why a model's features say nothing to the attack, or "": asked by plan and run."""
        return INPUTS_ALONE if self.features_alone and view.reads_inputs() else ""

    def check_models(self, view: View, original: View | None, case: Case) -> None:  # noqa: B027
        """Raise NotApplicable for models that ``run`` would refuse, in its words: the plan asks before it runs."""

    def gradient_rows(self, case: Case) -> int:  # noqa: ARG002
        """Rows that pass forward and backward through one model: the cost beyond the shared forward pass."""
        return 0

    @abstractmethod
    def run(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Observe one model; return named arrays with a leading dimension per example or per model."""

    @abstractmethod
    def combine(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Score J models symmetrically from their signals (no model, no inputs)."""

    @final
    def observe(self, view: View, original: View | None, case: Case, rng: np.random.Generator) -> Signals:
        """Check access, run, check and freeze the result.

        Raises:
            NotApplicable: the model does not grant the access, or the attack has no meaning for this case.
            ValueError: the attack produced a non-finite or non-numeric signal.
        """
        if view.access < self.access:
            raise NotApplicable(f"needs {self.access.name.lower()} access, the model grants {view.access.name.lower()}")
        if self.needs_original and original is None:
            raise NotApplicable("needs the original model, none was given")
        if reason := self.refused(case) or self.featureless(view):
            raise NotApplicable(reason)
        return {key: frozen(self.name, key, value) for key, value in self.run(view, original, case, rng).items()}

    @final
    def score(self, signals: Sequence[Signals], case: Case) -> Scores:
        """Combine the signals of J models and check the result's shape.

        Raises:
            NotApplicable: no shadow models of its design, or too few references.
            ValueError: wrong shape or non-finite scores.
        """
        if self.design and case.shadows is None:
            raise NotApplicable(f"needs shadow models ({self.design})")
        scores = self.combine(signals, case)
        rows = len(case.labels["forget"]) + len(case.labels["holdout"])
        models = len(signals)
        focus = len(case.labels["holdout"])
        expected = (
            (scores.examples, (models, rows)),
            (scores.statistic, (models,)),
            *((part, (models, focus)) for part in (scores.rows, scores.lighter)),
        )
        for value, shape in expected:
            if value is not None and (value.shape != shape or not np.isfinite(value).all()):
                raise Malformed(f"{self.name}: scores must be finite with shape {shape}, got {value.shape}")
        for plot in scores.plots.values():
            plot.check(models)
        return scores


PACKAGES = ("attacks.membership", "attacks.recovery", "attacks.representation", "attacks.inversion", "attacks.weights")


def discover() -> dict[str, type[Attack]]:
    """Import every module of the attack packages and the installed plug-ins; return the registry, sorted by name."""
    load_plugins()
    for package_name in PACKAGES:
        package = importlib.import_module(package_name)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package_name}.{module.name}")
    return dict(sorted(REGISTRY.items()))
