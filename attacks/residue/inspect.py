"""Every check of one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from reid_audit.attacks.pictures import DAMAGE, FORMATS, check_file
from reid_audit.attacks.residue import embedded
from reid_audit.attacks.residue.alpha import alpha_residues
from reid_audit.attacks.residue.base import Residue, Severity
from reid_audit.attacks.residue.container import JPEG_MAGIC, PNG_MAGIC, Parts, split
from reid_audit.attacks.residue.metadata import exif, iptc, profiles, text, xmp_bytes, xmp_fields
from reid_audit.attacks.residue.overwritten import recoverable_deflate
from reid_audit.metrics.errors import InputError


def inspect(
    path: Path,
    picture: np.ndarray | None = None,
    *,
    regions: Sequence[Sequence[float]] = (),
) -> tuple[Residue, ...]:
    """Find what an anonymised file gives away beside its anonymised pixels.

    Looks for embedded pictures, frames and films that are clearer than the visible picture; names,
    places, times and devices in EXIF, XMP, IPTC and text chunks; face boxes; data after the end of
    the image (an archive, or the compressed rest of an overwritten picture); and colours under
    transparency. A part that is damaged is a residue of its own and hides no other.

    Args:
        picture: the decoded upright picture `(H, W, 3)` uint8, where the caller has it.
        regions: boxes x0, y0, x1, y1 of the upright picture known to be anonymised; empty where
            they are not known.

    Raises:
        InputError: the file cannot be read as a picture.
    """
    try:
        check_file(path)
        content = path.read_bytes()
        with Image.open(path, formats=FORMATS) as image:
            return tuple(_inspect(content, image, picture, regions))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except MemoryError:
        raise InputError(f"{path}: searching it takes too much memory.") from None
    except DAMAGE as error:
        raise InputError(f"{path}: not a readable picture; replace or remove it.") from error


def _inspect(
    content: bytes,
    image: Image.Image,
    picture: np.ndarray | None,
    regions: Sequence[Sequence[float]],
) -> Iterator[Residue]:
    parts = split(content)

    @cache
    def shown() -> np.ndarray:
        """The upright picture, decoded only if there is something to compare it with."""
        if picture is not None:
            return picture
        image.seek(0)
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))

    def judged(pictures: Iterable[embedded.Embedded]) -> Iterator[Residue]:
        for inside in pictures:
            yield embedded.judge(shown(), inside, regions)

    def metadata_pictures() -> Iterator[Residue]:
        yield from judged(embedded.in_metadata(parts, xmp_bytes(image), profiles(image)))

    checks: tuple[tuple[str, Callable[[], Iterable[Residue]]], ...] = (
        ("EXIF block", lambda: exif(image)),
        ("XMP block", lambda: xmp_fields(xmp_bytes(image))),
        ("IPTC block", lambda: iptc(image)),
        ("text", lambda: text(image)),
        ("embedded picture", metadata_pictures),
        ("data after its end", lambda: _behind(content, parts, image, judged)),
        ("further frames", lambda: judged(embedded.frames_of(image))),
    )
    for part, check in checks:
        yield from _guarded(part, check)
    image.seek(0)
    yield from alpha_residues(image)


def _guarded(part: str, check: Callable[[], Iterable[Residue]]) -> Iterator[Residue]:
    """The residues of one check; damage in one part of a file must not hide the others."""
    try:
        yield from check()
    except MemoryError:
        raise
    except Exception:  # parsers of damaged metadata raise whatever they stumble over
        yield Residue(
            "damaged-part", Severity.LOW, f"The {part} of the file is damaged and was not read."
        )


def _behind(
    content: bytes,
    parts: Parts,
    image: Image.Image,
    judged: Callable[[Iterable[embedded.Embedded]], Iterator[Residue]],
) -> Iterator[Residue]:
    behind = embedded.behind(parts, still=image.format != "MPO")
    yield from judged(behind.pictures)
    if behind.undecoded_films:
        yield embedded.undecoded(behind.undecoded_films)
    if behind.rest:
        yield _remaining(content, behind)


def _remaining(content: bytes, behind: embedded.Behind) -> Residue:
    """The one residue that data after the end of the image is."""
    amount = f"{len(behind.rest)} bytes follow the end of the image"
    if content.startswith(PNG_MAGIC) and (recovered := recoverable_deflate(behind.rest)):
        return Residue(
            "trailing-data",
            Severity.HIGH,
            f"{amount}; {recovered} bytes of pixel data of an overwritten picture can be "
            "decompressed from them (as in CVE-2023-21036).",
            recovered,
        )
    if content.startswith(JPEG_MAGIC) and behind.rest.endswith(b"\xff\xd9"):
        return Residue(
            "trailing-data",
            Severity.HIGH,
            f"{amount} and end as a JPEG does: the rest of an overwritten picture "
            "(as in CVE-2023-21036).",
            len(behind.rest),
        )
    what = ", an archive or a document among them" if behind.archives else ""
    return Residue("trailing-data", Severity.MEDIUM, f"{amount}{what}.", len(behind.rest))
