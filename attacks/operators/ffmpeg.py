"""ffmpeg's `boxblur` and `gblur` in its own arithmetic, on planar RGB (`-vf format=gbrp,...`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from scipy.signal import lfilter

from reid_audit.attacks.operators.base import Nature, Operator, require, rounded
from reid_audit.attacks.operators.spectrum import kernel_response
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class FfmpegBox(Operator):
    """`boxblur=r:p`: p boxes of 2 r + 1 pixels along rows, then columns, each rounded to uint8.

    Borders are mirrored with the edge pixel repeated, so it is not diagonal in DCT-I.
    """

    name: ClassVar[str] = "ffmpeg-box"
    family: ClassVar[str] = "box"
    nature: ClassVar[Nature] = Nature.MASKED

    r: int = 2
    p: int = 2

    def __post_init__(self) -> None:
        require(
            self.r >= 0 and self.p >= 0,
            f"ffmpeg-box: r and p must not be negative: r={self.r}, p={self.p}.",
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """All passes along rows, then all along columns, in fixed-point arithmetic."""
        for axis in (1, 0):
            for _ in range(self.p):
                picture = self._pass(picture, axis)
        return picture.copy()

    def _pass(self, picture: Picture, axis: int) -> Picture:
        length = 2 * self.r + 1
        pad = [(0, 0)] * 3
        pad[axis] = (self.r + 1, self.r)
        total = np.pad(picture.astype(np.int64), pad, mode="symmetric").cumsum(axis)
        before, after = np.split(total, [-length], axis)[0], np.split(total, [length], axis)[1]
        # Division by the length as multiplication by its 16-bit fixed-point inverse.
        inverse = ((1 << 16) + length // 2) // length
        mean = ((after - before) * inverse + (1 << 15)) >> 16
        return np.asarray(mean.clip(0, 255), np.uint8)

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Response of the boxes, as if borders were mirrored without repeating the edge pixel."""
        window = np.full(2 * self.r + 1, 1 / (2 * self.r + 1))
        return np.outer(kernel_response(window, height), kernel_response(window, width)) ** self.p

    def scaled(self, factor: float) -> Self:
        """With the radius resized, to whole pixels."""
        return replace(self, r=round(self.r * factor))


@dataclass(frozen=True)
class FfmpegGaussian(Operator):
    """`gblur=sigma:steps`: a two-sided exponential of that variance, run `steps` times along rows
    and columns (Alvarez and Mazorra, "Signal and image restoration using shock filters and
    anisotropic diffusion", 1994). One step, ffmpeg's default, is far from a Gaussian: its tails
    keep much more detail."""

    name: ClassVar[str] = "ffmpeg-gaussian"
    family: ClassVar[str] = "gaussian"
    nature: ClassVar[Nature] = Nature.MASKED

    sigma: float
    steps: int = 1

    def __post_init__(self) -> None:
        require(
            0 < self.sigma <= 1024 and 1 <= self.steps <= 6,
            "ffmpeg-gaussian: sigma must be above 0 and at most 1024, steps 1..6,"
            f" not sigma={self.sigma:g}, steps={self.steps}.",
        )

    @property
    def _decay(self) -> tuple[float, float]:
        """Ratio of neighbouring weights, and the gain that normalises one two-sided run."""
        lam = self.sigma**2 / (2 * self.steps)
        decay = (1 + 2 * lam - math.sqrt(1 + 4 * lam)) / (2 * lam)
        return decay, decay / lam

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Recursive filters there and back, along rows, then columns; rounded once."""
        decay, gain = self._decay
        planes = picture.astype(np.float64)
        for axis in (1, 0):
            line = planes.swapaxes(0, axis)
            for _ in range(self.steps):
                for _ in ("forward", "backward"):
                    line[0] /= 1 - decay  # as if the edge pixel went on for ever
                    line = lfilter([1], [1, -decay], line, axis=0)[::-1]
            planes = line.swapaxes(0, axis)
        return rounded(planes * gain ** (2 * self.steps))

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Response of the two-sided exponentials, borders left aside."""
        decay, gain = self._decay
        rows, columns = (
            gain / (1 - 2 * decay * np.cos(np.linspace(0, np.pi, size)) + decay**2)
            for size in (height, width)
        )
        return np.outer(rows, columns) ** self.steps

    def scaled(self, factor: float) -> Self:
        """With the sigma resized."""
        return replace(self, sigma=self.sigma * factor)
