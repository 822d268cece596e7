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
from scipy.fft import dctn
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.special import expit

Array = NDArray[np.float64]

FRAME = 256 / 150
"""Side of the square a face is looked at in, in face widths: head and hair, as in the usual crops
(256 px of a face 150 px wide, 160 px of one 94 px wide)."""

NAMED = ((4.24, 0.090), (5.48, 0.269), (6.71, 0.405), (8.77, 0.682), (13.67, 0.915), (20.02, 0.982))
"""Effective resolution that Gaussian blurs of LFW's pictures left, and the share of 598 pictures of
299 people that the strongest attacker of this project named among 4,034 (benchmarks/lfw.md). A
limit that no attack has reached says little to whoever must decide; what was reached does."""
NAMED_OF = 299
"""People behind each share, whose pictures are not independent."""
SURE = 1.96
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True)
class Precedent:
    """What an attacker makes of as much detail: the share of people named by a law fitted to
    Gaussian blurs, which mosaics and reductions follow too (benchmarks/law.md), with its 95 %
    interval. `at_least`: more is left than was measured."""

    share: float
    low: float
    high: float
    at_least: bool = False

    def __str__(self) -> str:
        if self.at_least:
            return f"at least {self.share:.0%}"
        return f"{self.share:.0%} ({self.low:.0%} to {self.high:.0%})"


@cache
def law() -> tuple[Array, Array]:
    """Logistic regression of `NAMED` on the logarithm of the effective resolution: intercept and
    slope `(2,)`, and their covariance `(2, 2)`, by Newton's method on the binomial likelihood."""
    side, share = np.array(NAMED).T
    design = np.column_stack([np.ones(len(side)), np.log(side)])
    weights, inverse = np.zeros(2), np.eye(2)
    for _ in range(25):
        expected = expit(design @ weights)
        spread = NAMED_OF * expected * (1 - expected)
        inverse = np.linalg.inv((design * spread[:, None]).T @ design)
        weights = weights + inverse @ design.T @ (NAMED_OF * (share - expected))
    return weights, inverse


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

    @property
    def named(self) -> Precedent | None:
        """What an attacker has made of as much detail; None where less is left than was measured.

        >>> str(Leakage(7, 300, 19.0).named)
        '46% (43% to 49%)'
        >>> Leakage(2, 30, 16.0).named is None
        True
        """
        least, most = NAMED[0][0], NAMED[-1][0]
        if self.effective_resolution < least:
            return None
        weights, covariance = law()
        at = np.array([1.0, math.log(min(self.effective_resolution, most))])
        middle, error = float(at @ weights), SURE * math.sqrt(float(at @ covariance @ at))
        share, low, high = (float(expit(v)) for v in (middle, middle - error, middle + error))
        return Precedent(share, low, high, self.effective_resolution > most)

    @property
    def precedent(self) -> str | None:
        """The same as a sentence.

        >>> "named 46% (43% to 49%) of people among 4,034" in Leakage(7, 300, 19.0).precedent
        True
        """
        if (named := self.named) is None:
            return None
        return (
            f"By what was measured through Gaussian blurs, an attacker trained for it named "
            f"{named} of people among 4,034 where as much is left (299 people of LFW)."
        )


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


def rounding_noise(
    transfer: ArrayLike,
    power: ArrayLike,
    contrast: ArrayLike = (1.0,),
    step: float = 1.0,
    dither: float = 0.0,
) -> Array:
    """Variance that rounding a blurred picture adds to each DCT-I mode `(H, W)`.

    Rounding is white noise of step^2 / 12 only where grey levels change by several steps a pixel.
    Heavy blur leaves slow ramps, whose error is as slow and falls on the very modes that still
    carry detail. For a Gaussian picture whose values at distance t differ by variance D(t), the
    error has autocovariance sum over m of exp(-2 pi^2 m^2 D(t) / step^2) step^2 / (2 pi^2 m^2)
    (Widrow and Kollar, "Quantization noise", 2008, ch. 9; large variance). Pictures have flat and
    busy places: the mean over `contrast` is taken.

    Args:
        transfer: gains of the modes before rounding.
        power: variances of the modes of clear pictures.
        contrast: factors on D met in equal shares over a picture, of mean 1; see `local_contrast`.
        step: distance of the levels rounded to, in grey levels.
        dither: variance per pixel of noise added before rounding, which makes the error white.
    """
    spectrum = np.asarray(transfer, np.float64) ** 2 * np.asarray(power, np.float64)
    if min(spectrum.shape) < 2:
        return np.full(spectrum.shape, step**2 / 12)
    spectrum[0, 0] = 0  # the mean level does not differ between places
    height, width = spectrum.shape
    covariance = dctn(spectrum, type=1) / (4 * (height - 1) * (width - 1))
    difference = 2 * (covariance[0, 0] - covariance)
    error = np.zeros_like(spectrum)
    factors = np.atleast_1d(np.asarray(contrast, np.float64))
    for factor in factors:
        varied = factor * difference + 2 * dither
        varied[0, 0] = 0
        for m in (1, 2, 3):
            error += np.exp(-2 * (math.pi * m / step) ** 2 * varied) / (2 * (math.pi * m) ** 2)
    error *= step**2 / len(factors)
    error[0, 0] = step**2 / 12
    noise: Array = np.maximum(dctn(error, type=1), step**2 / 120)
    return noise


def local_contrast(planes: ArrayLike, shares: int = 8) -> Array:
    """How unevenly detail is spread: `(shares,)` quantiles, mean 1, of local squared gradients.

    Args:
        planes: grey levels `(M, H, W)` of blurred pictures.
    """
    gradients = [
        uniform_filter(sum(d**2 for d in np.gradient(plane)), 9)[::4, ::4].ravel()
        for plane in np.asarray(planes, np.float64)
    ]
    spread = np.quantile(np.concatenate(gradients), (np.arange(shares) + 0.5) / shares)
    quantiles: Array = spread / spread.mean()
    return quantiles


@dataclass(frozen=True, eq=False)
class FacePrior:
    """Mean power spectrum of faces, in units that do not depend on their size.

    frequencies: `(n,)` cycles per face width, rising from 0. log_density: `(n, n)` log10 of power
    per face width squared, rows vertical frequency. contrast: `local_contrast` of blurred faces.
    All are means over many people: nothing of any one of them can be read from them.
    """

    frequencies: Array
    log_density: Array
    contrast: Array

    @classmethod
    def measure(
        cls, power: ArrayLike, face_width: float, contrast: ArrayLike = (1.0,)
    ) -> FacePrior:
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
        return cls(frequencies, table(at), np.asarray(contrast, np.float64))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> FacePrior:
        """Inverse of `to_json`; other keys, as those that state the source, are left alone."""
        return cls(*(np.array(content[key]) for key in ("frequencies", "log_density", "contrast")))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, to three decimals."""
        return {
            "frequencies": np.round(self.frequencies, 3).tolist(),
            "log_density": np.round(self.log_density, 3).tolist(),
            "contrast": np.round(self.contrast, 4).tolist(),
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
        json.loads(files("reid_audit.metrics").joinpath("face_prior.json").read_text("utf-8"))
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
