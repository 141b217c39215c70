"""Hostile configurations, policies, recipes, keys, ledgers and lists of models."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from .cases import CRASH, USAGE, Case, Family, Place, audit

DEEP = 3000


def _toml(chance: random.Random) -> bytes:
    """TOML that is none, or none that a person writes."""
    return chance.choice(
        (
            b"seed = [", b"a = " + b"[" * DEEP, b"a = " + b"{a=" * DEEP, b"x" * 10**6, b"=" * 5000,
            b"\xef\xbb\xbfseed = 1", b"seed = " + b"9" * 6000, b"seed = 0x" + b"f" * 6000, b"seed = nan",
            b"seed = inf", b"seed = -1", b"seed = true", b"seed = 1979-05-27", b"seed = 1e400", b"device = 7",
            b'device = "\\u0000"', b'device = "\xff"', b"\x00\x01\x02", "seed = 1".encode("utf-16"),
            b".".join([b"a"] * DEEP) + b" = 1", b"[" + b".".join([b"a"] * DEEP) + b"]\nb = 1",
            b'policy = "/dev/zero"', b'policy = "a\\u001b[2Jb"', b"policy = 'gone'", b"policy = ['standard']",
            b"[data]\nforget = 3", b"[data]\nforget = ['a', 'b']", b"data = 'forget.npz'", b"[data]\nextra = 'x'",
            b"[model]\nretrained = 'x'", b"[model]\nretrained = [1, 2]", b"[model]\nretrained = []\nruns = [[]]",
            b"[claim]\nkind = 'all'", b"[claim]\nsplit = 0", b"[claim]\npublic_layers = 'a'", b"[attacks]\nrun = []",
            b"[attacks]\nrun = ['gone']", b"[attacks]\nskip = [3]", b"[attacks.parameters.membership]\ngone = 1",
            b"[attacks.parameters]\ngone = 1", b"[attacks.parameters.gone]\na = 1",
            b"[attacks.parameters.probe]\npenalty = 'x'", b"[attacks.parameters.probe]\npenalty = nan",
            b"[attacks.parameters.probe]\nmax_rows = -1", b"batch_size = 0", b"batch_size = 2.5", b"out = 3",
            b"arch = 'a:b'", b"[model]\ntrust_pickle = 'no'", b"[certificate]\nsign_key = 'gone.key'",
            b"[certificate]\nsign_key = '/dev/zero'", b"[claim]\nledger = '/dev/zero'", b"[claim]\nledger = '.'",
            b"seed = 1\nseed = 2", b"[data]\n[data]\n", b"'' = 1", b'"a\\u001b[2J" = 1',
            b"[training]\nreferences = -1", b"[training]\nmax_minutes = 0", b"[training]\nreferences = 'x'",
        )
    )  # fmt: skip


def configuration(place: Place) -> Case:
    """A file for ``--config``."""
    path = place.write("mine.toml", _toml(place.random))
    return Case("config/toml", audit(place, "--config", str(path)), "mine.toml|/dev/zero|gone", zero="same")


RECIPES = (
    b"epochs = -1", b"epochs = 0", b"epochs = nan", b"epochs = inf", b"lr = 0", b"lr = nan", b"lr = inf",
    b"optimizer = 'x'", b"batch_size = 0", b"batch_size = 1.5", b"momentum = 1",
    b"nesterov = true\nmomentum = 0", b"loss = 'x'",
    b"label_smoothing = 1", b"warmup = 1", b"schedule = 3", b"augmentation = ['flip']", b"train = 'gone:f'",
    b"train = 'x'", b"train = 'os:system'\nlr = 1", b"unlearn = ':'", b"unlearn = 3", b"train = 'a\\nb'",
    b"weight_decay = -1", b"engine = 'x'", b"extra = 1", b"[recipe.lr]\na = 1",
)  # fmt: skip


def recipe(place: Place) -> Case:
    """Pieces of ``[recipe]``."""
    text = place.random.choice(RECIPES)
    path = place.write("mine.toml", b"[recipe]\n" + text + b"\n")
    named = "recipe" if text.startswith(b"[") else text.partition(b" ")[0].decode()
    return Case(f"recipe/{text.decode()[:20]}", audit(place, "--config", str(path), "--train-references", "1"), named)


def policy(place: Place) -> Case:
    """A file for ``--policy``."""
    chance = place.random
    lines = place.bytes_of("policy.toml").splitlines()
    if chance.random() < 0.4:
        content = _toml(chance)
    else:
        numbers = [i for i, line in enumerate(lines) if b" = " in line and not line.startswith((b"#", b"["))]
        at = chance.choice(numbers)
        key = lines[at].partition(b" = ")[0]
        value = chance.choice(
            (b"nan", b"-1", b"1e9", b"'x'", b"[]", b"{}", b"9" * 5000, b"inf", b"1979-05-27", b"", b"[[1]]")
        )
        lines[at] = key + b" = " + value
        content = b"\n".join(lines if chance.random() < 0.8 else [line for i, line in enumerate(lines) if i != at])
    path = place.write("policy.toml", content)
    return Case("policy/values", audit(place, "--policy", str(path)), "policy.toml", zero="plain")


def key(place: Place) -> Case:
    """A file for ``--sign-key``."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa

    chance = place.random
    made: tuple[Callable[[], bytes], ...] = (
        lambda: _private(rsa.generate_private_key(65537, 1024)),
        lambda: _private(ec.generate_private_key(ec.SECP256R1())),
        lambda: _private(ed448.Ed448PrivateKey.generate()),
        lambda: place.bytes_of("audit.key.pub"),
        lambda: place.bytes_of("audit.key").replace(b"PRIVATE", b"SECRET"),
        lambda: place.bytes_of("audit.key")[:60] + b"\n-----END PRIVATE KEY-----\n",
        lambda: b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 10**5 + b"\n-----END PRIVATE KEY-----\n",
        lambda: b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    )
    path = place.write("audit.key", chance.choice(made)())
    path.chmod(0o600)
    return Case("key/other", audit(place, "--sign-key", str(path)), "audit.key")


def _private(made: object) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return made.private_bytes(  # type: ignore[attr-defined,no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def ledger(place: Place) -> Case:
    """A ledger with a line that is none."""
    chance = place.random
    lines = place.bytes_of("ledger.jsonl").splitlines()
    at = chance.randrange(len(lines))
    document = json.loads(lines[at])
    name = chance.choice(sorted(document))
    document[name] = chance.choice((None, -1, 10**30, "x", [], {}, "0" * 64, True, 1e300, "\ud800", "\x1b[2J"))
    lines[at] = chance.choice(
        (json.dumps(document).encode(), b"[" * DEEP, b"{}", b"null", b"\xff\xfe", b"", lines[at] + lines[at])
    )
    if chance.random() < 0.2:
        lines = [lines[at]]
    path = place.write("ledger.jsonl", b"\n".join(lines) + b"\n")
    return Case("ledger/lines", audit(place, "--ledger", str(path)), "ledger.jsonl", (USAGE, CRASH), "same")


FAMILIES: tuple[Family, ...] = (configuration, recipe, policy, ledger, configuration, key)
