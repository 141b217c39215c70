"""Opening a commitment: proof that a data set is the one that a certificate commits to."""

from __future__ import annotations

import hmac
from pathlib import Path

from audit.errors import CouldNotRun, InputError, UsageError
from audit.inputs.given import Given
from audit.inputs.set_files import possible_sets, read_data
from audit.record.digest import KEY_BYTES
from audit.record.readonce import read_once

from .certificate import EXTENSION
from .envelope import CertificateError, open_envelope, parse_json
from .keys import public_key


def opens(envelope: bytes, *, public_key_pem: bytes, opening: Path, data: Path | Given, role: str) -> bool:
    """Whether a data file is the certificate's data set of this role.

    The signature is checked first; validity dates and the model do not matter here. The comparison is of HMAC-SHA256
    over the content (names, types, shapes, values), not over the file: the same arrays saved again match.

    Args:
        envelope: the bytes of the certificate.
        public_key_pem: the signer's public key.
        opening: the commitment key, 32 bytes.
        data: the file of the set; or the case as it was configured, where lists or options decide what a set is.
        role: forget, retain, holdout, test, auxiliary or concepts.

    Raises:
        CertificateError: the certificate does not hold, or is not one of ours.
        CouldNotRun: the opening is not there (destroyed, perhaps) or is no key.
        InputError: the data file cannot be used.
        UsageError: the certificate commits to no such data set.
    """
    statement = parse_json(open_envelope(envelope, public_key(public_key_pem)), "the statement")
    try:
        commitments = statement["predicate"][EXTENSION]["commitments"]
        known = {str(name): str(value) for name, value in commitments.items()}
    except (KeyError, TypeError, AttributeError):
        raise CertificateError("the certificate holds no commitments: it is none of this tool's audits.") from None
    if role not in known:
        raise UsageError(f"the certificate commits to no {role} set: name one of {', '.join(sorted(known))}.")
    try:
        key = read_once(opening, KEY_BYTES + 1)
    except FileNotFoundError:
        raise CouldNotRun(
            f"no opening at {opening}: name the run's private/commitment.key. Where `audit purge` destroyed it, the "
            "commitment can never be opened again."
        ) from None
    except OSError as error:
        raise CouldNotRun(f"cannot read {opening} ({error.strerror}): make it readable.") from error
    if len(key) != KEY_BYTES:
        raise CouldNotRun(f"{opening} is no commitment key, which has exactly {KEY_BYTES} bytes: name the right file.")
    try:
        sets = [read_data(data, need_inputs=False)] if isinstance(data, Path) else possible_sets(data, role)
    except ValueError as error:
        raise InputError(str(error).splitlines()) from None
    return any(hmac.compare_digest(found.fingerprint(key), known[role]) for found in sets)
