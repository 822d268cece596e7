"""Boxes x0, y0, x1, y1 in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from reid_audit.audit.data import Box


def as_box(values: Sequence[Any] | NDArray[Any]) -> Box:
    """Four numbers as a box in whole pixels."""
    x0, y0, x1, y1 = (int(v) for v in values)
    return x0, y0, x1, y1


def sides(box: Box) -> tuple[int, int]:
    """Width and height."""
    return box[2] - box[0], box[3] - box[1]


def area(box: Box) -> int:
    """In pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def less(box: Box, inset: int) -> Box:
    """With every side so many pixels further in."""
    x0, y0, x1, y1 = box
    return x0 + inset, y0 + inset, x1 - inset, y1 - inset
