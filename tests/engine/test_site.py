"""What a worker holds: in memory alone, and of one case never the views of another."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.collect.model_view import ModelView
from audit.collect.observe import Layers, Observations
from audit.collect.sealed import SealedArrays
from audit.collect.site import Site, pack_case, pack_model, unpack_outputs
from audit.collect.unit import observe_unit
from audit.collect.views import all_views
from audit.engine.worker import Shared
from audit.inputs.case import load_case
from audit.inputs.given import given_of
from audit.inputs.resolve import resolve
from tests.engine.case import write


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A case and one of its models as bytes, with the view that they were made of."""
    write(tmp_path, '"membership"')
    monkeypatch.chdir(tmp_path)
    settings, _ = resolve({"access": "logits"}, tmp_path / "audit.toml")
    case = load_case(given_of(settings), 0.05)
    (tmp_path / "o").mkdir()
    store = Observations(tmp_path / "o", case.files, case.fingerprints, 64, SealedArrays(case.key), Layers())
    view = all_views(case.models, store, case.selection, case.build)["unlearned"]
    model = pack_model(view)
    assert model is not None
    return case, store, view, np.frombuffer(pack_case(case, store), np.uint8), np.frombuffer(model, np.uint8)


def test_a_worker_answers_what_the_audit_would_find_and_writes_nothing(packed: Any, tmp_path: Path) -> None:
    case, store, view, content, model = packed
    before = sorted(tmp_path.rglob("*"))
    found = unpack_outputs(observe_unit("k", b"", [Shared("case 1", content), Shared("model", model)]))
    assert len(found) >= len(case.files)
    assert sorted(tmp_path.rglob("*")) == before
    assert store.keep(view.digest, found)
    logits = store.known(view.target, view.digest)
    assert set(logits) == set(found)
    np.testing.assert_allclose(
        store.get(view.target, view.digest, "forget")[0],
        view.target.outputs("forget", case.files["forget"], 64)[0],
        atol=1e-5,
    )


def test_answers_of_other_rows_or_another_model_are_not_kept(packed: Any) -> None:
    _, store, view, content, model = packed
    found = unpack_outputs(observe_unit("k", b"", [Shared("case 2", content), Shared("model", model)]))
    assert not store.keep(view.digest, {name: array[1:] for name, array in found.items()})
    assert not store.keep("0" * 64, found)
    assert not store.known(view.target, view.digest)


def test_a_view_never_belongs_to_another_case(packed: Any) -> None:
    """Python gives the number of an object that is gone to a new one; a case has one of its own."""
    *_, content, model = packed
    seen = set()
    for k in range(12):
        site = Site(memoryview(content).cast("B"))
        view = site.view(Shared("model of all", model))
        assert isinstance(view, ModelView)
        assert view._observations is site.observations, k
        seen.add(site._views)
        del site, view
        gc.collect()
    assert len(seen) == 12
