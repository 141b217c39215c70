"""Where a data set comes from: a file of some format, a folder, a function of the user's, or an object of a program."""

from __future__ import annotations

from pathlib import Path

from .formats.delimited import read_delimited
from .formats.hf import is_saved, read_saved
from .formats.hook import read_hook
from .formats.images import is_folder_of_pictures, read_folder
from .formats.npy import read_pair
from .formats.parquet import read_parquet
from .naming import check_name, shown
from .npz import read_npz
from .options import DataOptions, hook_of
from .raw import Raw

#: suffixes of files that hold one data set, in the order in which they are looked for
DATA_SUFFIXES = (".npz", ".npy", ".parquet", ".csv", ".tsv")
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".dill", ".bin")
FORMATS = ".npz, .npy, .parquet, .csv, a folder of pictures, a save_to_disk folder, or package.module:function"


def read_source(path: Path, options: DataOptions, where: str) -> Raw:
    """The arrays of a file, a folder, or what ``package.module:function`` returns.

    Args:
        path: where it lies.
        options: how it is read.
        where: what it is, for messages of the user's own function.

    Raises:
        ValueError: with the remedy.
    """
    spec = hook_of(path)
    if spec is not None:
        return read_hook(spec, options, where)
    check_name(path)
    if path.is_dir():
        return _folder(path, options)
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_delimited(path, options)
    if suffix == ".parquet":
        return read_parquet(path, options)
    if suffix == ".npy":
        arrays, said = read_pair(path)
        return Raw(arrays, tuple(said))
    if suffix in PICKLES:
        raise ValueError(
            f"{path} is a pickle (a Subset, a loader, a frame), and loading it would run code from the file: name a "
            "function that returns the data set (package.module:function), or save x and y with numpy.savez"
        )
    if suffix != ".npz" and path.exists():
        raise ValueError(f"{shown(str(path))} is in no format that is read: give {FORMATS}")
    return Raw(read_npz(path))


def _folder(path: Path, options: DataOptions) -> Raw:
    if is_saved(path):
        return read_saved(path, options)
    if is_folder_of_pictures(path):
        return read_folder(path, options)
    raise ValueError(
        f"{path} is a folder, but neither one of pictures (a folder a class) nor one of save_to_disk: give {FORMATS}"
    )
