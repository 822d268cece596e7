"""Log power of a spectrum in rings and sectors: what the learned estimators see.

Rings are soft, so that features change smoothly with the blur; three sectors (along x, slanted,
along y) keep the axes apart, where straight edges and picture borders put power.
"""

from __future__ import annotations

import numpy as np

SECTORS = 3
ABSOLUTE = np.geomspace(0.004, 0.65, 34)
"""Ring centres in cycles per pixel."""
SCALED = np.r_[0.15:1.2:0.15, 1.2:4.81:0.12]
"""Ring centres in units of 1 / (2 pi sigma): a Gaussian has lost x^2 nepers of power at x."""
EMPTY = 1e-3
"""Power in grey levels squared that is added before the logarithm."""


def absolute_rings(power: np.ndarray) -> np.ndarray:
    """Rings in cycles per pixel `(P * 3 * 34,)` of `power_of` a region `(P, H, W)`."""
    y, x = _frequencies(power)
    return _rings(power, y, x, ABSOLUTE)


def scaled_rings(power: np.ndarray, sigma_x: float, sigma_y: float) -> np.ndarray:
    """Rings in units of a Gaussian blur's own frequency, `(P * 3 * len(SCALED),)`; rings past half
    a cycle per pixel repeat the last one."""
    y, x = _frequencies(power)
    return _rings(power, 2 * np.pi * sigma_y * y, 2 * np.pi * sigma_x * x, SCALED)


def _frequencies(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cycles per pixel of the rows `(H,)` and columns `(W,)`."""
    height, width = power.shape[1:]
    return np.arange(height) / (2 * (height - 1)), np.arange(width) / (2 * (width - 1))


def _rings(power: np.ndarray, y: np.ndarray, x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    rows, columns = int((y <= centres[-1]).sum()), int((x <= centres[-1]).sum())
    power, y, x = power[:, :rows, :columns], y[:rows], x[:columns]
    radius = np.hypot(y[:, None], x)
    inside = (radius <= centres[-1]) & (radius > 0)
    position = np.interp(radius[inside], centres, np.arange(len(centres)))
    lower = np.minimum(position.astype(int), len(centres) - 2)
    share = position - lower
    tilt = np.broadcast_to(y[:, None], radius.shape)[inside] / radius[inside]
    sector = (tilt > 0.34).astype(int) + (tilt > 0.94)  # 20 and 70 degrees
    size = SECTORS * len(centres)
    index = sector * len(centres) + lower
    count = np.bincount(index, 1 - share, size) + np.bincount(index + 1, share, size)
    sums = np.empty((len(power), size))
    for row, plane in zip(sums, power, strict=True):
        values = plane[inside]
        row[:] = np.bincount(index, (1 - share) * values, size)
        row += np.bincount(index + 1, share * values, size)
    count = count.reshape(SECTORS, -1)
    mean = sums.reshape(len(power), SECTORS, -1) / np.maximum(count, 1e-9)
    # A ring without modes takes the value of the one before it, the first ones of the one after.
    held = np.where(count > 0.05, np.arange(len(centres)), 0)
    held = np.maximum.accumulate(held, axis=1)
    first = (count > 0.05).argmax(axis=1)
    held = np.maximum(held, first[:, None])
    filled = np.take_along_axis(mean, np.broadcast_to(held, mean.shape), axis=2)
    return np.log(filled + EMPTY).ravel()
