"""Leaks in metadata: EXIF, XMP, IPTC, text chunks and pictures embedded in them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image, IptcImagePlugin
from scipy.ndimage import gaussian_filter

from reid_audit.attacks.residue.base import Residue, Severity
from reid_audit.attacks.residue.container import Parts, pictures_inside

_BASE, _IFD = ExifTags.Base, ExifTags.IFD

# What a kind of leak is, its weight, and the EXIF tags that carry it.
_EXIF_KINDS: tuple[tuple[str, Severity, str, tuple[int, ...]], ...] = (
    (
        "names",
        Severity.HIGH,
        "EXIF names an author or owner",
        (_BASE.Artist, _BASE.Copyright, _BASE.XPAuthor, _BASE.CameraOwnerName),
    ),
    (
        "text",
        Severity.MEDIUM,
        "EXIF holds a free text (title, description or comment)",
        (
            *(_BASE.ImageDescription, _BASE.UserComment, _BASE.XPTitle, _BASE.XPComment),
            *(_BASE.XPKeywords, _BASE.XPSubject, _BASE.DocumentName),
        ),
    ),
    (
        "serial-number",
        Severity.MEDIUM,
        "EXIF holds a camera's or lens's serial number or a picture's unique id",
        (_BASE.BodySerialNumber, _BASE.LensSerialNumber, _BASE.ImageUniqueID),
    ),
    (
        "maker-note",
        Severity.MEDIUM,
        "EXIF holds a maker note, which may name device, owner and faces",
        (_BASE.MakerNote,),
    ),
    (
        "time",
        Severity.LOW,
        "EXIF says when it was taken",
        (_BASE.DateTimeOriginal, _BASE.DateTimeDigitized, _BASE.DateTime),
    ),
    ("device", Severity.LOW, "EXIF says with what device it was taken", (_BASE.Make, _BASE.Model)),
)

_XMP_KINDS: tuple[tuple[str, Severity, str, re.Pattern[bytes]], ...] = (
    (
        "face-boxes",
        Severity.MEDIUM,
        "XMP holds the positions of faces",
        re.compile(rb"mwg-rs:Type[^\w]{1,4}Face|MPReg:Rectangle"),
    ),
    (
        "names",
        Severity.HIGH,
        "XMP names people or an author",
        re.compile(rb"mwg-rs:Name|PersonDisplayName|PersonInImage|dc:creator|xmpRights:Owner"),
    ),
    ("location", Severity.HIGH, "XMP says where it was taken", re.compile(rb"exif:GPSL")),
    (
        "text",
        Severity.MEDIUM,
        "XMP holds a free text (title, description or keywords)",
        re.compile(rb"dc:(title|description|subject)\b"),
    ),
    (
        "document-id",
        Severity.LOW,
        "XMP holds a document id shared by every version of the picture",
        re.compile(rb"xmpMM:OriginalDocumentID|xmpMM:DerivedFrom"),
    ),
)
_XMP_PICTURE = re.compile(rb"xmpGImg:image[^>\w]*[>\"']\s*([A-Za-z0-9+/=\s&#;xA]{100,})")

_IPTC_NAMES = {(2, 80), (2, 85), (2, 110), (2, 115), (2, 118), (2, 122)}
_IPTC_PLACES = {(2, 90), (2, 92), (2, 95), (2, 100), (2, 101)}

_BLOCK = 8
_GRAIN = 5.0
"""Grey levels of detail that JPEG adds by itself."""
_OTHER_PICTURE = 0.45
"""Relative difference above which an embedded picture shows something else. Measured on LFW with
thumbnails of 60 to 160 px: honest ones, of any resampling, reach 0.39; those of the clear face are
at least 0.64 when the face was blurred with sigma / face width 0.083."""


def metadata_residues(image: Image.Image, parts: Parts) -> Iterator[Residue]:
    """Leaks in the metadata of an opened (not yet turned upright) image."""
    yield from _exif(image)
    xmp = _xmp(image)
    for kind, severity, evidence, pattern in _XMP_KINDS:
        if pattern.search(xmp):
            yield Residue(kind, severity, f"{evidence}.")
    yield from _iptc(image)
    yield from _text(image)
    embedded = [picture for piece in parts.pieces for picture in pictures_inside(piece)]
    embedded += _xmp_pictures(xmp)
    yield from _embedded(image, embedded)


def _exif(image: Image.Image) -> Iterator[Residue]:
    exif = image.getexif()
    values = dict(exif) | dict(exif.get_ifd(_IFD.Exif))
    for kind, severity, evidence, tags in _EXIF_KINDS:
        if any(_says_something(values.get(tag)) for tag in tags):
            yield Residue(kind, severity, f"{evidence}.")
    gps = exif.get_ifd(_IFD.GPSInfo)
    if ExifTags.GPS.GPSLatitude in gps or ExifTags.GPS.GPSLongitude in gps:
        yield Residue("location", Severity.HIGH, "EXIF holds GPS coordinates.")


def _says_something(value: object) -> bool:
    if isinstance(value, bytes):
        return bool(value.removeprefix(b"ASCII\0\0\0").removeprefix(b"UNICODE\0").strip(b"\0 "))
    return value is not None and bool(str(value).strip("\0 "))


def _xmp(image: Image.Image) -> bytes:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return xmp.encode() if isinstance(xmp, str) else bytes(xmp)


def _xmp_pictures(xmp: bytes) -> Iterator[Image.Image]:
    for match in _XMP_PICTURE.finditer(xmp):
        try:
            yield from pictures_inside(base64.b64decode(match[1].replace(b"&#xA;", b"")))
        except binascii.Error:
            continue


def _iptc(image: Image.Image) -> Iterator[Residue]:
    fields = set(IptcImagePlugin.getiptcinfo(image) or ())
    if fields & _IPTC_NAMES:
        yield Residue("names", Severity.HIGH, "IPTC names an author, writer or contact.")
    if fields & _IPTC_PLACES:
        yield Residue("location", Severity.HIGH, "IPTC says where it was taken.")
    if (2, 120) in fields or (2, 5) in fields or (2, 25) in fields:
        yield Residue("text", Severity.MEDIUM, "IPTC holds a title, caption or keywords.")


def _text(image: Image.Image) -> Iterator[Residue]:
    comments = [image.info.get("comment"), image.info.get("Comment")]
    chunks = getattr(image, "text", {})
    free = [v for k, v in chunks.items() if k not in ("Software", "XML:com.adobe.xmp")]
    if any(map(_says_something, [*comments, *free])):
        yield Residue("text", Severity.MEDIUM, "A comment or text chunk stands in the file.")


def _embedded(image: Image.Image, embedded: list[Image.Image]) -> Iterator[Residue]:
    for picture in embedded:
        difference = relative_difference(image, picture)
        if difference > _OTHER_PICTURE:
            yield Residue(
                "thumbnail",
                Severity.HIGH,
                f"An embedded picture of {picture.width} x {picture.height} pixels differs from "
                f"the visible one by {difference:.1f} times the detail seen there: it shows the "
                "scene before it was anonymised.",
            )


def relative_difference(image: Image.Image, other: Image.Image) -> float:
    """How much of `other` the image does not show, at the size of `other`: RMS difference over the
    image's own RMS detail, in the worst block of 8 x 8 pixels.

    What resampling changes is a share of the detail; what an anonymiser removed is many times it.

    >>> grey = Image.new("RGB", (64, 64), (10, 10, 10))
    >>> relative_difference(grey, Image.new("RGB", (16, 16), (30, 30, 30)))
    4.0
    """
    size = (max(_BLOCK, other.width), max(_BLOCK, other.height))
    shown, hidden = (
        gaussian_filter(
            np.asarray(i.convert("L").resize(size, Image.Resampling.BICUBIC), np.float64), sigma=1
        )
        for i in (image, other)
    )
    detail = _block_rms(shown - gaussian_filter(shown, sigma=3))
    return float((_block_rms(hidden - shown) / (detail + _GRAIN)).max())


def _block_rms(plane: np.ndarray) -> np.ndarray:
    height, width = (n // _BLOCK for n in plane.shape)
    whole = plane[: height * _BLOCK, : width * _BLOCK]
    return np.sqrt((whole**2).reshape(height, _BLOCK, width, _BLOCK).mean((1, 3)))
