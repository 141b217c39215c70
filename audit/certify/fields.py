"""Reading a signed statement: a malformed part is refused with its name, never met with a crash."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from audit.policy.policy import Policy

from .certificate import TIME_FORMAT
from .envelope import ASK, CertificateError

CLOCK_SKEW = timedelta(minutes=5)

_Field = TypeVar("_Field")


def field(container: object, key: str, kind: type[_Field]) -> _Field:
    """A member of an object, of one type. Raises CertificateError where it is not there."""
    value = container.get(key) if isinstance(container, dict) else None
    if not isinstance(value, kind):
        raise CertificateError(f"the statement has no valid {key!r}: {ASK}")
    return value


def policy_of(configuration: list[Any], extension: dict[str, Any]) -> tuple[str, str]:
    """Name and digest of the policy, as far as the certificate says one of each."""
    found = [item for item in configuration if field(item, "name", str) == "policy"]
    digests = [field(field(item, "digest", dict), "sha256", str) for item in found]
    if len(found) != 1 or not re.fullmatch("[0-9a-f]{64}", digests[0]):
        return "", ""
    named, annotations = extension.get("policy"), found[0].get("annotations")
    name = named.get("name") if isinstance(named, dict) else None
    if name is None and isinstance(annotations, dict):  # before version 1.2
        name = annotations.get("title")
    return (name if isinstance(name, str) else ""), digests[0]


def version_of(extension: dict[str, Any], known: Policy | None) -> int | None:
    """Version of the policy: of the one that ships with the tool, else as the signer stated it, or None."""
    if known is not None:
        return known.version
    named = extension.get("policy")
    values = named.get("values") if isinstance(named, dict) else None
    stated = values.get("version") if isinstance(values, dict) else None
    return stated if type(stated) is int else None


def time_of(extension: dict[str, Any], key: str) -> datetime:
    """A time in the one form that the tool writes. Raises CertificateError where it is none."""
    text = field(extension, key, str)
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
            raise ValueError
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise CertificateError(f"the certificate's {key} is no UTC time: {ASK}") from None


def check_dates(issued: datetime, expires: datetime, max_age_days: int | None, now: datetime) -> None:
    """Not expired, not too old, not dated ahead. Raises CertificateError where one of these does not hold."""
    if now >= expires:
        raise CertificateError(f"the certificate expired on {expires:{TIME_FORMAT}}: audit the model again.")
    if max_age_days is not None and (now - issued) / timedelta(days=1) > max_age_days:
        raise CertificateError(
            f"the certificate is older than {max_age_days} days (issued {issued:{TIME_FORMAT}}): audit the model again."
        )
    if issued - now > CLOCK_SKEW:
        raise CertificateError(
            f"the certificate is dated in the future ({issued:{TIME_FORMAT}}): check the clocks here and at "
            "the signer's."
        )
