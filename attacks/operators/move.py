"""Pixels moved about: rotation and block permutation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import cv2
import numpy as np

from reid_audit.attacks.operators.base import Nature, Operator, require
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class Rotate(Operator):
    """Rotated counter-clockwise by `deg` degrees about the middle, bilinear, borders reflected."""

    name: ClassVar[str] = "rotate"
    family: ClassVar[str] = "none"
    nature: ClassVar[Nature] = Nature.MASKED

    deg: float

    def __post_init__(self) -> None:
        require(math.isfinite(self.deg), f"rotate: deg must be a finite angle, not {self.deg}.")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Turned by OpenCV's `warpAffine`."""
        height, width = picture.shape[:2]
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), self.deg, 1)
        border = cv2.BORDER_REFLECT_101
        return np.asarray(
            cv2.warpAffine(picture, turn, (width, height), borderMode=border), np.uint8
        )

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Ones: rotation moves detail; only its interpolation takes some away."""
        return np.ones((height, width))


@dataclass(frozen=True)
class Permute(Operator):
    """The whole b x b blocks of the region in random order; cut-off blocks at the far edges stay.

    `key` fixes one order for every picture, as a tool with a secret does; without one each
    picture gets its own.
    """

    name: ClassVar[str] = "permute"
    family: ClassVar[str] = "permute"
    nature: ClassVar[Nature] = Nature.NONLINEAR

    b: int
    key: int | None = None

    def __post_init__(self) -> None:
        require(self.b >= 1, f"permute: b must be at least 1, not {self.b}.")
        require(self.key is None or self.key >= 0, f"permute: key must be 0 or more: {self.key}.")

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether every picture gets an order of its own."""
        return self.key is None

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The whole blocks shuffled, by the key if there is one."""
        rows, columns = (side // self.b for side in picture.shape[:2])
        order = np.random.default_rng(self.key) if self.key is not None else rng
        out = picture.copy()
        whole = out[: rows * self.b, : columns * self.b]
        blocks = whole.reshape(rows, self.b, columns, self.b, 3).swapaxes(1, 2)
        shuffled = blocks.reshape(-1, self.b, self.b, 3)[order.permutation(rows * columns)]
        whole[:] = shuffled.reshape(blocks.shape).swapaxes(1, 2).reshape(whole.shape)
        return out

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Ones: solving the jigsaw brings everything back."""
        return np.ones((height, width))

    def scaled(self, factor: float) -> Self:
        """With blocks resized, to whole pixels."""
        return replace(self, b=max(1, round(self.b * factor)))
