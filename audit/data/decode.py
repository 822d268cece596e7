"""From a file to upright 8-bit RGB, as an attacker's viewer would show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from reid_audit.metrics.errors import InputError

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
MAX_PIXELS = 80_000_000
"""Larger pictures are refused before decoding: a few kilobytes can claim gigapixels. Pillow itself
warns from 89 million on."""


def decode(path: Path) -> NDArray[np.uint8]:
    """Decode a picture into RGB `(H, W, 3)` uint8.

    The EXIF orientation is applied; palette, grey, CMYK and 16-bit pictures are converted (16-bit
    by its high byte); transparency is laid over black, so that what lies under it stays unseen here
    (`attacks.residue` looks there). Of an animation the first frame counts.

    Raises:
        InputError: missing, empty, not a picture, truncated, or above 80 million pixels. The
            message names the file.
    """
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; replace or remove it.")
        with Image.open(path) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise InputError(
                    f"{path}: {width} x {height} pixels, above the limit of "
                    f"{MAX_PIXELS // 10**6} million; scale it down."
                )
            image.load()
            return np.asarray(_to_rgb(ImageOps.exif_transpose(image)), dtype=np.uint8)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; correct the path.") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path}: not a picture that can be read; use PNG, JPEG, WebP, TIFF or BMP."
        ) from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{path}: above the limit of {MAX_PIXELS // 10**6} million pixels; scale it down."
        ) from None
    except PermissionError:
        raise InputError(f"{path}: may not be read; change its permissions.") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        # Pillow reports damaged data by any of these, according to the format.
        raise InputError(f"{path}: damaged or cut short ({error}); replace it.") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        high_byte = np.asarray(image).astype(np.int64).clip(0, 65535) >> 8
        return Image.fromarray(high_byte.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(np.asarray(image).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("RGB")
    return image.convert("RGB")
