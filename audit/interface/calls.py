"""The functions of the Python interface: run, plan, score, load, verify."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack

from audit.errors import UsageError

from .audit_run import AuditRun
from .objects import Options, configured

if TYPE_CHECKING:
    import pandas
    import torch
    from torch.utils.data import DataLoader, Dataset

    from audit.certify.verify import Verified
    from audit.collect.events import Event
    from audit.collect.plan import Plan
    from audit.training.session import Progress

    #: a path, ``(x, y)``, a mapping with ``x`` (or ``x.<name>``), ``y``, optionally ``ids``, ``group``, ``request``, a
    #: frame of pandas, or a data set or loader of torch
    DataSet: TypeAlias = (
        str | os.PathLike[str] | tuple[Any, Any] | Mapping[str, Any] | pandas.DataFrame | Dataset[Any] | DataLoader[Any]
    )
    #: a file of row numbers, row numbers, or one boolean a row
    Index: TypeAlias = str | os.PathLike[str] | Sequence[int] | Any
    #: a path, a network in evaluation mode, or a mapping of outputs, one array a set
    Model = str | os.PathLike[str] | torch.nn.Module | Mapping[str, Any]

    Claim = Literal["random", "class", "subject", "other"]
    Callback = Callable[[Event | Progress], None]
else:  # for whoever asks for the types at run time, without torch
    DataSet = Index = Model = Claim = Callback = Plan = Verified = Any


def run(
    *,
    forget: DataSet | None = None,
    retain: DataSet | None = None,
    holdout: DataSet | None = None,
    test: DataSet | None = None,
    auxiliary: DataSet | None = None,
    concepts: DataSet | None = None,
    data: DataSet | None = None,
    forget_index: Index | None = None,
    retain_index: Index | None = None,
    holdout_index: Index | None = None,
    test_index: Index | None = None,
    original: Model | None = None,
    unlearned: Model | None = None,
    retrained: Sequence[Model] = (),
    runs: Sequence[Model] = (),
    claim: Claim | None = None,
    config: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    progress: Callback | Literal["auto", "off"] = "auto",
    **options: Unpack[Options],
) -> AuditRun:
    """Audit a model that is said to have unlearned data; the same call continues an interrupted run.

    Networks are copied before they are looked at and never modified. They are named by the digest of their state, and
    their code by that of its source; where something decides what a network computes that has no name (a hook, a
    tensor in a plain attribute), the audit runs and no certificate is issued (``AuditRun.no_certificate``).

    Where the forget set is a path, sets and models that are not given are taken from beside it by their standard
    names, unless some model is an object. Neither environment variables nor an ``audit.toml`` are read, but for
    ``config``. The project key (``.audit/project.key``, private) lies beside a forget file, else in the working folder.

    The audit shares the process of its caller: what networks, hooks and plug-ins change beside their answer is put back
    after each call, but one that ends the process ends it, and none has a time limit. The command line runs them in a
    process of their own.

    Args:
        forget: what had to be forgotten.
        retain: what the model may still know.
        holdout: never seen, from the same pool as the forget set; else the test set serves.
        test: never seen by any model; else part of the holdout set serves, and the record says so.
        auxiliary: never seen, checks the fits; else a quarter of the test set.
        concepts: examples of concepts for the attack of that name; labels are concept numbers from 1, 0 = random
            counterexamples.
        data: in place of forget and retain set: one data set of which ``forget_index`` names rows.
        forget_index: rows of ``data`` that had to be forgotten: numbers from 0, or one boolean a row.
        retain_index: rows that the model may still know; else all that no list names.
        holdout_index: rows that no model ever saw, drawn with those to be forgotten.
        test_index: rows that no model ever saw.
        original: the model before unlearning, the positive control; without it there is no PASS.
        unlearned: the model to audit.
        retrained: honest retrains, trained from scratch without the forget set: the null distribution.
        runs: further runs of the same unlearning procedure.
        claim: what was forgotten; inferred where silent.
        config: an ``audit.toml`` with more, such as the recipe of models that the audit trains.
        fresh: do not continue an earlier run of the same case.
        progress: called after every work unit and every trained model; ``auto``: a bar in a terminal or notebook.
        options: see `Options`.

    Raises:
        InputError: the inputs cannot be audited; lists every problem with its remedy.
        UsageError: an option or a policy is wrong.
        CouldNotRun: the environment kept the audit from running.
    """
    from audit.run import prepare, run_audit

    from .progress import both

    settings, given = configured(
        {
            "forget": forget,
            "retain": retain,
            "holdout": holdout,
            "test": test,
            "auxiliary": auxiliary,
            "concepts": concepts,
            "data": data,
        },
        {"forget": forget_index, "retain": retain_index, "holdout": holdout_index, "test": test_index},
        {"original": original, "unlearned": unlearned},
        {"retrained": retrained, "runs": runs},
        config,
        {**options, "claim": claim},
    )
    with both(progress) as notify:
        finished = run_audit(prepare(settings, given, notify=notify), fresh=fresh, notify=notify)
    return AuditRun(finished.result, finished.run)


def plan(
    *,
    forget: DataSet | None = None,
    retain: DataSet | None = None,
    holdout: DataSet | None = None,
    test: DataSet | None = None,
    auxiliary: DataSet | None = None,
    concepts: DataSet | None = None,
    data: DataSet | None = None,
    forget_index: Index | None = None,
    retain_index: Index | None = None,
    holdout_index: Index | None = None,
    test_index: Index | None = None,
    original: Model | None = None,
    unlearned: Model | None = None,
    retrained: Sequence[Model] = (),
    runs: Sequence[Model] = (),
    claim: Claim | None = None,
    config: str | os.PathLike[str] | None = None,
    **options: Unpack[Options],
) -> Plan:
    """What ``run`` with the same arguments would do, cost and be able to see; nothing is run but a few timed rows.

    Returns:
        the plan; ``print`` shows it in lines.

    Raises:
        InputError, UsageError, CouldNotRun: see ``run``.
    """
    from audit.collect.plan import make_plan
    from audit.run import prepare

    settings, given = configured(
        {
            "forget": forget,
            "retain": retain,
            "holdout": holdout,
            "test": test,
            "auxiliary": auxiliary,
            "concepts": concepts,
            "data": data,
        },
        {"forget": forget_index, "retain": retain_index, "holdout": holdout_index, "test": test_index},
        {"original": original, "unlearned": unlearned},
        {"retrained": retrained, "runs": runs},
        config,
        {**options, "claim": claim},
    )
    prepared = prepare(settings, given, train=False)
    return make_plan(prepared.case, prepared.policy, prepared.suite, prepared.order.wanted)


def score(
    run: AuditRun | str | os.PathLike[str],
    policy: str,
    *,
    sign_key: str | os.PathLike[str] | None = None,
    ledger: str | os.PathLike[str] | None = None,
    project: str | os.PathLike[str] | None = None,
) -> AuditRun:
    """Judge a finished run again under another policy, without touching a model; another policy is another look.

    Args:
        run: the run, or its directory.
        policy: ``screening``, ``standard``, ``strict``, or the path of a policy file.
        sign_key: signs the new certificate; without one it stays unsigned, whatever key the run was configured with.
        ledger: where the run's ledger lies now, if it was moved.
        project: folder whose ``.audit/`` holds the project key (that of the forget set), if it was moved.

    Raises:
        UsageError, CouldNotRun: see their messages.
    """
    from audit.record.rundir import open_run
    from audit.run import score_run

    directory = run.directory if isinstance(run, AuditRun) else open_run(Path(run))
    paths = [None if path is None else Path(path) for path in (sign_key, ledger, project)]
    finished = score_run(directory, policy, *paths)
    return AuditRun(finished.result, finished.run)


def load(run_dir: str | os.PathLike[str]) -> AuditRun:
    """A finished run from its directory (``runs/<id>``).

    Raises:
        UsageError: there is no such folder.
        CouldNotRun: it holds no finished run, or a record other than the one its certificate was issued for.
    """
    from audit.certify.issue import read_bound
    from audit.record.rundir import open_run

    directory = open_run(Path(run_dir))
    return AuditRun(read_bound(directory)[0], directory)


def verify(
    certificate: str | os.PathLike[str],
    *,
    key: str | os.PathLike[str],
    model: Model | Sequence[str | os.PathLike[str]],
    policy: str | None = None,
    max_age_days: int | None = None,
    now: datetime | None = None,
) -> Verified:
    """Verify a certificate against the signer's public key and the model in hand.

    Args:
        certificate: ``certificate.dsse.json``.
        key: the signer's public key, which did not come along with the certificate.
        model: the certified model: its file or files, or the network or outputs that were audited in memory.
        policy: the policy that the audit must have used.
        max_age_days: greatest age of the certificate.
        now: the current time, with a time zone; by default that of the clock.

    Returns:
        what was verified. A certificate of a failed audit verifies too: look at its ``verdict``. Any policy will do
        where none was named: look at ``policy``, ``policy_sha256`` and ``built_in`` as well.

    Raises:
        CertificateError: it does not hold; the message says why.
        UsageError, CouldNotRun: a key, policy or file cannot be read.
    """
    from audit.certify.envelope import read_certificate
    from audit.certify.keys import read_public_key
    from audit.certify.verify import contradicted, verify_certificate
    from audit.policy.policy import load_policy

    from .in_hand import in_hand

    files, held, architecture = in_hand(model)
    wanted, digest = (None, None) if policy is None else load_policy(policy)
    verified = verify_certificate(
        read_certificate(Path(certificate)),
        public_key_pem=read_public_key(Path(key)),
        model_files=files,
        held=held,
        architecture=architecture,
        policy_sha256=digest,
        policy_values=None if wanted is None else wanted.model_dump(mode="json"),
        max_age_days=max_age_days,
        now=_zoned(now),
    )
    if verified.contradiction:
        raise contradicted(verified.contradiction)
    return verified


def _zoned(now: datetime | None) -> datetime:
    if now is not None and now.tzinfo is None:
        raise UsageError("the current time needs a time zone: datetime.now(timezone.utc).")
    return now or datetime.now(UTC)
