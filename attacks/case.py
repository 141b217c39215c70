"""What an attack is given: data sets, models as it may see them, and the case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .tasks.base import Task

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


#: what each claimed access level lets an adversary do: activations come with their gradients
GRANTS = {
    "labels": Access.LABELS,
    "logits": Access.LOGITS,
    "features": Access.GRADIENTS,
    "weights": Access.TRAIN,
}


class NotApplicable(Exception):
    """Raised where the attack has no meaning for this case; becomes a ``skipped`` result with the reason."""


class Data(Protocol):
    """One set of n examples; in memory or memory-mapped."""

    @property
    def y(self) -> Ints:
        """Classes, shape (n,); zeros where rows have none."""

    @property
    def targets(self) -> Floats | None:
        """Numbers or flags that rows are labelled with, shape (n, k), in place of classes; else None."""

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


class Network(Protocol):
    """A copy of a model's network that belongs to the attack.

    Attributes:
        module: the torch.nn.Module on the model's device, in eval mode (stored BatchNorm statistics, no dropout); its
            parameters take gradients.
    """

    module: Any

    def forward(self, x: Any) -> Any:
        """Logits (b, C), C >= 2, of a tensor (or a mapping of tensors).

        Of long rows it may have an attribute ``rows``: how many go through at once.
        """

    def functional(self, state: Mapping[str, Any], x: Any) -> Any:
        """The same with other parameters and buffers by name, for ``torch.func``."""


class View(Protocol):
    """One model with its cached outputs on the sets of a case. Arrays are float64 and read-only."""

    @property
    def access(self) -> Access:
        """The most that can be had of this model."""

    def logits(self, role: str) -> Floats:
        """Logits on a set, shape (n, C)."""

    def features(self, role: str) -> Floats:
        """Penultimate features (the head's input) on a set, shape (n, d)."""

    def reads_inputs(self) -> bool:
        """No parameter stands before the head: the features are those of the inputs, the same in every model."""

    def head(self) -> tuple[Floats, Floats]:
        """The final linear layer: weight (C, d), bias (C,)."""

    def layers(self) -> tuple[str, ...]:
        """Hidden layers that can be read, in the order of their calls; the features are not among them.

        Raises NotApplicable where there is no network.
        """

    def activations(self, role: str, layer: str) -> Floats:
        """What a hidden layer gives on a set, averaged over positions, shape (n, d); ``Attack.reads_layers`` says so
        before, and the shared forward pass keeps it."""

    def network(self) -> Network:
        """A copy of the network of one's own, to train or to cut; needs access to weights.

        Raises NotApplicable where there is no network.
        """

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


def _classification() -> Task:
    from .tasks.classification import Classification

    return Classification()


@dataclass(frozen=True)
class Case:
    """The sets an attack may use and what is known of them.

    Attributes:
        kind: the declared claim.
        classes: forgotten classes (class claims), else empty.
        sets: ``forget`` (n_F), ``holdout`` (n_H, never seen; for class claims: of the forgotten classes),
            ``retain``, ``test`` (never seen; for class claims: retained classes only), ``auxiliary`` (never seen,
            used in no test), and where given ``concepts``, whose labels are concept numbers (0 = random
            counterexamples). Scoring may run without the inputs x: then only labels are read.
        labels: classes of each set, shape (n,); zeros where rows have none.
        n_classes: number of classes C, or of a model's outputs a row.
        queries: names of the augmentation queries that the models' training recipe suggests; () = the plain input.
        shadows: shadow models of the attack's ``design``, in ``score`` only.
        task: what outputs mean.
        targets: numbers or flags that rows are labelled with, by set, (n, k); empty where rows have classes.
        batch: rows of one forward pass at most (``--batch-size``), where blocks do not decide what is computed.
    """

    kind: ClaimKind
    classes: tuple[int, ...]
    sets: Mapping[str, Data]
    labels: Mapping[str, Ints]
    n_classes: int
    queries: tuple[str, ...] = ()
    shadows: Shadows | None = None
    task: Task = field(default_factory=_classification)
    targets: Mapping[str, Floats] = field(default_factory=dict)
    batch: int = 512

    def truth(self, role: str) -> np.ndarray[Any, Any]:
        """What the rows of a set are labelled with: classes (n,), or numbers or flags (n, k)."""
        return self.targets[role] if role in self.targets else self.labels[role]
