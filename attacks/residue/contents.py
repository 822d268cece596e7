"""Pictures, films and archives that begin somewhere in a run of bytes."""

from __future__ import annotations

import base64
import binascii
import heapq
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from PIL import Image
from PIL.ContainerIO import ContainerIO

from reid_audit.attacks.residue.container import JPEG_MAGIC, PNG_MAGIC, end_of_picture

Kind = Literal["picture", "film", "archive"]

_BEGINNINGS: tuple[tuple[bytes, Kind], ...] = (
    *((JPEG_MAGIC, "picture"), (PNG_MAGIC, "picture"), (b"WEBP", "picture")),
    *((b"AVI ", "film"), (b"\x1aE\xdf\xa3", "film"), (b"ftyp", "film")),
    *((b"PK\x03\x04", "archive"), (b"Rar!\x1a\x07", "archive")),
    *((b"7z\xbc\xaf\x27\x1c", "archive"), (b"%PDF-", "archive")),
)
FORMATS = ("JPEG", "PNG", "WEBP")
"""Pillow's names of the pictures that are looked for; it tries no other decoder on such bytes."""
_BEFORE = {b"WEBP": 8, b"AVI ": 8, b"ftyp": 4}
"""Bytes of the structure that stand before the ones that tell it."""
_BASE64 = re.compile(rb"(?:/9j/|iVBORw0KGgo)[A-Za-z0-9+/=\s&#;]{100,}")
_MOST_TRIED = 64
"""Beginnings that are decoded: bytes made up of nothing but beginnings would take for ever."""
_MOST_PIXELS = 160_000_000
"""Of all the pictures that are decoded in one run of bytes, together."""
_MOST_BOXES = 10_000


@dataclass(frozen=True)
class Part:
    """Something that begins at `start` and was read as far as `end`."""

    kind: Kind
    start: int
    end: int


def parts_of(data: bytes) -> Iterator[Part]:
    """Every picture that can be opened, every film and every archive, in one pass.

    The end of a picture or film is where its own structure says; of an archive only the beginning
    is sure, so that pictures stored in it are found too.
    """
    file, position, allowance = io.BytesIO(data), 0, _MOST_PIXELS
    for at, beginning, kind in itertools.islice(_beginnings(data), _MOST_TRIED):
        start = at - _BEFORE.get(beginning, 0)
        if start < position:
            continue
        if kind == "archive":
            yield Part("archive", start, at + len(beginning))
        elif kind == "film":
            position = _film_end(data, start)
            yield Part("film", start, position)
        elif (end := end_of_picture(data, start)) is not None:
            pixels = _pixels(file, start, end, allowance)
            allowance -= pixels
            if pixels:
                position = max(at, end)
                yield Part("picture", start, position)


def _beginnings(data: bytes) -> Iterator[tuple[int, bytes, Kind]]:
    """Where something may begin, in order. Of the many entries of one archive the first counts."""
    places = [
        _places(data, beginning, kind, once=kind == "archive") for beginning, kind in _BEGINNINGS
    ]
    yield from heapq.merge(*places)


def _places(
    data: bytes, beginning: bytes, kind: Kind, *, once: bool
) -> Iterator[tuple[int, bytes, Kind]]:
    at = data.find(beginning)
    while at >= 0:
        yield at, beginning, kind
        at = -1 if once else data.find(beginning, at + 1)


def encoded_in(text: bytes) -> Iterator[bytes]:
    """Files that stand in a text as base 64 (thumbnails and originals in XMP)."""
    for match in _BASE64.finditer(text):
        letters = re.sub(rb"&#x?\w{1,4};|\s", b"", match[0])
        try:
            yield base64.b64decode(letters + b"=" * (-len(letters) % 4))
        except binascii.Error:
            continue


def _pixels(file: io.BytesIO, start: int, end: int, most: int) -> int:
    """Pixels of a picture that can be decoded; 0 where it cannot be, or has more than `most`."""
    try:
        # A window on the bytes, not a copy: there may be many beginnings in many megabytes.
        with Image.open(ContainerIO(file, start, end - start), formats=FORMATS) as image:
            pixels = image.width * image.height
            if pixels > most:
                return 0
            image.load()
            return pixels
    except Exception:  # whatever a decoder makes of bytes that are no picture
        return 0


def _film_end(data: bytes, start: int) -> int:
    """As far as the boxes of an MP4 or the size of a RIFF reach; else the end of the data."""
    if data[start : start + 4] == b"RIFF":
        return min(len(data), start + 8 + int.from_bytes(data[start + 4 : start + 8], "little"))
    if data[start + 4 : start + 8] != b"ftyp":
        return len(data)
    position = start
    for _ in range(_MOST_BOXES):
        name = data[position + 4 : position + 8]
        if len(name) < 4 or not re.fullmatch(rb"[\w ]{4}", name):
            return min(position, len(data))
        size = int.from_bytes(data[position : position + 4])
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16])
        if size < 8:
            break
        position += size
    return len(data)
