"""Pictures, frames and films inside a file, each compared with the picture that viewers show."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from reid_audit.attacks.residue.base import Residue, Severity
from reid_audit.attacks.residue.clearer import Comparison, compare
from reid_audit.attacks.residue.container import Parts
from reid_audit.attacks.residue.contents import FORMATS, encoded_in, parts_of
from reid_audit.attacks.residue.film import frames as film_frames
from reid_audit.attacks.residue.registration import Plane

_MOST_FRAMES = 48
"""Frames of an animation or pages of a document that are looked at, spread evenly."""
_PADDING = b"\0\r\n\t \xff\x1a"
_MOST_PIXELS = 80_000_000


@dataclass(frozen=True)
class Embedded:
    """One picture beside the visible one. `place` says where it stands, for people."""

    place: str
    picture: np.ndarray
    """`(H, W, 3)` uint8."""
    still: bool
    """Taken at the same moment as the visible picture, as a thumbnail is."""


@dataclass(frozen=True)
class Behind:
    """What stands after the end of the image."""

    pictures: tuple[Embedded, ...]
    undecoded_films: int
    archives: bool
    rest: bytes
    """What is neither a picture, a film nor padding."""


def in_metadata(parts: Parts, xmp: bytes, texts: Sequence[bytes]) -> Iterator[Embedded]:
    """Thumbnails and originals in side pieces, in XMP and in text chunks."""
    for piece in (*parts.pieces, *texts):
        yield from _pictures(piece, "in the metadata", still=True)
    extended = b"".join(
        piece[75:] for piece in parts.pieces if piece.startswith(b"http://ns.adobe.com/xmp/ext")
    )
    for text in (xmp, extended):
        for content in encoded_in(text):
            yield from _pictures(content, "in the XMP", still=True)


def frames_of(image: Image.Image) -> Iterator[Embedded]:
    """Further frames or pages; those of a multi-picture JPEG stand behind its end and are found
    there."""
    count = getattr(image, "n_frames", 1)
    if count < 2 or image.format == "MPO":
        return
    numbers = np.unique(np.linspace(1, count - 1, min(count - 1, _MOST_FRAMES)).round().astype(int))
    for number in numbers:
        image.seek(int(number))
        yield Embedded(f"as frame {number + 1} of {count}", _rgb(image), still=False)
    image.seek(0)


def behind(parts: Parts, *, still: bool) -> Behind:
    """Take apart what follows the end of the image."""
    data = parts.trailer
    pictures: list[Embedded] = []
    undecoded, archives, rest, position = 0, False, [], 0
    for part in parts_of(data):
        if part.kind == "archive":
            archives = True
            continue
        content = data[part.start : part.end]
        place = "after the end of the image"
        if part.kind == "picture":
            inside = list(_pictures(content, place, still=still))
        else:
            shown = film_frames(content)
            inside = [Embedded(f"in a film {place}", frame, still=False) for frame in shown]
            undecoded += not inside
        pictures += inside
        if inside or part.kind == "film":
            rest.append(data[position : part.start])
            position = part.end
    rest.append(data[position:])
    remaining = b"".join(piece.strip(_PADDING) for piece in rest)
    if len(set(remaining[:4096])) < 2 and len(set(remaining)) < 2:
        remaining = b""  # one byte repeated is padding whichever it is
    return Behind(tuple(pictures), undecoded, archives, remaining)


def judge(shown: np.ndarray, embedded: Embedded, regions: Sequence[Sequence[float]]) -> Residue:
    """What one embedded picture gives away beside the visible one, `(H, W, 3)` uint8."""
    height, width = embedded.picture.shape[:2]
    what = f"A picture of {width} x {height} pixels {embedded.place}"
    comparison = compare(_grey(shown), _grey(embedded.picture), regions, still=embedded.still)
    if comparison.relation == "clearer":
        side = round(np.sqrt(comparison.area))
        return Residue(
            "embedded-clear",
            Severity.HIGH,
            f"{what} shows places clear that the visible picture hides, about {side} x {side} "
            "pixels in all: it was made before the anonymisation.",
            comparison.area,
        )
    if comparison.relation == "same":
        return Residue(
            "embedded-picture",
            Severity.INFO,
            f"{what} shows no more than the visible one.",
            width * height,
        )
    return _unlike(what, comparison, embedded)


def undecoded(count: int) -> Residue:
    """A film that stands in the file but cannot be decoded."""
    return Residue(
        "embedded-unread",
        Severity.MEDIUM,
        f"{count} film{'s' if count > 1 else ''} after the end of the image could not be decoded "
        "and may show what the picture hides.",
    )


def _unlike(what: str, comparison: Comparison, embedded: Embedded) -> Residue:
    spread = embedded.picture.max(axis=-1).astype(int) - embedded.picture.min(axis=-1)
    if comparison.relation == "negative" or float(np.percentile(spread, 95)) < 12:
        return Residue(
            "embedded-map",
            Severity.INFO,
            f"{what} is grey or a negative, as gain and depth maps are; made from the original, it "
            "may show outlines.",
        )
    height, width = embedded.picture.shape[:2]
    return Residue(
        "embedded-other",
        Severity.MEDIUM,
        f"{what} shows something else than the visible one.",
        width * height,
    )


def _pictures(data: bytes, place: str, *, still: bool) -> Iterator[Embedded]:
    for part in parts_of(data):
        if part.kind != "picture":
            continue
        with Image.open(io.BytesIO(data[part.start : part.end]), formats=FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS or min(image.size) < 16:
                continue
            yield Embedded(place, _rgb(image), still)
            yield from frames_of(image)


def _rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def _grey(picture: np.ndarray) -> Plane:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
