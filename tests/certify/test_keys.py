"""Keys: passphrases, permissions, weak public keys, and names of policies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cases.certified import PUBLIC
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.certify.keys import generate_keypair, load_private_key, public_key
from audit.certify.passphrase import DESCRIPTOR, VARIABLE
from audit.errors import UsageError
from audit.policy.policy import built_in, load_policy

P = 2**255 - 19
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826


def pem(y: int, sign: int) -> bytes:
    raw = (y | sign << 255).to_bytes(32, "little")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return Ed25519PublicKey.from_public_bytes(raw).public_bytes(serialization.Encoding.PEM, form)


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [0, 1, P - 1, ORDER_8, P - ORDER_8, P, P + 1, 2**255 - 1])
def test_weak_public_keys_are_refused(y: int, sign: int) -> None:
    with pytest.raises(UsageError, match="weak Ed25519 public key"):
        public_key(pem(y, sign))
    assert public_key(PUBLIC)


def test_a_signature_that_anybody_can_make_holds_under_a_weak_key() -> None:
    """Why they are refused: the neutral element as a key, R the neutral element, S zero, for any message."""
    neutral = (1).to_bytes(32, "little")
    try:
        Ed25519PublicKey.from_public_bytes(neutral).verify(neutral + bytes(32), b"PASS")
    except Exception:  # noqa: BLE001 - a library that refuses it does our work
        pytest.skip("this library refuses the key itself")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_private_key_that_others_can_read_is_refused_with_the_chmod(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "audit.key"
    generate_keypair(path, tmp_path / "audit.key.pub")
    path.chmod(mode)
    with pytest.raises(UsageError, match=f"chmod 600 {path}"):
        load_private_key(path)
    path.chmod(0o400)
    assert load_private_key(path)


def keygen(*flags: str, cwd: Path, fds: tuple[int, ...] = (), **variables: str) -> subprocess.CompletedProcess[str]:
    command, env = [sys.executable, "-m", "audit", "keygen", *flags], {**os.environ, **variables}
    null = subprocess.DEVNULL
    return subprocess.run(
        command, cwd=cwd, env=env, pass_fds=fds, stdin=null, capture_output=True, text=True, check=False
    )


def test_keygen_with_a_passphrase_from_environment_or_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keygen("a.key", "--passphrase", cwd=tmp_path, **{VARIABLE: "correct horse"}).returncode == 0
    read, write = os.pipe()
    os.write(write, b"correct horse\n")
    os.close(write)
    made = keygen("b.key", "--passphrase", cwd=tmp_path, fds=(read,), **{DESCRIPTOR: str(read)})
    assert made.returncode == 0, made.stderr
    for name in ("a.key", "b.key"):
        assert b"ENCRYPTED" in (tmp_path / name).read_bytes()
        monkeypatch.setenv(VARIABLE, "correct horse")
        assert load_private_key(tmp_path / name)
        monkeypatch.setenv(VARIABLE, "wrong")
        with pytest.raises(UsageError, match="does not open"):
            load_private_key(tmp_path / name)
        monkeypatch.delenv(VARIABLE)
        with pytest.raises(UsageError, match=f"set {VARIABLE}"):
            load_private_key(tmp_path / name)
    asked = keygen("c.key", "--passphrase", cwd=tmp_path)
    assert (asked.returncode, "no terminal to ask on" in " ".join(asked.stderr.split())) == (2, True)
    assert not (tmp_path / "c.key").exists()
    empty = keygen("c.key", "--passphrase", cwd=tmp_path, **{VARIABLE: ""})
    assert empty.returncode == 2


@pytest.mark.parametrize("name", ["\u0455tandard", "standard\u200b", "a\tb", " standard", "", "x\x1b[31m"])
def test_names_of_policies_are_printable_ascii(tmp_path: Path, name: str) -> None:
    import json
    from importlib import resources

    text = (resources.files("audit.policy") / "standard.toml").read_text()
    path = tmp_path / "policy.toml"
    path.write_text(text.replace('"standard"', json.dumps(name), 1), encoding="utf-8")
    with pytest.raises(UsageError, match="printable ASCII"):
        load_policy(str(path))


def test_built_in_policies_are_known_by_their_digest() -> None:
    policy, digest = load_policy("strict")
    assert built_in(digest) == policy
    assert built_in("0" * 64) is None
