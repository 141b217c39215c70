"""One model as attacks see it: what was observed of it, on the rows of each set, and its network."""

from __future__ import annotations

from typing import Any

import numpy as np

from attacks.base import Access, Floats, NotApplicable
from audit.inputs.heads import nothing_before
from audit.inputs.network import PrivateNetwork
from audit.inputs.sets import Selection
from audit.inputs.spool import pick
from audit.inputs.targets import Target, TorchTarget

from .observe import Observations


class ModelView:
    """One model as an attack sees it (implements ``attacks.base.View``)."""

    def __init__(
        self, target: Target, digest: str, observations: Observations, selection: dict[str, Selection]
    ) -> None:
        self.target, self.digest, self._observations, self._selection = (
            target,
            digest,
            observations,
            selection,
        )

    @property
    def access(self) -> Access:
        """The most that can be had of this model."""
        return self.target.access

    def logits(self, role: str) -> Floats:
        """Logits on a set, (n, C), float64."""
        chosen = self._selection[role]
        return self._observations.get(self.target, self.digest, chosen.source)[0][chosen.rows].astype(np.float64)

    def stored(self, role: str) -> np.ndarray[Any, Any]:
        """The same as they are kept, float32 or float64: mapped and not copied where the set is a whole file."""
        chosen = self._selection[role]
        found = self._observations.get(self.target, self.digest, chosen.source)[0]
        return found if np.array_equal(chosen.rows, np.arange(len(found))) else pick(found, chosen.rows)

    def features(self, role: str) -> Floats:
        """Penultimate features on a set, (n, d), float64."""
        chosen = self._selection[role]
        features = self._observations.get(self.target, self.digest, chosen.source)[1]
        if features is None:
            raise ValueError("precomputed outputs have no features")
        return features[chosen.rows].astype(np.float64)

    def reads_inputs(self) -> bool:
        """No parameter stands before the head of the network; False of outputs alone, whatever their features are."""
        target = self.target
        if not isinstance(target, TorchTarget) or not target.featured:
            return False
        row = next(iter(self._observations.files.values())).batch(np.arange(1))
        return nothing_before(target.module, target.find_head(row))

    def augmented(self, role: str, query: str) -> Floats:
        """Logits on a set whose inputs were changed by a query, (n, C), float64."""
        found = self._observations.get_query(self.target, self.digest, self._selection[role], query)
        return found.astype(np.float64)

    def layers(self) -> tuple[str, ...]:
        """Hidden layers that can be read."""
        return self._observations.layers_of(self.target)

    def activations(self, role: str, layer: str) -> Floats:
        """What a hidden layer gives on a set, (n, d), float64."""
        chosen = self._selection[role]
        found = self._observations.get_layer(self.target, self.digest, chosen.source, layer)
        return found[chosen.rows].astype(np.float64)

    def head(self) -> tuple[Floats, Floats]:
        """The final linear layer: weight (C, d), bias (C,)."""
        return self._network().head()

    def network(self) -> PrivateNetwork:
        """A copy of the network that belongs to the attack."""
        if not isinstance(self.target, TorchTarget):
            raise NotApplicable("needs a network, outputs alone have no weights")
        return PrivateNetwork(self.target)

    def forward(self, x: Any) -> Any:
        """Differentiable logits of a tensor."""
        return self._network().forward(x)

    def tensor(self, x: np.ndarray[Any, Any]) -> Any:
        """``x`` on the model's device."""
        return self._network().tensor(x)

    def _network(self) -> TorchTarget:
        if not isinstance(self.target, TorchTarget):
            raise ValueError("precomputed outputs hold no network")
        return self.target
