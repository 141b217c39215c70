"""Hostile records: certificates, public keys, and what lies in a run directory."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import damage
from .cases import CRASH, USAGE, Case, Family, Place, Zero

DENIED = 1  # of ``audit verify``: a certificate that does not hold
#: what a judgement rests on; the rest of ``private/`` is not read by ``audit score``
READ = ("private/evidence/", "private/signals/", "private/commitments.json", "private/kept.seal", "private/project")
SCRAP: tuple[Any, ...] = (None, -1, 10**25, 1e308, "", "x" * 10**5, "\ud800", "\x1b[2J", [], {}, [[]], True, "0" * 64)


def verify(place: Place) -> tuple[str, ...]:
    folder = place.folder
    models = [part for path in sorted((folder / "certified").iterdir()) for part in ("--model", str(path))]
    return ("verify", str(folder / "certificate.dsse.json"), "--key", str(folder / "signer.pub"), *models)


def envelope(place: Place) -> Case:
    """A certificate with one place changed, or another payload."""
    chance = place.random
    document = json.loads(place.bytes_of("certificate.dsse.json"))
    where = chance.choice(("payload", "payloadType", "signatures", "sig", "keyid", "extra", "statement"))
    scrap = chance.choice(SCRAP)
    if where in ("sig", "keyid"):
        document["signatures"][0][where] = scrap
    elif where == "statement":
        statement = json.loads(base64.b64decode(document["payload"]))
        statement[chance.choice(sorted(statement))] = scrap
        document["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    else:
        document[where] = scrap
    text = json.dumps(document)
    nested = chance.choice((text, text, text, "[" * 10**5, '{"a":' * 10**5, text[:-1] + ',"payload":""}', text * 2))
    place.write("certificate.dsse.json", nested.encode())
    return Case(f"certificate/{where}", verify(place), "certificate.dsse.json", (DENIED, USAGE, CRASH), "same")


def public_key(place: Place) -> Case:
    """A public key that is none, or one that nobody made."""
    chance = place.random
    weak = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + bytes(32)).decode()
    made: tuple[Callable[[], bytes], ...] = (
        lambda: place.bytes_of("audit.key"),
        f"-----BEGIN PUBLIC KEY-----\n{weak}\n-----END PUBLIC KEY-----\n".encode,
        lambda: b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 10**5 + b"\n-----END PUBLIC KEY-----\n",
        lambda: place.bytes_of("signer.pub")[:-40],
        lambda: place.bytes_of("signer.pub").replace(b"PUBLIC", b"RSA PUBLIC"),
    )
    place.write("signer.pub", chance.choice(made)())
    return Case("public key/other", verify(place), "signer.pub", (DENIED, USAGE, CRASH))


def run_of(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def _judged(run: Path) -> list[str]:
    """Everything that ``audit score`` reads, by its name in the run."""
    private = [str(path.relative_to(run)) for path in sorted((run / "private").rglob("*")) if path.is_file()]
    return ["run.json", "config.toml", *(name for name in private if name.startswith(READ) and not _skipped(name))]


def _skipped(name: str) -> bool:
    """Seals of signals serve a run that goes on, not a judgement."""
    return name.startswith("private/signals/") and name.endswith(".seal")


def _command(place: Place, family: str) -> tuple[Path, Case]:
    """A command on a run, one file that it reads, and the case."""
    run = run_of(place.folder)
    if place.random.random() < 0.4:
        arguments, names = ("report", str(run), "-f", "markdown"), ["run.json", "certificate.dsse.json"]
    else:
        arguments, names = ("score", str(run), "--policy", "screening"), _judged(run)
    if family == "place":
        names = [name for name in names if name.endswith(".json")]
    name = place.random.choice(names)
    zero: Zero = "same" if name == "certificate.dsse.json" else "never"
    said = Case(f"{arguments[0]}/{family} {name}", arguments, f"{run.name}|project key", (USAGE, CRASH), zero)
    return run / name, said


def run_file(place: Place) -> Case:
    """One file of a run directory is damaged, or something else stands there."""
    path, case = _command(place, "damaged")
    content = path.read_bytes()
    path.unlink()
    if place.random.random() < 0.3:
        place.random.choice(damage.STAND_INS)(path)
    else:
        path.write_bytes(place.random.choice(damage.DAMAGES)(content, place.random))
    return case


def record(place: Place) -> Case:
    """A JSON file of a run directory with one place changed."""
    chance = place.random
    path, case = _command(place, "place")
    document = json.loads(path.read_bytes())
    if isinstance(document, dict) and document:
        document[chance.choice(sorted(document))] = chance.choice(SCRAP)
    text = chance.choice((json.dumps(document), json.dumps(document), "[" * 10**5, "null", "[]", '{"a": NaN}'))
    path.write_bytes(text.encode())
    return case


FAMILIES: tuple[Family, ...] = (envelope, run_file, record, envelope, public_key, run_file)
