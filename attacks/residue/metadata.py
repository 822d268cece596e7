"""Leaks in metadata: EXIF, XMP, IPTC and text chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from reid_audit.attacks.residue.base import Residue, Severity

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
_IPTC_NAMES = {(2, 80), (2, 85), (2, 110), (2, 115), (2, 118), (2, 122)}
_IPTC_PLACES = {(2, 90), (2, 92), (2, 95), (2, 100), (2, 101)}


def exif(image: Image.Image) -> Iterator[Residue]:
    """Leaks in the EXIF block of an opened (not yet turned upright) image."""
    block = image.getexif()
    values = dict(block) | dict(block.get_ifd(_IFD.Exif))
    for kind, severity, evidence, tags in _EXIF_KINDS:
        if any(_says_something(values.get(tag)) for tag in tags):
            yield Residue(kind, severity, f"{evidence}.")
    gps = block.get_ifd(_IFD.GPSInfo)
    if ExifTags.GPS.GPSLatitude in gps or ExifTags.GPS.GPSLongitude in gps:
        yield Residue("location", Severity.HIGH, "EXIF holds GPS coordinates.")


def _says_something(value: object) -> bool:
    if isinstance(value, bytes):
        return bool(value.removeprefix(b"ASCII\0\0\0").removeprefix(b"UNICODE\0").strip(b"\0 "))
    return value is not None and bool(str(value).strip("\0 "))


def xmp_bytes(image: Image.Image) -> bytes:
    """The XMP packet, empty where there is none."""
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return xmp.encode() if isinstance(xmp, str) else bytes(xmp)


def xmp_fields(xmp: bytes) -> Iterator[Residue]:
    """Leaks in the fields of an XMP packet."""
    for kind, severity, evidence, pattern in _XMP_KINDS:
        if pattern.search(xmp):
            yield Residue(kind, severity, f"{evidence}.")


def iptc(image: Image.Image) -> Iterator[Residue]:
    """Leaks in the IPTC fields."""
    if not isinstance(image, ImageFile.ImageFile):  # read from no file, so it holds none
        return
    fields = set(IptcImagePlugin.getiptcinfo(image) or ())
    if fields & _IPTC_NAMES:
        yield Residue("names", Severity.HIGH, "IPTC names an author, writer or contact.")
    if fields & _IPTC_PLACES:
        yield Residue("location", Severity.HIGH, "IPTC says where it was taken.")
    if (2, 120) in fields or (2, 5) in fields or (2, 25) in fields:
        yield Residue("text", Severity.MEDIUM, "IPTC holds a title, caption or keywords.")


def text(image: Image.Image) -> Iterator[Residue]:
    """Comments and text chunks."""
    comments = [image.info.get("comment"), image.info.get("Comment")]
    chunks = getattr(image, "text", {})
    free = [v for k, v in chunks.items() if k not in ("Software", "XML:com.adobe.xmp")]
    if any(map(_says_something, [*comments, *free])):
        yield Residue("text", Severity.MEDIUM, "A comment or text chunk stands in the file.")


def profiles(image: Image.Image) -> tuple[bytes, ...]:
    """EXIF, IPTC and Photoshop blocks that PNG writers keep as hexadecimal text."""
    return tuple(
        bytes.fromhex(re.sub(r"[^0-9A-Fa-f]", "", value.split("\n", 3)[-1])[: len(value) // 2 * 2])
        for key, value in getattr(image, "text", {}).items()
        if key.startswith("Raw profile type") and isinstance(value, str)
    )
