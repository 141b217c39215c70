"""The one forward pass per model and data file that feeds all attacks, kept on disk and memory-mapped."""

from __future__ import annotations

import hashlib
import io
import json
import mmap
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
from audit.inputs.network import PrivateNetwork
from audit.inputs.outputs import PrecomputedOutputs
from audit.inputs.sets import Selection
from audit.inputs.targets import Target, TorchTarget
from audit.record.files import write_private
from audit.record.readonce import opened
from audit.record.seal import is_ours, put_seal

PARTNERS = "retain"  # the file whose rows enter the queries of others
HELD = 128  # maps kept open: each holds a descriptor
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
        key: the project key; arrays that it did not seal are none of ours and are computed anew.
        layers: hidden layers that are kept beside logits and features.
    """

    def __init__(
        self,
        folder: Path,
        files: dict[str, Arrays],
        fingerprints: dict[str, str],
        batch_size: int,
        key: bytes,
        layers: Layers = NO_LAYERS,
    ) -> None:
        self.folder, self.files, self.fingerprints, self.batch_size = folder, files, fingerprints, batch_size
        self._key, self.layers = key, layers
        self._held: dict[Path, np.ndarray[Any, Any]] = {}
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
        parts = ("logits", "features") if target.access >= Access.FEATURES else ("logits",)
        paths = [self.folder / f"{stem}-{part}.npy" for part in parts]
        found = [self._mapped(path) for path in paths]
        if any(array is None for array in found):
            arrays = [array for array in self._passed(target, digest, source) if array is not None]
            if len(arrays) < len(parts) or not all(np.isfinite(array).all() for array in arrays):
                raise ValueError(f"outputs on the {source} set are not finite: the model is broken, export it again")
            # float32 is what the network computed; features last, so that both exist once the second does
            found = [self._kept(path, array) for path, array in zip(paths, arrays, strict=False)]
        if found[0] is None or found[-1] is None:
            raise ValueError(f"cannot read back {paths[0].name}: the disk loses data")
        return found[0], found[1] if len(parts) > 1 else None

    def known(self, target: Target, digest: str) -> dict[str, np.ndarray[Any, Any]]:
        """All that a model gave on every file, by the names under which it is kept; {} where some of it is missing."""
        parts = ("logits", "features") if target.access >= Access.FEATURES else ("logits",)
        stems = [f"{digest[:24]}-{fingerprint[:24]}" for fingerprint in self.fingerprints.values()]
        found = {
            name: self._mapped(self.folder / name) for name in (f"{s}-{part}.npy" for s in stems for part in parts)
        }
        if self.layers.wanted and isinstance(target, TorchTarget) and not target.headless:
            for source in self.files:
                paths = [self._layer_path(digest, source, layer) for layer in self.layers_of(target)]
                found |= {path.name: self._mapped(path) for path in paths}
        whole = {name: array for name, array in found.items() if array is not None}
        return whole if len(whole) == len(found) else {}

    def keep(self, named: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Keep what ``known`` gave elsewhere. What is not finite is left for ``get`` to find."""
        if all(np.isfinite(array).all() for array in named.values()):
            for name, array in named.items():
                self._kept(self.folder / Path(name).name, array)

    def layers_of(self, target: Target) -> tuple[str, ...]:
        """Hidden layers of a network that can be read.

        Raises:
            NotApplicable: outputs alone.
        """
        if not isinstance(target, TorchTarget):
            raise NotApplicable("needs a network, outputs alone have no hidden layers")
        if target.headless:
            raise NotApplicable(f"needs the network's head: {target.headless}")
        data = next(iter(self.files.values()))
        return target.layers(data.batch(np.arange(1)), self.layers.named)

    def get_layer(self, target: Target, digest: str, source: str, layer: str) -> np.ndarray[Any, Any]:
        """What one hidden layer gives on one file, (n, d), memory-mapped float32."""
        path = self._layer_path(digest, source, layer)
        if self._mapped(path) is None and isinstance(target, TorchTarget):
            self._read(target, digest, source)
        found = self._mapped(path)
        if found is None:
            raise ValueError(f"cannot read back {path.name}: the disk loses data")
        return found

    def _passed(self, target: Target, digest: str, source: str) -> tuple[Floats, Floats | None]:
        """Logits and features of a forward pass; with the hidden layers, where an attack reads them."""
        if self.layers.wanted and isinstance(target, TorchTarget) and not target.headless:
            return self._read(target, digest, source)
        return target.outputs(source, self.files[source], self.batch_size)

    def _read(self, target: TorchTarget, digest: str, source: str) -> tuple[Floats, Floats | None]:
        """Logits and features of one forward pass; the hidden layers are kept beside them."""
        named = bool(self.layers.named)
        names = self.layers_of(target)
        logits, features, hidden = target.read(self.files[source], self.batch_size, names, outputs=named)
        for name, values in hidden.items():
            if not np.isfinite(values).all():
                raise ValueError(f"outputs on the {source} set are not finite: the model is broken, export it again")
            self._kept(self._layer_path(digest, source, name), values)
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
        found = self._mapped(path) if path.is_file() else None
        if found is not None:
            return found
        started = time.monotonic()
        data = self.files[source].take(chosen.rows)
        codes, rows = self._codes(chosen), data.batch(np.arange(len(data)))
        changed = replace(data, x=apply(query, rows, self._spread(source), self._partners, codes))
        logits: np.ndarray[Any, Any] = target.outputs(source, changed, self.batch_size)[0].astype(np.float32)
        if time.monotonic() - started > KEPT_FROM:
            self._kept(path, logits)
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

    def _kept(self, path: Path, values: Floats) -> np.ndarray[Any, Any] | None:
        """Keep an array as float32, and map it."""
        content = io.BytesIO()
        np.save(content, np.ascontiguousarray(values, np.float32), allow_pickle=False)
        write_private(path, content.getbuffer(), durable=False)  # sealed: damage is noticed
        put_seal(path, self._key, hashlib.sha256(content.getbuffer()).hexdigest())
        self._held.pop(path, None)
        return self._mapped(path)

    def _mapped(self, path: Path) -> np.ndarray[Any, Any] | None:
        """A memory-mapped array of ours, or None where it is missing, damaged, or not what was sealed."""
        if path not in self._held:
            found = _map(path)
            if found is None or not is_ours(path, self._key, found[1]):
                return None
            if len(self._held) >= HELD:
                self._held.pop(next(iter(self._held)))
            self._held[path] = found[0]
        return self._held[path]

    def _spread(self, source: str) -> float:
        """Standard deviation of a file's inputs; 0 where they have names."""
        if source not in self._spreads:
            x = self.files[source].x
            self._spreads[source] = float(np.std(x)) if isinstance(x, np.ndarray) else 0.0
        return self._spreads[source]


def _map(path: Path) -> tuple[np.ndarray[Any, Any], str] | None:
    """The array of a ``.npy`` file of ours, memory-mapped, and the SHA-256 of the file, by one descriptor."""
    try:
        with opened(path) as stream:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            np.lib.format.read_magic(stream)
            shape, fortran, kind = np.lib.format.read_array_header_1_0(stream)
            array = np.frombuffer(content, kind, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")
            return array, hashlib.sha256(content).hexdigest()
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
