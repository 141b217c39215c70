"""``.npy``: one array a file, inputs and labels a pair of files; larger ones than memory are mapped."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np

from audit.inputs.archive import Unsound, check_declared, header_of, values_of
from audit.inputs.naming import listed, shown
from audit.record.readonce import opened

Array = np.ndarray[Any, Any]
#: parts of a file's name that say inputs, and what says labels in their place
PARTNERS = {"x": "y", "X": "y", "images": "labels", "data": "labels", "inputs": "labels", "features": "labels"}


def read_pair(path: Path) -> tuple[dict[str, Array], list[str]]:
    """Inputs and labels of two files whose names differ by ``x`` and ``y`` (or as in ``PARTNERS``) alone.

    Raises:
        ValueError: with the remedy.
    """
    labels = labels_beside(path)
    return {"x": read_npy(path), "y": read_npy(labels)}, [f"labels of {shown(path.name)} from {shown(labels.name)}"]


def labels_beside(path: Path) -> Path:
    """The file with the labels of a file with inputs. Raises ValueError where there is none, or several."""
    partners = [other for other in _candidates(path) if other.is_file()]
    if len(partners) != 1:
        found = f"there are {listed([p.name for p in partners])}" if partners else "there is none"
        raise ValueError(
            f"{path} is one array, and its labels stand in a file whose name has y in place of x (x_forget.npy "
            f"and y_forget.npy); {found}: name the two files so, or save both with numpy.savez"
        )
    return partners[0]


def _candidates(path: Path) -> list[Path]:
    """Names of the file with the labels: one word of the name exchanged."""
    words, found = path.stem.split("_"), []
    for place, word in enumerate(words):
        if word in PARTNERS:
            found.append("_".join([*words[:place], PARTNERS[word], *words[place + 1 :]]))
            if word == "X":
                found.append("_".join([*words[:place], "Y", *words[place + 1 :]]))
    names = dict.fromkeys(path.with_name(f"{name}.npy") for name in found)
    return [name for name in names if name != path]


def read_npy(path: Path) -> Array:
    """One array, whatever its size; the header is checked against the file before anything is read.

    Raises:
        ValueError: with the remedy.
    """
    try:
        with opened(path) as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            return npy_of(stream, size)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: check the path") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): give a readable .npy file") from None
    except Unsound as error:
        raise ValueError(f"{path} {error}") from None
    except MemoryError:
        raise ValueError(f"{path} does not fit into the memory of this machine: give fewer rows") from None
    except Exception as error:  # noqa: BLE001 - headers fail in many ways, as text of Python does
        text = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(f"{path} is no readable .npy file ({shown(text)}): save it again with numpy.save") from None


def npy_of(stream: IO[bytes], size: int) -> Array:
    """The array of an open file of ``size`` bytes, in native byte order.

    Raises:
        Unsound: the header promises what the file does not hold, or objects, which are pickles.
    """
    shape, _, dtype = header_of(stream, "it")
    check_declared("it", shape, dtype, size - stream.tell(), "save it again with numpy.save")
    stream.seek(0)
    return values_of(stream, "the array")
