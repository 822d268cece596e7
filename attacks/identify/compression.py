"""JPEG from pixels alone: a picture that was stored as JPEG and saved again losslessly.

The 8 x 8 DCT coefficients of its luma still lie on the multiples of their quantisation steps. For a
coefficient c and a step s, cos(2 pi c / s) is 1 there and 0 on average elsewhere; its sum over all
coefficients that are not zero, in standard deviations of chance, says how well a quality fits.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import fft

from attacks.identify.encoded import standard_luma

LUMA = np.float32([0.299, 0.587, 0.114])
ROW, COLUMN = np.nonzero(np.add.outer(np.arange(8), np.arange(8)) <= 4)
"""Coefficients that survive a blur."""
FINEST = 2.0
"""A step of one is lost in the rounding of the pixels."""
CERTAIN = 12.0
"""Standard deviations; pictures never stored as JPEG stay under 12 with qualities above `COARSE`
(development pictures, blurred, noisy and clear)."""
COARSE = 9


def jpeg_quality_of(picture: np.ndarray) -> int | None:
    """Quality 1-100 of the JPEG that `picture` `(H, W, 3)` uint8 was, or None if it seems never to
    have been one or was one of nearly lossless quality.

    The 8 x 8 grid must start at the first pixel, so hand over whole pictures.
    """
    height, width = (side // 8 * 8 for side in picture.shape[:2])
    if min(height, width) < 32:
        return None
    luma = picture[:height, :width].astype(np.float32) @ LUMA - 128
    blocks = luma.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
    coefficients = fft.dctn(blocks, axes=(2, 3), norm="ortho")[..., ROW, COLUMN]
    on_grid, count = np.zeros(100), np.zeros(100)
    for values, steps in zip(coefficients.reshape(-1, len(ROW)).T, _steps(), strict=True):
        distinct, back = np.unique(steps, return_inverse=True)
        found = np.array([_matches(values, step) for step in distinct])
        on_grid += found[back, 0]
        count += found[back, 1]
    score = on_grid / np.sqrt(count / 2 + 4)
    equal = np.flatnonzero(score > score.max() - 1e-6)  # neighbours share these steps
    best = equal[len(equal) // 2]
    return int(best) + 1 if score[best] > CERTAIN and best + 1 > COARSE else None


def _matches(values: np.ndarray, step: float) -> tuple[float, float]:
    if step < FINEST:
        return 0.0, 0.0
    kept = values[np.abs(values) > step / 2]
    return float(np.cos(2 * np.pi / step * kept).sum()), float(len(kept))


@cache
def _steps() -> np.ndarray:
    """Steps `(coefficients, 100)` of every quality."""
    return np.stack([standard_luma(quality)[ROW, COLUMN] for quality in range(1, 101)], axis=1)
