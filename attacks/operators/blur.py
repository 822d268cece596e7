"""Blurs with a symmetric separable kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import cv2
import numpy as np

from reid_audit.attacks.operators.base import Nature, Operator, require, rounded
from reid_audit.attacks.operators.spectrum import kernel_response
from reid_audit.attacks.pictures import Picture
from reid_audit.metrics.errors import InputError


def rule_sigma(kernel: int) -> float:
    """Sigma that torchvision and OpenCV derive from an odd kernel size.

    >>> rule_sigma(81), rule_sigma(37)
    (12.5, 5.9)
    """
    return round(0.3 * ((kernel - 1) * 0.5 - 1) + 0.8, 10)


def rule_kernel(sigma: float) -> int:
    """Odd kernel size nearest to the one whose rule sigma is `sigma`.

    >>> rule_kernel(12.5), rule_kernel(5.9)
    (81, 37)
    """
    return max(1, 2 * round((sigma - 0.8) / 0.3 + 1) + 1)


def scaled_kernel(kernel: int, factor: float) -> int:
    """Odd kernel size that covers the same part of a picture resized by `factor`.

    >>> scaled_kernel(81, 0.5)
    41
    """
    return 2 * round((kernel // 2) * factor) + 1


def gaussian_kernel(size: int, sigma: float) -> np.ndarray:
    """Sampled and normalised Gaussian `(size,)` as torchvision samples it."""
    x = np.arange(size) - (size - 1) / 2
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class Gaussian(Operator):
    """torchvision's `gaussian_blur`: kernels sampled, borders reflected, rounded to uint8."""

    name: ClassVar[str] = "gaussian"
    family: ClassVar[str] = "gaussian"
    nature: ClassVar[Nature] = Nature.LINEAR

    kernel_x: int
    kernel_y: int
    sigma_x: float
    sigma_y: float

    @property
    def sigma(self) -> float:
        """Geometric mean of the two sigmas, in pixels."""
        return math.sqrt(self.sigma_x * self.sigma_y)

    def _kernels(self) -> tuple[np.ndarray, np.ndarray]:
        return (
            gaussian_kernel(self.kernel_x, self.sigma_x),
            gaussian_kernel(self.kernel_y, self.sigma_y),
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Filtered in float32 and rounded."""
        x, y = self._kernels()
        blurred = cv2.sepFilter2D(picture, cv2.CV_32F, x, y, borderType=cv2.BORDER_REFLECT_101)
        return rounded(blurred)

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Product of the responses of both kernels."""
        x, y = self._kernels()
        return np.outer(kernel_response(y, height), kernel_response(x, width))

    def scaled(self, factor: float) -> Self:
        """Sigmas and kernels multiplied, kernels to the nearest odd size."""
        sigma_x, sigma_y = self.sigma_x * factor, self.sigma_y * factor
        # Same truncation in units of sigma, as the same tool would show on a larger picture.
        kernel_x, kernel_y = (scaled_kernel(k, factor) for k in (self.kernel_x, self.kernel_y))
        return type(self)(kernel_x, kernel_y, sigma_x, sigma_y)

    def strengthened(self, factor: float) -> Operator:
        """Under the rule for sigma, where the setting followed it."""
        if self.settings().keys() == {"k"}:
            return make_gaussian(k=scaled_kernel(self.kernel_x, factor))
        return super().strengthened(factor)

    @property
    def parameters(self) -> dict[str, Any]:
        """Both axes, in pixels; `kernel_size` is that of the rule for their mean sigma."""
        return {
            "sigma_x": self.sigma_x,
            "sigma_y": self.sigma_y,
            "kernel_size": rule_kernel(self.sigma),
            "kernel_x": self.kernel_x,
            "kernel_y": self.kernel_y,
        }

    def settings(self, full: bool = False) -> dict[str, Any]:
        """k and sigma, or each axis on its own; no sigma that follows from k."""
        if full or (self.kernel_x, self.sigma_x) != (self.kernel_y, self.sigma_y):
            return {
                "kx": self.kernel_x,
                "ky": self.kernel_y,
                "sx": self.sigma_x,
                "sy": self.sigma_y,
            }
        if self.sigma_x == rule_sigma(self.kernel_x):
            return {"k": self.kernel_x}
        return {"k": self.kernel_x, "sigma": self.sigma_x}


def make_gaussian(
    k: int | None = None,
    sigma: float | None = None,
    kx: int | None = None,
    ky: int | None = None,
    sx: float | None = None,
    sy: float | None = None,
) -> Gaussian:
    """Gaussian from what a user states: k (odd) and/or sigma, or each axis on its own.

    Raises:
        InputError: no size given, an even or non-positive kernel, a non-positive sigma.
    """
    axes = []
    for kernel, width in ((kx or k, sx or sigma), (ky or k, sy or sigma)):
        if kernel is None and width is None:
            raise InputError("gaussian: give k=ODD or sigma=PIXELS, e.g. gaussian:k=81.")
        if width is None:
            assert kernel is not None
            width = rule_sigma(kernel)
        if width <= 0:
            raise InputError(f"gaussian: sigma must be above 0, not {width:g}.")
        if kernel is None:
            kernel = rule_kernel(width)
        if kernel < 1 or kernel % 2 == 0:
            raise InputError(f"gaussian: k must be odd and at least 1, not {kernel}.")
        axes.append((kernel, width))
    (kernel_x, sigma_x), (kernel_y, sigma_y) = axes
    return Gaussian(kernel_x, kernel_y, float(sigma_x), float(sigma_y))


@dataclass(frozen=True)
class Box(Operator):
    """Mean over a k x k window with reflected borders: OpenCV's `blur` with an odd kernel."""

    name: ClassVar[str] = "box"
    family: ClassVar[str] = "box"
    nature: ClassVar[Nature] = Nature.LINEAR

    k: int

    def __post_init__(self) -> None:
        require(self.k > 0 and self.k % 2 == 1, f"box: k must be odd and at least 1, not {self.k}.")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Filtered by OpenCV, which rounds."""
        return np.asarray(cv2.blur(picture, (self.k, self.k)), np.uint8)

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Product of the window's responses along rows and columns."""
        window = np.full(self.k, 1 / self.k)
        return np.outer(kernel_response(window, height), kernel_response(window, width))

    def scaled(self, factor: float) -> Self:
        """With the nearest odd window."""
        return type(self)(scaled_kernel(self.k, factor))


def box_response(rows: int, columns: int, height: int, width: int) -> np.ndarray:
    """Response `(height, width)` of a box of `rows` x `columns` pixels.

    An even box, which also moves the picture by half a pixel, is taken without that: its two end
    pixels count half.
    """
    windows = []
    for length in (max(1, rows), max(1, columns)):
        window = np.ones(length) if length % 2 else np.r_[0.5, np.ones(length - 1), 0.5]
        windows.append(window / length)
    return np.outer(kernel_response(windows[0], height), kernel_response(windows[1], width))
