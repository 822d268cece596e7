"""What an anonymised face still holds, whatever the attack: a limit that needs no data.

An operator that multiplies frequency mode k by H_k and adds noise of variance N_k leaves of a face
of power P_k the signal-to-noise ratio H_k^2 P_k / N_k. From it follow

* effective resolution: the root of the number of modes with a ratio above 1, hence the side in
  pixels of a sharp picture that holds as many;
* bits per channel: the capacity, sum of log2(1 + ratio) / 2 (Cover and Thomas, "Elements of
  information theory", 2nd ed., eq. 9.62);
* the PSNR of the best linear restoration, whose error is P N / (H^2 P + N) in each mode.

Grey levels run from 0 to 255. Modes are those of an orthonormal transform, power and noise are
variances in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]

FRAME = 256 / 150.4
"""Side of the square a face is looked at in, in face widths: head and hair, as in the usual crops
(256 px of a face 150 px wide, 160 px of one 94 px wide)."""


@dataclass(frozen=True)
class Leakage:
    """effective_resolution: pixels per side of the frame. bits_per_channel: bits. psnr: dB."""

    effective_resolution: float
    bits_per_channel: float
    psnr: float

    @property
    def sentence(self) -> str:
        """In plain words.

        >>> Leakage(20.6, 2500, 24.0).sentence
        'as much detail as a 21 x 21 pixel picture'
        """
        side = round(self.effective_resolution)
        return f"as much detail as a {side} x {side} pixel picture" if side else "no detail at all"


def leakage(transfer: ArrayLike, noise: ArrayLike, power: ArrayLike) -> Leakage:
    """Limit of an operator.

    Args:
        transfer: gain of each mode, any shape.
        noise: variance added to each mode, above 0; a scalar or of the same shape.
        power: variance of each mode in clear faces, of the same shape.

    >>> identity = leakage(np.ones((64, 64)), 1 / 12, np.full((64, 64), 100.0))
    >>> identity.effective_resolution
    64.0
    """
    prior = np.asarray(power, np.float64)
    ratio = np.asarray(transfer, np.float64) ** 2 * prior / np.asarray(noise, np.float64)
    error = float(np.mean(prior / (1 + ratio)))
    return Leakage(
        effective_resolution=math.sqrt(np.count_nonzero(ratio > 1)),
        bits_per_channel=float(np.log2(1 + ratio).sum() / 2),
        psnr=10 * math.log10(255**2 / error) if error else math.inf,
    )


@dataclass(frozen=True, eq=False)
class FacePrior:
    """Mean power spectrum of faces, in units that do not depend on their size.

    frequencies: `(n,)` cycles per face width, rising from 0. log_density: `(n, n)` log10 of power
    per face width squared, rows vertical frequency. It is a mean over many people: nothing of any
    one of them can be read from it.
    """

    frequencies: Array
    log_density: Array

    @classmethod
    def measure(cls, power: ArrayLike, face_width: float) -> FacePrior:
        """From mean DCT-I power `(H, W)` of faces `face_width` px wide, less their mean level."""
        spectrum = np.asarray(power, np.float64)
        height, width = spectrum.shape
        finest = face_width / 2
        frequencies = np.r_[0, np.geomspace(face_width / (2 * (width - 1)), finest, 31)]
        known = tuple(_axis(_frequencies(size, face_width)) for size in (height, width))
        # Modes neighbour each other the closer the higher they are: smoothed in proportion.
        table = RegularGridInterpolator(
            known, np.log10(_smooth(spectrum) / face_width**2), bounds_error=False, fill_value=None
        )
        at = np.stack(np.meshgrid(*[_axis(frequencies)] * 2, indexing="ij"), axis=-1)
        return cls(frequencies, table(at))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> FacePrior:
        """Inverse of `to_json`; other keys, as those that state the source, are left alone."""
        return cls(np.array(content["frequencies"]), np.array(content["log_density"]))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, to three decimals."""
        return {
            "frequencies": np.round(self.frequencies, 3).tolist(),
            "log_density": np.round(self.log_density, 3).tolist(),
        }

    def power(self, height: int, width: int, face_width: float) -> Array:
        """Variance of each DCT-I mode `(height, width)` of a region with a face `face_width` px
        wide. Beyond the table the slope of its last two entries goes on."""
        axis = _axis(self.frequencies)
        table = RegularGridInterpolator(
            (axis, axis), self.log_density, bounds_error=False, fill_value=None
        )
        modes = [_axis(_frequencies(size, face_width)) for size in (height, width)]
        at = np.stack(np.meshgrid(*modes, indexing="ij"), axis=-1)
        density: Array = 10 ** np.asarray(table(at), np.float64)
        return density * face_width**2


@cache
def shipped_prior() -> FacePrior:
    """The prior that comes with the package; `face_prior.json` says over which faces."""
    return FacePrior.from_json(
        json.loads(files("metrics").joinpath("face_prior.json").read_text("utf-8"))
    )


def _frequencies(size: int, face_width: float) -> Array:
    """Cycles per face width of the DCT-I modes of `size` samples."""
    return np.arange(size) * face_width / (2 * max(size - 1, 1))


def _axis(frequencies: Array) -> Array:
    """Where power is nearly linear: logarithmic, but finite at 0."""
    return np.log(frequencies + 0.1)


def _smooth(power: Array) -> Array:
    """Power with neighbours averaged in the logarithm, the lowest modes left as they are."""
    logarithm = np.log(power)
    wide = gaussian_filter(logarithm, 2.0)
    low = np.minimum.outer(np.arange(power.shape[0]), np.arange(power.shape[1])) < 4
    result: Array = np.exp(np.where(low, gaussian_filter(logarithm, 0.5), wide))
    result[:2, :2] = power[:2, :2]
    return result


def empirical_response(clear: ArrayLike, anonymised: ArrayLike) -> tuple[Array, Array]:
    """Linear part and noise of an operator without a closed form, from what it does to pictures.

    Args:
        clear: modes `(M, H, W)` of M pictures.
        anonymised: modes of the same pictures after the operator.

    Returns:
        transfer: `(H, W)` regression of anonymised on clear modes; 0 where they go together no
            more than chance would have it.
        noise: `(H, W)` variance that the regression leaves, at least that of rounding.
    """
    x, y = np.asarray(clear, np.float64), np.asarray(anonymised, np.float64)
    spread = 1.0  # in modes: neighbours serve as further samples
    level = np.mean(x**2, axis=0) + 1e-9
    xx, xy, yy = (
        gaussian_filter(np.mean(product, axis=0) / level, spread)
        for product in (x * x, x * y, y * y)
    )
    samples = len(x) * max(1.0, 4 * math.pi * spread**2)
    coherence = xy**2 / np.maximum(xx * yy, 1e-12)
    transfer: Array = np.where(coherence > 9 / samples, xy / xx, 0.0)
    noise: Array = np.maximum((yy - transfer * xy) * level, 1 / 12)
    return transfer, noise


def weakest(
    resolution: Callable[[float], float], target: float, low: float, high: float
) -> float | None:
    """Smallest strength whose effective resolution is at most `target`.

    Doubles the strength until it is, then bisects the last step to 1 %. None when no strength up
    to `high` is. Not from `high` downwards, since a box wider than the picture, mirrored, hides
    less again.

    >>> round(weakest(lambda strength: 100 / strength, 20, 0.1, 100), 1)
    5.0
    """
    if resolution(low) <= target:
        return low
    while resolution(min(2 * low, high)) > target:
        low *= 2
        if low >= high:
            return None
    high = min(2 * low, high)
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        if resolution(middle) <= target:
            high = middle
        else:
            low = middle
    return high
