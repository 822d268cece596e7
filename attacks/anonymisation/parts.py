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
    places = [Region(first.region, shape, float(first.parameters.get("soft", 0.0)))]
    parts = [first]

    def look(enough: float) -> None:
        was_jpeg = encoded is None or encoded.quality is None
        for region in find_regions(picture, was_jpeg, enough=enough):
            if all(covered(region.box, part.region) <= OVERLAP for part in parts):
                part = _also_painted(picture, region, first) or identify(picture, encoded, region)
                if _alike(part, first):
                    parts.append(part)
                    places.append(region)

    look(ENOUGH)
    if len(parts) > 1:  # a scene: what is fainter may have gone through the same tool
        look(FAINT)
    family = common_family(parts)
    again = [
        part if part.family == family else identify(picture, encoded, place, family)
        for part, place in zip(parts, places, strict=True)
    ]
    return tuple(part for part in again if part.family == family)


def _also_painted(
    picture: np.ndarray, region: Region, first: Identification
) -> Identification | None:
    """The answer for a part that has the one colour of the first: through a codec a small part is
    too shaken to be told alone."""
    if first.family != "solid":
        return None
    x0, y0, x1, y1 = region.box
    rim = min(RIM, (min(x1 - x0, y1 - y0) - 1) // 4)
    inside = picture[y0 + rim : y1 - rim, x0 + rim : x1 - rim].astype(np.int16)
    off = np.abs(inside - np.array(first.parameters["color"])).max(axis=2)
    if region.shape == "ellipse":
        off = off[inscribed_ellipse(*off.shape) <= 1]
    if (off <= NEAR).mean() < PAINTED:
        return None
    return replace(first, region=region.box, region_shape=region.shape)


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
