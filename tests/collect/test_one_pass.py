"""One forward pass a model and set feeds every attack: rows are counted where they go through the networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import token_case
from torch import nn

import audit
from audit import demo
from audit.collect import inside
from audit.inputs.probing import PROBE_ROWS

Row = tuple[str, int]  # set and place
PROBES = 7  # passes of a probed row: each of them twice alone and in a batch, the search for the head, the timing


class Passes:
    """How often each row of the sets goes through each network.

    Attributes:
        outside: by network, in the audit proper; under ``("", 0)`` what is no row of a set (changed inputs).
        within: of the audited one, while it is searched for the original and for forget rows, which needs a pass of
            its own: what its parts hold is read, and not what it answers.
    """

    def __init__(self, networks: dict[str, nn.Module], sets: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
        self.outside: dict[str, Counter[Row]] = {name: Counter() for name in networks}
        self.within: Counter[Row] = Counter()
        self._known = {row.tobytes(): (role, i) for role, rows in sets.items() for i, row in enumerate(rows)}
        self._inside = False
        assert len(self._known) == sum(map(len, sets.values()))  # no row stands in two places
        for name, network in networks.items():
            network.register_forward_pre_hook(self._hook(name), with_kwargs=True)
        real = inside.look_inside

        def searched(*args: Any) -> inside.Inside:
            self._inside = True
            try:
                return real(*args)
            finally:
                self._inside = False

        patch.setattr("audit.collect.collect.look_inside", searched)

    def _hook(self, name: str) -> Callable[[Any, Any, Any], None]:
        def count(_module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            seen = self.within if self._inside else self.outside[name]
            for row in named.get("input_ids", *args).numpy():
                seen[self._known.get(row.tobytes(), ("", 0))] += 1

        return count

    def check(self, probes: int) -> None:
        """Every row of every set once; the first forget rows are what every network is tried on before."""
        rows = set(self._known.values())
        probed = {("forget", i) for i in range(PROBE_ROWS)}
        for name, seen in self.outside.items():
            assert {row: seen[row] for row in rows - probed} == dict.fromkeys(rows - probed, 1), name
            assert all(1 < seen[row] <= probes for row in probed), name
        assert max(self.within[row] for row in rows - probed) == 1
        assert max(self.within[row] for row in probed) <= 2  # one row alone says what shapes there are


def audited(sets: dict[str, Any], networks: dict[str, nn.Module], **more: Any) -> Any:
    named = {name: networks[name] for name in ("original", "unlearned")}
    retrained = [network for name, network in networks.items() if name not in named]
    given: dict[str, Any] = {"retrained": retrained, "split": "attested", "access": "logits", "progress": "off"}
    return audit.run(**sets, **named, **given, **more)


def test_rows_of_tokens_pass_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sets = token_case.rows()
    torch.manual_seed(0)
    networks = {name: token_case.Reader().eval() for name in ("original", "unlearned", "a", "b")}
    passes = Passes(networks, {role: rows["x.input_ids"] for role, rows in sets.items()}, monkeypatch)
    found = audited(sets, networks, task="causal-lm", attacks=["gated", "population"])
    assert {a.name for a in found.result.attacks if a.status == "ok"} >= {"membership", "population"}
    passes.check(PROBES)


def test_rows_of_pictures_pass_once_whatever_attacks_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attacks that change inputs ask for other rows, which are no second pass of these."""
    monkeypatch.chdir(tmp_path)
    data = demo.digits(0)
    rows = demo.random_rows(data, 0, forget=60, holdout=120, retain=100)
    rows["test"] = rows["test"][:120]
    networks = {}
    for seed, name in enumerate(("original", "unlearned", "a", "b")):
        trained = np.concatenate([rows["forget"], rows["retain"]]) if name == "original" else rows["retain"]
        networks[name] = demo.train(data, trained, seed=seed, steps=50).eval()
    passes = Passes(networks, {role: data.x[index] for role, index in rows.items()}, monkeypatch)
    sets = {role: (data.x[index], data.y[index]) for role, index in rows.items()}
    found = audited(sets, networks, attacks=["gated", "population"])
    ran = {a.name for a in found.result.attacks if a.status == "ok"}
    assert ran >= {"membership", "population", "label_only"}
    assert passes.outside["unlearned"]["", 0] > 0  # of `label_only`
    passes.check(PROBES)
