"""OpenCV's filters that differ from the textbook: its Gaussian, box, median and motion blur."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import cv2
import numpy as np

from reid_audit.attacks.operators.base import Cover, Nature, Operator, require
from reid_audit.attacks.operators.blur import (
    box_response,
    rule_kernel,
    rule_sigma,
    scaled_kernel,
)
from reid_audit.attacks.operators.spectrum import kernel_response
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class CvGaussian(Operator):
    """`cv2.GaussianBlur(picture, (k, ky), sigma, sy)`. OpenCV derives a value that is 0, but
    a `ky` of 0 stands for `k`.

    On uint8 OpenCV rounds the kernel to 1/256, so that its weights, and the sigma an attacker
    measures, differ from `gaussian`.
    """

    name: ClassVar[str] = "cv-gaussian"
    family: ClassVar[str] = "gaussian"
    nature: ClassVar[Nature] = Nature.LINEAR

    k: int = 0
    sigma: float = 0.0
    ky: int = 0
    sy: float = 0.0

    def __post_init__(self) -> None:
        odd = self.k > 0 and self.k % 2 == 1 and self.ky >= 0 and self.ky % 2 == bool(self.ky)
        require(
            (odd and self.sigma >= 0 and self.sy >= 0)
            or (self.k == 0 and self.ky == 0 and self.sigma > 0),
            f"cv-gaussian: give an odd k and/or a positive sigma, not k={self.k},"
            f"sigma={self.sigma:g},ky={self.ky},sy={self.sy:g}.",
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Filtered by OpenCV in its fixed-point arithmetic."""
        size, border = (self.k, self.ky or self.k), cv2.BORDER_REFLECT_101
        blurred = cv2.GaussianBlur(picture, size, self.sigma, sigmaY=self.sy, borderType=border)
        return np.asarray(blurred, np.uint8)

    @property
    def _axes(self) -> tuple[tuple[int, float], tuple[int, float]]:
        """Kernel and sigma along rows and along columns, with the sigmas that OpenCV derives."""
        x, y = self.sigma, self.sy or self.sigma
        ky = self.ky or self.k
        return (self.k, x or rule_sigma(self.k)), (ky, y or rule_sigma(ky))

    @property
    def parameters(self) -> dict[str, Any]:
        """With the sigmas that OpenCV derives."""
        (_, x), (_, y) = self._axes
        return {"sigma_x": x, "sigma_y": y, "kernel_size": rule_kernel(math.sqrt(x * y))}

    def kernel(self) -> np.ndarray:
        """The weights in use along rows: multiples of 1/256, the error of rounding one carried to
        the next from the edge inwards, the middle one taking what is missing to 1."""
        return self._kernel(self.k, self.sigma)

    @staticmethod
    def _kernel(k: int, sigma: float) -> np.ndarray:
        size = k or round(6 * sigma + 1) | 1
        exact = cv2.getGaussianKernel(size, sigma).ravel() * 256
        # Rounding with carried error: the partial sums are what is rounded.
        side = np.diff(np.rint(np.cumsum(exact[: size // 2])), prepend=0)
        return np.asarray(np.r_[side, 256 - 2 * side.sum(), side[::-1]] / 256)

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Product of the responses of the kernels in use."""
        rows = self._kernel(self.ky or self.k, self.sy or self.sigma)
        return np.outer(kernel_response(rows, height), kernel_response(self.kernel(), width))

    def scaled(self, factor: float) -> Self:
        """Kernels and sigmas multiplied; itself at a factor of 1."""
        if factor == 1:
            return self
        # OpenCV's rule for sigma is not proportional to the kernel, so sigma is stated from here.
        (k, x), (ky, y) = self._axes
        kernels = [scaled_kernel(side, factor) if side else 0 for side in (k, ky)]
        alike = (k, x) == (ky, y)
        return type(self)(
            kernels[0], x * factor, 0 if alike else kernels[1], 0.0 if alike else y * factor
        )


@dataclass(frozen=True)
class CvBox(Operator):
    """`cv2.blur(picture, (kx, ky))` of any size; a `ky` of 0 is `kx`. An even window lies half a
    pixel off."""

    name: ClassVar[str] = "cv-box"
    family: ClassVar[str] = "box"

    kx: int
    ky: int = 0

    def __post_init__(self) -> None:
        require(
            self.kx >= 1 and self.ky >= 0,
            f"cv-box: kx must be at least 1 (pixels), and ky 0 or more, not {self.kx}, {self.ky}.",
        )

    @property
    def nature(self) -> Nature:  # type: ignore[override]
        """Diagonal where both sides are odd: an even window moves the picture."""
        return Nature.LINEAR if self.kx % 2 and (self.ky or self.kx) % 2 else Nature.MASKED

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Filtered by OpenCV, borders reflected."""
        return np.asarray(cv2.blur(picture, (self.kx, self.ky or self.kx)), np.uint8)

    @property
    def parameters(self) -> dict[str, Any]:
        """Width and height of the window, in pixels."""
        return {"box_x": self.kx, "box_y": self.ky or self.kx}

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Response of the window, without the half pixel by which an even one moves the picture."""
        return box_response(self.ky or self.kx, self.kx, height, width)

    def cover(self, height: int, width: int) -> Cover:
        """The whole region, by a window that may be even."""
        return box_cover(self.kx, self.ky or self.kx, np.ones((height, width), bool))

    def scaled(self, factor: float) -> Self:
        """With the window resized, to whole pixels."""
        return replace(self, kx=max(1, round(self.kx * factor)), ky=round(self.ky * factor))


def box_cover(kx: int, ky: int, pixels: np.ndarray) -> Cover:
    """`cv2.blur(region, (kx, ky))` in the `pixels (H, W)`."""
    rows, columns = (
        cv2.blur(np.eye(size), (1, length))
        for size, length in zip(pixels.shape, (ky, kx), strict=True)
    )
    return Cover(rows, columns, pixels)


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
        """Filtered by OpenCV, each channel on its own."""
        return np.asarray(cv2.medianBlur(picture, self.k), np.uint8)

    def scaled(self, factor: float) -> Self:
        """With the nearest odd window."""
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
        return np.asarray(turned / turned.sum())

    def _line(self) -> np.ndarray:
        line = np.zeros((self.k, self.k))
        line[self.k // 2] = 1 / self.k
        return line

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Filtered by OpenCV, which rounds."""
        border = cv2.BORDER_REFLECT_101
        return np.asarray(cv2.filter2D(picture, -1, self.kernel(), borderType=border), np.uint8)

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Cosine series of the line; for a slanted one of its mirror-symmetric part."""
        half = self.k // 2
        rows, columns = (
            np.cos(np.pi * np.outer(np.arange(size) / max(size - 1, 1), np.arange(-half, half + 1)))
            for size in (height, width)
        )
        return np.asarray(rows @ self.kernel() @ columns.T)

    def scaled(self, factor: float) -> Self:
        """With the line's length resized, to an odd one."""
        return replace(self, k=scaled_kernel(self.k, factor))
