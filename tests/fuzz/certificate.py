"""Coverage-guided fuzzing of the certificate reader: ``make fuzz`` (atheris), or ``--runs N``.

Whatever the bytes: a `CertificateError`, or the payload that was signed. A second target signs the bytes first, so that
the checks behind the signature see them too. The seeds are the golden certificates and their payloads.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["audit.certify.envelope", "audit.certify.verify"]):
    from audit.certify.envelope import CertificateError, open_envelope, sign
    from audit.certify.verify import verify_certificate

from cases.certified import ENVELOPE, ISSUED, KEY, PUBLIC

GOLDEN = Path(__file__).parents[1] / "golden"
SIGNED = {base64.b64decode(json.loads(ENVELOPE)["payload"])}
SIGNED |= {base64.b64decode(json.loads(p.read_bytes())["payload"]) for p in GOLDEN.glob("certificate-*.json")}


def target(data: bytes) -> None:
    """One input: as an envelope, and as a signed payload."""
    try:
        payload = open_envelope(data, KEY.public_key())
    except CertificateError:
        pass
    else:
        if payload not in SIGNED:
            raise RuntimeError("a payload that was never signed was accepted")
    try:
        verify_certificate(sign(data, KEY), public_key_pem=PUBLIC, model_files=[], now=ISSUED + timedelta(days=1))
    except CertificateError:
        return
    raise RuntimeError("a certificate was accepted without any model file")


def main() -> None:
    """Run libFuzzer; a finding ends it with a traceback and the input in a file."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=0, help="inputs; 0 = until --seconds are over")
    options.add_argument("--seconds", type=int, default=120)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for path in GOLDEN.glob("certificate-*.json"):
            (Path(folder) / path.name).write_bytes(path.read_bytes())
            (Path(folder) / f"{path.name}.payload").write_bytes(
                base64.b64decode(json.loads(path.read_bytes())["payload"])
            )
        limits = [f"-runs={given.runs}"] if given.runs else [f"-max_total_time={given.seconds}"]
        atheris.Setup([sys.argv[0], *limits, "-max_len=20000", "-timeout=10", folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
