"""Frequency responses of the blurs in the model bank, smooth in their parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from reid_audit.attacks.anonymisation.spectra import Axis, Spectrum, axis
from reid_audit.attacks.operators.opencv import CvGaussian

HalfKernel = Callable[[float], np.ndarray]
"""Half width -> taps from the centre outwards."""

STEP = 0.02
"""Step of the numerical derivative, in pixels."""
FLOOR = 1e-12


@lru_cache(maxsize=32)
def _cosines(size: int, half: int) -> np.ndarray:
    """`(size, half + 1)`: each mode's cosine at distance 0..half, doubled off the centre."""
    angle = np.pi * np.arange(size) / max(size - 1, 1)
    table = 2 * np.cos(angle[:, None] * np.arange(half + 1))
    table[:, 0] = 1
    return table


def log_power(half_kernels: list[np.ndarray], bins: Axis) -> np.ndarray:
    """Log of the mean |H|^2 in each bin `(B, bins)` of symmetric kernels, given from their centre
    outwards."""
    longest = max(len(k) for k in half_kernels)
    taps = np.stack([np.pad(k, (0, longest - len(k))) for k in half_kernels])
    response = taps @ _cosines(bins.size, longest - 1).T
    return np.asarray(np.log(response**2 @ bins.average.T + FLOOR))


def _normalised(weights: np.ndarray, half: float) -> np.ndarray:
    """The outermost tap fades in between whole half widths, with no slope at either end, so that
    kernels change smoothly."""
    if len(weights) - 1 > half:
        part = half - (len(weights) - 2)
        weights[-1] *= part**2 * (3 - 2 * part)
    return np.asarray(weights / (weights[0] + 2 * weights[1:].sum()))


def rule_sigma(half: float) -> float:
    """Sigma of torchvision's kernel of size 2 half + 1, for fractions too."""
    return 0.3 * (half - 1) + 0.8


def gaussian_taps(half: float) -> np.ndarray:
    """torchvision's Gaussian kernel of size 2 half + 1."""
    taps = np.arange(int(np.ceil(half)) + 1)
    return _normalised(np.exp(-0.5 * (taps / rule_sigma(half)) ** 2), half)


def box_taps(half: float) -> np.ndarray:
    """Mean over a width of 2 half + 1. Even widths have their two outer taps at half weight, which
    is the magnitude of a box shifted by half a pixel but for a factor near one."""
    return _normalised(np.ones(int(np.ceil(half)) + 1), half)


def opencv_taps(half: float) -> np.ndarray:
    """Weights that OpenCV really uses on 8-bit pictures, for a kernel of size 2 half + 1."""
    return CvGaussian(2 * round(half) + 1).kernel()[round(half) :]


class Separable:
    """Response of a separable kernel with half widths (x, y), for `likelihood.fit`."""

    def __init__(self, taps: HalfKernel) -> None:
        self.taps = taps

    def __call__(self, shape: np.ndarray, spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
        """Log |H|^2 `(cells,)` and its derivatives `(cells, S)` by the S = 1 or 2 half widths."""
        x, dx = self._axis(shape[0], spectrum.columns)
        y, dy = self._axis(shape[-1], spectrum.rows)
        slope = np.column_stack([dx[spectrum.column], dy[spectrum.row]])
        if len(shape) == 1:  # square kernel: one parameter for both axes
            slope = slope.sum(axis=1, keepdims=True)
        return x[spectrum.column] + y[spectrum.row], slope

    def _axis(self, half: float, bins: Axis) -> tuple[np.ndarray, np.ndarray]:
        below = max(half - STEP, 0.0)
        kernels = [self.taps(h) for h in (half, below, half + STEP)]
        here, before, after = log_power(kernels, bins)
        return here, (after - before) / (half + STEP - below)

    def bank(self, halves: np.ndarray, spectrum: Spectrum) -> np.ndarray:
        """Log |H|^2 `(B, cells)` of square kernels, for `likelihood.scan`."""
        kernels = [self.taps(half) for half in halves]
        x = log_power(kernels, axis(spectrum.width, spectrum.growth))
        y = log_power(kernels, axis(spectrum.height, spectrum.growth))
        return np.asarray(x[:, spectrum.column] + y[:, spectrum.row])


gaussian = Separable(gaussian_taps)
box = Separable(box_taps)
opencv = Separable(opencv_taps)


def none(shape: np.ndarray, spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """No blur; takes no parameters."""
    return np.zeros(len(spectrum.row)), np.zeros((len(spectrum.row), 0))
