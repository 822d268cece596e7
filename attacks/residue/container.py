"""The parts of an image file: what stands beside its pixels, and what follows its end."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"

_WINDOW = bytes(1 << 15)
_PROBED_BYTES = 1 << 14  # deflate blocks are mostly shorter, so one begins within
_RECOVERED = 1 << 12
"""Bytes that must inflate in one piece to count: noise passes for deflate over some hundred."""


@dataclass(frozen=True)
class Parts:
    """Side pieces (APPn and comment segments, ancillary chunks) and bytes after the image's end."""

    pieces: tuple[bytes, ...]
    trailer: bytes


def split(content: bytes) -> Parts:
    """Take a PNG, JPEG or WebP apart; other formats and damaged files have no parts."""
    if content.startswith(PNG_MAGIC):
        return _split_png(content)
    if content.startswith(JPEG_MAGIC):
        return _split_jpeg(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _split_webp(content)
    return Parts((), b"")


def _split_png(content: bytes) -> Parts:
    pieces, position = [], len(PNG_MAGIC)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4])
        kind = content[position + 4 : position + 8]
        body = content[position + 8 : position + 8 + length]
        position += 12 + length
        if kind == b"IEND":
            return Parts(tuple(pieces), content[position:])
        if kind[:1].islower():  # ancillary
            pieces.append(body)
    return Parts(tuple(pieces), b"")


def _split_jpeg(content: bytes) -> Parts:
    pieces, position = [], 2
    while position + 4 <= len(content):
        if content[position] != 0xFF:
            # Inside a scan, to whose next marker we go: neither a stuffed 0xFF00 nor a restart.
            position = content.find(b"\xff", position)
            if position < 0 or position + 2 > len(content):
                break
            continue
        marker = content[position + 1]
        if marker == 0xD9:
            return Parts(tuple(pieces), content[position + 2 :])
        if marker == 0xFF:
            position += 1
        elif marker == 0x00 or marker == 0x01 or 0xD0 <= marker <= 0xD8:
            position += 2
        else:
            length = int.from_bytes(content[position + 2 : position + 4])
            if 0xE0 <= marker <= 0xEF or marker == 0xFE:
                pieces.append(content[position + 4 : position + 2 + length])
            position += 2 + length
    trailer = content[position + 2 :] if content[position : position + 2] == b"\xff\xd9" else b""
    return Parts(tuple(pieces), trailer)


def _split_webp(content: bytes) -> Parts:
    end = 8 + int.from_bytes(content[4:8], "little")
    pieces, position = [], 12
    while position + 8 <= min(end, len(content)):
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        if content[position : position + 4] not in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF"):
            pieces.append(content[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return Parts(tuple(pieces), content[end:])


def pictures_inside(data: bytes) -> Iterator[Image.Image]:
    """Every JPEG or PNG that begins somewhere in the data and can be decoded, as RGB."""
    position = 0
    while True:
        starts = [data.find(magic, position) for magic in (JPEG_MAGIC, PNG_MAGIC)]
        position = min((start for start in starts if start >= 0), default=-1)
        if position < 0:
            return
        try:
            with Image.open(io.BytesIO(data[position:])) as image:
                yield image.convert("RGB")
        except (OSError, SyntaxError, ValueError, UnidentifiedImageError):
            pass
        except Image.DecompressionBombError:
            return
        position += 3


def recoverable_deflate(trailer: bytes) -> int:
    """Bytes of pixel data that the tail of a longer, overwritten PNG still yields; 0 for none.

    CVE-2023-21036 ("aCropalypse"): an editor writes a shorter PNG over a longer one without
    cutting the file, and the old compressed stream goes on after the new end. Its beginning is
    lost, so every bit position is tried as the start of a deflate block, over an unknown window.
    """
    stream = _old_idat(trailer)
    number = int.from_bytes(stream, "little")
    for shift in range(8):
        shifted = (number >> shift).to_bytes(len(stream), "little")
        for start in range(min(len(shifted), _PROBED_BYTES)):
            inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_WINDOW)
            try:
                recovered = inflater.decompress(shifted[start : start + _PROBED_BYTES])
            except zlib.error:
                continue
            if len(recovered) >= _RECOVERED:
                rest = shifted[start + _PROBED_BYTES :]
                try:
                    return len(recovered) + len(inflater.decompress(rest))
                except zlib.error:
                    return len(recovered)
    return 0


def _old_idat(trailer: bytes) -> bytes:
    """Compressed bytes of the old file: the end of a chunk cut in two, then whole chunks."""
    first = trailer.find(b"IDAT")
    if first < 0:
        return trailer if b"IEND" in trailer else b""
    stream, position = [trailer[: max(first - 8, 0)]], first - 4
    while position >= 0 and trailer[position + 4 : position + 8] == b"IDAT":
        length = int.from_bytes(trailer[position : position + 4])
        stream.append(trailer[position + 8 : position + 8 + length])
        position += 12 + length
    return b"".join(stream)
