"""Every check of one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from reid_audit.attacks.residue.base import Residue, Severity
from reid_audit.attacks.residue.container import (
    JPEG_MAGIC,
    PNG_MAGIC,
    pictures_inside,
    recoverable_deflate,
    split,
)
from reid_audit.attacks.residue.metadata import metadata_residues
from reid_audit.attacks.residue.pixels import Detector, alpha_residues, context, missed_faces
from reid_audit.metrics.errors import InputError


def inspect(
    path: Path,
    picture: np.ndarray | None = None,
    *,
    regions: Sequence[Sequence[float]] | None = None,
    detect: Detector | None = None,
) -> tuple[Residue, ...]:
    """Find what an anonymised file gives away beside its anonymised pixels.

    Looks for embedded pictures that differ from the visible one, names, places, times and devices
    in EXIF, XMP, IPTC and text chunks, face boxes, data after the end of the image (another
    picture, or the compressed rest of an overwritten one), further frames, and colours under
    transparency. Given the anonymised `regions` (boxes x0, y0, x1, y1 in the upright picture), also
    how much lies outside them, and with `detect` the faces there.

    Args:
        picture: the decoded upright picture `(H, W, 3)` uint8, where the caller has it.

    Raises:
        InputError: the file cannot be read as a picture.
    """
    try:
        content = path.read_bytes()
        with Image.open(path) as image:
            return tuple(_inspect(content, image, picture, regions, detect))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable picture; replace or remove it.") from error


def _inspect(
    content: bytes,
    image: Image.Image,
    picture: np.ndarray | None,
    regions: Sequence[Sequence[float]] | None,
    detect: Detector | None,
) -> Iterator[Residue]:
    parts = split(content)
    yield from metadata_residues(image, parts)
    if parts.trailer.strip(b"\0"):
        yield _trailer(content, parts.trailer)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        yield Residue(
            "frames", Severity.MEDIUM, f"The file holds {frames} pictures; viewers show the first."
        )
        image.seek(0)
    yield from alpha_residues(image)
    if regions:
        if picture is None:
            picture = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        yield from context(picture, regions)
        if detect is not None:
            yield from missed_faces(picture, regions, detect)


def _trailer(content: bytes, trailer: bytes) -> Residue:
    """The one residue that data after the end of the image is."""
    amount = f"{len(trailer)} bytes follow the end of the image"
    if next(pictures_inside(trailer), None) is not None:
        return Residue("trailing-data", Severity.HIGH, f"{amount} and hold another picture.")
    if content.startswith(PNG_MAGIC) and (recovered := recoverable_deflate(trailer)):
        return Residue(
            "trailing-data",
            Severity.HIGH,
            f"{amount}; {recovered} bytes of pixel data of an overwritten picture can be "
            "decompressed from them (as in CVE-2023-21036).",
        )
    if content.startswith(JPEG_MAGIC) and trailer.rstrip(b"\0").endswith(b"\xff\xd9"):
        return Residue(
            "trailing-data",
            Severity.HIGH,
            f"{amount} and end as a JPEG does: the rest of an overwritten picture "
            "(as in CVE-2023-21036).",
        )
    return Residue("trailing-data", Severity.MEDIUM, f"{amount}.")
