"""Pillow's blurs: box filters of fractional radius, each side's edge pixel repeated outwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from PIL import Image, ImageFilter

from reid_audit.attacks.operators.base import Nature, Operator, require
from reid_audit.attacks.operators.spectrum import kernel_response
from reid_audit.attacks.pictures import Picture

GAUSSIAN_PASSES = 3


def fractional_box(radius: float, size: int) -> np.ndarray:
    """Response `(size,)` of a box of 2 radius + 1 pixels whose end pixels count fractionally."""
    whole = math.floor(radius)
    window = np.r_[radius - whole, np.ones(2 * whole + 1), radius - whole]
    return kernel_response(window / window.sum(), size)


@dataclass(frozen=True)
class PillowBox(Operator):
    """`ImageFilter.BoxBlur(r)`. Linear but for its borders, which are not mirrored."""

    name: ClassVar[str] = "pillow-box"
    family: ClassVar[str] = "box"
    nature: ClassVar[Nature] = Nature.MASKED

    r: float

    def __post_init__(self) -> None:
        require(
            0 <= self.r < math.inf, f"{self.name}: r must be a radius of 0 or more, not {self.r}."
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Filtered by Pillow."""
        return np.array(Image.fromarray(picture).filter(ImageFilter.BoxBlur(self.r)))

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Response of the box, borders left aside."""
        return np.outer(fractional_box(self.r, height), fractional_box(self.r, width))

    def scaled(self, factor: float) -> Self:
        """With the radius multiplied."""
        return type(self)(self.r * factor)


@dataclass(frozen=True)
class PillowGaussian(PillowBox):
    """`ImageFilter.GaussianBlur(r)`: no Gaussian, but three boxes of the same variance, each
    rounded to uint8."""

    name: ClassVar[str] = "pillow-gaussian"
    family: ClassVar[str] = "gaussian"

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Filtered by Pillow."""
        return np.array(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(self.r)))

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Response of the three boxes, borders left aside."""
        return gaussian_response(self.r, height, width)


def gaussian_response(radius: float, height: int, width: int) -> np.ndarray:
    """Response `(height, width)` of Pillow's Gaussian of standard deviation `radius`.

    The box's fractional radius matches variance radius^2 / 3 (Gwosdek et al., "Theoretical
    foundations of Gaussian convolution by extended box filtering", SSVM 2011, eq. 14).
    """
    variance = radius**2 / GAUSSIAN_PASSES
    whole = math.floor((math.sqrt(12 * variance + 1) - 1) / 2)
    end = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    box = whole + end / (6 * (variance - (whole + 1) ** 2))
    return np.outer(fractional_box(box, height), fractional_box(box, width)) ** GAUSSIAN_PASSES
