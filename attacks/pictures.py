"""Pictures as everything here takes them: RGB, uint8, `(H, W, 3)`, from memory or from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from reid_audit.metrics.errors import InputError

Picture = NDArray[np.uint8]
"""RGB, uint8, `(H, W, 3)`."""
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


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
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; correct the path.") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a picture that can be read; replace it.") from error


def picture_files(folder: Path) -> Iterator[Path]:
    """Picture files below a folder, sorted by path; hidden ones are passed over."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in ENDINGS and not hidden and path.is_file():
            yield path
