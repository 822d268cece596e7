"""Facts from a file's header: codec, quality, bit depth."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.attacks.pictures import DAMAGE, FORMATS
from reid_audit.metrics.errors import InputError

TIFF = (b"II*\0", b"MM\0*")
_BITS = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 32, "F": 32}


def read_encoded(source: str | Path | bytes) -> EncodedInfo:
    """Header facts of a picture file, given as a path or as its bytes.

    Raises:
        InputError: not a picture that can be read.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    label = "these bytes" if isinstance(source, bytes) else f"{source}"
    try:
        with Image.open(stream, formats=FORMATS) as image:
            codec = (image.format or "unknown").lower()
            bits = _BITS.get(image.mode, 8)
            if codec == "png":
                bits = max(bits, _png_bits(source))
            # Pillow hands tables out in the frequencies' natural order, not in zigzag.
            raw = getattr(image, "quantization", None) or {}
            tables = tuple(np.array(table, float).reshape(8, 8) for _, table in sorted(raw.items()))
    except DAMAGE as error:
        tiff = isinstance(error, UnidentifiedImageError) and _head(source, 4) in TIFF
        if tiff:  # of a kind that other readers know
            return EncodedInfo("tiff")
        raise InputError(f"{label}: not a readable picture; give a JPEG, PNG or WebP.") from error
    quality = jpeg_quality(tables[0]) if tables else None
    lossless = {"png": True, "bmp": True, "gif": True, "jpeg": False}.get(codec)
    return EncodedInfo(codec, bits, quality, tables, lossless)


def stored_alike(picture: np.ndarray, source: str | Path | bytes) -> np.ndarray | None:
    """`picture` `(H, W, 3)` uint8 after being stored as a JPEG file was: with its tables and its
    subsampling of colours. None where `source`, a path or bytes, is no JPEG or cannot be read.

    What a codec did to the untouched parts of a file is known by doing it to the original.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            tables = getattr(image, "quantization", None)
            if image.format not in ("JPEG", "MPO") or not tables:
                return None
            sampling = JpegImagePlugin.get_sampling(image)
            grey = image.mode == "L"
    except (OSError, UnidentifiedImageError, ValueError):
        return None
    stored = Image.fromarray(picture)
    if grey:
        stored, sampling = stored.convert("L"), -1
    content = io.BytesIO()
    stored.save(content, "JPEG", qtables=tables, subsampling=sampling)
    with Image.open(content) as again:
        return np.asarray(again.convert("RGB"), np.uint8)


def _png_bits(source: str | Path | bytes) -> int:
    """Bits per sample from the IHDR chunk: Pillow silently reduces 16-bit colour to 8."""
    head = _head(source, 26)
    return head[24] if len(head) > 24 else 8


def _head(source: str | Path | bytes, size: int) -> bytes:
    if isinstance(source, bytes):
        return source[:size]
    with Path(source).open("rb") as file:
        return file.read(size)


@cache
def standard_luma(quality: int) -> np.ndarray:
    """Luma steps `(8, 8)` that libjpeg uses at a quality from 1 to 100."""
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "jpeg", quality=quality)
    with Image.open(stream) as image:
        tables: dict[int, list[int]] = getattr(image, "quantization", {})
        return np.array(tables[0], np.float64).reshape(8, 8)


def jpeg_quality(table: np.ndarray) -> int:
    """Quality whose standard luma table is nearest to `table` in log steps.

    >>> jpeg_quality(standard_luma(75))
    75
    """
    distance = [np.abs(np.log(standard_luma(q) / table)).sum() for q in range(1, 101)]
    return int(np.argmin(distance)) + 1
