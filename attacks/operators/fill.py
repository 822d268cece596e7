"""Solid fill: over the whole region, its ellipse, or a bar across the eyes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from reid_audit.attacks.operators.base import Nature, Operator, require
from reid_audit.attacks.pictures import Picture

EYE_ROWS = (0.28, 0.52)
"""Top and bottom of the eye bar as shares of the height of a face box."""


@dataclass(frozen=True)
class Solid(Operator):
    """One grey level `v` over the region: all of it, its inscribed ellipse, or an eye bar."""

    name: ClassVar[str] = "solid"
    family: ClassVar[str] = "solid"

    v: int = 0
    shape: Literal["box", "ellipse", "eyes"] = "box"

    def __post_init__(self) -> None:
        require(0 <= self.v <= 255, f"solid: v must be 0..255 (grey level), not {self.v}.")

    @property
    def nature(self) -> Nature:  # type: ignore[override]
        """Erasing when nothing of the region is left."""
        return Nature.ERASING if self.shape == "box" else Nature.MASKED

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The shape painted over."""
        out = picture.copy()
        height, width = picture.shape[:2]
        if self.shape == "box":
            out[:] = self.v
        elif self.shape == "ellipse":
            out[inscribed_ellipse(height, width) <= 1] = self.v
        else:
            top, bottom = (round(share * height) for share in EYE_ROWS)
            out[top:bottom] = self.v
        return out


def inscribed_ellipse(height: int, width: int) -> np.ndarray:
    """Distance from the middle `(height, width)` in units of the inscribed ellipse's half axes."""
    y = (np.arange(height) + 0.5) / height * 2 - 1
    x = (np.arange(width) + 0.5) / width * 2 - 1
    return np.hypot(y[:, None], x[None, :])
