"""The one forward pass per model and data file that feeds all attacks, kept on disk and memory-mapped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from attacks.base import Access, Floats, NotApplicable
from attacks.queries import apply
from audit.inputs.data import Arrays
from audit.inputs.outputs import PrecomputedOutputs
from audit.inputs.sets import Selection
from audit.inputs.targets import Target, TorchTarget
from audit.record.files import save_array


class Observations:
    """Logits and features of models on data files, computed once.

    Args:
        folder: where the arrays are kept (private).
        files: data files by role.
        fingerprints: keyed digest of each file.
        batch_size: rows per forward pass.
    """

    def __init__(self, folder: Path, files: dict[str, Arrays], fingerprints: dict[str, str], batch_size: int) -> None:
        self.folder, self.files, self.fingerprints, self.batch_size = folder, files, fingerprints, batch_size

    def get(self, target: Target, digest: str, source: str) -> tuple[Floats, Floats | None]:
        """Logits (n, C) and features (n, d) or None of one model on one file, float64 or memory-mapped float32.

        Raises:
            ValueError: the outputs are not finite, or the model rejects the data.
        """
        if isinstance(target, PrecomputedOutputs):
            return target.outputs(source, self.files[source], self.batch_size)
        stem = f"{digest[:24]}-{self.fingerprints[source][:24]}"
        paths = [self.folder / f"{stem}-{part}.npy" for part in ("logits", "features")]
        found = [_mapped(path) for path in paths]
        if any(array is None for array in found):
            logits, features = target.outputs(source, self.files[source], self.batch_size)
            if features is None or not (np.isfinite(logits).all() and np.isfinite(features).all()):
                raise ValueError(f"outputs on the {source} set are not finite: the model is broken, export it again")
            # float32 is what the network computed; features last, so that both exist once the second does
            save_array(paths[0], logits.astype(np.float32))
            save_array(paths[1], features.astype(np.float32))
            found = [_mapped(path) for path in paths]
        logits_found, features_found = found
        if logits_found is None or features_found is None:
            raise ValueError(f"cannot read back {paths[0].name}: the disk loses data")
        return logits_found, features_found

    def get_query(self, target: Target, digest: str, source: str, query: str) -> Floats:
        """Logits (n, C) of one model on one file whose inputs were changed by an augmentation query.

        Raises:
            NotApplicable: precomputed outputs without this query, or a query that does not fit the inputs.
        """
        if isinstance(target, PrecomputedOutputs):
            key = f"{source}@{query}"
            if key not in target.state:
                raise NotApplicable(f"needs a network, or precomputed outputs with the key {key!r}")
            return target.outputs(key, self.files[source], self.batch_size)[0]
        named = query.replace(":", "_").replace("+", "")
        path = self.folder / f"{digest[:24]}-{self.fingerprints[source][:24]}-{named}.npy"
        found = _mapped(path)
        if found is None:
            data = self.files[source]
            changed = replace(data, x=apply(query, data.batch(np.arange(len(data))), self._spread(source)))
            logits, _ = target.outputs(source, changed, self.batch_size)
            save_array(path, logits.astype(np.float32))
            found = _mapped(path)
        if found is None:
            raise ValueError(f"cannot read back {path.name}: the disk loses data")
        return found

    def _spread(self, source: str) -> float:
        """Standard deviation of a file's inputs; 0 where they have names."""
        x = self.files[source].x
        return float(np.std(x)) if isinstance(x, np.ndarray) else 0.0


def _mapped(path: Path) -> np.ndarray[Any, Any] | None:
    """A memory-mapped array of ours, or None where it is missing or damaged."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError):
        return None


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

    def features(self, role: str) -> Floats:
        """Penultimate features on a set, (n, d), float64."""
        chosen = self._selection[role]
        features = self._observations.get(self.target, self.digest, chosen.source)[1]
        if features is None:
            raise ValueError("precomputed outputs have no features")
        return features[chosen.rows].astype(np.float64)

    def augmented(self, role: str, query: str) -> Floats:
        """Logits on a set whose inputs were changed by a query, (n, C), float64."""
        chosen = self._selection[role]
        found = self._observations.get_query(self.target, self.digest, chosen.source, query)
        return found[chosen.rows].astype(np.float64)

    def head(self) -> tuple[Floats, Floats]:
        """The final linear layer: weight (C, d), bias (C,)."""
        return self._network().head()

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
