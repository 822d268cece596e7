"""Tools that blend an anonymised layer with the untouched picture through a mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from reid_audit.attacks.operators.base import (
    Nature,
    Operator,
    Picture,
    require,
    rounded,
    setting_text,
)
from reid_audit.attacks.operators.blur import box_response
from reid_audit.attacks.operators.fill import inscribed_ellipse
from reid_audit.attacks.operators.pillow import gaussian_response


@dataclass(frozen=True)
class Ellipse(Operator):
    """What stands before it, pasted through the region's inscribed ellipse.

    `soft` is the width of the ramp from untouched (at the rim) to anonymised, as a share of the
    half axes; 0 is a hard edge. In the grammar: `gaussian:k=81|ellipse:soft=0.2`.
    """

    name: ClassVar[str] = "ellipse"

    inner: Operator
    soft: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.soft <= 1, f"ellipse: soft must lie in 0..1, not {self.soft:g}.")

    @property
    def family(self) -> str:  # type: ignore[override]
        return self.inner.family

    @property
    def random(self) -> bool:  # type: ignore[override]
        return self.inner.random

    @property
    def nature(self) -> Nature:  # type: ignore[override]
        """The corners stay untouched, so nothing is erased and nothing is diagonal any more."""
        known = self.inner.nature in (Nature.LINEAR, Nature.ERASING)
        return Nature.MASKED if known else self.inner.nature

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        distance = inscribed_ellipse(*picture.shape[:2])
        inside = (1 - distance) / self.soft if self.soft else np.where(distance <= 1, 1.0, 0.0)
        weight = inside.clip(0, 1)[..., None]
        return rounded(weight * self.inner.apply(picture, rng) + (1 - weight) * picture)

    def transfer(self, height: int, width: int) -> np.ndarray | None:
        return self.inner.transfer(height, width)

    def noise(self, height: int, width: int) -> np.ndarray | float:
        return self.inner.noise(height, width)

    def scaled(self, factor: float) -> Ellipse:  # type: ignore[override]
        return Ellipse(self.inner.scaled(factor), self.soft)

    def strengthened(self, factor: float) -> Ellipse:
        return Ellipse(self.inner.strengthened(factor), self.soft)

    @property
    def parameters(self) -> dict[str, Any]:
        return self.inner.parameters | {"mask": "ellipse", "soft": self.soft}

    def __str__(self) -> str:
        own = f"{self.name}:soft={setting_text(self.soft)}" if self.soft else self.name
        return f"{self.inner}|{own}"


@dataclass(frozen=True)
class EgoBlur(Operator):
    """Meta's EgoBlur: the whole frame under a box of half its size, pasted through the ellipse
    inscribed in the face box. The kernel grows with the frame, not with the face."""

    name: ClassVar[str] = "egoblur"
    family: ClassVar[str] = "box"
    nature: ClassVar[Nature] = Nature.MASKED

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        return self.apply_in(picture, (0, 0, picture.shape[1], picture.shape[0]), rng)

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        height, width = picture.shape[:2]
        x0, y0, x1, y1 = box
        blurred = cv2.blur(picture, (max(1, width // 2), max(1, height // 2)))
        mask = np.zeros((height, width), np.uint8)
        middle, axes = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
        cv2.ellipse(mask, middle, axes, 0, 0, 360, 255, -1)
        return np.where(mask[..., None] > 0, blurred, picture)

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Of its box when the region is the frame."""
        return box_response(height // 2, width // 2, height, width)


@dataclass(frozen=True)
class ImageNetBlur(Operator):
    """Blurred through a blurred mask, both with Pillow's Gaussian of radius `r` times the longer
    side of the face box (after Yang et al., "A study of face obfuscation in ImageNet", 2022)."""

    name: ClassVar[str] = "imagenet"
    family: ClassVar[str] = "gaussian"
    nature: ClassVar[Nature] = Nature.MASKED

    r: float = 0.1

    def __post_init__(self) -> None:
        require(
            0 < self.r < math.inf, f"imagenet: r must be above 0 (share of the box), not {self.r}."
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        return self.apply_in(picture, (0, 0, picture.shape[1], picture.shape[0]), rng)

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        x0, y0, x1, y1 = (int(v) for v in box)
        image = Image.fromarray(picture)
        mask = Image.new("L", image.size, 0)
        ImageDraw.Draw(mask).rectangle((x0, y0, x1 - 1, y1 - 1), fill=255)
        blur = ImageFilter.GaussianBlur(self.r * max(x1 - x0, y1 - y0))
        return np.array(Image.composite(image.filter(blur), image, mask.filter(blur)))

    def strengthened(self, factor: float) -> Self:
        return replace(self, r=float(f"{self.r * factor:.4g}"))

    def transfer(self, height: int, width: int) -> np.ndarray:
        return gaussian_response(self.r * max(height, width), height, width)
