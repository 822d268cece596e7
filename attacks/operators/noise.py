"""Randomised pixels: additive noise and the differentially private obfuscators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from reid_audit.attacks.operators.base import ROUNDING_VARIANCE, Nature, Operator, require, rounded
from reid_audit.attacks.operators.pixelate import Pixelate
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class Noise(Operator):
    """Independent Gaussian noise of `sigma` grey levels (25.5 is 0.1 of the full scale)."""

    name: ClassVar[str] = "noise"
    family: ClassVar[str] = "noise"
    nature: ClassVar[Nature] = Nature.LINEAR
    random: ClassVar[bool] = True

    sigma: float

    def __post_init__(self) -> None:
        require(self.sigma >= 0, f"noise: sigma must not be negative, but is {self.sigma:g}.")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Noise added to every value on its own, rounded and clipped."""
        return rounded(picture + rng.normal(0, self.sigma, picture.shape))

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Ones: noise damps nothing."""
        return np.ones((height, width))

    def strengthened(self, factor: float) -> Self:
        """With the sigma multiplied."""
        return replace(self, sigma=float(f"{self.sigma * factor:.4g}"))

    def noise(self, height: int, width: int) -> float:
        """Before clipping at black and white, which only lowers it."""
        return self.sigma**2 + ROUNDING_VARIANCE


@dataclass(frozen=True)
class DpPix(Operator):
    """Pixelation with Laplace noise of scale 255 m / (b^2 eps) on every block's mean.

    Differentially private for any m pixels of the picture (Fan, "Image pixelization with
    differential privacy", DBSec 2018, eq. 4).
    """

    name: ClassVar[str] = "dp-pix"
    family: ClassVar[str] = "pixelate"
    nature: ClassVar[Nature] = Nature.QUANTISING
    random: ClassVar[bool] = True

    b: int
    eps: float = 0.5
    m: int = 16

    def __post_init__(self) -> None:
        require(
            self.b >= 1 and self.eps > 0 and self.m >= 1,
            f"dp-pix: b and m must be at least 1 and eps above 0, not {self}.",
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Block means, rounded, with noise, rounded again."""
        blocks = Pixelate(self.b).apply(picture, rng)
        means = blocks[:: self.b, :: self.b].astype(float)
        means += rng.laplace(0, 255 * self.m / (self.b**2 * self.eps), means.shape)
        tiles = rounded(means).repeat(self.b, axis=0).repeat(self.b, axis=1)
        return np.ascontiguousarray(tiles[: picture.shape[0], : picture.shape[1]])

    def scaled(self, factor: float) -> Self:
        """With blocks resized to whole pixels, and m as the area they stand for."""
        return replace(self, b=max(1, round(self.b * factor)), m=max(1, round(self.m * factor**2)))


@dataclass(frozen=True)
class DpSnow(Operator):
    """A share `p` of the pixels, drawn anew for every picture, turns mid-grey.

    (0, 1 - p)-differentially private (John, Liu, Xia, Duchowski, Jain, "Let it snow", ETRA 2020).
    """

    name: ClassVar[str] = "dp-snow"
    family: ClassVar[str] = "noise"
    nature: ClassVar[Nature] = Nature.NONLINEAR
    random: ClassVar[bool] = True

    p: float

    def __post_init__(self) -> None:
        require(0 <= self.p <= 1, f"dp-snow: p must lie in 0..1 (share), not {self.p:g}.")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The chosen pixels set to 127 in all channels."""
        out = picture.copy()
        out[rng.random(picture.shape[:2]) < self.p] = 127
        return out

    def strengthened(self, factor: float) -> Self:
        """With the pixels left untouched `factor` times over: 1 - (1 - p)^factor."""
        return replace(self, p=float(f"{1 - (1 - self.p) ** factor:.4g}"))
