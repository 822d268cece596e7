"""Samples of more than 8 bits, brought to 8: by what the file states, else by what is measured.

Cameras and scientific programs keep 10 or 12 bits in files of 16, or numbers between 0 and 1. Read
by its high byte, such a picture is black, and a black picture hides a leak.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reid_audit.metrics.errors import InputError

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that samples of whole numbers are taken to have: the fewest that hold the largest."""
_ROUNDING = 1e-3


def to_eight_bits(samples: NDArray[np.generic], white: int | None = None) -> NDArray[np.uint8]:
    """Samples `(H, W)` or `(H, W, C)` of whole or real numbers as uint8 of the same shape.

    Whole numbers are scaled from 0 to `white`, where the file states it, else to the largest number
    of 8, 10, 12, 14 or 16 bits, whichever is the smallest that holds every sample; 8 bits that were
    shifted up or repeated in the low byte come back exactly. Real numbers reach up to 1 or to 255.

    Raises:
        InputError: negative samples, no numbers, or a range that cannot be told; the message names
            no file.
    """
    if samples.size == 0:
        raise InputError("holds no sample; replace it.")
    if samples.dtype.kind == "f":
        return _from_real(samples.astype(np.float64))
    whole = samples.astype(np.int64)
    low, high = int(whole.min()), int(whole.max())
    if low < 0 or high >= 2 ** DEPTHS[-1]:
        raise InputError(
            f"holds integers from {low} to {high}, a bit depth that cannot be told; save it with 8 "
            "or 16 bits a channel."
        )
    if white is not None and high <= white:
        return _scaled(whole, white)
    if high % 257 == 0 and high > 255 and not (whole % 257).any():
        return np.asarray(whole // 257, dtype=np.uint8)
    bits = next(bits for bits in DEPTHS if high < 2**bits)
    step = 2 ** (bits - 8)
    if not (whole % step).any():
        return np.asarray(whole // step, dtype=np.uint8)
    return _scaled(whole, 2**bits - 1)


def _scaled(samples: NDArray[np.int64], white: int) -> NDArray[np.uint8]:
    return np.asarray((samples * 255 + white // 2) // white, dtype=np.uint8)


def _from_real(samples: NDArray[np.float64]) -> NDArray[np.uint8]:
    if not np.isfinite(samples).all():
        raise InputError("holds samples that are no numbers; save it with 8 or 16 bits a channel.")
    low, high = float(samples.min()), float(samples.max())
    if low >= -_ROUNDING and high <= 1 + _ROUNDING:
        scale = 255.0
    elif low >= -_ROUNDING * 255 and 8 < high <= 255.5:
        scale = 1.0
    else:
        raise InputError(
            f"holds floating-point samples from {low:.4g} to {high:.4g}, neither in the range 0 to "
            "1 nor 0 to 255; save it with 8 or 16 bits a channel."
        )
    return np.asarray(np.rint(samples * scale).clip(0, 255), dtype=np.uint8)


def over_black(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey `(H, W)`, RGB or RGBA `(H, W, C)` as RGB `(H, W, 3)`, transparency laid over black."""
    if samples.ndim == 2 or samples.shape[2] == 1:
        return np.repeat(samples.reshape(*samples.shape[:2], 1), 3, axis=2)
    if samples.shape[2] == 4:
        weighted = samples[..., :3].astype(np.uint32) * samples[..., 3:] + 127
        return np.asarray(weighted // 255, dtype=np.uint8)
    return samples


def stated_white(tags: Sequence[int], bits: Sequence[int]) -> int | None:
    """White of a TIFF: its MaxSampleValue, or what fewer than 16 BitsPerSample can hold.

    >>> stated_white((), (12,))
    4095
    """
    if tags and len(set(tags)) == 1 and tags[0] > 0:
        return int(tags[0])
    if bits and 8 < max(bits) < 16:
        return int(2 ** max(bits)) - 1
    return None
