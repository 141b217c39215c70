"""A forget request on scikit-learn digits with its original and references, to audit any network as a user would.

A world is scikit-learn digits with fresh wrong labels, a fresh split, a freshly trained original and fresh honest
retrains as references. Every network goes through ``prepare`` and ``run_audit``; what the world's first audit observed
of original and references is used again, and so is the shift check, which sees no model.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from attacks.base import Floats
from audit import demo
from audit.inputs.data import Arrays
from audit.inputs.given import given_of
from audit.inputs.resolve import resolve
from audit.record.result import AuditResult
from audit.record.rundir import RunDir
from audit.run import Prepared, prepare, run_audit
from fixtures.cases.digits_case import build
from fixtures.methods.base import Pair

REFERENCES = {"random": 5, "class": 8}
Blind = Callable[[Arrays, Arrays, int], tuple[Floats, Floats] | None]


class Request:
    """One forget request with its original and references on disk.

    Args:
        folder: where everything is written.
        kind: ``random`` or ``class``, whose class rotates over the ten digits with the seed.
        seed: of labels, split and networks.

    Attributes:
        forget, retain: training sets.
        test: never-seen rows of the task that is left.
    """

    def __init__(self, folder: Path, kind: str, seed: int) -> None:
        sizes = {"label": seed % 10} if kind == "class" else {}
        self.kind, self.seed = kind, seed
        self.case = build(folder, kind, seed=seed, references=REFERENCES[kind], **sizes)
        self.forget, self.retain = self._pair("forget"), self._pair("retain")
        never_seen = self._pair("test")
        left = torch.isin(never_seen.y, self.retain.y)
        self.test = never_seen.rows(left.nonzero().flatten())
        self.first: RunDir | None = None

    def _pair(self, role: str) -> Pair:
        rows = self.case.rows[role]
        return Pair(torch.from_numpy(self.case.data.x[rows]), torch.from_numpy(self.case.data.y[rows]))

    def audit(self, source: Path | nn.Module, **flags: object) -> tuple[AuditResult, Prepared]:
        """Audit a file of weights of ``demo.network``, or any network in memory; ``flags`` as on the command line."""
        prepared = self._prepared(source, flags)
        result = run_audit(prepared).result
        self.first = self.first or prepared.run
        return result, prepared

    def _prepared(self, source: Path | nn.Module, flags: dict[str, object]) -> Prepared:
        """A checked case whose run directory already holds what the world's first audit observed."""
        path = source if isinstance(source, Path) else self.case.folder / "original.safetensors"  # then never read
        given = {"forget": self.case.folder / "forget.npz", "unlearned": path, "arch": demo.ARCH}
        settings, _ = resolve({**given, "out": self.case.folder / "runs", **self.case.flags, **flags})
        what = given_of(settings)
        if isinstance(source, nn.Module):
            what = replace(what, models={**what.models, "unlearned": source.eval()})
        prepared = prepare(settings, what)
        if self.first is not None:
            prepared.run.create()
            for part in ("observations", "signals"):
                old, new = getattr(self.first, part), getattr(prepared.run, part)
                shutil.copytree(old, new, copy_function=os.link, dirs_exist_ok=True)
        return prepared


def accuracy(model: nn.Module, pair: Pair) -> float:
    """Share of rows that ``model`` labels correctly."""
    with torch.no_grad():
        return float((model(pair.x).argmax(dim=1) == pair.y).float().mean())


def once(blind: Blind) -> Blind:
    """The shift check without its repetitions: it sees rows and a seed, and no model."""
    known: dict[tuple[str, str, int], tuple[Floats, Floats] | None] = {}

    def remembered(forget: Arrays, holdout: Arrays, seed: int) -> tuple[Floats, Floats] | None:
        key = (forget.fingerprint(bytes(32)), holdout.fingerprint(bytes(32)), seed)
        if key not in known:
            known.clear()  # worlds come one after the other
            known[key] = blind(forget, holdout, seed)
        return known[key]

    return remembered
