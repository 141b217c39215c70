"""The Python interface: the same audits as the command line, on what a program holds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import audit
from audit import demo
from audit.collect.events import Event
from tests.conftest import ARCH, Cli, arrays

Held = dict[str, Any]


@pytest.fixture
def held(case: Path, cli: Cli) -> Held:
    """The random case as a program holds it: data sets as pairs, models as networks."""
    from safetensors.torch import load_file

    def network(name: str) -> nn.Module:
        model = demo.network()
        model.load_state_dict(load_file(case / f"{name}.safetensors"))
        return model.eval()

    sets = {role: arrays(case / f"{role}.npz") for role in ("forget", "retain", "holdout", "test")}
    return {
        **{role: (found["x"], found["y"]) for role, found in sets.items()},
        "original": network("original"),
        "unlearned": network("unlearned"),
        "retrained": [network("retrained-0"), network("retrained-1")],
        "split": "attested",
    }


def outputs(held: Held, name: str) -> dict[str, np.ndarray[Any, Any]]:
    """Logits of a model on every set."""
    model = held[name]
    with torch.no_grad():
        return {role: model(torch.tensor(held[role][0])).numpy() for role in ("forget", "retain", "holdout", "test")}


def test_paths_give_the_run_of_the_command_line(case: Path, cli: Cli) -> None:
    ended = cli("run", "--forget", case / "forget.npz", "--arch", ARCH, "--split", "attested", "--out", "runs", "-q")
    run = Path(ended.result["run"])
    before = (run / "run.json").read_bytes()
    found = audit.run(forget=case / "forget.npz", arch=ARCH, split="attested", out="runs")
    assert found.path == run.absolute()
    assert (found.path / "run.json").read_bytes() == before
    assert found.verdict == ended.result["verdict"]
    units = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert {unit["status"] for unit in units[len(units) // 2 + 1 :] if unit["event"] == "unit"} <= {"reused", "skipped"}
    listed = audit.run(
        forget=str(case / "forget.npz"),
        retrained=[case / "retrained-0.safetensors", str(case / "retrained-1.safetensors")],
        arch=ARCH,
        split="attested",
        out="runs",
    )
    assert listed.path == found.path


def test_objects_give_the_findings_of_their_files(case: Path, held: Held) -> None:
    files = audit.run(forget=case / "forget.npz", arch=ARCH, split="attested")
    found = audit.run(**held)
    assert found.verdict == files.verdict
    for mine, theirs in zip(found.findings, files.findings, strict=True):
        # ids are in the files alone; they enter no figure
        assert (mine.id, mine.status, mine.estimate, mine.p) == (theirs.id, theirs.status, theirs.estimate, theirs.p)
    assert found.path.parent == (Path.cwd() / "runs")
    assert (Path.cwd() / ".audit" / "project.key").is_file()


def test_networks_are_named_by_state_and_code_and_left_as_they_were(held: Held) -> None:
    from audit.inputs.targets import TorchTarget
    from audit.record.digest import state_digest

    model = held["unlearned"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = audit.run(**held)
    (record,) = (item for item in found.result.inputs if item.role == "unlearned")
    assert record.sha256 == state_digest({name: value.numpy() for name, value in before.items()})
    assert record.name == "Sequential (in memory)"
    assert record.architecture is not None
    assert len(record.architecture) == 64
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert TorchTarget(model, "cpu", None).digest() == record.sha256
    again = audit.run(**held)
    assert again.path == found.path
    assert again.result == found.result


def test_mappings_bring_ids_and_subjects(case: Path, held: Held) -> None:
    found = arrays(case / "forget.npz")
    group = np.repeat(np.arange(len(found["y"]) // 4), 4)
    held["forget"] = {"x": found["x"], "y": found["y"].tolist(), "ids": found["ids"], "group": group}
    run = audit.run(**held)
    assert run.result.claim.kind == "subject"
    assert (run.path / "private" / "subjects.csv").is_file()
    named = {role: {"x": {"pixels": held[role][0]}, "y": held[role][1]} for role in ("retain", "holdout", "test")}
    with pytest.raises(audit.InputError, match="inputs of different forms"):
        audit.run(**{**held, **named})


def test_outputs_in_place_of_models(held: Held) -> None:
    original, unlearned = outputs(held, "original"), outputs(held, "unlearned")
    sets = {role: {"y": held[role][1]} for role in ("forget", "retain", "holdout", "test")}
    found = audit.run(**sets, original=original, unlearned=unlearned, split="attested")
    assert found.result.claim.access == "logits"
    assert {item.kind for item in found.result.inputs if item.role == "unlearned"} == {"outputs"}
    assert found.certificate is not None
    original["forget"][:] = 0  # the audit works on copies
    assert audit.load(found.path).result == found.result


def test_a_signed_certificate_holds_for_this_network_alone(held: Held, keys: tuple[Path, Path]) -> None:
    found = audit.run(**held, sign_key=keys[0])
    assert found.certificate is not None
    certificate, model = found.certificate, held["unlearned"]
    verified = audit.verify(certificate, key=keys[1], model=model)
    assert verified.verdict == found.verdict
    assert audit.verify(certificate, key=keys[1], model=model, now=datetime.now(UTC)).key_id == verified.key_id
    with pytest.raises(audit.CertificateError, match="covers other content"):
        audit.verify(certificate, key=keys[1], model=held["original"])
    with pytest.raises(audit.CertificateError, match="covers other content"):
        audit.verify(certificate, key=keys[1], model=certificate)

    class Same(nn.Sequential):
        """The same state under the same names; the outputs are negated."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -super().forward(x)

    other = Same(*model)
    with pytest.raises(audit.CertificateError, match="the code of this network is not the certified one"):
        audit.verify(certificate, key=keys[1], model=other.eval())


def test_a_file_certificate_says_nothing_of_a_network(finished: Path, built: Path, keys: tuple[Path, Path]) -> None:
    from safetensors.torch import load_file

    file = built / "unlearned.safetensors"
    found = audit.load(finished)
    assert found.certificate is not None
    assert audit.verify(found.certificate, key=keys[1], model=file).verdict == "PASS"
    assert audit.verify(found.certificate, key=keys[1], model=[file]).verdict == "PASS"
    model = demo.network()
    model.load_state_dict(load_file(file))
    with pytest.raises(audit.CertificateError, match="covers other content"):
        audit.verify(found.certificate, key=keys[1], model=model.eval())


def test_what_cannot_be_named_gets_no_certificate_and_says_so(held: Held, keys: tuple[Path, Path]) -> None:
    held["unlearned"].register_forward_hook(lambda _module, _args, output: output)
    found = audit.run(**held, sign_key=keys[0])
    assert found.certificate is None
    assert "unlearned cannot be named (the model has hooks" in found.no_certificate
    assert found.no_certificate in found.result.assumptions
    assert found.verdict in ("PASS", "FAIL", "INCONCLUSIVE")
    again = audit.score(found, "strict", sign_key=keys[0])
    assert again.certificate is None
    with pytest.raises(audit.UsageError, match="cannot be named"):
        audit.verify(found.path / "run.json", key=keys[1], model=held["unlearned"])


def test_a_hook_of_the_whole_process_is_seen(held: Held) -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        found = audit.run(**held)
    finally:
        handle.remove()
    assert found.certificate is None
    assert "hooks are registered for all modules" in found.no_certificate


@pytest.mark.parametrize("named", [True, False])
def test_the_same_weights_under_another_code_are_another_network(held: Held, named: bool) -> None:
    """A mask beside the same weights: neither the original bit for bit, nor answered from the original's cache."""

    class Masked(nn.Sequential):
        mask: object = 1.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x * self.mask)

    original, masked = Masked(*held["original"]).eval(), Masked(*held["original"]).eval()
    original.mask, masked.mask = (1.0, 0.25) if named else (torch.ones(64), torch.linspace(0, 1, 64))
    found = audit.run(**{**held, "original": original, "unlearned": masked, "head": "4"})
    assert not [f for f in found.findings if f.id == "structure.identical"]
    figures = [f for f in found.findings if f.id == "membership.auc"]
    assert figures
    assert all(f.estimate != f.control for f in figures)
    assert (found.certificate is None) is not named


def test_nothing_is_reused_of_a_network_without_a_name(held: Held) -> None:
    """A hook may do something else the next time."""
    scale = [1.0]
    held["head"] = "4"
    held["unlearned"].register_forward_hook(lambda _module, _args, output: output * scale[0])
    first = audit.run(**held)
    scale[0] = -1.0
    second = audit.run(**held)
    assert first.path == second.path
    assert first.result.utility is not None
    loss = [f.estimate for run in (first, second) for f in run.findings if f.id == "membership.auc"]
    assert loss[0] != loss[1]


def test_score_load_and_reports(held: Held) -> None:
    found = audit.run(**held)
    strict = audit.score(found.path, "strict")
    assert strict.result.policy.name == "strict"
    assert audit.load(str(strict.path)).result == strict.result
    report = found.report()
    assert isinstance(report, str)
    assert report.startswith("<!doctype html>") or report.startswith("<!DOCTYPE html>")
    assert "# " in str(found.report("markdown"))
    assert json.loads(found.report("sarif"))["version"] == "2.1.0"
    with pytest.raises(audit.UsageError, match="html"):
        found.report("word")
    assert repr(found) == f"<AuditRun {found.verdict}, {len(found.findings)} findings, {found.path}>"
    with pytest.raises(audit.UsageError, match="no such option of a report"):
        found.report("html", colour="red")
    shown = found._repr_html_()
    assert shown.startswith('<iframe sandbox=""')
    assert "&lt;script" in shown  # inside the frame, which runs nothing
    assert "<script" not in shown


def test_findings_as_a_frame(held: Held) -> None:
    pytest.importorskip("pandas")
    found = audit.run(**held)
    frame = found.findings_frame()
    assert len(frame) == len(found.findings)
    row = frame.set_index("id").loc["membership.auc"]
    (finding,) = (f for f in found.findings if f.id == "membership.auc")
    assert finding.interval is not None
    assert (row["estimate"], row["low"], row["status"]) == (finding.estimate, finding.interval.low, finding.status)


def test_without_pandas_the_remedy_is_named(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = audit.load(finished)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(audit.UsageError, match="pip install pandas"):
        found.findings_frame()


def test_a_plan_runs_nothing(held: Held) -> None:
    plan = audit.plan(**held)
    assert plan.models == 4
    assert "membership: logits access, gated" in str(plan)
    assert not (Path.cwd() / "runs").exists()


def test_progress_goes_to_the_callback(held: Held) -> None:
    seen: list[object] = []
    audit.run(**held, progress=seen.append)
    kinds = {event.kind for event in seen if isinstance(event, Event)}
    assert kinds == {"observe", "attack"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"speed": 3}, "there is no option speed: the options are access, arch"),
        ({"policy": "lax"}, "policy 'lax'"),
        ({"seed": -1}, "greater than or equal to 0"),
    ],
)
def test_wrong_options(held: Held, change: Held, message: str) -> None:
    with pytest.raises(audit.UsageError, match=message):
        audit.run(**{**held, **change})


def test_every_problem_of_the_objects_is_reported_at_once(held: Held) -> None:
    held["unlearned"].train()
    held["original"] = 3
    held["retain"] = [1, 2, 3]
    held["test"] = (np.array([[1.0, np.nan]]), [0])
    held["holdout"] = ({"a": object()}, "x")
    with pytest.raises(audit.InputError) as caught:
        audit.run(**held)
    text = str(caught.value)
    assert "unlearned is in training mode: call model.eval()" in text
    assert "original is a int: give a path, a torch.nn.Module, or a mapping of outputs by set" in text
    assert "the retain set is a list: give a path, (x, y), or a mapping" in text
    assert "the test set: x holds NaN or infinite values in 1 rows" in text
    assert "the holdout set: y must be integer class labels" in text


@pytest.mark.parametrize(
    ("unlearned", "said"),
    [
        (lambda m: m.state_dict(), "look like a state dict: load it into the network"),
        (lambda m: m.to(torch.float8_e4m3fn), r"weights of torch.float8_e4m3fn: give model.float\(\)"),
        (torch.jit.script, "unlearned"),
        (torch.compile, "compiled by torch.compile"),
        (lambda m: m.to("meta"), "more than plain tensors"),
        (lambda _: Selfish(), "unlearned cannot be"),
        (lambda _: Uncopied(), "cannot be copied"),
        (lambda _: Leaving(), "the model rejects inputs"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_odd_networks_are_problems_with_a_remedy(held: Held, unlearned: Callable[[nn.Module], Any], said: str) -> None:
    with pytest.raises(audit.InputError, match=said):
        audit.run(**{**held, "unlearned": unlearned(held["unlearned"])})


class Selfish(nn.Linear):
    """Holds itself: walking through it never ends."""

    def __init__(self) -> None:
        super().__init__(64, 10)
        self.add_module("me", self)
        nn.Module.eval(self.__dict__["_modules"].pop("me"))
        self.add_module("me", self)


class Uncopied(nn.Linear):
    """Refuses to be copied."""

    def __init__(self) -> None:
        super().__init__(64, 10)
        self.training = False

    def __deepcopy__(self, _memo: object) -> nn.Module:
        raise AttributeError("no copies")


class Leaving(nn.Linear):
    """Ends the program when it is called."""

    def __init__(self) -> None:
        super().__init__(64, 10)
        self.training = False

    def forward(self, _x: torch.Tensor) -> torch.Tensor:
        raise SystemExit(0)


def test_one_model_or_a_generator_of_models_is_a_list(held: Held) -> None:
    models = held["retrained"]
    expected = audit.plan(**held).models
    assert audit.plan(**{**held, "retrained": (model for model in models)}).models == expected
    assert audit.plan(**{**held, "retrained": models[0]}).models == expected - 1
    assert audit.plan(**{**held, "retrained": None}).models == expected - 2
    with pytest.raises(audit.UsageError, match="retrained is a int: give a list of models"):
        audit.plan(**{**held, "retrained": 3})


def test_odd_ids_are_refused_before_the_audit(held: Held) -> None:
    x, y = held["forget"]
    with pytest.raises(audit.InputError, match="ids holds text that is no Unicode"):
        audit.plan(**{**held, "forget": {"x": x, "y": y, "ids": ["\ud800", *map(str, range(len(y) - 1))]}})
    with pytest.raises(audit.InputError, match="it is masked"):
        audit.plan(**{**held, "forget": (np.ma.masked_array(x), y)})


def test_no_global_generator_is_moved(held: Held) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state().clone()  # noqa: NPY002
    audit.run(**held, attacks="gated,svc_mia")
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_a_key_that_is_missing_costs_nothing(held: Held) -> None:
    with pytest.raises(audit.UsageError, match="no signing key"):
        audit.plan(**held, sign_key="gone.key")


def test_an_earlier_judgement_keeps_its_certificate(held: Held) -> None:
    found = audit.run(**held)
    certificate = found.certificate
    assert certificate is not None
    content = certificate.read_bytes()
    strict = audit.score(found, "strict")
    assert found.certificate is not None
    assert found.certificate.parent.parent.name == "earlier"
    assert found.certificate.read_bytes() == content
    assert strict.certificate == certificate


def test_a_missing_model_or_set_is_no_crash(held: Held) -> None:
    with pytest.raises(audit.InputError, match="no unlearned model"):
        audit.run(**{**held, "unlearned": None})
    with pytest.raises(audit.InputError, match="no retain set"):
        audit.run(**{**held, "retain": None})


def test_neither_variables_nor_a_config_are_read_unasked(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_SEED", "7")
    Path("audit.toml").write_text("seed = 9\n")
    assert audit.run(**held).result.seed == 0
    assert audit.run(**held, config="audit.toml").result.seed == 9


def test_importing_costs_nothing_heavy() -> None:
    code = (
        "import sys, audit; heavy = {'torch', 'sklearn', 'numpy', 'pydantic', 'jinja2'} & set(sys.modules); "
        "assert not heavy, heavy; import audit.run as file, audit.commands.app; assert callable(audit.run); "
        "assert set(audit.__all__) <= set(dir(audit)); [getattr(audit, name) for name in audit.__all__]; "
        "assert not {'torch', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.raises(AttributeError, match="no attribute 'walk'"):
        audit.walk  # noqa: B018
