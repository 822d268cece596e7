"""OpenCV's filters that differ from the textbook: its Gaussian, median and motion blur."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import cv2
import numpy as np

from reid_audit.attacks.operators.base import Nature, Operator, Picture, require
from reid_audit.attacks.operators.blur import rule_kernel, rule_sigma, scaled_kernel
from reid_audit.attacks.operators.spectrum import kernel_response


@dataclass(frozen=True)
class CvGaussian(Operator):
    """`cv2.GaussianBlur(picture, (k, k), sigma)`, where 0 leaves a value to OpenCV.

    On uint8 OpenCV rounds the kernel to 1/256, so that its weights, and the sigma an attacker
    measures, differ from `gaussian`.
    """

    name: ClassVar[str] = "cv-gaussian"
    family: ClassVar[str] = "gaussian"
    nature: ClassVar[Nature] = Nature.LINEAR

    k: int = 0
    sigma: float = 0.0

    def __post_init__(self) -> None:
        require(
            (self.k > 0 and self.k % 2 == 1 and self.sigma >= 0)
            or (self.k == 0 and self.sigma > 0),
            f"cv-gaussian: give an odd k and/or a positive sigma, not k={self.k},"
            f"sigma={self.sigma:g}.",
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        return cv2.GaussianBlur(
            picture, (self.k, self.k), self.sigma, borderType=cv2.BORDER_REFLECT_101
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """With the sigma that OpenCV derives."""
        sigma = self.sigma or rule_sigma(self.k)
        return {"sigma_x": sigma, "sigma_y": sigma, "kernel_size": rule_kernel(sigma)}

    def kernel(self) -> np.ndarray:
        """The weights in use: multiples of 1/256, the error of rounding one carried to the next
        from the edge inwards, the middle one taking what is missing to 1."""
        size = self.k or round(6 * self.sigma + 1) | 1
        exact = cv2.getGaussianKernel(size, self.sigma).ravel() * 256
        # Rounding with carried error: the partial sums are what is rounded.
        side = np.diff(np.rint(np.cumsum(exact[: size // 2])), prepend=0)
        return np.r_[side, 256 - 2 * side.sum(), side[::-1]] / 256

    def transfer(self, height: int, width: int) -> np.ndarray:
        kernel = self.kernel()
        return np.outer(kernel_response(kernel, height), kernel_response(kernel, width))

    def scaled(self, factor: float) -> Self:
        if factor == 1:
            return self
        # OpenCV's rule for sigma is not proportional to the kernel, so sigma is stated from here.
        kernel = scaled_kernel(self.k, factor) if self.k else 0
        return type(self)(kernel, (self.sigma or rule_sigma(self.k)) * factor)


@dataclass(frozen=True)
class Median(Operator):
    """`cv2.medianBlur`: median over k x k pixels, edge pixels repeated."""

    name: ClassVar[str] = "median"
    family: ClassVar[str] = "median"
    nature: ClassVar[Nature] = Nature.NONLINEAR

    k: int

    def __post_init__(self) -> None:
        require(
            self.k > 0 and self.k % 2 == 1, f"median: k must be odd and at least 1, not {self.k}."
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        return cv2.medianBlur(picture, self.k)

    def scaled(self, factor: float) -> Self:
        return type(self)(scaled_kernel(self.k, factor))


@dataclass(frozen=True)
class Motion(Operator):
    """Mean along a line of k pixels, `angle` degrees counter-clockwise from horizontal.

    The usual OpenCV recipe: a row of ones in the middle of a k x k kernel, turned by `warpAffine`,
    normalised and handed to `filter2D` (borders reflected).
    """

    name: ClassVar[str] = "motion"
    family: ClassVar[str] = "motion"

    k: int
    angle: float = 0.0

    def __post_init__(self) -> None:
        require(
            self.k > 0 and self.k % 2 == 1, f"motion: k must be odd and at least 1, not {self.k}."
        )
        require(math.isfinite(self.angle), f"motion: angle must be finite, not {self.angle}.")

    @property
    def nature(self) -> Nature:  # type: ignore[override]
        """Along rows or columns the line is mirror-symmetric, hence diagonal; a slanted one is
        not, and the mirrored borders bend it."""
        return Nature.LINEAR if self.angle % 90 == 0 else Nature.MASKED

    def kernel(self) -> np.ndarray:
        """Weights `(k, k)`."""
        if self.angle % 180 == 90:
            return self._line().T
        middle = ((self.k - 1) / 2, (self.k - 1) / 2)
        turn = cv2.getRotationMatrix2D(middle, self.angle, 1.0)
        turned = (
            self._line()
            if self.angle % 180 == 0
            else cv2.warpAffine(self._line(), turn, (self.k, self.k))
        )
        return turned / turned.sum()

    def _line(self) -> np.ndarray:
        line = np.zeros((self.k, self.k))
        line[self.k // 2] = 1 / self.k
        return line

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        return cv2.filter2D(picture, -1, self.kernel(), borderType=cv2.BORDER_REFLECT_101)

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Cosine series of the line; for a slanted one of its mirror-symmetric part."""
        half = self.k // 2
        rows, columns = (
            np.cos(np.pi * np.outer(np.arange(size) / max(size - 1, 1), np.arange(-half, half + 1)))
            for size in (height, width)
        )
        return rows @ self.kernel() @ columns.T

    def scaled(self, factor: float) -> Self:
        return replace(self, k=scaled_kernel(self.k, factor))
