"""The contract of every attack: observe one model, then score all models symmetrically.

``observe(view, original, case, rng)`` sees one model (and the original where the attack declares so) and never a
reference. ``score(signals, case)`` sees the signals of all J models, the audited one first, and must treat them
alike, so that an honest retrain in place of the audited model is exchangeable with the references. An attack
never sees a threshold and never judges itself.

Adding an attack: one file below ``attacks/`` with a subclass of :class:`Attack`, and one test.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Literal, Protocol, final

import numpy as np
import numpy.typing as npt

from .plugins import load_plugins

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Inputs = np.ndarray[Any, Any] | Mapping[str, np.ndarray[Any, Any]]
Signals = Mapping[str, np.ndarray[Any, Any]]
ClaimKind = Literal["random", "class", "subject", "other"]
#: what shadow models went through: none wanted, trained, or trained and then unlearned by the user's procedure
Design = Literal["", "trained", "unlearned"]


class Access(IntEnum):
    """What the attacker must have. Each level includes the ones before it."""

    LABELS = 0
    LOGITS = 1
    FEATURES = 2
    GRADIENTS = 3
    WEIGHTS = 4
    TRAIN = 5


class NotApplicable(Exception):
    """Raised where the attack has no meaning for this case; becomes a ``skipped`` result with the reason."""


class Data(Protocol):
    """One set of n examples; in memory or memory-mapped."""

    @property
    def y(self) -> Ints:
        """Labels, shape (n,)."""

    @property
    def ids(self) -> np.ndarray[Any, Any] | None:
        """Row identifiers, shape (n,), or None."""

    @property
    def group(self) -> np.ndarray[Any, Any] | None:
        """Data subject of each row, shape (n,), or None."""

    @property
    def request(self) -> np.ndarray[Any, Any] | None:
        """Deletion request of each row, shape (n,), or None."""

    def __len__(self) -> int: ...

    def batch(self, index: Ints) -> Inputs:
        """Inputs of the rows ``index``: (b, ...) or a mapping of such arrays."""

    def take(self, index: Ints) -> Data:
        """The subset of rows ``index``, in that order."""

    def fingerprint(self, key: bytes) -> str:
        """Keyed (HMAC-SHA256) digest of the content."""


class View(Protocol):
    """One model with its cached outputs on the sets of a case. Arrays are float64 and read-only."""

    @property
    def access(self) -> Access:
        """The most that can be had of this model."""

    def logits(self, role: str) -> Floats:
        """Logits on a set, shape (n, C)."""

    def features(self, role: str) -> Floats:
        """Penultimate features (the head's input) on a set, shape (n, d)."""

    def head(self) -> tuple[Floats, Floats]:
        """The final linear layer: weight (C, d), bias (C,)."""

    def augmented(self, role: str, query: str) -> Floats:
        """Logits on a set whose inputs were changed by a query of ``attacks.queries``, shape (n, C).

        Raises NotApplicable where there is no network to ask, or where the query does not fit the inputs.
        """

    def forward(self, x: Any) -> Any:
        """Differentiable logits (torch.Tensor) of a torch.Tensor input on the model's device; weights frozen."""

    def tensor(self, x: np.ndarray[Any, Any]) -> Any:
        """``x`` as a torch.Tensor on the model's device."""


@dataclass(frozen=True, eq=False)
class Shadows:
    """Shadow models of one design: what this attack observed on each, and on which rows each was trained.

    Attributes:
        signals: S results of the attack's ``run``, one a shadow model.
        member: (S, n_F + n_H), forget rows first; True = trained on the row (and, in the design ``unlearned``, made
            to forget it by the user's procedure), False = never used. Independent fair coins, one a row (a data
            subject where rows have one), over forget and holdout rows alike.
    """

    signals: Sequence[Signals]
    member: Bools


@dataclass(frozen=True)
class Case:
    """The sets an attack may use and what is known of them.

    Attributes:
        kind: the declared claim.
        classes: forgotten classes (class claims), else empty.
        sets: ``forget`` (n_F), ``holdout`` (n_H, never seen; for class claims: of the forgotten classes),
            ``retain``, ``test`` (never seen; for class claims: retained classes only), ``auxiliary`` (never seen,
            used in no test). Scoring may run without the inputs x: then only labels are read.
        labels: labels of each set, shape (n,).
        n_classes: number of classes C.
        queries: names of the augmentation queries that the models' training recipe suggests; () = the plain input.
        shadows: shadow models of the attack's ``design``, in ``score`` only.
    """

    kind: ClaimKind
    classes: tuple[int, ...]
    sets: Mapping[str, Data]
    labels: Mapping[str, Ints]
    n_classes: int
    queries: tuple[str, ...] = ()
    shadows: Shadows | None = None


@dataclass(frozen=True)
class Scores:
    """What an attack says of J models, the audited one in row 0.

    Attributes:
        examples: (J, n_F + n_H) per-example scores, forget rows first; higher = more like a member; or None.
        statistic: (J,) the primary model-level statistic for class claims; higher = more is left; or None.
        sampling_error: (J,) standard error of ``statistic`` over the examples; or None.
        unit: unit of ``statistic``.
        invalid: "" or why the result on the audited model supports no PASS.
        remedy: what to do where it is invalid.
        details: sentences for the report (composition of fit sets, validity).
        records: optional (n_F + n_H,) p-values of the audited model's rows, each against models that never saw it.
        curves: optional (J, m) curve per model over ``curve_x`` (m,).
    """

    examples: Floats | None = None
    statistic: Floats | None = None
    sampling_error: Floats | None = None
    unit: str = ""
    invalid: str = ""
    remedy: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    records: Floats | None = None
    curves: Floats | None = None
    curve_x: Floats | None = None


@dataclass(frozen=True)
class CurveLabels:
    """Axis labels of an attack's curve chart."""

    title: str
    x: str
    y: str


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
    #: Claim kinds for which this attack's statistic is a gated primary; elsewhere it is supplementary.
    primary_for: ClassVar[frozenset[str]] = frozenset()
    #: Families of difference tests that gate it: D2 permutes rows, D1 compares models.
    families: ClassVar[frozenset[str]] = frozenset({"D2", "D1"})
    #: Shadow models that it cannot do without; the engine skips it, with the remedy, where there are none.
    design: ClassVar[Design] = ""
    source: ClassVar[str] = ""
    chart: ClassVar[Literal["roc", "dots", "curve"]] = "dots"
    curve_labels: ClassVar[CurveLabels | None] = None

    parameters: dict[str, float | int | str | bool]

    def __init__(self) -> None:
        self.parameters = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name:
            if REGISTRY.get(cls.name, cls).__qualname__ != cls.__qualname__:
                raise TypeError(f"two attacks are named {cls.name!r}: rename one")
            REGISTRY[cls.name] = cls

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
        return {key: _frozen(self.name, key, value) for key, value in self.run(view, original, case, rng).items()}

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
        expected = ((scores.examples, (models, rows)), (scores.statistic, (models,)))
        for value, shape in expected:
            if value is not None and (value.shape != shape or not np.isfinite(value).all()):
                raise ValueError(f"{self.name}: scores must be finite with shape {shape}, got {value.shape}")
        return scores


def _frozen(attack: str, key: str, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array = np.array(value)
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise ValueError(f"{attack}: signal {key!r} is not finite numbers")
    array.setflags(write=False)
    return array


PACKAGES = ("attacks.membership", "attacks.recovery", "attacks.representation")


def discover() -> dict[str, type[Attack]]:
    """Import every module of the attack packages and the installed plug-ins; return the registry, sorted by name."""
    load_plugins()
    for package_name in PACKAGES:
        package = importlib.import_module(package_name)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package_name}.{module.name}")
    return dict(sorted(REGISTRY.items()))
