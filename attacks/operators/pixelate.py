"""Fewer samples: pixelation, whose tools take a block's value in several ways, and downscaling."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import cv2
import numpy as np
from PIL import Image

from reid_audit.attacks.operators.base import Nature, Operator, require, rounded
from reid_audit.attacks.pictures import Picture

Sampling = Literal["mean", "bilinear", "stepped", "nearest", "point"]


@dataclass(frozen=True)
class Pixelate(Operator):
    """Blocks of b x b pixels of one colour.

    `mode` is how a block gets its colour: `mean` of its pixels (Pillow's `reduce`), `bilinear`
    (OpenCV's `resize`: the four pixels round its middle), `stepped` (the same, asked for the
    factor 1 / b, so that samples lie exactly b apart), `nearest` (Pillow's `resize`: the pixel in
    its middle) or `point` (its top-left pixel, as slicing with a step does).

    With `mean` and `point` blocks start at the top left and are cut off at the far edges; the
    resizing tools share the sides out evenly into round(side / b) blocks.
    """

    name: ClassVar[str] = "pixelate"
    family: ClassVar[str] = "pixelate"
    nature: ClassVar[Nature] = Nature.QUANTISING

    b: int
    mode: Sampling = "mean"

    def __post_init__(self) -> None:
        require(self.b >= 1, f"pixelate: b must be at least 1, not {self.b}.")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Reduced to one sample a block and enlarged again without interpolation."""
        height, width = picture.shape[:2]
        if self.mode == "mean":
            return self._blocks(np.asarray(Image.fromarray(picture).reduce(self.b)), height, width)
        if self.mode == "point":
            return self._blocks(picture[:: self.b, :: self.b], height, width)
        small = (max(1, round(width / self.b)), max(1, round(height / self.b)))
        if self.mode == "bilinear":
            reduced = cv2.resize(picture, small, interpolation=cv2.INTER_LINEAR)
            return _enlarged(reduced, width, height, cv2.INTER_NEAREST)
        if self.mode == "stepped":
            # OpenCV refuses to reduce a side to nothing.
            factor_x, factor_y = (1 / min(self.b, side) for side in (width, height))
            reduced = cv2.resize(picture, None, fx=factor_x, fy=factor_y)
            return _enlarged(reduced, width, height, cv2.INTER_NEAREST)
        chosen = Image.fromarray(picture).resize(small, Image.Resampling.NEAREST)
        return np.array(chosen.resize((width, height), Image.Resampling.NEAREST))

    def _blocks(self, colours: np.ndarray, height: int, width: int) -> Picture:
        tiles = colours.repeat(self.b, axis=0).repeat(self.b, axis=1)
        return np.ascontiguousarray(tiles[:height, :width])

    def samples(self, height: int, width: int) -> tuple[int, int]:
        """Blocks down and across, those cut off at the far edges counted."""
        return math.ceil(height / self.b), math.ceil(width / self.b)

    def scaled(self, factor: float) -> Self:
        """With blocks resized, to whole pixels."""
        return replace(self, b=max(1, round(self.b * factor)))


@dataclass(frozen=True)
class Grid(Operator):
    """Reduced to `nx` x `ny` samples, whatever the region's size, and enlarged again.

    `down` is how: `area` or `bilinear` (OpenCV's `resize`), or `corners` (torch's bilinear with
    `align_corners`, whose outer samples are the corner pixels). `up` is `nearest` or `bilinear`
    (OpenCV's), or `corners`, without rounding in between.
    """

    name: ClassVar[str] = "grid"
    nature: ClassVar[Nature] = Nature.QUANTISING

    nx: int
    ny: int
    down: Literal["area", "bilinear", "corners"] = "area"
    up: Literal["nearest", "bilinear", "corners"] = "nearest"

    def __post_init__(self) -> None:
        require(
            self.nx >= 1 and self.ny >= 1,
            f"grid: nx and ny must be at least 1 (samples), not {self.nx}, {self.ny}.",
        )

    @property
    def family(self) -> str:  # type: ignore[override]
        """`pixelate` if enlarged without interpolation, else `downscale`."""
        return "pixelate" if self.up == "nearest" else "downscale"

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Reduced and enlarged again; a side with fewer pixels than samples keeps them."""
        height, width = picture.shape[:2]
        small = min(self.nx, width), min(self.ny, height)
        if self.down == "corners":
            reduced = _between_corners(picture.astype(np.float64), *small)
        else:
            method = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR}[self.down]
            reduced = cv2.resize(picture, small, interpolation=method)
        if self.up == "corners":
            return rounded(_between_corners(reduced.astype(np.float64), width, height))
        method = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR}[self.up]
        return rounded(cv2.resize(reduced, (width, height), interpolation=method))

    def samples(self, height: int, width: int) -> tuple[int, int]:
        """Samples down and across."""
        return min(self.ny, height), min(self.nx, width)

    def pinned(self, height: int, width: int) -> Operator:
        """Blocks, or samples, as large as they are on the region: a mean of both sides."""
        side = max(1.0, math.sqrt(width * height / (self.nx * self.ny)))
        if self.up == "nearest":
            return Pixelate(round(side), "mean" if self.down == "area" else "bilinear")
        return Downscale(side)

    def strengthened(self, factor: float) -> Self:
        """With as many times fewer samples each way."""
        nx, ny = (max(1, round(n / factor)) for n in (self.nx, self.ny))
        return replace(self, nx=nx, ny=ny)


def _enlarged(reduced: np.ndarray, width: int, height: int, method: int) -> Picture:
    """`(h, w, 3)` uint8 brought to `(height, width, 3)` by a method of OpenCV's `resize`."""
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=method), np.uint8)


def _between_corners(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """`(H, W, 3)` float brought to `(height, width, 3)`: linear, corner pixels onto corners."""
    for axis, length in ((0, height), (1, width)):
        size = picture.shape[axis]
        at = np.linspace(0, size - 1, length) if length > 1 else np.zeros(1)
        first = np.minimum(at.astype(int), max(size - 2, 0))
        share = np.expand_dims(at - first, (1, 2) if axis == 0 else (0, 2))
        second = np.minimum(first + 1, size - 1)
        picture = (1 - share) * picture.take(first, axis) + share * picture.take(second, axis)
    return picture


@dataclass(frozen=True)
class Downscale(Operator):
    """Reduced f-fold by area mean and enlarged again (OpenCV's `resize`)."""

    name: ClassVar[str] = "downscale"
    family: ClassVar[str] = "downscale"
    nature: ClassVar[Nature] = Nature.QUANTISING

    f: float
    up: Literal["linear", "cubic", "lanczos"] = "linear"

    def __post_init__(self) -> None:
        require(
            1 <= self.f < math.inf, f"downscale: f must be at least 1 (the factor), not {self.f:g}."
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Reduced and enlarged again, through uint8."""
        height, width = picture.shape[:2]
        small = (max(1, round(width / self.f)), max(1, round(height / self.f)))
        reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        enlarge = {
            "linear": cv2.INTER_LINEAR,
            "cubic": cv2.INTER_CUBIC,
            "lanczos": cv2.INTER_LANCZOS4,
        }
        return _enlarged(reduced, width, height, enlarge[self.up])

    def samples(self, height: int, width: int) -> tuple[int, int]:
        """Samples down and across."""
        return max(1, round(height / self.f)), max(1, round(width / self.f))

    def scaled(self, factor: float) -> Self:
        """With the factor multiplied, 1 at least."""
        return replace(self, f=max(1.0, self.f * factor))
