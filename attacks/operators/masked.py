"""Tools that blend an anonymised layer with the untouched picture through a mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from reid_audit.attacks.operators.base import Cover, Nature, Operator, Wrapper, require, rounded
from reid_audit.attacks.operators.fill import inscribed_ellipse
from reid_audit.attacks.operators.pillow import PillowGaussian, gaussian_response
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class Masked(Wrapper):
    """What stands before it in the grammar, seen through a mask."""

    @property
    def nature(self) -> Nature:  # type: ignore[override]
        """Something stays untouched, so nothing is erased and nothing is diagonal any more."""
        known = self.inner.nature in (Nature.LINEAR, Nature.ERASING)
        return Nature.MASKED if known else self.inner.nature

    def pinned(self, height: int, width: int) -> Operator:
        """The layer pinned, without the mask."""
        return self.inner.pinned(height, width)

    def framed(self, height: int, width: int) -> Self:
        """With the layer framed."""
        return replace(self, inner=self.inner.framed(height, width))

    def transfer(self, height: int, width: int) -> np.ndarray | None:
        """Of the layer."""
        return self.inner.transfer(height, width)

    def noise(self, height: int, width: int) -> np.ndarray | float:
        """Of the layer."""
        return self.inner.noise(height, width)

    def samples(self, height: int, width: int) -> tuple[int, int] | None:
        """Of the layer."""
        return self.inner.samples(height, width)

    def scaled(self, factor: float) -> Self:
        """With the layer scaled."""
        return replace(self, inner=self.inner.scaled(factor))

    def strengthened(self, factor: float) -> Self:
        """With the layer strengthened; the mask stays."""
        return replace(self, inner=self.inner.strengthened(factor))

    def settings(self, full: bool = False) -> dict[str, Any]:
        """Of the mask alone."""
        return {k: v for k, v in super().settings(full).items() if k != "inner"}

    @property
    def parameters(self) -> dict[str, Any]:
        """The layer's, the mask's word and its own settings."""
        own = {k: v for k, v in super().parameters.items() if k != "inner"}
        return self.inner.parameters | {"mask": self.name} | own

    def __str__(self) -> str:
        return f"{self.inner}|{super().__str__()}"


@dataclass(frozen=True)
class Ellipse(Masked):
    """What stands before it, pasted through the region's inscribed ellipse.

    `soft` is the width of the ramp from untouched (at the rim) to anonymised, as a share of the
    half axes; 0 is a hard edge. In the grammar: `gaussian:k=81|ellipse:soft=0.2`.
    """

    name: ClassVar[str] = "ellipse"

    soft: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.soft <= 1, f"ellipse: soft must lie in 0..1, not {self.soft:g}.")

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """Layer and picture mixed by the ellipse's weight, rounded."""
        weight = self._weight(*picture.shape[:2])[..., None]
        return rounded(weight * self.inner.apply(picture, rng) + (1 - weight) * picture)

    def _weight(self, height: int, width: int) -> np.ndarray:
        """Share of the layer `(height, width)` in [0, 1]."""
        distance = inscribed_ellipse(height, width)
        inside = (1 - distance) / self.soft if self.soft else np.where(distance <= 1, 1.0, 0.0)
        return np.asarray(inside.clip(0, 1))

    def cover(self, height: int, width: int) -> Cover | None:
        """That before it, through an ellipse with a hard edge."""
        whole = None if self.soft else self.inner.cover(height, width)
        return None if whole is None else replace(whole, pixels=self._weight(height, width) > 0)


@dataclass(frozen=True)
class Mask(Masked):
    """What stands before it, blended in through a mask that OpenCV draws on the whole picture.

    `shape` is drawn round or over the box, `grow` pixels larger on each side, and smoothed by `k`
    taps: OpenCV's Gaussian by its rule, or a triangle (`tent`). Where `core` is 1 the shape itself
    is covered in full besides. `layer` is what the operator before it runs on: the whole picture,
    or the region alone. Values are cut off to uint8, not rounded, as these tools do.
    """

    name: ClassVar[str] = "mask"

    shape: Literal["ellipse", "box"] = "ellipse"
    grow: int = 0
    k: int = 1
    smooth: Literal["gaussian", "tent"] = "gaussian"
    core: int = 0
    layer: Literal["picture", "region"] = "picture"

    def __post_init__(self) -> None:
        require(
            self.grow >= 0 and self.k >= 1 and self.k % 2 == 1 and self.core in (0, 1),
            "mask: grow must be 0 or more pixels, k odd, core 0 or 1, not "
            f"grow={self.grow}, k={self.k}, core={self.core}.",
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The whole region as the box."""
        return self.apply_in(picture, (0, 0, picture.shape[1], picture.shape[0]), rng)

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        """Layer and picture mixed by the drawn and smoothed shape, cut off to uint8."""
        whole = (0, 0, picture.shape[1], picture.shape[0])
        layer = self.inner.apply_in(picture, whole if self.layer == "picture" else box, rng)
        weight = self._weight(picture.shape[:2], box)[..., None]
        return np.asarray(layer * weight + picture * (1 - weight)).astype(np.uint8)

    def cover(self, height: int, width: int) -> Cover | None:
        """That before it, where it runs on the region alone and the shape has a hard edge."""
        if self.layer != "region" or self.k > 1 or self.grow:
            return None
        whole = self.inner.cover(height, width)
        box = (0, 0, width, height)
        pixels = self._weight((height, width), box) > 0
        return None if whole is None else replace(whole, pixels=pixels)

    def _weight(self, shape: tuple[int, ...], box: Sequence[int]) -> np.ndarray:
        """Share of the layer `(H, W)` float32 in [0, 1]."""
        weight = self._draw(shape, box, self.grow)
        if self.k > 1 and self.smooth == "gaussian":
            weight = cv2.GaussianBlur(weight, (self.k, self.k), 0)
        elif self.k > 1:
            half = (self.k + 1) // 2
            taps = (1 - np.abs(np.arange(self.k) - self.k // 2) / half) / half
            border = cv2.BORDER_CONSTANT
            weight = cv2.sepFilter2D(weight, cv2.CV_32F, taps, taps, borderType=border)
        weight = weight / np.float32(255)
        if self.core:
            weight = np.minimum(weight + self._draw(shape, box, 0) / np.float32(255), 1)
        return weight

    def _draw(self, shape: tuple[int, ...], box: Sequence[int], grow: int) -> np.ndarray:
        """The shape `(H, W)` float32, 255 inside."""
        x0, y0, x1, y1 = (int(v) for v in box)
        mask = np.zeros(shape, np.float32)
        if self.shape == "box":
            mask[max(0, y0 - grow) : y1 + grow, max(0, x0 - grow) : x1 + grow] = 255
            return mask
        width, height = x1 - x0, y1 - y0
        if self.layer == "picture":  # half axes in whole pixels
            width, height = width // 2 * 2, height // 2 * 2
        centre = ((x0 + x1) // 2, (y0 + y1) // 2)
        cv2.ellipse(mask, (centre, (width + 2 * grow, height + 2 * grow), 0), 255, -1)
        return mask

    def reach(self, box: Sequence[int], shape: Sequence[int]) -> tuple[int, int, int, int]:
        """What the layer changes, `grow` pixels larger on each side; the smoothed edge reaches
        beyond."""
        x0, y0, x1, y1 = self.inner.reach(box, shape)
        return (
            max(0, x0 - self.grow),
            max(0, y0 - self.grow),
            min(shape[1], x1 + self.grow),
            min(shape[0], y1 + self.grow),
        )


@dataclass(frozen=True)
class ImageNetBlur(Operator):
    """Blurred through a blurred mask, both with Pillow's Gaussian of radius `r` times the longer
    side of the largest face box of the picture; the mask covers each box enlarged by `grow` of its
    longer side (after Yang et al., "A study of face obfuscation in ImageNet", 2022)."""

    name: ClassVar[str] = "imagenet"
    family: ClassVar[str] = "gaussian"
    nature: ClassVar[Nature] = Nature.MASKED

    r: float = 0.1
    grow: float = 0.1

    def __post_init__(self) -> None:
        require(
            0 < self.r < math.inf, f"imagenet: r must be above 0 (share of the box), not {self.r}."
        )
        require(
            0 <= self.grow < math.inf,
            f"imagenet: grow must be 0 or more (share of the box), not {self.grow}.",
        )

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The whole region as the one face box."""
        return self.apply_in(picture, (0, 0, picture.shape[1], picture.shape[0]), rng)

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        """The picture's one face box."""
        return self.apply_to_boxes(picture, [box], rng)

    def apply_to_boxes(
        self, picture: Picture, boxes: Sequence[Sequence[int]], rng: np.random.Generator
    ) -> Picture:
        """All boxes through one mask, by a radius that follows from the largest."""
        if not len(boxes):
            return picture.copy()
        image = Image.fromarray(picture)
        clear = Image.new("L", image.size, 255)
        draw = ImageDraw.Draw(clear)
        for box in boxes:
            draw.rectangle(self._enlarged(box), fill=0)  # with its far corner, as Pillow draws
        longest = max(max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes)
        blur = ImageFilter.GaussianBlur(self.r * float(longest))
        return np.array(Image.composite(image, image.filter(blur), clear.filter(blur)))

    def among(self, box: Sequence[int], boxes: Sequence[Sequence[int]]) -> Self:
        """With the radius that follows from the largest of the boxes."""
        own, *others = (max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (box, *boxes))
        return replace(self, r=self.r * max(own, *others) / own) if others else self

    def _enlarged(self, box: Sequence[int]) -> tuple[float, float, float, float]:
        x0, y0, x1, y1 = (float(v) for v in box)
        margin = self.grow * max(x1 - x0, y1 - y0)
        return x0 - margin, y0 - margin, x1 + margin, y1 + margin

    def reach(self, box: Sequence[int], shape: Sequence[int]) -> tuple[int, int, int, int]:
        """The box enlarged by `grow` of its longer side, inside the picture."""
        x0, y0, x1, y1 = self._enlarged(box)
        return (
            max(0, math.floor(x0)),
            max(0, math.floor(y0)),
            min(shape[1], math.ceil(x1)),
            min(shape[0], math.ceil(y1)),
        )

    def pinned(self, height: int, width: int) -> PillowGaussian:
        """Pillow's Gaussian of the radius that this region gets, without the mask."""
        return PillowGaussian(round(self.r * max(height, width), 4))

    def strengthened(self, factor: float) -> Self:
        """With the radius multiplied; the mask's margin stays."""
        return replace(self, r=float(f"{self.r * factor:.4g}"))

    def transfer(self, height: int, width: int) -> np.ndarray:
        """Of the blurred layer."""
        return gaussian_response(self.r * max(height, width), height, width)
