"""The small curves everything on a head is drawn with: steps, bumps, tileable noise."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

# float32 in practice; NumPy's stubs do not follow precision through mixed arithmetic.
Array = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]

_TILE = 1024  # texels along a noise tile's side
_TEXELS = 4  # texels per unit of noise coordinate: fine enough to look up without interpolation


def smoothstep(low: float | Array, high: float | Array, x: Array) -> Array:
    """Rise from 0 at `low` to 1 at `high` (fall, if `high < low`) without a kink.

    >>> smoothstep(0., 2., np.float32([-1, 1, 3])).tolist()
    [0.0, 0.5, 1.0]
    """
    t = np.clip((x - low) / (high - low), 0, 1)
    eased: Array = t * t * (3 - 2 * t)
    return eased


def bump(x: Array, width: float) -> Array:
    """Gaussian bump of height 1 and standard deviation `width`."""
    height: Array = np.exp(np.square(x * (1 / width)) * -0.5)
    return height


def box(x: Array, width: float, power: float = 2.2) -> Array:
    """Bump with a flatter top than a Gaussian's: exp(-|x / width| ** power)."""
    height: Array = np.exp(-np.power(np.abs(x) / width, power))
    return height


def mix(a: Array, b: Array | float, t: Array | float) -> Array:
    """`a` where t = 0, `b` where t = 1."""
    return a + (b - a) * t


def linear(rgb: Colour) -> Array:
    """Linear-light float32 `(3,)` of an 8-bit display colour (gamma 2.2)."""
    return np.power(np.asarray(rgb, np.float32) / 255, np.float32(2.2))


@lru_cache(maxsize=8)
def _tile(grain: float) -> Array:
    white = np.random.default_rng(7).standard_normal((_TILE, _TILE), dtype=np.float32)
    # A periodic Gaussian blur, in the Fourier domain: grains are too wide for a plain one.
    rows, columns = np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None]
    blur = np.exp(-2 * np.square(np.pi * grain * _TEXELS) * (rows * rows + columns * columns))
    smooth = fft.irfft2(fft.rfft2(white) * blur.astype(np.float32))
    tile: Array = smooth / smooth.std()
    tile.flags.writeable = False  # shared by every caller
    return tile


def noise(grain: float, u: Array, v: Array) -> Array:
    """Smooth noise of unit variance with features about `grain` wide, periodic in (u, v)."""
    row = (u * _TEXELS).astype(np.int32) & (_TILE - 1)
    column = (v * _TEXELS).astype(np.int32) & (_TILE - 1)
    cut: Array = _tile(grain)[row, column]
    return cut
