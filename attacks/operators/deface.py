"""The three fillings of the `deface` package (1.5), as its code does them.

It enlarges a face box by `scale` - 1 on each side, keeps it one pixel off the picture's right and
bottom edge, and works on the box in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import cv2
import numpy as np

from reid_audit.attacks.operators.base import Cover, Nature, Operator, require
from reid_audit.attacks.operators.blur import box_response
from reid_audit.attacks.operators.opencv import CvBox, box_cover
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class Deface(Operator):
    """What the three have in common: the enlarged box."""

    scale: float = 1.3

    def __post_init__(self) -> None:
        require(
            self.scale >= 1,
            f"{self.name}: scale must be at least 1 (of the box), not {self.scale}.",
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The whole region as the face box."""
        return self.apply_in(picture, (0, 0, picture.shape[1], picture.shape[0]), rng)

    def reach(self, box: Sequence[int], shape: Sequence[int]) -> tuple[int, int, int, int]:
        """The box enlarged by `scale` - 1 of its sides, each way, and cut one pixel off the far
        edges."""
        x0, y0, x1, y1 = box
        margin = np.array([x1 - x0, y1 - y0] * 2) * (self.scale - 1.0) * [-1, -1, 1, 1]
        x0, y0, x1, y1 = np.rint(np.array([x0, y0, x1, y1]) + margin).astype(int).tolist()
        height, width = shape[:2]
        return max(0, x0), max(0, y0), min(width - 1, x1), min(height - 1, y1)

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        """The enlarged box, filled; a copy where the box lies outside the picture."""
        x0, y0, x1, y1 = self.reach(box, picture.shape)
        out = picture.copy()
        if x0 < x1 and y0 < y1:
            self._fill(out, x0, y0, x1, y1)
        return out

    def _fill(self, out: Picture, x0: int, y0: int, x1: int, y1: int) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class DefaceBlur(Deface):
    """`--replacewith blur`, its default: documented as Gaussian, a box of half the face box."""

    name: ClassVar[str] = "deface-blur"
    family: ClassVar[str] = "box"
    nature: ClassVar[Nature] = Nature.MASKED

    shape: Literal["ellipse", "box"] = "ellipse"

    def _fill(self, out: Picture, x0: int, y0: int, x1: int, y1: int) -> None:
        region = out[y0:y1, x0:x1]
        height, width = region.shape[:2]
        blurred = cv2.blur(region, (max(1, width // 2), max(1, height // 2)))
        inside = self._inside(height, width)
        region[inside] = blurred[inside]

    def _inside(self, height: int, width: int) -> np.ndarray:
        """Which pixels `(height, width)` of the enlarged box are filled."""
        if self.shape == "box":
            return np.ones((height, width), bool)
        half_height, half_width = height // 2, width // 2
        y = (np.arange(height) - half_height) / max(half_height, 1e-9)
        x = (np.arange(width) - half_width) / max(half_width, 1e-9)
        return np.asarray(y[:, None] ** 2 + x[None, :] ** 2 < 1)

    def cover(self, height: int, width: int) -> Cover:
        """Over an enlarged box of this size."""
        return box_cover(max(1, width // 2), max(1, height // 2), self._inside(height, width))

    def pinned(self, height: int, width: int) -> CvBox:
        """The box filter that a face box of this size gets, without its ellipse."""
        middle = (width, height, 2 * width, 2 * height)
        x0, y0, x1, y1 = self.reach(middle, (3 * height + 1, 3 * width + 1))
        return CvBox(max(1, (x1 - x0) // 2), max(1, (y1 - y0) // 2))

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Of its box, the blurred region being the whole of what is seen."""
        return box_response(height // 2, width // 2, height, width)


@dataclass(frozen=True)
class DefaceMosaic(Deface):
    """`--replacewith mosaic`: blocks of `size` pixels in the colour of their top-left pixel."""

    name: ClassVar[str] = "deface-mosaic"
    family: ClassVar[str] = "pixelate"
    nature: ClassVar[Nature] = Nature.QUANTISING

    size: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.size >= 1, f"deface-mosaic: size must be at least 1, not {self.size}.")

    def _fill(self, out: Picture, x0: int, y0: int, x1: int, y1: int) -> None:
        # Its rectangles include their far corner, so the last row and column may lie outside.
        for y in range(y0, y1, self.size):
            for x in range(x0, x1, self.size):
                bottom, right = min(y1, y + self.size - 1), min(x1, x + self.size - 1)
                out[y : bottom + 1, x : right + 1] = out[y, x]

    def samples(self, height: int, width: int) -> tuple[int, int]:
        """Blocks down and across."""
        return math.ceil(height / self.size), math.ceil(width / self.size)

    def scaled(self, factor: float) -> Self:
        """With blocks resized, to whole pixels."""
        return replace(self, size=max(1, round(self.size * factor)))


@dataclass(frozen=True)
class DefaceSolid(Deface):
    """`--replacewith solid`: a black rectangle."""

    name: ClassVar[str] = "deface-solid"
    family: ClassVar[str] = "solid"
    nature: ClassVar[Nature] = Nature.ERASING

    def _fill(self, out: Picture, x0: int, y0: int, x1: int, y1: int) -> None:
        out[y0 : y1 + 1, x0 : x1 + 1] = 0
