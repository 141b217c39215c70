"""`audit score` judges what the audit wrote, or nothing; and the certificate names what was audited.

Every edit is one that a holder of the run directory can make who does not hold the project key: whatever stands in the
directory agrees with itself again afterwards.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.collect.evidence import read_evidence
from audit.errors import AuditError
from audit.inputs.case import KEY_NAME
from audit.record.result import read_result
from audit.record.rundir import RunDir
from audit.record.seal import seal
from audit.run import prepare, run_audit, score_run
from tests.conftest import ARCH, Cli

Edit = Callable[[RunDir], object]


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> RunDir:
    shutil.copytree(finished, tmp_path / finished.name)
    return RunDir(tmp_path / finished.name)


def facts(run: RunDir, change: Callable[[dict[str, Any]], object]) -> None:
    path = run.evidence / "facts.json"
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def point_unlearned_at_a_reference(document: dict[str, Any]) -> None:
    found = {(attack, model): (name, digest) for attack, model, name, digest in document["signal_files"]}
    document["signal_files"] = [
        [attack, model, *found[attack, "retrained/0" if model == "unlearned" else model]] for attack, model in found
    ]


def swap_signals(run: RunDir) -> None:
    """The file itself is replaced, with its digest in the facts."""
    (own,) = run.signals.glob("membership-unlearned-*.npz")
    (honest,) = run.signals.glob("membership-retrained-0-*.npz")
    own.write_bytes(honest.read_bytes())
    digest = hashlib.sha256(own.read_bytes()).hexdigest()
    facts(run, lambda d: [item.__setitem__(3, digest) for item in d["signal_files"] if item[2] == own.name])


def relabel(run: RunDir) -> None:
    path = run.evidence / "arrays.npz"
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    np.savez(path, **{**arrays, "correct/unlearned": np.ones_like(arrays["correct/unlearned"])})


def record(run: RunDir, **changes: Any) -> None:
    document = json.loads(run.result.read_bytes()) | changes
    run.result.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))


def bring_a_key(run: RunDir) -> None:
    """A key of the editor's own, with all seals made anew under it."""
    key, home = b"k" * 32, run.path / "home"
    (home / ".audit").mkdir(parents=True)
    (home / KEY_NAME).write_bytes(key)
    (home / KEY_NAME).chmod(0o600)
    facts(run, point_unlearned_at_a_reference)
    found = json.loads((run.evidence / "facts.json").read_bytes())["signal_files"]
    digests = {name: hashlib.sha256((run.evidence / name).read_bytes()).hexdigest() for name in FILES}
    record(run, evidence=seal(key, "evidence", digests | {name: digest for _, _, name, digest in found}))
    own = {
        "commitments.json": hashlib.sha256((run.private / "commitments.json").read_bytes()).hexdigest(),
        "config.toml": hashlib.sha256(run.config.read_bytes()).hexdigest(),
    }
    (run.private / "kept.seal").write_text(seal(key, "kept", own))
    (run.private / "project").write_text(str(home))


FILES = ("facts.json", "arrays.npz")
EDITS: dict[str, tuple[Edit, str]] = {
    "facts": (lambda run: facts(run, point_unlearned_at_a_reference), "not what the audit wrote"),
    "subject": (lambda run: facts(run, lambda d: d["inputs"][3].update(sha256="0" * 64)), "not what the audit wrote"),
    "signals": (swap_signals, "not what the audit wrote"),
    "arrays": (relabel, "not what the audit wrote"),
    "commitments": (lambda run: (run.private / "commitments.json").write_text("{}"), "not what the audit wrote"),
    "signer": (
        lambda run: run.config.write_text(run.config.read_text().replace('"not named"', '"The Regulator"')),
        "not what the audit wrote",
    ),
    "record": (lambda run: record(run, evidence="0" * 64), "not what the audit wrote"),
    "older record": (lambda run: record(run, evidence=None, schema_version="1.2"), "not what the audit wrote"),
    "older run": (lambda run: (run.private / "project").unlink(), "nothing authenticates its evidence"),
    "key of another": (bring_a_key, "may be known to others"),
}


@pytest.mark.parametrize("name", EDITS)
def test_edited_evidence_is_refused_with_the_way_forward(
    name: str, run: RunDir, keys: tuple[Path, Path], lenient: Path
) -> None:
    edit, message = EDITS[name]
    edit(run)
    before = run.certificate.read_bytes()
    with pytest.raises(AuditError, match=message) as caught:
        score_run(run, str(lenient), keys[0])
    assert any(way in str(caught.value) for way in ("run the audit again", "Run the audit again", "--project"))
    assert run.certificate.read_bytes() == before


def test_an_unchanged_run_is_judged_again_and_names_its_evidence(
    run: RunDir, keys: tuple[Path, Path], lenient: Path, cli: Cli, built: Path
) -> None:
    committed = read_result(run.result).evidence
    assert committed is not None
    again = score_run(run, str(lenient), keys[0])
    assert again.result == read_result(run.result)
    assert again.result.evidence == committed
    ended = cli("score", run.path, "--policy", lenient, "--sign-key", keys[0])
    assert (ended.code, f"authenticated under the project key of {built}" in ended.text) == (0, True)
    from audit.interface.calls import verify

    verified = verify(run.certificate, key=keys[1], model=built / "unlearned.safetensors", policy=str(lenient))
    assert verified.statement["predicate"]["unlearningAudit"]["evidenceCommitment"] == committed


def test_the_key_is_asked_for_where_the_project_moved(run: RunDir, built: Path, lenient: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    (moved / ".audit").mkdir(parents=True)
    shutil.copy2(built / KEY_NAME, moved / KEY_NAME)
    (run.private / "project").write_text(str(tmp_path / "gone"))
    with pytest.raises(AuditError, match="--project"):
        score_run(run, str(lenient))
    assert score_run(run, str(lenient), project=moved).result.verdict.outcome == "PASS"
    (moved / KEY_NAME).chmod(0o644)
    with pytest.raises(AuditError, match="chmod 600"):
        score_run(run, str(lenient), project=moved)


def test_a_signed_certificate_is_kept_where_no_key_is_given(run: RunDir, lenient: Path) -> None:
    """The key that config.toml names signs nothing: whoever can write that file could choose it."""
    before = run.certificate.read_bytes()
    assert "sign_key" in run.config.read_text()
    finished = score_run(run, str(lenient))
    assert finished.certificate == run.statement
    assert not run.certificate.exists()
    assert (run.earlier / "1" / "certificate.dsse.json").read_bytes() == before


def test_signals_that_somebody_put_there_are_not_reused(case: Path, cli: Cli) -> None:
    flags = ("--forget", case / "forget.npz", "--arch", ARCH, "--split", "attested", "-q", "--access", "logits")
    first = cli("run", *flags)
    run = RunDir(Path(first.result["run"]))
    kept = run.result.read_bytes()
    swap_signals(run)
    for path in run.observations.glob("*-logits.npy"):
        np.save(path, np.zeros_like(np.load(path)))
    cli("run", *flags)
    assert run.result.read_bytes() == kept


def test_the_certificate_names_the_bytes_that_were_audited(
    case: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A race: at every step, model, record, report and commitments are replaced by something else."""
    import audit.certify.issue as issuing
    from audit.certify.certificate import build_statement
    from audit.inputs.resolve import resolve

    model, leaking = case / "unlearned.safetensors", (case / "original.safetensors").read_bytes()
    honest = hashlib.sha256(model.read_bytes()).hexdigest()
    settings, _ = resolve({"forget": case / "forget.npz", "arch": ARCH, "sign_key": str(keys[0]), "access": "logits"})
    prepared = prepare(settings)
    run, steps = prepared.run, 0

    def replace(*_event: object) -> None:
        nonlocal steps
        steps += 1
        kept = (run.result, run.report, run.private / "commitments.json", run.evidence / "facts.json")
        for path in (model, *kept, *run.observations.glob("*.npy"), *run.signals.glob("*.npz")):
            if path == model or path.exists():
                other = path.with_name("other")
                other.write_bytes(leaking)
                other.replace(path)

    def built(*arguments: Any, **options: Any) -> dict[str, Any]:
        replace()
        return build_statement(*arguments, **options)

    seen: list[tuple[bytes, bytes]] = []
    issue = issuing.issue

    def issued(*arguments: Any, **options: Any) -> Path | None:
        seen.append((options["run_json"], options["report"]))
        replace()
        return issue(*arguments, **options)

    monkeypatch.setattr(issuing, "build_statement", built)
    monkeypatch.setattr(issuing, "issue", issued)
    finished = run_audit(prepared, notify=replace)
    assert steps > 10
    from audit.certify.envelope import open_envelope, parse_json
    from audit.certify.keys import public_key

    assert finished.certificate is not None
    statement = parse_json(
        open_envelope(finished.certificate.read_bytes(), public_key(keys[1].read_bytes())), "the statement"
    )
    assert [subject["digest"]["sha256"] for subject in statement["subject"]] == [honest]
    ours = statement["predicate"]["unlearningAudit"]
    ((run_json, report),) = seen
    assert ours["reportSha256"] == hashlib.sha256(report).hexdigest()
    bound = {item["name"]: item["digest"]["sha256"] for item in statement["predicate"]["configuration"]}
    assert bound["run.json"] == hashlib.sha256(run_json).hexdigest()
    assert hashlib.sha256(run_json).hexdigest() in report.decode()
    assert len(ours["commitments"]["forget"]) == 64
    with pytest.raises(AuditError):
        read_evidence(run, prepared.case.key, finished.result.evidence or "")
