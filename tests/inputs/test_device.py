"""Float32 that is float32, copies to a GPU, and batches that shrink where memory runs out. No GPU is needed."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from audit.inputs import device, passes
from audit.inputs.data import Arrays
from audit.inputs.targets import TorchTarget
from audit.record.digest import state_digest

ROWS = Arrays(np.random.default_rng(0).random((50, 6)).astype(np.float32), np.zeros(50, np.int64))


class Small(nn.Module):
    """Holds at most ``room`` rows at once, as a GPU does, and notes what it is called with."""

    def __init__(self, room: int = sys.maxsize) -> None:
        super().__init__()
        self.linear, self.room, self.seen = nn.Linear(6, 3), room, []  # type: ignore[var-annotated]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.seen.append((len(x), device.precision(), torch.is_autocast_enabled("cpu")))
        return self.linear(x)


@pytest.fixture
def gpu_settings(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Torch's settings for a GPU are looked at as if there were one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    device._places.cache_clear()
    before = device.precision()
    yield
    device.set_precision(before)
    device._places.cache_clear()


def test_a_network_is_read_in_float32_whatever_the_program_around_has_set(gpu_settings: None) -> None:
    torch.set_float32_matmul_precision("medium")
    before, target = device.precision(), TorchTarget(Small().eval(), "cpu", None)
    assert "tf32" in before
    with torch.autocast("cpu"):
        target.check_output(ROWS.x[:4])
        logits, _ = target.outputs("forget", ROWS, 16)
        assert torch.is_autocast_enabled("cpu")
    assert device.precision() == before
    seen = target.module.seen
    assert {values for _, values, _ in seen} == {("ieee",) * len(before)}
    assert not any(on for *_, on in seen)
    plain = target.module.linear(torch.from_numpy(ROWS.x)).double().numpy()
    np.testing.assert_allclose(logits, plain, rtol=1e-6)


def test_a_network_that_casts_by_itself_is_read_as_it_is() -> None:
    class Casting(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.linear(x).float()

    logits, _ = TorchTarget(Casting().eval(), "cpu", None).outputs("forget", ROWS, 16)
    assert np.array_equal(logits, torch.from_numpy(logits).bfloat16().double().numpy())


def test_older_torch_names_its_settings_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    old = SimpleNamespace(
        cudnn=SimpleNamespace(allow_tf32=True), cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=True))
    )
    monkeypatch.setattr(torch, "backends", old)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    device._places.cache_clear()
    try:
        with device.full_precision():
            assert (old.cudnn.allow_tf32, old.cuda.matmul.allow_tf32) == (False, False)
        assert (old.cudnn.allow_tf32, old.cuda.matmul.allow_tf32) == (True, True)
    finally:
        device._places.cache_clear()


def test_batches_shrink_until_they_fit_and_stay_so() -> None:
    whole = TorchTarget(Small().eval(), "cpu", None)
    tight = TorchTarget(Small(room=7).eval(), "cpu", None)
    tight.module.load_state_dict(whole.module.state_dict())
    wanted, found = (target.outputs("forget", ROWS, 32)[0] for target in (whole, tight))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    tight.module.seen.clear()
    tight.outputs("holdout", ROWS, 32)
    assert [rows for rows, *_ in tight.module.seen] == [4] * 12 + [2]  # 32, 16, 8, 4: found once


def test_one_row_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.cuda.OutOfMemoryError):
        TorchTarget(Small(room=0).eval(), "cpu", None).outputs("forget", ROWS, 32)


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    target = TorchTarget(nn.Sequential(nn.Linear(5, 3)).eval(), "cpu", None)
    with pytest.raises(RuntimeError, match="shapes"):
        target.outputs("forget", ROWS, 32)


def test_rows_go_to_a_gpu_from_pinned_memory_without_waiting() -> None:
    said: list[Any] = []

    class Fake:
        def pin_memory(self) -> Fake:
            said.append("pinned")
            return self

        def to(self, where: torch.device, **options: bool) -> Fake:
            said.append((str(where), options))
            return self

    device.to_device(Fake(), torch.device("cuda:1"))  # type: ignore[arg-type]
    assert said == ["pinned", ("cuda:1", {"non_blocking": True})]
    assert device.to_device(torch.ones(2), torch.device("meta")).device.type == "meta"


def test_a_digest_takes_one_tensor_at_a_time_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    target = TorchTarget(nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)).eval(), "cpu", None)
    wanted = state_digest({name: tensor.numpy() for name, tensor in target.module.state_dict().items()})
    copies: list[int] = []
    plain = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: copies.append(tensor.numel()) or plain(tensor))
    state = target.state
    assert not copies
    assert state_digest(state) == wanted
    assert sorted(copies) == sorted(tensor.numel() for tensor in target.module.state_dict().values())


def test_what_user_code_switches_on_is_put_back(gpu_settings: None) -> None:
    from audit.inputs.contained import contained

    before = device.precision(), device.autocast()
    with contained("user code"):
        torch.set_float32_matmul_precision("high")
        torch.set_autocast_enabled("cuda", True)
    assert (device.precision(), device.autocast()) == before


def test_a_processor_takes_pictures_in_blocks_that_its_caches_hold() -> None:
    """Large inputs few at a time, small ones as many as asked for; the answers are the same."""
    seen: list[int] = []

    class Watched(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(len(x))
            return super().forward(x.flatten(1))

    for width, most in ((64, 300), (passes.CACHED // 4 // 100, 100)):
        seen.clear()
        x = np.random.default_rng(0).normal(size=(300, width)).astype(np.float32)
        target, data = TorchTarget(Watched(width, 3), "cpu", None), Arrays(x, np.zeros(300, np.int64))
        found = target.read(data, 512, (), outputs=False)[0]
        assert max(seen) == most
        np.testing.assert_allclose(found, target.module(torch.tensor(x)).numpy(), atol=1e-5)
