"""What was done to every part of a picture that one tool processed.

A small part that went through a codec hardly tells a Gaussian from a mean. The parts of a picture
that one tool processed do together: their evidence on the family is independent, so that the logs
of its probabilities add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reid_audit.attacks.anonymisation.estimate import identify
from reid_audit.attacks.anonymisation.fills import even_blocks
from reid_audit.attacks.anonymisation.region import ENOUGH, Region
from reid_audit.attacks.anonymisation.result import EncodedInfo, Identification
from reid_audit.attacks.anonymisation.scene import OVERLAP, covered, find_regions
from reid_audit.attacks.operators.fill import inscribed_ellipse

SMOOTHING = frozenset({"gaussian", "box"})
"""Families that are hard to tell apart in a small part through a codec."""
LIKELY = 0.05
"""Probability of the clearest part's family from which another part may have gone through the same
tool: a caption or a neighbour's edge has not."""
DOUBT = 0.02
"""Least probability of a family in any one part."""
FAINT = 40.0
"""In place of `ENOUGH`, for further parts of a picture that has several."""
PAINTED = 0.9
"""Share of the inside of a part that must have the colour of another to be painted alike."""
NEAR, RIM = 10, 3
"""Grey levels through a codec up to which colours are equal, and pixels beside the rim in which it
rings."""

Part = tuple[Region, Identification]


def identify_parts(
    picture: np.ndarray, encoded: EncodedInfo | None = None
) -> tuple[Identification, ...]:
    """What was done to a picture `(H, W, 3)` uint8: one answer for the whole of it, or one for each
    part that the same tool processed, the clearest first.

    Raises:
        InputError: as `identify`.
    """
    first = identify(picture, encoded)
    height, width = picture.shape[:2]
    if first.region == (0, 0, width, height):
        return (first,)
    shape = "ellipse" if first.region_shape == "ellipse" else "box"
    place = Region(first.region, shape, float(first.parameters.get("soft", 0.0)))
    clear = _told(picture, encoded, ENOUGH)
    paint = next((part for _, part in clear if part.family == "solid"), None)
    if paint is not None and first.family in SMOOTHING:
        first = _painted_as(paint, picture, place) or first
    parts = [(place, first)]
    parts += _further(parts, clear, picture)
    faint = _further(parts, _told(picture, encoded, FAINT), picture)
    # A single one beside a single face is rather a smooth place than another face.
    if len(parts) > 1 or len(faint) > 1:
        parts += faint
    family = common_family([part for _, part in parts])
    again = [
        part if part.family == family else identify(picture, encoded, place, family)
        for place, part in parts
    ]
    return tuple(part for part in again if part.family == family)


def _told(picture: np.ndarray, encoded: EncodedInfo | None, enough: float) -> list[Part]:
    """Every part that stands out and what was done to it; `enough` as for `find_regions`."""
    was_jpeg = encoded is None or encoded.quality is None
    regions = find_regions(picture, was_jpeg, enough=enough)
    return [(region, identify(picture, encoded, region)) for region in regions]


def _further(parts: Sequence[Part], told: Sequence[Part], picture: np.ndarray) -> list[Part]:
    """Those told of that lie beside the parts and that the tool of the first may have processed."""
    first, found = parts[0][1], []
    for region, answer in told:
        part = _painted_as(first, picture, region) or answer
        beside = all(covered(region.box, other.region) <= OVERLAP for _, other in parts)
        if beside and _alike(part, first):
            found.append((region, part))
    return found


def _painted_as(
    other: Identification, picture: np.ndarray, region: Region
) -> Identification | None:
    """The answer for a region that has the one colour of another part: through a codec a small one
    is too shaken to be told alone. None where it has not, or where that was not painted."""
    if other.family != "solid" or not even_blocks(picture, region.box):
        return None
    x0, y0, x1, y1 = region.box
    rim = min(RIM, (min(x1 - x0, y1 - y0) - 1) // 4)
    inside = picture[y0 + rim : y1 - rim, x0 + rim : x1 - rim].astype(np.int16)
    off = np.abs(inside - np.array(other.parameters["color"])).max(axis=2)
    if region.shape == "ellipse":
        off = off[inscribed_ellipse(*off.shape) <= 1]
    if (off <= NEAR).mean() < PAINTED:
        return None
    return replace(other, region=region.box, region_shape=region.shape)


def common_family(parts: Sequence[Identification]) -> str:
    """The family that all parts together make likeliest."""
    families = sorted({part.family for part in parts})
    return max(families, key=lambda name: sum(math.log(_odds(part, name)) for part in parts))


def _alike(part: Identification, first: Identification) -> bool:
    """Whether one tool may have processed both."""
    if part.family == first.family or {part.family, first.family} <= SMOOTHING:
        return True
    return part.family != "none" and part.odds.get(first.family, 0.0) >= LIKELY


def _odds(part: Identification, family: str) -> float:
    """Probability that a part was processed by a tool of this family, never quite 0 or 1."""
    told = part.odds or {part.family: part.confidence}
    return min(max(told.get(family, 0.0), DOUBT), 1 - DOUBT)
