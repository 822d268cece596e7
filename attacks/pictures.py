"""Pictures as everything here takes them: RGB, uint8, `(H, W, 3)`, from memory or from a file."""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps

from reid_audit.metrics.errors import InputError, MissingFile

Picture = NDArray[np.uint8]
"""RGB, uint8, `(H, W, 3)`."""
FORMATS = (
    *("PNG", "JPEG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "AVIF", "HEIF", "JPEG2000"),
    *("PPM", "TGA", "PCX", "SGI", "QOI"),
)
"""What is decoded, whatever a file's ending says; formats that start other programs are not."""
MAX_FILE_BYTES = 2**30
DAMAGE: tuple[type[Exception], ...] = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError),
    *(AttributeError, AssertionError, RuntimeError, NotImplementedError, struct.error),
    *(zlib.error, Image.DecompressionBombError, cv2.error),
)
"""By what decoders report damaged data, according to the format."""
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")

Image.init()
pillow_heif.register_heif_opener()  # Pillow reads HEIC through a plug-in that has to be named


def check_file(path: Path) -> None:
    """Whether a path leads to a file worth reading; a pipe or a device would never end.

    Raises:
        InputError: missing, no regular file, empty, or above 1 GiB. The message names no path.
    """
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise MissingFile("no such file; correct the path.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        told = getattr(error, "strerror", None) or "no path"
        raise InputError(f"cannot be read ({told}); correct the path.") from None
    if not stat.S_ISREG(facts.st_mode):
        raise InputError("not a file; give the path of a picture.")
    if facts.st_size == 0:
        raise InputError("the file is empty; replace or remove it.")
    if facts.st_size > MAX_FILE_BYTES:
        raise InputError(
            f"{facts.st_size} bytes is above the limit of {MAX_FILE_BYTES}; store it smaller."
        )


def check_picture(picture: object, what: str = "The picture") -> Picture:
    """The picture itself, if it is one.

    Raises:
        InputError: no RGB array of 8-bit values; the sentence says what it is and how to mend it.

    >>> check_picture(np.zeros((4, 4, 3), np.uint8)).shape
    (4, 4, 3)
    """
    if not isinstance(picture, np.ndarray):
        raise InputError(
            f"{what} is of type {type(picture).__name__}; give a NumPy array (H, W, 3) of uint8."
        )
    if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise InputError(
            f"{what} has the shape {picture.shape}; give RGB as (H, W, 3), height and width first."
        )
    if picture.dtype != np.uint8:
        hint = "multiply by 255, round and convert" if picture.dtype.kind == "f" else "convert"
        raise InputError(
            f"{what} has values of type {picture.dtype}; give uint8 from 0 to 255 ({hint} it)."
        )
    return picture


def read_picture(path: Path) -> Picture:
    """A file as upright RGB.

    Raises:
        InputError: no file, or none that can be read as a picture; the message names it.
    """
    try:
        check_file(path)
        with Image.open(path, formats=FORMATS) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None
    except MemoryError:
        raise InputError(f"{path}: decoding it takes too much memory; scale it down.") from None
    except DAMAGE as error:
        raise InputError(f"{path}: not a picture that can be read; replace it.") from error


def picture_files(folder: Path) -> Iterator[Path]:
    """Picture files below a folder, sorted by path; hidden ones are passed over."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in ENDINGS and not hidden and path.is_file():
            yield path
