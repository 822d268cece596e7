"""Second-order statistics of faces and of what an operator leaves of them, in the DCT-I basis.

Power is kept per orthonormal opponent colour (luminance, red-blue, green-magenta), in which the
channels of natural pictures are nearly uncorrelated, and on a grid of spatial frequencies from 0
to 1/2 cycle a pixel, so that one measurement serves regions of any size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from reid_audit.attacks.operators.spectrum import basis, inverse_basis

OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.float32)
OPPONENT /= np.linalg.norm(OPPONENT, axis=1, keepdims=True)

GRID = 129

NOTHING = 1e-3
"""Power in grey levels squared that no 8-bit picture's mode falls under by right."""


@lru_cache(maxsize=64)
def _forward(size: int) -> np.ndarray:
    return basis(size).astype(np.float32)


@lru_cache(maxsize=64)
def _inverse(size: int) -> np.ndarray:
    return inverse_basis(size).astype(np.float32)


def to_modes(
    picture: np.ndarray, rows: int | None = None, columns: int | None = None
) -> np.ndarray:
    """DCT-I modes `(3, H, W)` float32 of the opponent colours of a picture `(H, W, 3)`; the
    slowest `rows` and `columns` of them where only those are wanted."""
    height, width = picture.shape[:2]
    return np.asarray(_forward(height)[:rows] @ opponents(picture) @ _forward(width)[:columns].T)


def from_modes(modes: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Picture `(H, W, 3)` uint8 of opponent DCT-I modes `(3, H, W)`; inverse of `to_modes`.

    Args:
        shape: height and width where `modes` are only the slowest.
    """
    height, width = shape or modes.shape[1:]
    rows, columns = modes.shape[1:]
    return from_opponents(_inverse(height)[:, :rows] @ modes @ _inverse(width)[:, :columns].T)


def opponents(picture: np.ndarray) -> np.ndarray:
    """Opponent colours `(3, H, W)` float32 of a picture `(H, W, 3)`."""
    return np.tensordot(OPPONENT, picture.astype(np.float32), axes=(1, 2))


def from_opponents(planes: np.ndarray) -> np.ndarray:
    """Picture `(H, W, 3)` uint8 of opponent colours `(3, H, W)`."""
    picture = np.tensordot(planes, OPPONENT, axes=(0, 0))
    return np.rint(picture).clip(0, 255).astype(np.uint8)


def resample_modes(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Values `(3, h, w)` known at frequencies 0 .. 1/2 carried to another number of modes."""
    rows = np.linspace(0, values.shape[1] - 1, height, dtype=np.float32)
    columns = np.linspace(0, values.shape[2] - 1, width, dtype=np.float32)
    x, y = np.meshgrid(columns, rows)
    planes = [cv2.remap(plane, x, y, cv2.INTER_LINEAR) for plane in values.astype(np.float32)]
    return np.stack(planes)


@dataclass(frozen=True)
class Spectra:
    """Mean second moments per mode on the frequency grid, each `(3, GRID, GRID)`.

    clear: E[x^2]. anonymized: E[y^2]. cross: E[x y]. count: faces measured.
    """

    clear: np.ndarray
    anonymized: np.ndarray
    cross: np.ndarray
    count: int

    @classmethod
    def measure(cls, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Spectra:
        """From (clear, anonymised) regions `(H, W, 3)` uint8 of reference faces."""
        sums = np.zeros((3, 3, GRID, GRID), dtype=np.float64)
        count = 0
        for clear, anonymized in pairs:
            x, y = to_modes(clear), to_modes(anonymized)
            for total, product in zip(sums, (x * x, y * y, x * y), strict=True):
                total += resample_modes(product, GRID, GRID)
            count += 1
        if count == 0:
            raise ValueError("no pair of faces to measure")
        clear, anonymized, cross = sums / count
        return cls(clear, anonymized, cross, count)

    def prior(self, height: int, width: int) -> np.ndarray:
        """Smoothed clear power `(3, height, width)`; the logarithm is smoothed and resampled, since
        power falls over five decades."""
        return _smoothed(self.clear, height, width)

    def left(self, height: int, width: int) -> np.ndarray:
        """Smoothed power after anonymisation `(3, height, width)`."""
        return _smoothed(self.anonymized, height, width)

    def regression(self, height: int, width: int) -> np.ndarray:
        """Best linear estimate of x from y per mode, E[xy] / E[y^2] `(3, height, width)`.

        Needs no eigenvalues, hence serves every operator. The moments are taken as measured:
        power falls so steeply that smoothing it would carry the mean level into its neighbours.
        """
        return resample_modes(self.cross / (self.anonymized + NOTHING), height, width)


def _smoothed(power: np.ndarray, height: int, width: int) -> np.ndarray:
    smooth = np.stack([gaussian_filter(np.log(p + 1e-6), 1.0) for p in power])
    smooth[:, :2, :2] = np.log(power[:, :2, :2] + 1e-6)  # the mean level stands alone
    return np.asarray(np.exp(resample_modes(smooth, height, width)))
