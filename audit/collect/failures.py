"""What files that may be shared say of an error: its type, and where its text is kept, which may quote rows."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from attacks.base import Attack, Malformed, NotApplicable
from attacks.plugins import distribution_of

LOG = "private/errors.log"


@dataclass(frozen=True)
class Failure:
    """An attack that did not run.

    Attributes:
        reason: for files that may be shared.
        title: what the reason refers to in ``private/errors.log``.
        text: the whole text with its traceback, for that file alone; "" where the reason says it all.
    """

    reason: str
    title: str
    text: str = ""


def failure(error: Exception, attack: type[Attack], where: str) -> Failure:
    """An error of an attack, or of the user's network under it.

    Args:
        error: what was raised.
        attack: the attack that was running.
        where: ``on <model>``, or ``in scoring``.
    """
    title = f"{attack.name} {where}"
    if isinstance(error, Malformed):  # our own words
        return Failure(f"{type(error).__name__} {where}: {error}", title, _whole(error))
    return Failure(f"{kind_of(error)} {where}: its text is in {LOG} ({title})", title, _whole(error))


def skip(reason: NotApplicable, attack: type[Attack], where: str) -> Failure:
    """An attack that has no meaning here. Our attacks say so in fixed words; those of plug-ins may say anything."""
    title = f"{attack.name} {where}"
    if not distribution_of(attack):
        return Failure(str(reason), title)
    return Failure(f"not applicable {where}: the plug-in's words are in {LOG} ({title})", title, _whole(reason))


def kind_of(error: BaseException) -> str:
    """Name of the type of an error, where it is a name at all: a class of the user's may be called anything."""
    name = type(error).__name__
    return name if name.isascii() and name.isidentifier() and len(name) <= 60 else "an exception"


def _whole(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
