"""Malformed inputs over every format that the tool reads, each made of a seed and a number alone."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from . import arrays, damage, learners, records, tables, texts, weights
from .cases import CRASH, DATA, MODELS, USAGE, Case, Family, Place, Zero, audit, swapped
from .records import DENIED, verify

#: file, flag that names it, refusals, and what an exit 0 means where bytes of it are damaged
FILES: tuple[tuple[str, str, tuple[int, ...], Zero], ...] = (
    *((f"{role}.npz", f"--{role}", (USAGE,), "same") for role in DATA),
    *((f"{name}.safetensors", f"--{name.partition('-')[0]}", (USAGE,), "plain") for name in MODELS),
    *((f"{name}.pt", f"--{name.partition('-')[0]}", (USAGE,), "plain") for name in MODELS),
    *((f"{name}-legacy.pt", f"--{name.partition('-')[0]}", (USAGE,), "plain") for name in MODELS),
    *((f"{name}.npz", "outputs", (USAGE,), "plain") for name in MODELS),
    ("audit.key", "--sign-key", (USAGE,), "same"),
    ("policy.toml", "--policy", (USAGE,), "plain"),
    ("mine.toml", "--config", (USAGE,), "plain"),
    ("ledger.jsonl", "--ledger", (USAGE, CRASH), "plain"),
    ("certificate.dsse.json", "verify", (DENIED, USAGE, CRASH), "same"),
    ("signer.pub", "verify", (DENIED, USAGE, CRASH), "same"),
)


def _command(place: Place, name: str, flag: str) -> tuple[str, ...]:
    if flag == "verify":
        return verify(place)
    arguments = audit(place)
    if flag == "outputs":
        for model in MODELS:
            arguments = swapped(arguments, f"--{model.partition('-')[0]}", str(place.folder / f"{model}.npz"))
        return arguments
    path = str(place.folder / name)
    return swapped(arguments, flag, path) if flag in arguments else (*arguments, flag, path)


def _named(name: str) -> str:
    """The file, or the set or model that it is."""
    return f"{name}|{name.partition('.')[0].partition('-')[0]}"


def damaged(place: Place) -> Case:
    """Bytes of a file are not what they were."""
    name, flag, refusals, zero = place.random.choice(FILES)
    how = place.random.choice(damage.DAMAGES)
    place.write(name, how(place.bytes_of(name), place.random))
    (place.folder / name).chmod(0o600)
    return Case(f"{name}/{how.__name__}", _command(place, name, flag), _named(name), refusals, zero)


def replaced(place: Place) -> Case:
    """Something else stands in the place of a file."""
    name, flag, refusals, _ = place.random.choice(FILES)
    stand_in = place.random.choice(damage.STAND_INS)
    arguments = _command(place, name, flag)
    stand_in(place.clear(name))
    zero: Zero = "plain" if name == "ledger.jsonl" and stand_in in (damage.missing, damage.dangling) else "never"
    return Case(f"{name}/{stand_in.__name__}", arguments, _named(name), refusals, zero)


def renamed(place: Place) -> Case:
    """The name of a file is one that no terminal can show."""
    name, flag, refusals, _ = place.random.choice([file for file in FILES if file[1].startswith("--")])
    stem, _, suffix = name.rpartition(".")
    odd = place.random.choice(("\n", "\x1b[31m", "\r", "\u202e", "\x07", "\x7f", "\udcff\udcfe", "\u2028"))
    arguments = _command(place, name, flag)
    target = place.folder / f"{stem}{odd}x.{suffix}"
    (place.folder / name).rename(target)
    return Case(f"{name}/{odd!a}", swapped(arguments, flag, str(target)), stem, refusals)


def discovered(place: Place) -> Case:
    """References and models that lie beside the forget set are no files, or none of ours."""
    folder, chance = place.folder, place.random
    name = chance.choice(("retrained-7.safetensors", "retrained.pt", "retrained-x.npz", "unlearned.safetensors"))
    chance.choice(damage.STAND_INS[:-1])(place.clear(name))
    arguments = ("run", "--forget", str(folder / "forget.npz"), "--arch", "tests.hostile.sound:network", "--dry-run")
    return Case(f"references/{name}", (*arguments, "--out", str(folder / "runs")), "retrained|unlearned")


FAMILIES: tuple[Family, ...] = (
    *arrays.FAMILIES,
    *weights.FAMILIES,
    *texts.FAMILIES,
    *records.FAMILIES,
    *tables.FAMILIES,
    *learners.FAMILIES,
    *(damaged, replaced, damaged, renamed, damaged, replaced, damaged, discovered),
)


def make(seed: int, number: int, sound: Path, folder: Path) -> Case:
    """Build one case.

    Args:
        seed: of all cases.
        number: of this one; consecutive numbers go through all families.
        sound: the folder of sound files.
        folder: a new folder, which gets a copy of them, damaged in one place.
    """
    shutil.copytree(sound, folder, ignore=shutil.ignore_patterns(".audit"))
    place = Place(sound, folder, random.Random(f"{seed}/{number}"))
    return FAMILIES[number % len(FAMILIES)](place)
