"""A tool as an operator: its rule is applied anew to every region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

import numpy as np

from reid_audit.attacks.operators.base import Cover, Nature, Operator, require
from reid_audit.attacks.operators.tools.catalogue import Placed, Tool, tools
from reid_audit.attacks.pictures import Picture

NOMINAL = (128, 100)
"""Height and width of the box that shows what a tool is, where none is at hand."""


@dataclass(frozen=True)
class ToolOperator(Operator):
    """A tool of the catalogue at its default: `signal-android`.

    fw, fh: width and height in pixels of the picture that the tool saw; 0: those of the picture
    it is applied to. zoom: by how much pictures were resized after the tool (its rule sees their
    size before). strength: of its setting, 1 being the default.
    """

    tool: Tool
    fw: int = 0
    fh: int = 0
    zoom: float = 1.0
    strength: float = 1.0

    def __post_init__(self) -> None:
        require(
            self.fw >= 0 and self.fh >= 0 and self.zoom > 0 and self.strength > 0,
            f"{self.name}: fw and fh must be 0 or more pixels, zoom and strength above 0, not "
            f"fw={self.fw}, fh={self.fh}, zoom={self.zoom:g}, strength={self.strength:g}.",
        )

    @property
    def name(self) -> str:  # type: ignore[override]
        """The tool's name in the catalogue."""
        return self.tool.name

    def _nominal(self) -> Operator:
        return self.for_region(*NOMINAL)

    @property
    def family(self) -> str:  # type: ignore[override]
        """Of what it does to a typical face box."""
        return self._nominal().family

    @property
    def nature(self) -> Nature:  # type: ignore[override]
        """Of what it does to a typical face box."""
        return self._nominal().nature

    @property
    def random(self) -> bool:  # type: ignore[override]
        """Whether what it does to a typical face box is."""
        return self._nominal().random

    @property
    def far_sighted(self) -> bool:  # type: ignore[override]
        """Whether its operator is."""
        return self._nominal().far_sighted

    def place(self, face: Sequence[int], shape: Sequence[int]) -> Placed:
        """What is done to a face box on a picture of `shape`, in that picture's pixels."""
        box = self.tool.region_of(face, shape)
        return Placed(self._operator(box[3] - box[1], box[2] - box[0], shape), box)

    def for_region(self, height: int, width: int) -> Operator:
        """What is done to a region that is a whole picture, as far as is known."""
        return self._operator(height, width, (height, width))

    def _operator(self, height: int, width: int, shape: Sequence[int]) -> Operator:
        frame = self.fh or shape[0] / self.zoom, self.fw or shape[1] / self.zoom
        operator = self.tool.operator_for((height / self.zoom, width / self.zoom), frame)
        if self.zoom != 1:
            operator = operator.scaled(self.zoom)
        return operator if self.strength == 1 else operator.strengthened(self.strength)

    def apply(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The whole region as the box that is handed to the operator."""
        return self.for_region(*picture.shape[:2]).apply(picture, rng)

    def apply_in(self, picture: Picture, box: Sequence[int], rng: np.random.Generator) -> Picture:
        """The box taken for a face's: the tool adds its margins and works on the whole picture."""
        placed = self.place(box, picture.shape)
        return placed.operator.apply_in(picture, placed.box, rng)

    def reach(self, box: Sequence[int], shape: Sequence[int]) -> tuple[int, int, int, int]:
        """The face box with the tool's margins, and what its operator adds to them."""
        placed = self.place(box, shape)
        return placed.operator.reach(placed.box, shape)

    def pinned(self, height: int, width: int) -> Operator:
        """The operator that a region of this size gets, pinned."""
        return self.for_region(height, width).pinned(height, width)

    def framed(self, height: int, width: int) -> Self:
        """States the picture's size, where the tool's setting follows from it."""
        if not self.tool.of_frame or self.fw:
            return self
        return replace(self, fw=round(width / self.zoom), fh=round(height / self.zoom))

    def transfer(self, height: int, width: int) -> np.ndarray | None:
        """Of the operator that a region of this size gets."""
        return self.for_region(height, width).transfer(height, width)

    def cover(self, height: int, width: int) -> Cover | None:
        """Of the operator that a region of this size gets, where that does not follow from a
        picture's size that nobody stated."""
        if self.tool.of_frame and not self.fw:
            return None
        return self.for_region(height, width).cover(height, width)

    def noise(self, height: int, width: int) -> np.ndarray | float:
        """Of the operator that a region of this size gets."""
        return self.for_region(height, width).noise(height, width)

    def samples(self, height: int, width: int) -> tuple[int, int] | None:
        """Of the operator that a region of this size gets."""
        return self.for_region(height, width).samples(height, width)

    def scaled(self, factor: float) -> Self:
        """With `zoom` multiplied: the tool's rule still sees the sizes before."""
        return replace(self, zoom=self.zoom * factor)

    def strengthened(self, factor: float) -> Self:
        """With `strength` multiplied."""
        return replace(self, strength=float(f"{self.strength * factor:.4g}"))

    def settings(self, full: bool = False) -> dict[str, Any]:
        """Of the picture's size, zoom and strength; the tool is the word itself."""
        return {k: v for k, v in super().settings(full).items() if k != "tool"}

    @property
    def parameters(self) -> dict[str, Any]:
        """The tool's name and all settings."""
        return {"tool": self.name} | self.settings(full=True)


@cache
def factories() -> dict[str, Callable[..., Operator]]:
    """Every tool by its word of the grammar. Those that are operators of their own, such as
    `deface-blur`, are found there first."""
    return {tool.name: _factory(tool) for tool in tools()}


def _factory(tool: Tool) -> Callable[..., ToolOperator]:
    def make(fw: int = 0, fh: int = 0, zoom: float = 1.0, strength: float = 1.0) -> ToolOperator:
        return ToolOperator(tool, fw, fh, zoom, strength)

    make.__doc__ = f"{tool.title}: {tool.operation} Default: {tool.default}"
    return make
