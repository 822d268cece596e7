"""Fewer samples: pixelation, whose tools take a block's value in four ways, and downscaling."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import cv2
import numpy as np
from PIL import Image

from reid_audit.attacks.operators.base import Nature, Operator, Picture, require

Sampling = Literal["mean", "bilinear", "nearest", "point"]


@dataclass(frozen=True)
class Pixelate(Operator):
    """Blocks of b x b pixels of one colour.

    `mode` is how a block gets its colour: `mean` of its pixels (Pillow's `reduce`), `bilinear`
    (OpenCV's `resize`: the four pixels round its middle), `nearest` (Pillow's `resize`: the pixel
    in its middle) or `point` (its top-left pixel, as slicing with a step does).

    With `mean` and `point` blocks start at the top left and are cut off at the far edges; the two
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
        height, width = picture.shape[:2]
        if self.mode == "mean":
            return self._blocks(np.asarray(Image.fromarray(picture).reduce(self.b)), height, width)
        if self.mode == "point":
            return self._blocks(picture[:: self.b, :: self.b], height, width)
        small = (max(1, round(width / self.b)), max(1, round(height / self.b)))
        if self.mode == "bilinear":
            reduced = cv2.resize(picture, small, interpolation=cv2.INTER_LINEAR)
            return cv2.resize(reduced, (width, height), interpolation=cv2.INTER_NEAREST)
        reduced = Image.fromarray(picture).resize(small, Image.Resampling.NEAREST)
        return np.array(reduced.resize((width, height), Image.Resampling.NEAREST))

    def _blocks(self, colours: np.ndarray, height: int, width: int) -> Picture:
        tiles = colours.repeat(self.b, axis=0).repeat(self.b, axis=1)
        return np.ascontiguousarray(tiles[:height, :width])

    def samples(self, height: int, width: int) -> tuple[int, int]:
        return math.ceil(height / self.b), math.ceil(width / self.b)

    def scaled(self, factor: float) -> Self:
        return replace(self, b=max(1, round(self.b * factor)))


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
        height, width = picture.shape[:2]
        small = (max(1, round(width / self.f)), max(1, round(height / self.f)))
        reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        enlarge = {
            "linear": cv2.INTER_LINEAR,
            "cubic": cv2.INTER_CUBIC,
            "lanczos": cv2.INTER_LANCZOS4,
        }
        return cv2.resize(reduced, (width, height), interpolation=enlarge[self.up])

    def samples(self, height: int, width: int) -> tuple[int, int]:
        return max(1, round(height / self.f)), max(1, round(width / self.f))

    def scaled(self, factor: float) -> Self:
        return replace(self, f=max(1.0, self.f * factor))
