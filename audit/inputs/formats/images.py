"""Folders of pictures, a folder a class, decoded by Pillow (extra ``images``)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from audit.inputs.naming import check_name, listed, shown
from audit.inputs.options import DataOptions, needs
from audit.inputs.raw import Raw
from audit.inputs.spool import gathered
from audit.inputs.usercode import describe
from audit.record.readonce import opened

Array = np.ndarray[Any, Any]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
MOST_PIXELS = 2**25  # of one picture; our choice: the header is looked at before anything is decoded
COLOURS = {"RGB": "RGB", "RGBA": "RGB", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "L": "L", "1": "L", "LA": "L"}


def is_folder_of_pictures(path: Path) -> bool:
    """Whether some folder in it holds a picture."""
    return any(file.suffix.lower() in SUFFIXES for folder in _folders(path) for file in folder.iterdir())


def read_folder(path: Path, options: DataOptions) -> Raw:
    """All pictures, classes and files in the order of their names; labels are the names of the folders.

    Raises:
        ValueError: with the remedy.
    """
    found = [(file, folder.name) for folder in _folders(path) for file in _files(folder)]
    if not found:
        raise ValueError(
            f"{path} holds no folder with pictures: make a folder a class with files {', '.join(SUFFIXES)}"
        )

    def blocks() -> Iterator[Array]:
        for file, _ in found:
            check_name(file)
            try:
                with opened(file) as stream:
                    yield stacked([decoded(stream, str(file), options.size)], str(path))
            except OSError as error:
                raise ValueError(f"{file} cannot be read ({error.strerror}): give a readable picture") from None

    try:
        x = gathered(blocks(), "pictures")
    except ValueError as error:
        if "rows of shape" not in str(error):
            raise
        raise ValueError(
            f"{path}: its pictures differ in size or in colour: convert them alike, or declare one size ([data] size = "
            "[height, width])"
        ) from None
    said = [f"pictures of {shown(path.name)} are read in the order of their names, channels first, as bytes"]
    if options.size:
        said.append(f"pictures are resized to {options.size[0]} x {options.size[1]}, bilinear")
    return Raw({"x": x, "y": np.array([name for _, name in found])}, tuple(said), pictures=True)


def decoded(stream: IO[bytes], where: str, size: tuple[int, int] | None) -> Array:
    """One picture, (1, height, width) where it is grey, else (3, height, width), uint8: as ToTensor of torchvision.

    Args:
        stream: its bytes.
        where: for messages.
        size: height and width to resize to.

    Raises:
        ValueError: with the remedy.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise needs("Pillow", "images", f"{where} is a picture, which") from None
    try:
        with warnings.catch_warnings(), _strictly():
            warnings.simplefilter("ignore")  # odd EXIF; the size is looked at below
            with Image.open(stream, formats=FORMATS) as image:
                _check(image, where)
                plain = image.convert(COLOURS[image.mode])
                if size is not None:
                    plain = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    except Unfit:
        raise
    except UnidentifiedImageError:
        raise ValueError(f"{where} is no picture in {', '.join(FORMATS)}: save it again") from None
    except Exception as error:  # noqa: BLE001 - a parser of the library's
        raise ValueError(f"{where} is a damaged picture ({describe(error)}): save it again") from None
    array = np.asarray(plain)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


class Unfit(ValueError):
    """A sound picture that is not read, with the remedy."""


def _check(image: Any, where: str) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise Unfit(f"{where} declares {image.width} x {image.height} pixels, over {MOST_PIXELS}: give smaller ones")
    if image.mode not in COLOURS:
        raise Unfit(f"{where} is a picture of mode {image.mode}: save 8-bit grey or RGB")


@contextmanager
def _strictly() -> Iterator[None]:
    """Truncated pictures are refused, whatever another library of the process told Pillow (WeasyPrint does)."""
    from PIL import ImageFile

    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def stacked(pictures: Sequence[Array], where: str) -> Array:
    """(n, ...) of pictures of one size. Raises ValueError where they differ."""
    if len({picture.shape for picture in pictures}) > 1:
        raise ValueError(f"{where}: its pictures differ in size or in colour: convert them alike")
    return np.stack(pictures)


def _folders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    foreign = [file.name for file in files if file.suffix.lower() not in SUFFIXES]
    if foreign:
        raise ValueError(f"{folder} holds {listed(foreign)}, which are no pictures: take them out")
    return files
