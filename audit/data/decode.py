"""From a file to upright 8-bit RGB, as an attacker's viewer would show it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from reid_audit.attacks.pictures import DAMAGE, FORMATS, check_file
from reid_audit.audit.data.depth import over_black, stated_white, to_eight_bits
from reid_audit.audit.data.limits import max_pixels
from reid_audit.metrics.errors import InputError, MissingFile

PICTURE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic"),
    *(".heif", ".hif", ".jfif", ".jpe", ".jp2", ".j2k", ".jpf", ".jpx", ".mpo", ".ppm", ".pgm"),
    *(".pbm", ".pnm", ".pfm", ".dib", ".apng", ".tga", ".pcx", ".sgi", ".qoi"),
)
BAND = 512
"""Rows that are copied at once."""

_ORIENTATION, _BITS, _MAX_SAMPLE, _WIDTH, _HEIGHT = 274, 258, 281, 256, 257

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what fails is told once, by us


def decode(path: Path) -> NDArray[np.uint8]:
    """Decode a picture into RGB `(H, W, 3)` uint8.

    The EXIF orientation is applied; palette, grey, CMYK and deep pictures are converted (see
    `audit.data.depth`); transparency is laid over black, so that what lies under it stays unseen
    here (`attacks.residue` looks there). Of an animation the first frame counts.

    Raises:
        InputError: missing, empty, no regular file, not a picture, truncated, of a bit depth that
            cannot be told, or above the limit of pixels. The message names the file.
    """
    try:
        check_file(path)
        try:
            with Image.open(path, formats=FORMATS) as image:
                return _decode(path, image)
        except UnidentifiedImageError:
            return _decode_unknown(path)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None
    except FileNotFoundError:  # it has gone in the meantime
        raise MissingFile(f"{path}: no such file; correct the path.") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path}: {_too_large()}") from None
    except PermissionError:
        raise InputError(f"{path}: may not be read; change its permissions.") from None
    except MemoryError:
        raise InputError(f"{path}: decoding it takes too much memory; scale it down.") from None
    except DAMAGE as error:
        # Libraries' messages may hold paths and line breaks.
        told = (str(error).splitlines() or [type(error).__name__])[0].replace(str(path), "it")
        raise InputError(f"{path}: damaged or cut short ({told[:120]}); replace it.") from error


def is_picture(path: Path) -> bool:
    """Whether a file begins as a picture of a known format, whatever its name."""
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except Exception:  # whatever a foreign file breaks, it is no picture
        return False


def stated_pixels(path: Path) -> int:
    """Pixels that a file's header states; none where it is not that of a known format."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.width * image.height
    except Exception:  # whatever a foreign file breaks, it states nothing
        return 0


def _too_large() -> str:
    return (
        f"above the limit of {max_pixels() / 1e6:g} million pixels; scale it down, or raise "
        "REID_AUDIT_MAX_MEGAPIXELS."
    )


def _check_size(width: int, height: int) -> None:
    if width * height > max_pixels():
        raise InputError(f"{width} x {height} pixels, {_too_large()}")
    if width * height == 0:
        raise InputError("holds no pixel; replace it.")


def _decode(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    _check_size(*image.size)
    if image.format in ("PNG", "TIFF") and _is_deep_colour(image):
        orientation = image.getexif().get(_ORIENTATION, 1)
        samples = _samples_by_opencv(path)
        if samples is None:
            raise InputError("16 bits a channel of a kind that cannot be read; save it with 8.")
        return _upright(over_black(to_eight_bits(samples, _white(image))), orientation)
    white = _white(image)
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return over_black(to_eight_bits(np.asarray(image), white))
    return _rows_of(_to_rgb(image))


def _rows_of(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of an RGB picture, in bands: Pillow hands a whole one out by way of two copies."""
    width, height = image.size
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, BAND):
        out[top : top + BAND] = np.asarray(image.crop((0, top, width, min(height, top + BAND))))
    return out


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether Pillow would keep the high byte alone: 16 bits a channel of more than one channel."""
    if image.format == "TIFF":
        bits = _tags(image).get(_BITS, ())
        return len(bits) > 1 and max(bits) > 8
    return any("16" in str(tile.args) for tile in getattr(image, "tile", ())) and (
        image.mode in ("RGB", "RGBA", "LA")
    )


def _white(image: Image.Image) -> int | None:
    if image.format == "TIFF":
        tags = _tags(image)
        return stated_white(tags.get(_MAX_SAMPLE, ()), tags.get(_BITS, ()))
    # Pillow has scaled these two by the depth their headers state.
    return 2**16 - 1 if image.format in ("PPM", "JPEG2000") and image.mode != "F" else None


def _tags(image: Image.Image) -> dict[int, tuple[int, ...]]:
    directory = getattr(image, "tag_v2", {})
    return {tag: _integers(directory.get(tag, ())) for tag in (_BITS, _MAX_SAMPLE)}


def _integers(value: object) -> tuple[int, ...]:
    values = value if isinstance(value, tuple) else (value,)
    return tuple(int(v) for v in values if isinstance(v, int | float))


def _decode_unknown(path: Path) -> NDArray[np.uint8]:
    """TIFFs of a kind that Pillow does not know, such as real numbers in three channels."""
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] not in (b"II*\0", b"MM\0*"):
            raise InputError(
                "not a picture that can be read; use PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, HEIC "
                "or JPEG 2000."
            )
        directory = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(directory.next)
        directory.load(file)
    _check_size(int(directory[_WIDTH]), int(directory[_HEIGHT]))
    samples = _samples_by_opencv(path)
    if samples is None:
        bits = "/".join(map(str, _integers(directory.get(_BITS, ()))))
        raise InputError(f"a TIFF of a kind that cannot be read ({bits} bits); save it with 8.")
    white = stated_white(
        _integers(directory.get(_MAX_SAMPLE, ())), _integers(directory.get(_BITS, ()))
    )
    return _upright(
        over_black(to_eight_bits(samples, white)), int(directory.get(_ORIENTATION, 1) or 1)
    )


def _samples_by_opencv(path: Path) -> NDArray[np.generic] | None:
    """All bits of every sample, grey, RGB or RGBA, as they lie in the file; None if unreadable."""
    content = bytearray(path.read_bytes())
    _forget_orientation(content)
    samples = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        return None
    if samples.ndim == 3 and samples.shape[2] >= 3:
        order = [2, 1, 0, 3][: samples.shape[2]]
        samples = samples[..., order]
    return np.asarray(samples)


def _forget_orientation(content: bytearray) -> None:
    """Set a TIFF's orientation tag to upright: OpenCV 5 fails on others for deep samples."""
    if not content.startswith((b"II*\0", b"MM\0*")):
        return
    order: Literal["little", "big"] = "little" if content.startswith(b"II") else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(content[at : at + size], order)

    first = number(4, 4)
    for entry in range(first + 2, first + 2 + 12 * number(first, 2), 12):
        if number(entry, 2) == _ORIENTATION and entry + 12 <= len(content):
            content[entry + 8 : entry + 10] = (1).to_bytes(2, order)


def _upright(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    image.getexif()[_ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(image), dtype=np.uint8)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    return image.convert("RGB")
