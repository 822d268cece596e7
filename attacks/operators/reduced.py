"""Blur at a reduced resolution, enlarged again: cheap on a telephone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import cv2
import numpy as np

from reid_audit.attacks.operators.base import ROUNDING_VARIANCE, Nature, Operator, require, rounded
from reid_audit.attacks.operators.blur import gaussian_kernel
from reid_audit.attacks.operators.spectrum import kernel_response
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class ReducedGaussian(Operator):
    """The whole picture reduced `f`-fold (bilinear), blurred there by a Gaussian of `sigma` pixels
    cut to `k` taps (edge pixels repeated), rounded, and enlarged (bilinear); of it the region is
    pasted."""

    name: ClassVar[str] = "reduced-gaussian"
    family: ClassVar[str] = "gaussian"
    nature: ClassVar[Nature] = Nature.MASKED
    far_sighted: ClassVar[bool] = True

    f: float
    sigma: float
    k: int

    def __post_init__(self) -> None:
        require(
            1 <= self.f < math.inf,
            f"reduced-gaussian: f must be at least 1 (the factor), not {self.f:g}.",
        )
        require(
            0 < self.sigma < math.inf and self.k >= 1 and self.k % 2 == 1,
            "reduced-gaussian: sigma must be above 0 and k odd, not "
            f"sigma={self.sigma:g}, k={self.k}.",
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Reduced, blurred, rounded, enlarged."""
        height, width = picture.shape[:2]
        # A hair more, so that an exact quotient is not cut to the number below.
        small = tuple(max(1, math.floor(side / self.f + 1e-6)) for side in (width, height))
        reduced = cv2.resize(picture, small, interpolation=cv2.INTER_LINEAR)
        taps = gaussian_kernel(self.k, self.sigma)
        border = cv2.BORDER_REPLICATE
        blurred = rounded(cv2.sepFilter2D(reduced, cv2.CV_32F, taps, taps, borderType=border))
        enlarged = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(enlarged, np.uint8)

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        """The box taken from the whole picture that went through it."""
        x0, y0, x1, y1 = box
        out = picture.copy()
        out[y0:y1, x0:x1] = self.apply(picture, rng)[y0:y1, x0:x1]
        return out

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Of the blur, in pixels of the picture, and of the linear interpolation."""
        interpolation = self._interpolation(height, width)
        spread = round(self.k // 2 * self.f)
        taps = gaussian_kernel(2 * spread + 1, self.sigma * self.f)
        return interpolation * np.outer(kernel_response(taps, height), kernel_response(taps, width))

    def _interpolation(self, height: int, width: int) -> np.ndarray:
        rows, columns = (
            np.sinc(self.f * np.arange(size) / (2 * max(size - 1, 1))) ** 2
            for size in (height, width)
        )
        return np.outer(rows, columns)

    def noise(self, height: int, width: int) -> np.ndarray:
        """Rounding the reduced picture as well: each of its errors is spread over f x f pixels,
        and weighs as much more on the slow modes that are left."""
        return ROUNDING_VARIANCE * (1 + (self.f * self._interpolation(height, width)) ** 2)

    @property
    def parameters(self) -> dict[str, Any]:
        """With the sigma in pixels of the picture."""
        sigma = self.sigma * self.f
        return {"sigma_x": sigma, "sigma_y": sigma, "f": self.f, "sigma": self.sigma, "k": self.k}

    def scaled(self, factor: float) -> Self:
        """A factor under 1 is no reduction any more: its sigma is stated in the picture itself."""
        f = self.f * factor
        return replace(self, f=f) if f >= 1 else replace(self, f=1.0, sigma=self.sigma * f)
