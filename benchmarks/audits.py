"""One audit of one model of a world: views, the attacks' own ``observe``, and ``judge``; no file, no command line."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from attacks.base import Access, Attack, Bools, Case, Floats, NotApplicable, Signals, discover
from attacks.queries import apply
from audit.collect.evidence import AttackRun, Evidence, Facts
from audit.collect.exchangeability import blind_scores
from audit.collect.structure import Structure
from audit.inputs.network import PrivateNetwork
from audit.inputs.targets import TorchTarget
from audit.judge.judge import judge
from audit.policy.policy import Policy
from audit.record.inputs import ClaimRecord
from audit.record.result import AuditResult

from .planted import CHANGES, Scene
from .stacks import module_of
from .worlds import Net, World

CLASS = ("feature_mapping", "membership", "probe")
USUAL = (*CLASS, "label_only")
INSIDE = ("contraction", "layer_probe")  #: what claims of features are tested on besides
WHITE = ("memory_jog", "relearning")  #: and claims of weights
CLASS_WHITE = ("anamnesis", "prototypes", "relearning", "release_changes")
SUITE = (*CLASS, "uma")
SHADOWED = ("lira_online", "rmia_online", "shadow_logistic", "shadow_xgboost")
WHOLE = (*USUAL, "quantile", "rmia", *SHADOWED)
#: the parts of the evidence that no statistic reads; no structural finding: the statistics stand alone
BARE: dict[str, Any] = {"run_id": "benchmark", "tool_version": "benchmark", "environment": {}}
BARE |= {"structure": Structure()} | dict.fromkeys(("inputs", "assumptions", "overlaps", "signal_files"), ())


@dataclass(frozen=True)
class Audit:
    """What is audited, and how.

    Attributes:
        model: the audited model's name in the world.
        references: K.
        split, access, kind: as declared in the claim; kind None = the world's.
        attacks: names; those that need the original run only where it is given.
        original: the original is given.
        group: the data subjects are given.
        change: a planted change of the signals, by its name in ``planted.CHANGES``.
    """

    model: str = "honest"
    references: int = 5
    split: str = "attested"
    access: str = "features"
    kind: str | None = None
    attacks: tuple[str, ...] = USUAL
    original: bool = True
    group: bool = False
    change: str = ""

    @property
    def key(self) -> str:
        """A name of its own within a pool."""
        flags = [self.change, "" if self.original else "no original", "subjects" if self.group else ""]
        parts = [self.model, f"K={self.references}", self.kind or "", self.split, self.access, *flags]
        named = "" if self.attacks == USUAL else "+".join(self.attacks)
        return " ".join(part for part in [*parts, named] if part)

    def names(self) -> dict[str, str]:
        """Models of the evidence -> models of the world."""
        names = {"unlearned": self.model} | ({"original": "original"} if self.original else {})
        return names | {f"retrained/{k}": f"retrained/{k}" for k in range(self.references)}


class ArrayView:
    """A small fully connected ReLU network as an attack sees it (implements ``attacks.base.View``)."""

    access = Access.TRAIN

    def __init__(self, world: World, net: Net) -> None:
        self.world, self.net = world, net
        self._first = world.x @ net[0] + net[1]  # of all rows, before the ReLU
        self._hidden: list[Floats] = []  # of all rows, each layer before the features
        hidden = self._encoded(self._first, self._hidden)
        self._features = {role: hidden[rows] for role, rows in world.rows.items()}
        self._torch = [self.tensor(w) for w in net]

    def features(self, role: str) -> Floats:
        return self._features[role]

    def reads_inputs(self) -> bool:
        return False

    def layers(self) -> tuple[str, ...]:
        return tuple(f"hidden {i}" for i in range(len(self._hidden)))

    def activations(self, role: str, layer: str) -> Floats:
        return self._hidden[self.layers().index(layer)][self.world.rows[role]].astype(np.float64)

    def network(self) -> PrivateNetwork:
        return PrivateNetwork(TorchTarget(module_of(self.net), "cpu", None))

    def logits(self, role: str) -> Floats:
        return self._read(self._features[role])

    def augmented(self, role: str, query: str) -> Floats:
        rows = self.world.rows[role]
        inputs = self.world.x[rows]
        spread = float(inputs.std())
        if query.startswith("noise:"):  # one direction for all rows: what it adds to the first layer is one vector
            direction = apply(query, np.zeros_like(inputs[:1]), spread)
            return self._read(self._encoded(self._first[rows] + direction @ self.net[0]))
        changed = apply(query, inputs, spread, self.world.partners)
        return self._read(self._encoded(changed @ self.net[0] + self.net[1]))

    def _encoded(self, first: Floats, kept: list[Floats] | None = None) -> Floats:
        """The head's input (n, d) from the first layer's sums (n, hidden); what comes before it goes to ``kept``."""
        x = np.maximum(first, 0)
        for weight, bias in zip(self.net[2:-2:2], self.net[3:-2:2], strict=True):
            if kept is not None:
                kept.append(x)
            x = np.maximum(x @ weight + bias, 0)
        return x.astype(np.float64, copy=False)

    def _read(self, features: Floats) -> Floats:
        return np.asarray(features @ self.net[-2] + self.net[-1])

    def head(self) -> tuple[Floats, Floats]:
        return self.net[-2].T, self.net[-1][0]

    def forward(self, x: Any) -> Any:
        for weight, bias in zip(self._torch[:-2:2], self._torch[1:-2:2], strict=True):
            x = torch.relu(x @ weight + bias)
        return x @ self._torch[-2] + self._torch[-1]

    def tensor(self, x: np.ndarray[Any, Any]) -> Any:
        return torch.as_tensor(x, dtype=torch.float32)


@dataclass
class Observed:
    """Signals and correctness of every model of one world, ready for any number of audits."""

    world: World
    case: Case
    signals: dict[tuple[str, str], Signals]
    arrays: dict[str, np.ndarray[Any, Any]]
    seed: int
    blind: dict[str, Floats] | None = field(default=None)

    def judge(self, audit: Audit, policy: Policy) -> AuditResult:
        """The audit of one model against the first K references."""
        return judge(self.evidence(audit), policy, "0" * 64)

    def evidence(self, audit: Audit) -> Evidence:
        """What the engine would hand to scoring."""
        names, ran = audit.names(), self._attacks(audit)
        signals = {(a.name, name): self.signals[a.name, of] for a in ran for name, of in names.items()}
        shadows = tuple(f"shadow/{k}" for k in range(len(self.arrays.get("member/trained", ()))))
        signals |= {(a.name, name): self.signals[a.name, name] for a in ran if a.design for name in shadows}
        if audit.change:
            rng = np.random.default_rng([self.seed, zlib.crc32(audit.change.encode())])
            signals |= CHANGES[audit.change](Scene(signals, self.signals, self.case, rng))
        labels = self.case.labels
        arrays: dict[str, np.ndarray[Any, Any]] = {f"labels/{role}": values for role, values in labels.items()}
        for name, of in names.items():
            arrays |= {f"{key}/{name}": self.arrays[f"{key}/{of}"] for key in ("correct", "correct_retain")}
        if shadows:
            arrays |= {key: self.arrays[key] for key in ("member/trained", "accuracy/trained")}
        arrays["task/labels"] = np.concatenate([labels[role] for role in task_roles(self.world)])
        if audit.group:
            group = {role: self.world.group[rows] for role, rows in self.world.rows.items()}
            arrays |= {f"group/{role}": group[role] for role in ("forget", "holdout")}
            arrays["task/group"] = np.concatenate([group[role] for role in task_roles(self.world)])
        if audit.split == "assumed":
            arrays |= self._blind()
        claim = ClaimRecord(
            kind=audit.kind or self.case.kind,  # type: ignore[arg-type]
            split=audit.split,  # type: ignore[arg-type]
            access=audit.access,  # type: ignore[arg-type]
            classes=self.case.classes,
        )
        runs = tuple(AttackRun(name=a.name, parameters=a.parameters, status="ok") for a in ran)
        absent = set(discover()) - {a.name for a in ran}
        runs += tuple(
            AttackRun(name=name, parameters={}, status="skipped", reason="not part of this benchmark")
            for name in sorted(absent)
        )
        designs = {"trained": shadows} if shadows else {}
        facts = Facts(
            **BARE,
            n_classes=self.world.n_classes,
            seed=self.seed,
            claim=claim,
            models=tuple(names),
            attacks=runs,
            shadows=designs,
        )
        return Evidence(facts, arrays, signals)

    def _attacks(self, audit: Audit) -> list[Attack]:
        chosen = instances(audit.attacks)
        seen = {name for name, _ in self.signals}  # the others have no meaning for these networks
        return [attack for attack in chosen if attack.name in seen and (audit.original or not attack.needs_original)]

    def _blind(self) -> dict[str, Floats]:
        """The shift check sees no model: once per world."""
        if self.blind is None:
            scores = blind_scores(self.world.data("forget"), self.world.data("holdout"), self.seed)
            assert scores is not None
            self.blind = {"blind/forget": scores[0], "blind/holdout": scores[1]}
        return self.blind


def instances(names: Sequence[str]) -> list[Attack]:
    """Attacks with their default parameters."""
    known = discover()
    return [known[name]() for name in names]


def task_roles(world: World) -> tuple[str, ...]:
    """Never-seen sets of the task that is left."""
    return ("test",) if world.kind == "class" else ("test", "holdout")


def observe(
    world: World, nets: Mapping[str, Net], attacks: Sequence[Attack], seed: int, member: Bools | None = None
) -> Observed:
    """Run the attacks on every model of a world, seeded as the engine does: alike for every model.

    Args:
        world, nets, attacks, seed: what is observed, and by what.
        member: (S, candidates) coins of the networks ``shadow/k``, which only attacks with a design look at.
    """
    case, views = world.case(), {name: ArrayView(world, net) for name, net in nets.items()}
    original = views.get("original")
    signals: dict[tuple[str, str], Signals] = {}
    for attack in attacks:
        for name, view in views.items():
            if name.startswith("shadow/") and not attack.design:
                continue
            rng = np.random.default_rng([seed, int.from_bytes(attack.name.encode(), "big") % 2**63])
            with suppress(NotApplicable):
                signals[attack.name, name] = attack.observe(view, original, case, rng)
    judged = {name: view for name, view in views.items() if not name.startswith("shadow/")}

    def correct(view: ArrayView, roles: Sequence[str]) -> np.ndarray[Any, Any]:
        return np.concatenate([view.logits(role).argmax(axis=1) == case.labels[role] for role in roles])

    arrays = {f"correct/{name}": correct(view, task_roles(world)) for name, view in judged.items()}
    arrays |= {f"correct_retain/{name}": correct(view, ["retain"]) for name, view in judged.items()}
    if member is not None and len(member):
        arrays["member/trained"] = member
        shadows = [views[f"shadow/{k}"] for k in range(len(member))]
        arrays["accuracy/trained"] = np.array([correct(view, ["test"]).mean() for view in shadows])
    return Observed(world, case, signals, arrays, seed)
