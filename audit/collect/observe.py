"""The one forward pass per model and data file that feeds all attacks, kept on disk and memory-mapped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from attacks.base import Access, Floats, NotApplicable
from attacks.queries import apply, codes, partners
from audit.inputs.data import Arrays
from audit.inputs.outputs import PrecomputedOutputs
from audit.inputs.sets import Selection
from audit.inputs.spool import batches
from audit.inputs.targets import Target, TorchTarget

from .sealed import Kept, finite

PARTNERS = "retain"  # the file whose rows enter the queries of others
KEPT_FROM = 0.5  # our choice, seconds: answers to a query that took less are asked for again, not kept


@dataclass(frozen=True)
class Layers:
    """Which hidden layers are kept.

    Attributes:
        wanted: some attack of the run reads them.
        named: modules that the user named; () = found in the network.
    """

    wanted: bool = False
    named: tuple[str, ...] = ()


NO_LAYERS = Layers()


class Observations:
    """Logits and features of models on data files, computed once.

    Args:
        folder: where the arrays are kept (private).
        files: data files by role.
        fingerprints: keyed digest of each file.
        batch_size: rows per forward pass.
        arrays: keeps what was computed, under names in the folder.
        layers: hidden layers that are kept beside logits and features.
    """

    def __init__(
        self,
        folder: Path,
        files: dict[str, Arrays],
        fingerprints: dict[str, str],
        batch_size: int,
        arrays: Kept,
        layers: Layers = NO_LAYERS,
    ) -> None:
        self.folder, self.files, self.fingerprints, self.batch_size = folder, files, fingerprints, batch_size
        self.layers, self._arrays = layers, arrays
        self._spreads: dict[str, float] = {}
        self._row_codes: dict[tuple[str, bytes], np.ndarray[Any, Any] | None] = {}

    def get(self, target: Target, digest: str, source: str) -> tuple[Floats, Floats | None]:
        """Logits (n, C) and features (n, d) or None of one model on one file, float64 or memory-mapped float32.

        Raises:
            ValueError: the outputs are not finite, or the model rejects the data.
        """
        if isinstance(target, PrecomputedOutputs):
            return target.outputs(source, self.files[source], self.batch_size)
        stem = f"{digest[:24]}-{self.fingerprints[source][:24]}"
        parts = _parts(target)
        paths = [self.folder / f"{stem}-{part}.npy" for part in parts]
        found = [self._arrays.mapped(path) for path in paths]
        if any(array is None for array in found):
            arrays = [array for array in self._passed(target, digest, source) if array is not None]
            if len(arrays) < len(parts) or not all(finite(array) for array in arrays):
                raise ValueError(f"outputs on the {source} set are not finite: the model is broken, export it again")
            # float32 is what the network computed; features last, so that both exist once the second does
            found = [self._arrays.keep(path, array) for path, array in zip(paths, arrays, strict=False)]
        if found[0] is None or found[-1] is None:
            raise ValueError(f"cannot read back {paths[0].name}: the disk loses data")
        return found[0], found[1] if len(parts) > 1 else None

    def known(self, target: Target, digest: str) -> dict[str, np.ndarray[Any, Any]]:
        """All that a model gave on every file, by the names under which it is kept; {} where some of it is missing."""
        parts = _parts(target)
        stems = [f"{digest[:24]}-{fingerprint[:24]}" for fingerprint in self.fingerprints.values()]
        found = {
            name: self._arrays.mapped(self.folder / name)
            for name in (f"{s}-{part}.npy" for s in stems for part in parts)
        }
        if self.layers.wanted and isinstance(target, TorchTarget) and target.featured:
            for source in self.files:
                paths = [self._layer_path(digest, source, layer) for layer in self.layers_of(target)]
                found |= {path.name: self._arrays.mapped(path) for path in paths}
        whole = {name: array for name, array in found.items() if array is not None}
        return whole if len(whole) == len(found) else {}

    def keep(self, digest: str, named: Mapping[str, np.ndarray[Any, Any]]) -> bool:
        """Keep what ``known`` gave of a model elsewhere; what is not finite, or of other rows, ``get`` is to find.

        Returns:
            it was kept.
        """
        rows = {f"{digest[:24]}-{f[:24]}-": len(self.files[source]) for source, f in self.fingerprints.items()}
        fits = all(
            finite(array) and any(name.startswith(stem) and len(array) == n for stem, n in rows.items())
            for name, array in named.items()
        )
        if fits:
            for name, array in named.items():
                self._arrays.keep(self.folder / Path(name).name, array)
        return fits and bool(named)

    def layers_of(self, target: Target) -> tuple[str, ...]:
        """Hidden layers of a network that can be read.

        Raises:
            NotApplicable: outputs alone.
        """
        if not isinstance(target, TorchTarget):
            raise NotApplicable("needs a network, outputs alone have no hidden layers")
        if not target.featured:
            reason = target.headless or "hidden layers of tokens are not read"
            raise NotApplicable(f"needs the network's head: {reason}")
        data = next(iter(self.files.values()))
        return target.layers(data.batch(np.arange(1)), self.layers.named)

    def get_layer(self, target: Target, digest: str, source: str, layer: str) -> np.ndarray[Any, Any]:
        """What one hidden layer gives on one file, (n, d), memory-mapped float32."""
        path = self._layer_path(digest, source, layer)
        if self._arrays.mapped(path) is None and isinstance(target, TorchTarget):
            self._read(target, digest, source)
        found = self._arrays.mapped(path)
        if found is None:
            raise ValueError(f"cannot read back {path.name}: the disk loses data")
        return found

    def _passed(self, target: Target, digest: str, source: str) -> tuple[Floats, Floats | None]:
        """Logits and features of a forward pass; with the hidden layers, where an attack reads them."""
        if self.layers.wanted and isinstance(target, TorchTarget) and target.featured:
            return self._read(target, digest, source)
        return target.outputs(source, self.files[source], self.batch_size)

    def _read(self, target: TorchTarget, digest: str, source: str) -> tuple[Floats, Floats | None]:
        """Logits and features of one forward pass; the hidden layers are kept beside them."""
        named = bool(self.layers.named)
        names = self.layers_of(target)
        logits, features, hidden = target.read(self.files[source], self.batch_size, names, outputs=named)
        for name, values in hidden.items():
            if not finite(values):
                raise ValueError(f"outputs on the {source} set are not finite: the model is broken, export it again")
            self._arrays.keep(self._layer_path(digest, source, name), values)
        return logits, features

    def _layer_path(self, digest: str, source: str, layer: str) -> Path:
        chosen = hashlib.sha256(json.dumps([layer, bool(self.layers.named)]).encode()).hexdigest()[:16]
        return self.folder / f"{digest[:24]}-{self.fingerprints[source][:24]}-layer-{chosen}.npy"

    def get_query(self, target: Target, digest: str, chosen: Selection, query: str) -> Floats:
        """Logits (n, C) of one model on rows whose inputs were changed by an augmentation query.

        Kept on disk where they took long: who asks again, or continues a run, then finds them.

        Raises:
            NotApplicable: precomputed outputs without this query, or a query that does not fit the inputs.
        """
        source = chosen.source
        if isinstance(target, PrecomputedOutputs):
            key = f"{source}@{query}"
            if not target.answers(source, query):
                raise NotApplicable(f"needs a network, or precomputed outputs with the key {key!r}")
            return target.outputs(key, self.files[source], self.batch_size)[0][chosen.rows]
        path = self.folder / f"{digest[:24]}-{self._asked(chosen, query)}.npy"
        found = self._arrays.mapped(path) if path.is_file() else None
        if found is not None:
            return found
        started = time.monotonic()
        data, codes = self.files[source], self._codes(chosen)
        parts = []
        for part in batches(len(chosen.rows), data.nbytes // max(1, len(data)), self.batch_size):
            some, known = data.take(chosen.rows[part]), None if codes is None else codes[part]
            rows = some.batch(np.arange(len(some)))
            asked = replace(some, x=apply(query, rows, self._spread(source), self._partners, known))
            parts.append(target.outputs(source, asked, self.batch_size)[0].astype(np.float32))
        logits: np.ndarray[Any, Any] = np.concatenate(parts)
        if time.monotonic() - started > KEPT_FROM:
            self._arrays.keep(path, logits)
        return logits

    def _asked(self, chosen: Selection, query: str) -> str:
        """What the answers to a query depend on besides the model, as part of a file's name."""
        rows = hashlib.sha256(np.ascontiguousarray(chosen.rows, np.int64).tobytes()).hexdigest()
        named = f"{self.fingerprints[chosen.source][:24]}-{rows[:16]}-{query.replace(':', '_').replace('+', '')}"
        if query.startswith(("mix:", "swap:")):  # their answers depend on the rows that they take from, too
            named += f"-{self.fingerprints[PARTNERS][:16]}"
        return named

    def _codes(self, chosen: Selection) -> np.ndarray[Any, Any] | None:
        """Which other row each row is mixed with: the same for all models and queries, so computed once."""
        key = chosen.source, chosen.rows.tobytes()
        if key not in self._row_codes:
            x = self.files[chosen.source].take(chosen.rows).x
            self._row_codes[key] = codes(x) if isinstance(x, np.ndarray) else None
        return self._row_codes[key]

    @cached_property
    def _partners(self) -> np.ndarray[Any, Any] | None:
        """Rows of the retain set for ``mix`` and ``swap`` queries."""
        retain = self.files.get(PARTNERS)
        return None if retain is None or retain.x is None else partners(retain.x)

    def _spread(self, source: str) -> float:
        """Standard deviation of a file's inputs; 0 where they have names."""
        if source not in self._spreads:
            x = self.files[source].x
            self._spreads[source] = float(np.std(x)) if isinstance(x, np.ndarray) else 0.0
        return self._spreads[source]


def _parts(target: Target) -> tuple[str, ...]:
    """What is kept of a model's answers."""
    featured = target.access >= Access.FEATURES and getattr(target, "featured", True)
    return ("logits", "features") if featured else ("logits",)
