"""The release gate: what denies, with which reason; opening commitments; plug-ins in the certificate."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.certified import ISSUED, KEY, PUBLIC, audit_result, finding, statement
from cases.synthetic import audit
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import demo
from audit.certify.certificate import suite_digest
from audit.certify.envelope import encode, sign
from audit.certify.gate import Decision, Demand, decide
from audit.certify.opening import opens
from audit.certify.strictness import weaker
from audit.commands.certificate import annotation
from audit.errors import CouldNotRun, ExitCode, InputError, UsageError
from audit.inputs.set_files import read_data
from audit.policy.policy import Policy, load_policy
from audit.record.findings import WEAKER_ACCESS, FindingStatus, Gate
from audit.record.result import AuditResult, Outcome, PolicyRecord

STANDARD, STANDARD_DIGEST = load_policy("standard")
NOW = ISSUED + timedelta(days=1)


def judged(policy: Policy = STANDARD, digest: str = STANDARD_DIGEST, **changes: Any) -> AuditResult:
    record = PolicyRecord(name=policy.name, sha256=digest, values=policy.model_dump(mode="json"))
    result = audit_result(changes.pop("outcome", Outcome.PASS)).model_copy(update={"policy": record})
    claim = result.claim.model_copy(update={"access": changes.pop("access", "features")})
    figures = {name for level in STANDARD.mandatory["random"].values() for name in level}
    result = result.model_copy(update={"findings": tuple(finding(n, FindingStatus.PASS) for n in sorted(figures))})
    verdict = result.verdict.model_copy(update=changes)
    return result.model_copy(update={"claim": claim, "verdict": verdict})


def released(release: str, access: str) -> AuditResult:
    result = judged(access=access)
    return result.model_copy(update={"claim": result.claim.model_copy(update={"release": release})})


class Writer:
    """Writes certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, result: AuditResult, key: Ed25519PrivateKey = KEY, **changes: Any) -> Path:
        path = self.folder / f"{secrets.token_hex(4)}.dsse.json"
        path.write_bytes(sign(encode(statement(result, **changes)), key))
        return path


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


def only(paths: list[Path], demand: Demand) -> Decision:
    allowed, (decision,) = decide(paths, demand, NOW)
    assert allowed == decision.allowed
    return decision


def other(**changes: Any) -> Policy:
    return STANDARD.model_copy(update={"name": "mine", **changes})


def test_a_valid_pass_of_this_model_is_allowed(write: Writer, demand: Demand) -> None:
    assert only([write(judged())], demand) == Decision(
        str(next(write.folder.glob("*.dsse.json"))), True, "a valid PASS"
    )


@pytest.mark.parametrize(
    ("release", "access", "reason"),
    [
        ("features", "features", "a valid PASS"),
        ("labels", "features", "a valid PASS"),
        ("internal", "features", "declares that the model is not released"),
        ("weights", "features", "recipients hold weights, the adversary of the claim features alone"),
    ],
)
def test_recipients_hold_no_more_than_was_tested(
    write: Writer, demand: Demand, release: str, access: str, reason: str
) -> None:
    decision = only([write(released(release, access))], demand)
    assert reason in decision.reason
    assert decision.allowed == (reason == "a valid PASS")


def test_each_obstacle_denies_with_its_own_reason(write: Writer, demand: Demand, tmp_path: Path) -> None:
    assert "no such file" in only([tmp_path / "none.json"], demand).reason
    unsigned = tmp_path / "certificate.unsigned.json"
    unsigned.write_bytes(encode(statement(judged())))
    assert "not signed" in only([unsigned], demand).reason
    assert "not this key's signature" in only([write(judged(), Ed25519PrivateKey.generate())], demand).reason
    assert "verdict is FAIL" in only([write(judged(outcome=Outcome.FAIL))], demand).reason
    assert "verdict is INCONCLUSIVE" in only([write(judged(outcome=Outcome.INCONCLUSIVE))], demand).reason
    assert "expired" in only([write(judged(), issued=ISSUED - timedelta(days=100))], demand).reason
    demand.model_files[0].write_bytes(b"other weights")
    assert "is not about" in only([write(judged())], demand).reason


def test_age_access_and_an_empty_list_deny(write: Writer, demand: Demand) -> None:
    path = write(judged(access="logits"))
    strict = Demand(demand.keys, demand.model_files, STANDARD, STANDARD_DIGEST, "features", None)
    assert "less than features" in only([path], strict).reason
    assert only([write(judged())], strict).allowed
    young = Demand(demand.keys, demand.model_files, STANDARD, STANDARD_DIGEST, "", 0)
    assert "older than 0 days" in only([path], young).reason
    assert decide([], demand, NOW) == (False, ())


def test_any_trusted_key_will_do(write: Writer, demand: Demand) -> None:
    second = Ed25519PrivateKey.generate()
    pem = second.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    both = Demand((PUBLIC, pem), demand.model_files, STANDARD, STANDARD_DIGEST)
    assert only([write(judged(), second)], both).allowed
    assert only([write(judged())], both).allowed


def test_one_pass_is_enough_but_not_beside_a_failure_of_the_same_model(write: Writer, demand: Demand) -> None:
    good, open_ = write(judged()), write(judged(outcome=Outcome.INCONCLUSIVE))
    assert decide([open_, good], demand, NOW)[0]
    assert not decide([good, write(judged(outcome=Outcome.FAIL))], demand, NOW)[0]
    foreign = write(judged(outcome=Outcome.FAIL), Ed25519PrivateKey.generate())  # anybody can write that
    assert decide([good, foreign], demand, NOW)[0]


def test_a_stricter_policy_counts_and_a_weaker_one_does_not(write: Writer, demand: Demand) -> None:
    assert only([write(judged(other(auc_margin=0.05, permutations=4999), "1" * 64))], demand).allowed
    reason = only([write(judged(other(auc_margin=0.2, min_forget=10), "1" * 64))], demand).reason
    assert "auc_margin is 0.2, not 0.1" in reason
    assert "min_forget is 10, not 30" in reason
    strict, digest = load_policy("strict")
    assert (
        "weaker than strict" in only([write(judged())], Demand(demand.keys, demand.model_files, strict, digest)).reason
    )
    old = statement(judged(other(), "1" * 64))
    del old["predicate"]["unlearningAudit"]["policy"]
    path = write.folder / "old.dsse.json"
    path.write_bytes(sign(encode(old), KEY))
    assert "does not say which" in only([path], demand).reason


@pytest.mark.parametrize(
    "change",
    [
        *({key: STANDARD.model_dump()[key] * 2} for key in ("auc_margin", "tpr_margin", "share_margin", "valid_days")),
        *({key: STANDARD.model_dump()[key] - 1} for key in ("permutations", "shams", "min_forget", "references_t")),
        {"references_t": 1000},  # family D1 off: a policy that asks for more passed what standard fails
        {"references_t_class": 9},
        {"references_assumed_split": 10},
        {"shams": 50},
        {"alpha": 0.01},
        {"alpha": 0.1},
        {"primary": STANDARD.primary | {"random": {"logits": {"membership.location": 1.0}}}},
        {"primary": STANDARD.primary | {"random": STANDARD.primary["random"] | {"labels": {}}}},
        {"composites": {"two": ("membership", "probe")}},
        {"primary": {}, "version": 1},
        {"structural": False},
        {"pass_with_trace": True},
        {"mandatory": {"random": {"logits": ("membership.auc",), "features": ()}}},
    ],
    ids=str,
)
def test_every_loosening_is_weaker(change: dict[str, Any]) -> None:
    certified = other(**change).model_dump(mode="json")
    assert weaker(certified, STANDARD, "random", ("logits", "features"))
    assert not weaker(other().model_dump(mode="json"), STANDARD, "random", ("logits", "features"))


def test_values_of_another_type_or_version_are_not_compared() -> None:
    values = other().model_dump(mode="json")
    assert "cannot be compared" in weaker(values | {"new_margin": 1}, STANDARD, "random", ())
    assert "auc_margin" in weaker(values | {"auc_margin": True}, STANDARD, "random", ())
    assert "mandatory" in weaker(values | {"mandatory": None}, STANDARD, "random", ("logits",))


def test_a_qualified_pass_counts_only_where_the_policy_admits_it(write: Writer, demand: Demand) -> None:
    lenient = other(pass_with_trace=True)
    path = write(judged(lenient, "1" * 64, qualifier="with trace"))
    assert "does not admit" in only([path], demand).reason
    assert only([path], Demand(demand.keys, demand.model_files, lenient, "1" * 64)).allowed
    named_otherwise = Demand(demand.keys, demand.model_files, lenient, "2" * 64)
    assert only([path], named_otherwise).allowed


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "audit", *map(str, arguments)]
    clean = {key: value for key, value in os.environ.items() if key != "GITHUB_ACTIONS"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=clean | environment)


def test_the_command_line(write: Writer, model: tuple[Path, ...], tmp_path: Path) -> None:
    from datetime import UTC, datetime

    (tmp_path / "key.pub").write_bytes(PUBLIC)
    good = write(judged(), issued=datetime.now(UTC))
    flags = ["--key", tmp_path / "key.pub", "--policy", "standard", *(f for path in model for f in ("--model", path))]
    allowed = run("gate", good, *flags)
    assert allowed.returncode == 0, allowed.stderr
    assert json.loads(allowed.stdout)["allowed"] is True
    denied = run("gate", tmp_path / "a%b\nc", *flags, GITHUB_ACTIONS="true")
    assert denied.returncode == ExitCode.FAIL
    assert json.loads(denied.stdout)["certificates"][0]["allowed"] is False
    assert "::error title=audit gate::" in denied.stderr
    assert "a%25b%0Ac: there is no such file" in denied.stderr
    assert run("gate", *flags).returncode == ExitCode.USAGE
    assert run("gate", good, *flags[2:]).returncode == ExitCode.USAGE
    gone = run("gate", good, "--key", tmp_path / "no.pub", *flags[2:])
    assert gone.returncode == ExitCode.COULD_NOT_RUN


def test_annotations_cannot_be_ended_by_data() -> None:
    assert annotation("a:b,c", "x\n::stop-commands::") == "::error title=a%3Ab%2Cc::x%0A::stop-commands::"


@pytest.fixture
def forget(tmp_path: Path) -> Path:
    path = tmp_path / "forget.npz"
    np.savez(path, x=np.arange(12.0).reshape(4, 3), y=np.arange(4), ids=np.arange(4))
    return path


def test_a_commitment_opens_for_its_own_data_alone(write: Writer, forget: Path, tmp_path: Path) -> None:
    key = tmp_path / "commitment.key"
    key.write_bytes(secrets.token_bytes(32))
    commitment = read_data(forget, need_inputs=True).fingerprint(key.read_bytes())
    path = write(judged(), commitments={"forget": commitment})
    asked: dict[str, Any] = {"public_key_pem": PUBLIC, "opening": key, "data": forget, "role": "forget"}
    assert opens(path.read_bytes(), **asked)
    again = tmp_path / "again.npz"
    with np.load(forget) as archive:
        np.savez_compressed(again, **{name: archive[name] for name in reversed(archive.files)})
    assert opens(path.read_bytes(), **asked | {"data": again})
    np.savez(again, x=np.arange(12.0).reshape(4, 3), y=np.arange(4)[::-1], ids=np.arange(4))
    assert not opens(path.read_bytes(), **asked | {"data": again})
    stranger = tmp_path / "other.key"
    stranger.write_bytes(secrets.token_bytes(32))
    assert not opens(path.read_bytes(), **asked | {"opening": stranger})
    with pytest.raises(UsageError, match="commits to no test set"):
        opens(path.read_bytes(), **asked | {"role": "test"})
    with pytest.raises(CouldNotRun, match="audit purge"):
        opens(path.read_bytes(), **asked | {"opening": tmp_path / "purged"})
    stranger.write_bytes(b"short")
    with pytest.raises(CouldNotRun, match="exactly 32 bytes"):
        opens(path.read_bytes(), **asked | {"opening": stranger})
    with pytest.raises(InputError, match="does not exist"):
        opens(path.read_bytes(), **asked | {"data": tmp_path / "none.npz"})


def test_a_commitment_of_a_finished_run_opens_until_it_is_purged(case: Path, cli: Any) -> None:
    key = case / "sign.key"
    assert cli("keygen", key).code == 0
    flags = ("--arch", demo.ARCH, "--out", case / "runs", "--sign-key", key, "-q")
    assert cli("run", "--forget", case / "forget.npz", *flags).code in (0, 1, 3)
    (found,) = (case / "runs").iterdir()
    ask = ("commit", "open", found / "certificate.dsse.json", "--key", f"{key}.pub", "--opening")
    opening = found / "private" / "commitment.key"
    match = cli(*ask, opening, "--data", case / "forget.npz")
    assert (match.code, "match: " in match.out) == (0, True), match.err
    assert cli(*ask, opening, "--data", case / "retain.npz").code == ExitCode.FAIL
    assert cli(*ask, opening, "--data", case / "retain.npz", "--role", "retain").code == 0
    made = case / "made.toml"
    np.save(case / "rows.npy", np.arange(100))
    sets = [dict(np.load(case / f"{role}.npz")) for role in ("forget", "retain")]
    np.savez(case / "all.npz", **{name: np.concatenate([one[name] for one in sets]) for name in sets[0]})
    made.write_text('[data]\ndata = "all.npz"\nforget_index = "rows.npy"\ntest = "test.npz"\n')
    assert cli(*ask, opening, "--config", made).code == 0
    assert cli(*ask, opening, "--config", made, "--role", "retain").code == 0
    np.save(case / "rows.npy", np.arange(99))
    assert cli(*ask, opening, "--config", made).code == ExitCode.FAIL
    assert cli(*ask, opening).code == ExitCode.USAGE
    assert cli("purge", found, "--yes").code == 0
    closed = cli(*ask, opening, "--data", case / "forget.npz")
    assert closed.code == ExitCode.COULD_NOT_RUN
    assert "can never be opened again" in closed.err


PLUGIN = '''
import numpy as np
from attacks.base import Access, Attack, Scores

class Foreign(Attack):
    """A constant."""
    name, title, version, access = "foreign", "Foreign", "7", Access.LOGITS
    def run(self, view, original, case, rng):
        """Nothing."""
        return {"zero": np.zeros(1)}
    def combine(self, signals, case):
        """Zeros."""
        return Scores(statistic=np.zeros(len(signals)))
'''


def test_an_installed_plug_in_is_listed_with_its_version(tmp_path: Path) -> None:
    (tmp_path / "foreign_attack.py").write_text(PLUGIN)
    meta = tmp_path / "foreign_attack-3.2.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-attack\nVersion: 3.2\n")
    (meta / "top_level.txt").write_text("foreign_attack\n")
    (meta / "entry_points.txt").write_text("[audit.attacks]\nforeign = foreign_attack\n")
    code = (
        "from attacks.base import discover; from attacks.plugins import distribution_of as d; found = discover(); "
        "print([d(a) for n, a in found.items() if n in ('foreign', 'membership')])"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}{os.pathsep}{Path(__file__).parents[2]}"
    for off, expected in (("", "['foreign-attack 3.2', '']"), ("1", "['']")):
        environment = os.environ | {"PYTHONPATH": path, "AUDIT_NO_PLUGINS": off}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def test_our_own_attacks_have_no_package_in_the_record() -> None:
    assert {record.distribution for record in audit().attacks} == {""}


def test_the_suite_digest_follows_versions_and_origins() -> None:
    result = judged()
    (attack,) = result.attacks
    digests = {suite_digest(result)}
    for change in ({"version": "2"}, {"name": "other"}, {"distribution": "foreign-attack 3.2"}):
        digests.add(suite_digest(result.model_copy(update={"attacks": (attack.model_copy(update=change),)})))
    assert len(digests) == 4
    assert suite_digest(result.model_copy(update={"attacks": (attack.model_copy(update={"reason": "x"}),)})) in digests


def with_gate(level: str, access: str) -> AuditResult:
    """An open claim of one access, with a gate of a weaker one that rejects."""
    seen = Gate(name=f"{WEAKER_ACCESS}{level}", ok=False, effect="blocks PASS", reason="D2 p = 0.0100")
    opened = judged(outcome=Outcome.INCONCLUSIVE, access=access)
    return opened.model_copy(update={"gates": (*opened.gates, seen)})


@pytest.mark.parametrize("access", ["", "logits", "features"])
def test_a_weaker_access_that_rejects_is_a_fail_where_it_is_covered(write: Writer, demand: Demand, access: str) -> None:
    """An open claim of features whose logits alone would fail denies beside a PASS, as a FAIL does."""
    paths = [write(judged()), write(with_gate("logits", "features"))]
    allowed, decisions = decide(paths, replace(demand, access=access), NOW)
    assert (decisions[0].allowed, decisions[1].failed, allowed) == (True, True, False)


def test_a_stronger_level_that_rejects_says_nothing_of_a_weaker_demand(write: Writer, demand: Demand) -> None:
    paths = [write(judged()), write(with_gate("features", "weights"))]
    allowed, decisions = decide(paths, replace(demand, access="logits"), NOW)
    assert (decisions[1].failed, allowed) == (False, True)
