"""JPEG from pixels alone: a picture that was stored as JPEG and saved again losslessly.

Two traces, the cheap one first. The 8 x 8 DCT coefficients of its luma still lie on the multiples
of their quantisation steps. For a coefficient c and a step s, cos(2 pi c / s) is 1 there and 0 on
average elsewhere; its sum over all coefficients that are not zero, in standard deviations of
chance, says how well a quality fits. It is blind where a fine quality or a heavy blur leaves few
coefficients on coarse steps; but storing such a picture again at its own quality changes next to
nothing, and at any other much more.
"""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image
from scipy import fft

from reid_audit.attacks.anonymisation.encoded import standard_luma

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
ROW, COLUMN = np.nonzero(np.add.outer(np.arange(8), np.arange(8)) <= 4)
"""Coefficients that survive a blur."""
FLAT = 0.75
"""Largest coefficient that rounding alone leaves in a block of one colour."""
FINEST = 2.0
"""A step of one is lost in the rounding of the pixels."""
CERTAIN = 12.0
"""Standard deviations, under which pictures never stored as JPEG stay at qualities above `COARSE`
(benchmarks/tried.md, estimation of the operator)."""
COARSE = 9
FINE = range(84, 99)
"""Qualities at which a picture is stored again."""
SCREEN = 0.45
"""Share of changed pixels at the finest quality, in that at the coarsest, above which a picture was
never stored. Development pictures that were not lie at .5 and more, others at .36 and less."""
DIP = 0.6
"""Share of changed pixels at a picture's quality, in that two qualities below: at most .45 when it
was stored so, .85 and more when it was not."""
MOST = 512
"""Sides in pixels of the part that is stored again."""
MCU = 16
"""Sides in pixels of a JPEG's units with halved chroma; parts start on multiples of it."""


def jpeg_quality_of(picture: np.ndarray) -> int | None:
    """Quality 1-100 of the JPEG that `picture` `(H, W, 3)` uint8 was, or None if it seems never to
    have been one or was one of nearly lossless quality.

    The grid of 16 x 16 pixels must start at the first pixel, so hand over whole pictures.
    """
    height, width = (side // 8 * 8 for side in picture.shape[:2])
    if min(height, width) < 32:
        return None
    by_steps = _quality_by_steps(picture[:height, :width])
    return _quality_by_storing(picture) if by_steps is None else by_steps


def luma_blocks(picture: np.ndarray) -> np.ndarray:
    """DCT coefficients `(H // 8, W // 8, 8, 8)` of the luma of a picture whose sides are multiples
    of 8."""
    height, width = picture.shape[:2]
    luma = picture.astype(np.float32) @ LUMA - 128
    blocks = luma.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
    return np.asarray(fft.dctn(blocks, axes=(2, 3), norm="ortho"))


def _quality_by_steps(picture: np.ndarray) -> int | None:
    """Quality whose quantisation steps the coefficients lie on; sides are multiples of 8."""
    coefficients = luma_blocks(picture)[..., ROW, COLUMN].reshape(-1, len(ROW))
    # A block of one colour lies on steps of eight whatever was done to it.
    coefficients = coefficients[np.abs(coefficients[:, 1:]).max(axis=1) > FLAT]
    on_grid, count = np.zeros(100), np.zeros(100)
    for values, steps in zip(coefficients.T, _steps(), strict=True):
        distinct, back = np.unique(steps, return_inverse=True)
        matches = np.array([_matches(values, step) for step in distinct])
        on_grid += matches[back, 0]
        count += matches[back, 1]
    score = on_grid / np.sqrt(count / 2 + 4)
    equal = np.flatnonzero(score > score.max() - 1e-6)  # neighbours share these steps
    best = equal[len(equal) // 2]
    return int(best) + 1 if score[best] > CERTAIN and best + 1 > COARSE else None


def _quality_by_storing(picture: np.ndarray) -> int | None:
    """Quality at which storing the middle of a picture again changes it least, if that stands out.

    Chroma may have been halved (4:2:0, what cameras and libraries do) or not (4:4:4).
    """
    starts = [max(0, side - MOST) // 2 // MCU * MCU for side in picture.shape[:2]]
    y, x = (
        slice(start, start + min(side, MOST) // MCU * MCU)
        for start, side in zip(starts, picture.shape[:2], strict=True)
    )
    part = np.ascontiguousarray(picture[y, x])
    for subsampling in (2, 0):
        coarse, fine = (_changed(part, q, subsampling) for q in (FINE[0], FINE[-1]))
        if fine > SCREEN * coarse:
            continue
        changed = np.array([_changed(part, q, subsampling) for q in FINE])
        best = int(np.argmin(changed))
        if best > 1 and changed[best] < DIP * changed[best - 2]:
            return FINE[best]
    return None


def stored_again(picture: np.ndarray, quality: int, subsampling: int = 2) -> np.ndarray:
    """A picture `(H, W, 3)` uint8 after another JPEG, chroma halved (2) or not (0)."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "jpeg", quality=quality, subsampling=subsampling)
    with Image.open(stream) as stored:
        return np.asarray(stored.convert("RGB"))


def _changed(picture: np.ndarray, quality: int, subsampling: int) -> float:
    """Share of values that storing as JPEG changes."""
    return float((stored_again(picture, quality, subsampling) != picture).mean())


def _matches(values: np.ndarray, step: float) -> tuple[float, float]:
    if step < FINEST:
        return 0.0, 0.0
    kept = values[np.abs(values) > step / 2]
    return float(np.cos(2 * np.pi / step * kept).sum()), float(len(kept))


@cache
def _steps() -> np.ndarray:
    """Steps `(coefficients, 100)` of every quality."""
    return np.stack([standard_luma(quality)[ROW, COLUMN] for quality in range(1, 101)], axis=1)
