"""Lengths that a tool takes from a face box or from the whole picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

SIDES = {
    "width": "width of the box",
    "height": "height of the box",
    "shorter": "shorter side of the box",
    "longer": "longer side of the box",
    "frame-width": "width of the picture",
    "frame-height": "height of the picture",
    "frame-longer": "longer side of the picture",
}
"""What a length can be a share of."""

ROUNDINGS = ("none", "down", "odd-below", "odd-above", "eights")


@dataclass(frozen=True)
class Length:
    """A share of one side, in pixels.

    of: one of `SIDES`. plus: pixels added to it before the share is taken. to: how it becomes a
    whole number: `none`, `down`, `odd-below` (an even number less one), `odd-above` (an even number
    plus one), `eights` (down to a multiple of 8). least, most: bounds, applied last.
    """

    of: str
    share: Fraction
    to: str = "down"
    least: float = 1
    most: float = math.inf
    plus: float = 0

    @classmethod
    def read(cls, entry: dict[str, Any]) -> Length:
        """From an entry of the catalogue, whose share is a fraction as text."""
        length = cls(**{**entry, "share": Fraction(entry["share"])})
        if length.of not in SIDES or length.to not in ROUNDINGS:
            raise ValueError(f"{entry}: `of` is one of {SIDES.keys()}, `to` one of {ROUNDINGS}.")
        return length

    def __call__(self, box: tuple[float, float], frame: tuple[float, float]) -> float:
        """In pixels, for a box and a picture of `(height, width)`.

        >>> Length("width", Fraction(1, 3), "odd-below")((90, 60), (480, 640))
        19
        """
        side = {
            "width": box[1],
            "height": box[0],
            "shorter": min(box),
            "longer": max(box),
            "frame-width": frame[1],
            "frame-height": frame[0],
            "frame-longer": max(frame),
        }[self.of]
        value: float = (side + self.plus) * self.share.numerator / self.share.denominator
        if self.to != "none":
            value = int(value)
        if self.to == "odd-below":
            value -= value % 2 == 0
        elif self.to == "odd-above":
            value += value % 2 == 0
        elif self.to == "eights":
            value = value // 8 * 8
        return min(max(value, self.least), self.most)

    @property
    def of_frame(self) -> bool:
        """Whether it follows from the picture rather than from the face."""
        return self.of.startswith("frame")

    def __str__(self) -> str:
        """In words: `1/3 of the width of the box`."""
        side = f"{SIDES[self.of]}{f' plus {self.plus:g} pixels' if self.plus else ''}"
        bounds = f", at least {self.least:g}" if self.least > 1 else ""
        return f"{self.share} of the {side}{bounds}"
