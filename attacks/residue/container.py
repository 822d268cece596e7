"""The parts of an image file: what stands beside its pixels, and what follows its end.

Every function reads the bytes once, whatever they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"

_NEXT_MARKER = re.compile(rb"\xff+[^\x00\x01\xff\xd0-\xd8]", re.DOTALL)
"""Where a scan of a JPEG ends: neither a stuffed 0xFF00 nor a restart."""


_MOST_PARTS = 4_000
"""Chunks or segments of a picture inside another file; those that writers make have hundreds."""


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


def end_of_picture(data: bytes, start: int) -> int | None:
    """Where a PNG, JPEG or WebP that begins at `start` ends by its own structure: the end of the
    data where it is cut short; None where it holds no pixels before that, or more parts than any
    writer makes."""
    if data.startswith(PNG_MAGIC, start):
        return _png_end(data, start)
    if data.startswith(JPEG_MAGIC, start):
        return _jpeg_end(data, start)
    if data[start : start + 4] == b"RIFF" and data[start + 8 : start + 12] == b"WEBP":
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        return min(start + 8 + size, len(data))
    return None


def _png_end(data: bytes, start: int) -> int | None:
    position, pixels = start + len(PNG_MAGIC), False
    for _ in range(_MOST_PARTS):
        if position + 12 > len(data):
            return len(data) if pixels else None
        kind = data[position + 4 : position + 8]
        position += 12 + int.from_bytes(data[position : position + 4])
        pixels = pixels or kind == b"IDAT"
        if kind == b"IEND":
            return min(position, len(data)) if pixels else None
    return None


def _jpeg_end(data: bytes, start: int) -> int | None:
    position, pixels = start + 2, False
    for _ in range(_MOST_PARTS):
        match = _NEXT_MARKER.search(data, position)
        if match is None:
            return len(data) if pixels else None
        marker, position = match[0][-1], match.end()
        if marker == 0xD9:
            return position if pixels else None
        pixels = pixels or marker == 0xDA
        position += int.from_bytes(data[position : position + 2])
    return None


def _split_png(content: bytes) -> Parts:
    pieces: list[bytes] = []
    position = len(PNG_MAGIC)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4])
        kind = content[position + 4 : position + 8]
        body = content[position + 8 : position + 8 + length]
        position += 12 + length
        if kind == b"IEND":
            return Parts(tuple(pieces), content[position:])
        if kind[:1].islower() and kind != b"fdAT":  # ancillary, but no frame of an animation
            pieces.append(body)
    return Parts(tuple(pieces), b"")


def _split_jpeg(content: bytes) -> Parts:
    pieces: list[bytes] = []
    position = 2
    while (match := _NEXT_MARKER.search(content, position)) is not None:
        marker, position = match[0][-1], match.end()
        if marker == 0xD9:
            return Parts(tuple(pieces), content[position:])
        length = int.from_bytes(content[position : position + 2])
        if 0xE0 <= marker <= 0xEF or marker == 0xFE:
            pieces.append(content[position + 2 : position + length])
        position += length
    return Parts(tuple(pieces), b"")


def _split_webp(content: bytes) -> Parts:
    end = 8 + int.from_bytes(content[4:8], "little")
    pieces: list[bytes] = []
    position = 12
    while position + 8 <= min(end, len(content)):
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        if content[position : position + 4] not in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF"):
            pieces.append(content[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    return Parts(tuple(pieces), content[end:])
