"""What the generator of hostile inputs makes: one case is one command on one file that is not what it should be."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

#: what may stand behind an exit 0: nothing; the content of the sound file; numbers that are plain and finite
Zero = Literal["never", "same", "plain"]
USAGE, CRASH = 2, 4


@dataclass(frozen=True)
class Case:
    """One command on one hostile file.

    Attributes:
        family: which kind of damage, ``format/damage``.
        arguments: of the command line.
        named: what the message must name.
        refusals: exit codes of a refusal that are documented for this command and file.
        zero: what an exit 0 would mean.
    """

    family: str
    arguments: tuple[str, ...]
    named: str
    refusals: tuple[int, ...] = (USAGE,)
    zero: Zero = "never"


@dataclass(frozen=True)
class Place:
    """Where a case is built: a copy of the sound case, damaged in one place.

    Attributes:
        sound: the folder of sound files, only read.
        folder: the copy.
        random: all chance of this case.
    """

    sound: Path
    folder: Path
    random: random.Random

    def bytes_of(self, name: str) -> bytes:
        """Content of a sound file."""
        return (self.sound / name).read_bytes()

    def write(self, name: str, content: bytes) -> Path:
        """Put content in the place of a file."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def clear(self, name: str) -> Path:
        """Remove a file, so that something else can stand there."""
        path = self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        return path


Family = Callable[[Place], Case]

DATA = ("forget", "retain", "holdout", "test")
MODELS = ("unlearned", "original", "retrained-0")


def audit(place: Place, *more: str) -> tuple[str, ...]:
    """The dry run of the networks' case, every file named."""
    folder = place.folder
    files = [part for role in DATA for part in (f"--{role}", str(folder / f"{role}.npz"))]
    for name in MODELS:
        files += [f"--{name.partition('-')[0]}", str(folder / f"{name}.safetensors")]
    return ("run", *files, "--arch", "tests.hostile.sound:network", "--out", str(folder / "runs"), "--dry-run", *more)


def swapped(arguments: tuple[str, ...], flag: str, value: str) -> tuple[str, ...]:
    """The same command with another value of one flag."""
    at = arguments.index(flag)
    return (*arguments[: at + 1], value, *arguments[at + 2 :])
