"""What was done to a picture or a region of it, settled by doing it to the original."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from reid_audit.attacks.anonymisation import (
    Identification,
    Placings,
    identify,
    identify_pair,
    in_place,
)
from reid_audit.attacks.anonymisation import Region as Place
from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.attacks.operators.tools import Placed, Tool, face_under, tools
from reid_audit.audit.probes.boxes import less, sides
from reid_audit.audit.probes.inventory import Region
from reid_audit.audit.probes.scene import Picture

AROUND, UNIT = 0.5, 16
"""Surroundings that are looked at with a region, in its sides, and the pixels that a JPEG's blocks
are counted in."""
NARROWEST = 4
"""A fading edge is seen to reach beyond its box by up to this part of the region's shorter side."""
MIDDLE = 512
"""Sides in pixels of the part of a picture that tells what was done to all of it."""


@dataclass(frozen=True)
class Told:
    """What was done, and what pixels alone say where an original settled it."""

    settled: Identification | None
    alone: Identification | None = None


def look(
    picture: Picture,
    clear: Picture,
    encoded: EncodedInfo | None,
    region: Region | None,
    regions: Collection[Region],
) -> Told:
    """What was done to one of a picture's regions, settled by doing it to the original; on a
    picture that was processed as a whole, what its pixels tell."""
    if region is None:
        return Told(identify(picture, encoded))
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = region.box
    far_x, far_y = (max(UNIT, round(AROUND * side)) for side in sides(region.box))
    left, top = max(0, (x0 - far_x) // UNIT * UNIT), max(0, (y0 - far_y) // UNIT * UNIT)
    right, below = min(width, x1 + far_x), min(height, y1 + far_y)
    before, after = (np.ascontiguousarray(p[top:below, left:right]) for p in (clear, picture))
    place = Place((x0 - left, y0 - top, x1 - left, y1 - top), region.shape)
    would = _tools(region, regions, clear, left, top)
    pair = identify_pair(before, after, place, encoded, would)
    settled, alone = (replace(answer, region=region.box) for answer in (pair.settled, pair.unaided))
    return Told(settled, alone)


def look_at_all(picture: Picture, clear: Picture, encoded: EncodedInfo) -> Told:
    """What was done to a picture as a whole, settled by doing it to the original; told from its
    middle where it is large."""
    height, width = picture.shape[:2]
    x, y = max(0, width - MIDDLE) // 2, max(0, height - MIDDLE) // 2
    middle = (x, y, min(width, x + MIDDLE), min(height, y + MIDDLE))
    pair = identify_pair(clear, picture, middle, encoded)
    everywhere = (0, 0, width, height)
    settled, alone = (replace(t, region=everywhere) for t in (pair.settled, pair.unaided))
    return Told(settled, alone)


def _tools(
    region: Region, regions: Collection[Region], clear: Picture, left: int, top: int
) -> dict[str, Placings]:
    """By name, what the tools of the catalogue would have done to one of the regions of a picture,
    in pixels of a part of it that starts at `left`, `top`."""
    height, width = clear.shape[:2]
    shape = height, width
    largest = max(regions, key=lambda other: max(sides(other.box)))

    def would(tool: Tool, inset: int) -> Placed:
        own, other = (
            tool.place(face_under(tool, less(place.box, inset), shape), shape)
            for place in (region, largest)
        )
        x0, y0, x1, y1 = own.box
        box = x0 - left, y0 - top, x1 - left, y1 - top
        return Placed(own.operator.among(own.box, [other.box]), box)

    def remake(part: Picture, placed: Placed) -> Picture:
        if not placed.operator.far_sighted:
            return in_place(part, placed)
        x0, y0, x1, y1 = placed.box
        made = in_place(clear, Placed(placed.operator, (x0 + left, y0 + top, x1 + left, y1 + top)))
        return made[top : top + part.shape[0], left : left + part.shape[1]]

    faded = max(1, min(sides(region.box)) // NARROWEST)
    return {
        tool.name: Placings(partial(would, tool), faded if tool.shape == "soft" else 1, remake)
        for tool in tools()
        if tool.shape in (region.shape, "soft")
    }
