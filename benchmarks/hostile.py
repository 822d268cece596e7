"""Files as nobody should make them: damaged, disguised, boundless; made by code, of nobody.

Each kind is a function that yields `(name, content)`; what needs a file system (links, pipes) is
made by `odd_entries`. Everything follows from a seed.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

Files = Iterator[tuple[str, bytes]]
SIDE = 48


def scene(seed: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """`(H, W, 3)` uint8 with detail at every scale, as a photograph has."""
    rng = np.random.default_rng(seed)
    total = sum(
        cv2.resize(
            rng.normal(0, 1.6**k, (max(1, height >> k), max(1, width >> k), 3)), (width, height)
        )
        for k in range(5)
    )
    return np.clip(128 + 9 * total, 0, 255).astype(np.uint8)


def encoded(form: str, picture: np.ndarray | None = None, **options: object) -> bytes:
    """A whole picture file."""
    content = io.BytesIO()
    Image.fromarray(scene(0) if picture is None else picture).save(content, form, **options)
    return content.getvalue()


def whole() -> Mapping[str, bytes]:
    """One sound file of every format that is read, by its ending; some of them of several kinds."""
    frames = [Image.fromarray(scene(seed)) for seed in range(3)]

    def several(form: str) -> bytes:
        content = io.BytesIO()
        frames[0].save(content, form, save_all=True, append_images=frames[1:])
        return content.getvalue()

    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Nobody"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 24.0)
    notes = PngInfo()
    notes.add_text("Comment", "nobody", zip=True)
    notes.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta mwg-rs:Type='Face'/>")
    deep = scene(0).astype(np.uint16) * 257
    palette = io.BytesIO()
    frames[0].quantize(16).save(palette, "PNG", transparency=3)
    made = {
        "png": encoded("PNG", pnginfo=notes, exif=exif.tobytes()),
        "jpg": encoded("JPEG", exif=exif.tobytes(), comment=b"nobody"),
        "progressive.jpg": encoded("JPEG", progressive=True, icc_profile=b"\0" * 300),
        "webp": encoded("WEBP", exif=exif.tobytes(), xmp=b"<x/>"),
        "lossless.webp": encoded("WEBP", lossless=True),
        "animated.webp": several("WEBP"),
        "gif": several("GIF"),
        "apng": several("PNG"),
        "tif": encoded("TIFF", compression="tiff_lzw"),
        "deflate.tif": encoded("TIFF", compression="tiff_adobe_deflate"),
        "pages.tif": several("TIFF"),
        "mpo": several("MPO"),
        "bmp": encoded("BMP"),
        "avif": encoded("AVIF"),
        "heic": encoded("HEIF"),
        "jp2": encoded("JPEG2000"),
        "tga": encoded("TGA", compression="tga_rle"),
        "pcx": encoded("PCX"),
        "sgi": encoded("SGI"),
        "qoi": encoded("QOI"),
        "ppm": encoded("PPM"),
        "palette.png": palette.getvalue(),
    }
    for name in ("deep.png", "deep.tif"):
        _, content = cv2.imencode(f".{name.rpartition('.')[2]}", deep)
        made[name] = content.tobytes()
    return made


def structures(content: bytes) -> list[int]:
    """Where the parts of a file begin: chunks, segments or boxes where its format has them."""
    if content.startswith(b"\x89PNG"):
        return _blocks(content, 8, lambda at: 12 + int.from_bytes(content[at : at + 4]))
    if content.startswith(b"\xff\xd8"):
        return [at for at in range(len(content) - 1) if content[at] == 0xFF and content[at + 1]]
    if content.startswith(b"RIFF"):
        return _blocks(
            content, 12, lambda at: 8 + int.from_bytes(content[at + 4 : at + 8], "little")
        )
    if content[4:8] in (b"ftyp", b"jP  "):
        return _blocks(content, 0, lambda at: int.from_bytes(content[at : at + 4]))
    return []


def _blocks(content: bytes, at: int, size: Callable[[int], int]) -> list[int]:
    places = []
    while at < len(content):
        places += [at, at + 4, at + 8]
        at += max(size(at), 1)
    return places


# ---- kinds -------------------------------------------------------------------------------------


def truncated() -> Files:
    """Cut at the beginning of every part, within it, and at twelve even places."""
    for name, content in whole().items():
        even = np.linspace(0, len(content) - 1, 12).astype(int).tolist()
        parts = structures(content)
        kept = (
            parts
            if len(parts) <= 24
            else [parts[int(i)] for i in np.linspace(0, len(parts) - 1, 24)]
        )
        for at in sorted({*even, *kept, *(place + 2 for place in kept)}):
            yield f"{at:06d}.{name}", content[:at]


def flipped(each: int = 16) -> Files:
    """Single bits and runs of bytes changed, most of them in the header."""
    rng = np.random.default_rng(1)
    for name, content in whole().items():
        for number in range(each):
            changed = bytearray(content)
            last = min(len(changed), 400) if number % 4 else len(changed)
            for at in rng.integers(2, last, 1 + number % 5):
                changed[at] ^= 1 << int(rng.integers(8)) if number % 3 else 0xFF
            yield f"{number:03d}.{name}", bytes(changed)


def polyglots() -> Files:
    """A picture that is something else as well, and something else that begins as one."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("../../evil.txt", "x")
        made.writestr("face.jpg", encoded("JPEG"))
    tails = {
        "zip": archive.getvalue(),
        "pdf": b"%PDF-1.7\n1 0 obj<</JS(app.alert(1))>>endobj\n%%EOF",
        "html": b"<script>alert(1)</script>",
        "png": encoded("PNG", scene(5)),
        "elf": b"\x7fELF" + bytes(200),
        "film": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x08mdat",
    }
    for form in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        for name, tail in tails.items():
            yield f"{name}.{form.lower()}", encoded(form) + tail
            yield f"{name}-first.{form.lower()}", tail + encoded(form)
    yield "comment.jpg", encoded("JPEG", comment=b"*/=1;/*<script>alert(1)</script>")
    yield "script.gif", b"GIF89a/*" + bytes(8) + b"*/=1;alert(1)"


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def png_of(width: int, height: int, data: bytes, *extra: bytes) -> bytes:
    """A PNG whose header says what it likes."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    )


def tiff_of(entries: list[tuple[int, int, int, int]], follow: int = 0, rest: bytes = b"") -> bytes:
    """A TIFF of one directory, laid out by hand: tag, type, count, value."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(entries))
        + body
        + struct.pack("<I", follow)
        + rest
    )


def bombs() -> Files:
    """A few kilobytes that claim, or unpack to, far more."""
    zeros = zlib.compress(bytes(60_000_000), 9)
    some = zlib.compress(bytes(3 * SIDE * SIDE + SIDE))
    yield "claims.png", png_of(60_000, 60_000, some)
    yield "claims-most.png", png_of(2**31 - 1, 2**31 - 1, some)
    yield "no-width.png", png_of(0, 5, some)
    yield "line.png", png_of(40_000_000, 1, some)
    yield "unpacks.png", png_of(SIDE, SIDE, zeros)
    yield (
        "just-allowed.png",
        png_of(8_000, 9_000, zlib.compress(bytes(8_000 * 9_000 * 3 + 9_000), 9)),
    )
    text = b"Comment\0\0" + zeros
    yield "text.png", png_of(SIDE, SIDE, some, _chunk(b"zTXt", text))
    yield (
        "texts.png",
        png_of(SIDE, SIDE, some, *[_chunk(b"tEXt", b"k\0" + bytes([65]) * 900)] * 3000),
    )
    yield "profile.png", png_of(SIDE, SIDE, some, _chunk(b"iCCP", b"p\0\0" + zeros))
    itxt = b"XML:com.adobe.xmp\0\1\0\0\0" + zeros
    yield "itxt.png", png_of(SIDE, SIDE, some, _chunk(b"iTXt", itxt))
    yield "frames.gif", _gif(20_000)
    yield "size.gif", _gif(1, 65_535, 65_535)
    jpeg = bytearray(encoded("JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    yield "claims.jpg", bytes(jpeg)
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 8_000, 9_000)
    yield "claims-allowed.jpg", bytes(jpeg)
    yield "scans.jpg", _many_scans()
    base = [(256, 4, 1, SIDE), (257, 4, 1, SIDE), (258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    data = [(273, 4, 1, 200), (279, 4, 1, SIDE * SIDE)]
    pixels = bytes(SIDE * SIDE + 200)
    yield "loop.tif", tiff_of(base + data, 8, pixels)
    yield "count.tif", tiff_of([*base, (270, 2, 2**32 - 1, 8), *data], 0, pixels)
    yield "strips.tif", tiff_of([*base, (273, 4, 2**28, 8), (279, 4, 2**28, 8)], 0, pixels)
    yield "claims.tif", tiff_of([(256, 4, 1, 2**31 - 1), (257, 4, 1, 2**31 - 1), *base[2:], *data])
    yield (
        "claims.bmp",
        b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0),
    )
    yield "claims.ppm", b"P6 99999999 99999999 255\n" + bytes(99)
    yield "claims.qoi", b"qoif" + struct.pack(">IIBB", 2**31, 2**31, 3, 0) + bytes(99)
    tga = bytearray(encoded("TGA"))
    tga[12:16] = struct.pack("<HH", 65_535, 65_535)
    yield "claims.tga", bytes(tga)
    for ending in ("jp2", "avif", "heic", "webp"):
        content = bytearray(whole()[ending])
        for word in (b"ihdr", b"ispe", b"VP8X"):
            at = content.find(word)
            if at >= 0:
                content[at + 4 : at + 12] = b"\x7f\xff\xff\xff" * 2
        yield f"claims.{ending}", bytes(content)
    yield "one.png", encoded("PNG", scene(0)[:1, :1])
    yield "thin.png", encoded("PNG", np.zeros((1, 20_000, 3), np.uint8))


def _gif(frames: int, width: int = 8, height: int = 8) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    one = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    return head + one * frames + b";"


def _many_scans() -> bytes:
    content = encoded("JPEG", progressive=True)
    start = content.rindex(b"\xff\xda")
    return content[:start] + content[start:-2] * 2_000 + b"\xff\xd9"


def disguised() -> Files:
    """Endings that lie, and files that are no pictures under endings of pictures."""
    others = {
        "text": b"hello",
        "empty": b"",
        "zeros": bytes(500),
        "html": b"<html></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
        "gzip": zlib.compress(bytes(9999)),
        "pickle": b"\x80\x04\x95\x05\0\0\0\0\0\0\0cos\nsystem\n.",
        "magic": b"\x89PNG\r\n\x1a\n",
        "soi": b"\xff\xd8\xff",
        "riff": b"RIFF\xff\xff\xff\xffWEBP",
        "box": b"\xff\xff\xff\xffftypheic",
        "psd": b"8BPS\0\1" + bytes(99),
        "fits": b"SIMPLE  =" + b" " * 99,
    }
    for name, content in others.items():
        for ending in ("png", "jpg", "tif", "heic", "gif", "webp", "TGA"):
            yield f"{name}.{ending}", content
    sound = whole()
    for name in ("png", "jpg", "gif", "tif", "heic", "jp2"):
        for ending in ("png", "JPG", "webp", "tga", "pcx", "txt", "exe"):
            yield f"is-{name}.{ending}", sound[name]


def metadata() -> Files:
    """Sound pixels beside metadata that is damaged or endless."""
    blocks = {
        "fill": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0a\x01\x07\0\x04\0\0\0\xff\xff\xff\xff\0\0\0\0",
        "loop": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0",
        "far": b"Exif\0\0MM\0*\xff\xff\xff\xff",
        "none": b"Exif\0\0",
        "random": b"Exif\0\0II*\0" + np.random.default_rng(2).bytes(400),
        "rational": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\x01\0\0\0\x1a\0\0\0\0\0\0\0"
        + bytes(8),
    }
    for name, block in blocks.items():
        yield f"{name}.jpg", encoded("JPEG", exif=block)
        yield f"{name}.webp", encoded("WEBP", exif=block)
        yield f"{name}.png", png_of(SIDE, SIDE, _pixels(), _chunk(b"eXIf", block[6:]))
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x04\x1c\x02\x50\xff"
    for number, body in enumerate(
        (iptc, iptc[:-4], iptc + bytes(3), b"Photoshop 3.0\0" + bytes(30))
    ):
        yield f"iptc-{number}.jpg", _segment(encoded("JPEG"), 0xED, body)
    yield "iptc.tif", encoded("TIFF", tiffinfo={33723: b"\x1c\x02"})
    raw = "\nexif\n      12\n" + "zz" * 40
    for number, text in enumerate((raw, "\niptc\n 3\n0", "", "\n\n\n\n")):
        notes = PngInfo()
        notes.add_text("Raw profile type exif", text)
        yield f"profile-{number}.png", encoded("PNG", pnginfo=notes)
    for number, xmp in enumerate(
        (b"\xff" * 50, b"<" * 60_000, b"/9j/" + b"A" * 300_000, b"&#;" * 99_999)
    ):
        yield f"xmp-{number}.webp", encoded("WEBP", xmp=xmp)
    yield "icc.jpg", encoded("JPEG", icc_profile=np.random.default_rng(3).bytes(70_000))
    mpf = b"MPF\0II*\0\x08\0\0\0\x01\0\x02\xb0\x07\0\xff\xff\xff\x7f\x08\0\0\0\0\0\0\0"
    yield "mpf.jpg", _segment(encoded("JPEG"), 0xE2, mpf)
    yield "adobe.jpg", _segment(encoded("JPEG"), 0xEE, b"Adobe")
    yield "segments.jpg", _segment(encoded("JPEG"), 0xE1, b"x" * 60_000, times=200)


def _pixels() -> bytes:
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in scene(0)))


def _segment(jpeg: bytes, marker: int, body: bytes, times: int = 1) -> bytes:
    segment = b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2) + body
    return jpeg[:2] + segment * times + jpeg[2:]


def trailers(size: int = 2_000_000) -> Files:
    """Much after the end of the picture, of the kinds on which a search might stay."""
    rng = np.random.default_rng(4)
    tails = {
        "random": rng.bytes(size),
        "zeros": bytes(size),
        "starts": (b"\xff\xd8\xff\xe0" * (size // 4)),
        "marks": (b"\xff\xd8\xff\xd9" * (size // 4)),
        "png-starts": (b"\x89PNG\r\n\x1a\n" * (size // 8)),
        "film-starts": (b"\0\0\0\x08ftyp" * (size // 8)),
        "boxes": b"\0\0\0\x18ftypmp42" + bytes(12) + b"\0\0\0\x08free" * (size // 8),
        "matroska": b"\x1aE\xdf\xa3" + rng.bytes(size),
        "webp-starts": (b"RIFF\xff\xff\xff\x7fWEBP" * (size // 12)),
        "zips": (b"PK\x03\x04" * (size // 4)),
        "idat": rng.bytes(size) + b"\0\0\0\x10IDAT" + rng.bytes(20) + b"IEND\xaeB`\x82",
        "idats": (b"\0\0\0\0IDAT" + bytes(4)) * (size // 12),
        "pictures": encoded("JPEG") * (size // 2_000),
        "deflate": b"\0\0\0\x10IDAT" + zlib.compress(bytes(size * 50), 9) + b"IEND",
    }
    for name, tail in tails.items():
        for form in ("PNG", "JPEG"):
            yield f"{name}.{form.lower()}", encoded(form) + tail


KINDS: Mapping[str, Callable[[], Files]] = {
    "truncated": truncated,
    "bits flipped": flipped,
    "polyglots": polyglots,
    "bombs": bombs,
    "wrong endings": disguised,
    "metadata": metadata,
    "data after the end": trailers,
}


def write(kind: str, folder: Path, trailer: int = 2_000_000) -> list[Path]:
    """Write the files of one kind, `trailer` bytes after the end of those that have such; their
    paths in a stable order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    made = trailers(trailer) if KINDS[kind] is trailers else KINDS[kind]()
    for name, content in made:
        (folder / name).write_bytes(content)
        paths.append(folder / name)
    return paths


def odd_entries(folder: Path) -> list[Path]:
    """Names and entries of a folder that surprise: made of one sound picture."""
    folder.mkdir(parents=True, exist_ok=True)
    content = encoded("PNG")
    names = [
        *("-rf.png", "a\nb.png", "a\tb.png", "\x1b[31mred.png", "\u202egnp.exe.png", " .png"),
        *("%s%n.png", "{0}.png", "$(id).png", "';--.png", "<b>bold.png", "[red]x.png", "~.png"),
        *("…🙂.png", "ﬁ.png", "CON.png", "x" * 250 + ".png", "a.png.png", "a..png", "*.png"),
        *("\\back\\slash.png", "&amp;.png", ".png", "png", "a.PNG ", "no\u0301.png", "a,b.png"),
    ]
    for name in names:
        (folder / name).write_bytes(content)
    with open(os.fsencode(folder) + b"/\xff\xfe.png", "wb") as file:  # noqa: PTH123 - no UTF-8
        file.write(content)
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(folder, os.O_RDONLY)
        try:  # a socket's path may be a hundred characters long only
            made.bind(f"/proc/self/fd/{here}/socket.png")
        finally:
            os.close(here)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "a-loop.png").symlink_to(folder / "b-loop.png")
    (folder / "b-loop.png").symlink_to(folder / "a-loop.png")
    (folder / "nowhere.png").symlink_to("/nonexistent/x.png")
    (folder / "folder.png").mkdir()
    (folder / "folder.png" / "up").symlink_to(folder)
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "proc.png").symlink_to("/proc/self/mem")
    return sorted(folder.iterdir())
