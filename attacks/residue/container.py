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
