"""How alike are two pictures, pixel by pixel or as faces: one value per picture.

Pictures are (B, H, W, C), uint8, or floats together with an explicit data range.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_RADIUS = 5
_WINDOW = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / 1.5) ** 2)
_WINDOW /= _WINDOW.sum()


def psnr(reference: ArrayLike, other: ArrayLike, data_range: float | None = None) -> Floats:
    """Peak signal-to-noise ratio (B,) in dB: 10 log10(R^2 / MSE), +inf for equal pictures.

    Average these decibels, not the MSE: one bad picture would otherwise speak for all.

    Args:
        reference, other: (B, H, W, C).
        data_range: R; 255 for uint8, to be given for floats.

    >>> black = np.zeros((1, 8, 8, 3), np.uint8)
    >>> psnr(black, black + 16).round(2).tolist()
    [24.05]
    """
    x, y, peak = _pair(reference, other, data_range)
    error = np.array([np.mean((a - b) ** 2) for a, b in zip(x, y, strict=True)])
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(peak**2 / error))


def ssim(reference: ArrayLike, other: ArrayLike, data_range: float | None = None) -> Floats:
    """Structural similarity (B,) in [-1, 1] (Wang et al. 2004), mean over channels.

    Gaussian window 11 x 11 with sigma 1.5, K = (.01, .03), population covariance, and only windows
    that lie wholly inside the picture.

    Args:
        reference, other: (B, H, W, C), H and W at least 11.
        data_range: R; 255 for uint8, to be given for floats.
    """
    x, y, peak = _pair(reference, other, data_range)
    if min(x.shape[1:3]) < 2 * _RADIUS + 1:
        raise ValueError(f"SSIM needs pictures of at least 11 x 11 pixels, not {x.shape[1:3]}")
    return np.array([_ssim(a, b, peak) for a, b in zip(x, y, strict=True)])


def _ssim(x: NDArray[np.generic], y: NDArray[np.generic], peak: float) -> float:
    return float(np.mean(ssim_map(x, y, peak)))


def ssim_map(x: NDArray[np.generic], y: NDArray[np.generic], peak: float) -> Floats:
    """Structural similarity of every window that lies wholly inside two pictures `(H, W, C)`:
    `(H - 10, W - 10, C)`, as of `ssim`."""
    a, b = x.astype(float), y.astype(float)
    moments = np.concatenate([a, b, a * a, b * b, a * b], axis=-1)
    inner = slice(_RADIUS, -_RADIUS)  # windows that lie wholly inside the picture
    windowed = cv2.sepFilter2D(moments, -1, _WINDOW, _WINDOW)[inner, inner]
    mean_a, mean_b, aa, bb, ab = np.split(windowed, 5, axis=-1)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    product, square = mean_a * mean_b, mean_a**2 + mean_b**2
    structure = (2 * (ab - product) + c2) / (aa + bb - square + c2)
    return np.asarray((2 * product + c1) / (square + c1) * structure)


def idd(u: ArrayLike, v: ArrayLike) -> Floats:
    """Identity distance (B,): the angle between face embeddings, in radians, 0 to pi.

    2 atan2(|u - v|, |u + v|) on unit vectors keeps its precision at both ends, where the arccos
    of a float32 self-product is NaN for a quarter of all vectors. Angles of different recognisers,
    crops or alignments cannot be compared. Unrelated 512-d embeddings: 1.571 +- .044.

    Args:
        u, v: (B, D) embeddings of any length; NaN where one is zero or not finite.

    >>> idd([[1.0, 0.0]], [[0.0, 2.0]]).round(4).tolist()
    [1.5708]
    """
    with np.errstate(invalid="ignore"):
        a, b = (
            np.asarray(x, dtype=float) / np.linalg.norm(x, axis=-1, keepdims=True) for x in (u, v)
        )
        apart, along = np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)
    return np.asarray(2 * np.arctan2(apart, along))


def _pair(
    reference: ArrayLike, other: ArrayLike, data_range: float | None
) -> tuple[NDArray[np.generic], NDArray[np.generic], float]:
    x, y = np.asarray(reference), np.asarray(other)
    if x.ndim != 4 or x.shape != y.shape:
        raise ValueError(f"pictures must agree in shape (B, H, W, C), not {x.shape} and {y.shape}")
    if data_range is None and not x.dtype == y.dtype == np.uint8:
        raise ValueError(f"state the data range of {x.dtype} and {y.dtype} pictures")
    x, y = (image if image.dtype != np.uint8 else image.astype(np.int32) for image in (x, y))
    return x, y, 255.0 if data_range is None else data_range
