"""What a GPU gives: the same findings as the processor, how much sooner, and what happens where its memory runs out.

Everything is measured on both devices in one process; the processor uses all cores. No file is read: scikit-learn's
digits, for the ResNet-20 enlarged to 3 x 32 x 32. Run ``python -m benchmarks.gpu --out gpu.json`` (about four minutes
on an H100 with 16 cores); parts may be named. Needs torch with CUDA, numpy, scipy, scikit-learn, safetensors,
pydantic, jinja2 and cryptography; without xgboost one attack is left out. ``--tiny --devices cpu cpu`` rehearses it.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from attacks.base import Case
from attacks.recovery.clones import Clones
from attacks.recovery.relearning import Relearning
from attacks.recovery.uma import UnlearningMapping
from audit import demo
from audit.inputs import targets
from audit.inputs.data import Arrays
from audit.inputs.device import full_precision
from audit.inputs.recipe import RecipeSection
from audit.inputs.resolve import resolve
from audit.inputs.targets import TorchTarget
from audit.record.result import AuditResult
from audit.run import prepare, run_audit
from audit.training.service import train_models
from audit.training.store import Store
from fixtures.cases.module_view import ModuleView

from . import shadows
from .gpu_bench import Bench

RESNET = "benchmarks.effort:ResNet20"


def training(bench: Bench) -> dict[str, Any]:
    """The networks of ``benchmarks.shadows``: stacked on the GPU, one after another there, stacked on the processor."""
    return {"mlp": trained(bench, shadows.MLP, 32), "cnn": trained(bench, shadows.CNN, 64)}


def trained(bench: Bench, arch: str, count: int) -> dict[str, Any]:
    """Seconds of each way; one after another is timed on an eighth and scaled."""
    pool, jobs = shadows.digits(pictures=arch == shadows.CNN), shadows.coins(4 if bench.tiny else count)
    recipe = RecipeSection(**(shadows.SHORT | ({"epochs": 1} if bench.tiny else {})))
    some = jobs[: max(2, len(jobs) // 8)]
    alone = bench.seconds(lambda: shadows.sequential(arch, recipe, pool, some, bench.gpu), 1)
    seconds = {
        "stacked_gpu": bench.seconds(lambda: shadows.stacked(arch, recipe, pool, jobs, bench.gpu)),
        "stacked_cpu": bench.seconds(lambda: shadows.stacked(arch, recipe, pool, jobs, bench.cpu), 1),
        "one_by_one_gpu": alone * len(jobs) / len(some),
    }
    ratios = {f"{way}_over_stacked_gpu": round(s / seconds["stacked_gpu"], 2) for way, s in seconds.items()}
    return {"models": len(jobs), **seconds, **ratios}


def attack(bench: Bench, make: Callable[[], Any]) -> dict[str, Any]:
    """One attack on the ResNet-20 before and after, on both devices; how far its signals are apart."""
    case = Case("random", (), bench.sets, {role: data.y for role, data in bench.sets.items()}, 10)

    def run(device: str) -> Mapping[str, np.ndarray]:
        views = [ModuleView(module, bench.sets, device) for module in bench.resnets[:2]]
        with full_precision():
            return make().observe(views[1], views[0], case, np.random.default_rng(0))

    seconds, found = bench.both(run)
    apart = {}
    for name, ours in found["cpu"].items():
        gap = np.abs(np.asarray(found["gpu"][name], float) - np.asarray(ours, float))
        spread = float(np.std(ours)) or 1.0
        apart[name] = {"median": float(np.median(gap)) / spread, "largest": float(gap.max()) / spread}
    return {**seconds, "apart_in_sd": apart}


def uma(bench: Bench) -> dict[str, Any]:
    return attack(bench, lambda: UnlearningMapping(steps=2 if bench.tiny else 20, restarts=0))


def relearning(bench: Bench) -> dict[str, Any]:
    return attack(bench, lambda: Relearning(steps=3 if bench.tiny else 60))


def audits(bench: Bench) -> dict[str, Any]:
    """Whole audits on both devices: digits with references at ``weights``, a ResNet-20 at ``features``."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        demo.save_data(base, bench.data, bench.rows)
        both = np.concatenate([bench.rows["forget"], bench.rows["retain"]])
        models = [
            demo.train(bench.data, both, 1),
            *(demo.train(bench.data, bench.rows["retain"], 9 + k) for k in range(4)),
        ]
        found["digits"] = audit(bench, base, models, demo.ARCH, "weights")
    with tempfile.TemporaryDirectory() as folder:
        for role, data in bench.sets.items():
            np.savez(Path(folder) / f"{role}.npz", x=data.x, y=data.y)
        found["resnet20"] = audit(bench, Path(folder), bench.resnets, RESNET, "features")
    return found


def audit(bench: Bench, folder: Path, models: list[nn.Module], arch: str, access: str) -> dict[str, Any]:
    names = ["original", "unlearned", *(f"retrained-{k}" for k in range(len(models) - 2))]
    for name, module in zip(names, models, strict=True):
        demo.save_model(folder / f"{name}.safetensors", module)
    given = {"forget": folder / "forget.npz", "arch": arch, "split": "attested", "access": access}
    if find_spec("xgboost") is None:
        given["skip"] = ["quantile"]

    def run(device: str) -> AuditResult:
        settings, _ = resolve({**given, "device": device, "out": folder / f"runs-{time.monotonic_ns()}"})
        return run_audit(prepare(settings)).result

    seconds, results = bench.both(run)
    said = {name: result.verdict.outcome.value for name, result in results.items()}
    cpu, gpu = ({f.id: f for f in result.findings} for result in results.values())
    ends = {
        key: max(abs(f.interval.low - other.low), abs(f.interval.high - other.high))
        for key, f in cpu.items()
        if f.interval is not None and (other := gpu[key].interval if key in gpu else None) is not None
    }
    turned = [key for key, f in cpu.items() if key not in gpu or gpu[key].status is not f.status]
    skipped = {a.name: a.reason for a in results["gpu"].attacks if a.status == "error"}
    return {
        **seconds,
        "verdicts": said,
        "findings": len(cpu),
        "intervals": len(ends),
        "interval_ends_apart": {"median": median(ends.values()), "largest": max(ends.items(), key=lambda i: i[1])},
        "other_status": turned,
        "errors": skipped,
    }


def passes(bench: Bench) -> dict[str, Any]:
    """Forward passes of the ResNet-20 over many rows: as they are, copies that wait, TF32, channels last; a digest."""
    count = 300 if bench.tiny else 20_000
    data = Arrays(
        np.tile(bench.pictures, (1 + count // len(bench.pictures), 1, 1, 1))[:count], np.zeros(count, np.int64)
    )
    target = TorchTarget(copy.deepcopy(bench.resnets[0]), bench.gpu, None)
    found: dict[str, Any] = {"rows": count, "read": bench.seconds(lambda: target.read(data, 512, (), outputs=False))}
    whole = target.read(data, 512, (), outputs=False)[0]
    plain, targets.to_device = targets.to_device, lambda tensor, device: tensor.to(device)
    try:
        found["read_unpinned"] = bench.seconds(lambda: target.read(data, 512, (), outputs=False))
    finally:
        targets.to_device = plain
    few = Arrays(data.x[:500], data.y[:500])
    ours = TorchTarget(copy.deepcopy(bench.resnets[0]), bench.cpu, None).read(few, 512, (), outputs=False)[0]
    found["logits_from_cpu"] = float(np.abs(whole[:500] - ours).max())
    module, x = copy.deepcopy(bench.resnets[0]).to(bench.gpu), torch.as_tensor(few.x, device=bench.gpu)
    with torch.no_grad():
        loose = module(x).cpu().double().numpy()
    found["logits_from_cpu_with_torch_defaults"] = float(np.abs(loose - ours).max())
    found["forward_backward"] = bench.seconds(lambda: slope(module, x), 10)
    module, x = module.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)  # type: ignore[call-overload]
    found["forward_backward_channels_last"] = bench.seconds(lambda: slope(module, x), 10)
    width = 64 if bench.tiny else 4096
    large = TorchTarget(nn.Sequential(*(nn.Linear(width, width) for _ in range(3))), bench.gpu, None)
    found["digest_50M_weights"] = bench.seconds(large.digest, 1)
    return found


def slope(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A forward and a backward pass, as the attacks on inputs do."""
    with full_precision():
        point = x.detach().requires_grad_(True)
        return torch.autograd.grad(module(point).sum(), point)[0]


def memory(bench: Bench) -> dict[str, Any]:
    """Real lack of memory: a small share of the GPU is granted, batches and groups that do not fit are asked for."""
    if not bench.gpu.startswith("cuda"):
        return {"skipped": "needs CUDA"}
    found: dict[str, Any] = {}
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(min(1.0, 2**30 / total))
    try:
        rows = Arrays(np.tile(bench.pictures, (6, 1, 1, 1))[:10_000], np.zeros(10_000, np.int64))
        tight = TorchTarget(copy.deepcopy(bench.resnets[0]), bench.gpu, None)
        logits = tight.read(rows, 10_000, (), outputs=False)[0]
        found["forward"] = {"asked": 10_000, "fits": tight.blocks.fits}
        wanted = TorchTarget(copy.deepcopy(bench.resnets[0]), bench.gpu, None).read(rows, 500, (), outputs=False)[0]
        found["forward"]["apart"] = float(np.abs(logits - wanted).max())
        view = ModuleView(bench.resnets[1], bench.sets, bench.gpu)
        copies = Clones(view.network(), 2, 0.02)
        x = view.tensor(np.tile(bench.pictures[:1000], (3, 1, 1, 1)))
        copies.block = 3000
        copies.logits(lambda part: x[part], 3000)
        found["clones"] = {"asked": 3000, "block": copies.block}
        pool, jobs = shadows.digits(pictures=True), shadows.coins(96)
        recipe = RecipeSection(epochs=1, batch_size=512, lr=0.05, engine="vectorised")
        with tempfile.TemporaryDirectory() as folder:
            made = train_models(
                recipe, shadows.CNN, pool, jobs, Store(Path(folder) / "s", bytes(32)), key=bytes(32), device=bench.gpu
            )
        found["groups"] = {"asked": len(jobs), "trained": made.trained, "failed": len(made.failed)}
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    return found


PARTS = {f.__name__: f for f in (passes, memory, training, audits, uma, relearning)}


def main() -> None:
    """Run the parts; what one of them raises is written down, and the others go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default all")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--devices", nargs=2, default=("cpu", "cuda"), help="of the processor and of the GPU")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal of a few seconds a part")
    given = parser.parse_args()
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    found: dict[str, Any] = {"gpu": name, "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    found |= {"torch": torch.__version__, "numpy": np.__version__}
    bench = Bench(tuple(given.devices), given.tiny)
    for part in given.parts or PARTS:
        start = time.perf_counter()
        try:
            found[part] = PARTS[part](bench)
        except Exception:  # noqa: BLE001 - the lease is short: one part that fails costs no other
            found[part] = {"failed": traceback.format_exc()}
        found[part]["took"] = round(time.perf_counter() - start, 1)
        print(part, json.dumps(found[part], indent=1), flush=True)
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
