"""A tool whose setting grows with what it acts on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from reid_audit.attacks.operators.base import (
    Cover,
    Nature,
    Operator,
    Wrapper,
    require,
    setting_text,
)
from reid_audit.attacks.pictures import Picture


@dataclass(frozen=True)
class Relative(Wrapper):
    """What stands before it, with lengths in proportion to its region.

    They are meant for a region of `side` pixels, the geometric mean of its sides. In the grammar:
    `box:k=51|relative:side=100` is a mean filter half as wide as its region.
    """

    name: ClassVar[str] = "relative"

    side: float

    def __post_init__(self) -> None:
        require(
            0 < self.side < math.inf, f"relative: side must be above 0 pixels, not {self.side:g}."
        )

    def on(self, height: int, width: int) -> Operator:
        """The setting that a region of this size gets."""
        return self.inner.scaled(math.sqrt(height * width) / self.side)

    def pinned(self, height: int, width: int) -> Operator:
        """The setting that a region of this size gets, pinned."""
        return self.on(height, width).pinned(height, width)

    @property
    def nature(self) -> Nature:  # type: ignore[override]
        """That of the operator inside."""
        return self.inner.nature

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """By the setting that a region of this size gets."""
        return self.on(*picture.shape[:2]).apply(picture, rng)

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        """By the setting that a box of this size gets."""
        x0, y0, x1, y1 = box
        return self.on(y1 - y0, x1 - x0).apply_in(picture, box, rng)

    def transfer(self, height: int, width: int) -> np.ndarray | None:
        """Of the setting that a region of this size gets."""
        return self.on(height, width).transfer(height, width)

    def cover(self, height: int, width: int) -> Cover | None:
        """Of the setting that a region of this size gets."""
        return self.on(height, width).cover(height, width)

    def noise(self, height: int, width: int) -> np.ndarray | float:
        """Of the setting that a region of this size gets."""
        return self.on(height, width).noise(height, width)

    def samples(self, height: int, width: int) -> tuple[int, int] | None:
        """Of the setting that a region of this size gets."""
        return self.on(height, width).samples(height, width)

    def scaled(self, factor: float) -> Self:
        """Itself: the region grows with the picture."""
        return self

    def strengthened(self, factor: float) -> Relative:
        """With the operator inside strengthened."""
        return Relative(self.inner.strengthened(factor), self.side)

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of the operator inside, and the side that they are meant for."""
        return self.inner.parameters | {"side": self.side}

    def __str__(self) -> str:
        return f"{self.inner}|{self.name}:side={setting_text(self.side)}"
