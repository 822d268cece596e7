"""What was done to one picture: region first, then exact traces, then spectra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from reid_audit.attacks.anonymisation.blocks import more_blocks
from reid_audit.attacks.anonymisation.ellipse import Box
from reid_audit.attacks.anonymisation.fills import Fill, even_blocks, find_fills, same_place
from reid_audit.attacks.anonymisation.inside import identify_box
from reid_audit.attacks.anonymisation.parameters import spread
from reid_audit.attacks.anonymisation.region import (
    STANDS_OUT,
    Region,
    find_region,
    whole_part,
)
from reid_audit.attacks.anonymisation.result import EncodedInfo, Identification, with_codec
from reid_audit.attacks.anonymisation.scene import find_regions
from reid_audit.metrics.errors import InputError

EXPLAINED = 0.9
"""Confidence from which one operator on the whole picture is preferred to one on a part."""
FIRM = 0.6
"""Evidence per border pixel under which a part is believed only where what was done to it is
certain, and where that is not one of `RARE`."""
WIDER = 0.45
"""The same where the whole picture is smooth, as enlarged ones are, and the part more so."""
JAGGED = ("pixelate", "downscale", "permute")
"""Families that put straight edges into a whole picture, so that a part seems to stand out."""
MARGIN = 12
"""Range of grey levels in a line of a margin, which a codec may have shaken."""
RARE = ("median", "motion", "permute", "noise")
"""Families that smooth parts of ordinary pictures are taken for."""
CLEAR_PART, SURE_PART = 0.8, 0.8
"""Evidence per border pixel, and confidence in what was done, from which a small part counts."""
PAINTED_PART = 1.2
"""Evidence from which a small part of one colour was painted: bricks and tiles have up to 1.15."""
FAIR_PART = 0.5
"""Evidence from which one of several parts that were smoothed counts."""
LARGE = 1024
"""Longer side in pixels above which a picture is searched from a map of its detail."""
PLACES = 12
"""Places in a large picture that are looked at."""
PAINTED = 2048
"""Longer side in pixels to which pictures are thinned out before paint is looked for."""
PAINT = 0.6
"""Probability from which a part counts as painted."""
BROAD, SLIVER = 12, 0.9
"""Sides in pixels under which more is needed: photographs have flat slivers at their borders."""
CLEARER = 0.6
"""Evidence per border pixel from which a larger part elsewhere is preferred to paint."""
RIMMED = 0.5
"""Share of its rim that is sharp under which a drawing around a clear part may be a wall."""


def identify(
    picture: np.ndarray,
    encoded: EncodedInfo | None = None,
    region: Box | Region | None = None,
    family: str | None = None,
) -> Identification:
    """Identify the operator that made `picture` `(H, W, 3)` uint8.

    `encoded` are facts from the file's header (`read_encoded`); `region`, a box in pixels or a
    `Region` (an ellipse, a mask that fades), overrules the search for the processed part; `family`
    is what other parts say where this one leaves a choice.

    Raises:
        InputError: not a colour picture of 8 bits, or an impossible region.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise InputError(
            f"identify takes RGB uint8 (H, W, 3), not {picture.dtype} {picture.shape}; convert it."
        )
    height, width = picture.shape[:2]
    stored = None if encoded is None else encoded.quality
    if region is None:
        # The arrays are small: threads would mostly wait for each other.
        with threadpool_limits(1):
            answer = _search(picture, stored)
    else:
        place = region if isinstance(region, Region) else Region(region)
        x0, y0, x1, y1 = place.box
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise InputError(f"region {place.box} does not lie in a picture of {width} x {height}.")
        with threadpool_limits(1):
            answer = _identify_at(picture, place, stored, family)
    answer = with_codec(answer)
    if encoded is None:
        return answer
    return replace(answer, codec=encoded.codec, bit_depth=encoded.bit_depth)


def _search(picture: np.ndarray, stored: int | None) -> Identification:
    """The answer for the part that was processed, if one stands out and the whole picture has no
    better explanation: blocks and enlarged samples have straight edges too."""
    height, width = picture.shape[:2]
    box = (0, 0, width, height)
    if max(height, width) > LARGE:
        regions = find_regions(picture, stored is None, PLACES)
        region = regions[0] if regions else Region(box)
    else:
        region = find_region(picture, was_jpeg=stored is None)
    answer = _explained(picture, region, stored)
    if answer.family == "none" and answer.region == box:
        return _among_several(picture, stored) or answer
    return answer


def _among_several(picture: np.ndarray, stored: int | None) -> Identification | None:
    """The clearest of the small parts of a picture of which none stands out by itself; None where
    no part is clear and no two were smoothed alike."""
    told = [(r, _identify_at(picture, r, stored)) for r in find_regions(picture, stored is None)]
    parts = [(r, a) for r, a in told if a.family not in ("none", "unknown", *RARE)]
    clear = [
        a
        for r, a in parts
        if a.confidence >= SURE_PART
        and r.evidence >= CLEAR_PART
        and (a.family != "solid" or (r.evidence >= PAINTED_PART and even_blocks(picture, r.box)))
    ]
    alike = [a for r, a in parts if r.evidence >= FAIR_PART and a.family in ("gaussian", "box")]
    clear.sort(key=lambda answer: answer.family != "solid")  # through a codec only few are told
    return clear[0] if clear else alike[0] if len(alike) > 1 else None


def _explained(picture: np.ndarray, region: Region, stored: int | None) -> Identification:
    """The answer for a region, unless paint or the whole picture explains more."""
    height, width = picture.shape[:2]
    box = (0, 0, width, height)
    part = _identify_at(picture, region, stored)
    if part.family == "pixelate" and part.odds and region.shape == "box" and region.box != box:
        part = replace(
            part, region=more_blocks(picture, region.box, round(part.parameters["block_x"]))
        )
    # Blocks of one colour are flat and have sharp rims, and equal ones side by side look painted.
    exact = part.family == "pixelate" and not part.odds
    paint = None if exact else _painted(picture, region, part)
    if paint is not None and (part.family != "pixelate" or paint.confidence >= SLIVER):
        return replace(paint, quality=stored)
    if region.box == box or region.soft or part.family in ("solid", "pixelate"):
        return part
    whole = identify_box(picture, box, stored)
    if whole.family in JAGGED and whole.odds and (inner := _without_margins(picture)) != box:
        whole = identify_box(picture, inner, stored)
    # Noise on everything would not leave a part without detail.
    nothing = whole.family in ("none", "unknown", "noise")
    # What smooths everything leaves no box with sharp sides, and what enlarges it no wider blur.
    clear = region.shape == "box" and (
        (region.evidence >= STANDS_OUT and whole.family not in JAGGED)
        or (region.evidence >= WIDER and _wider(part, whole))
    )
    explained = not (nothing or clear) and whole.confidence > EXPLAINED
    faint = region.shape == "box" and 0 < region.evidence < FIRM
    doubtful = faint and (part.family in RARE or part.confidence < EXPLAINED)
    doubtful = doubtful or part.family in ("none", "unknown")
    return whole if explained or doubtful else part


def _without_margins(picture: np.ndarray) -> Box:
    """The picture less lines of one colour at its border, whose edges look like those of blocks."""
    height, width = picture.shape[:2]
    levels = picture.astype(np.int16)
    rows = np.ptp(levels, axis=1).max(axis=1) > MARGIN
    columns = np.ptp(levels, axis=0).max(axis=1) > MARGIN
    if not rows.any() or not columns.any():
        return 0, 0, width, height
    (top, bottom), (left, right) = ((np.flatnonzero(k)[[0, -1]]) for k in (rows, columns))
    return int(left), int(top), int(right) + 1, int(bottom) + 1


def _wider(part: Identification, whole: Identification) -> bool:
    """Whether a part was surely blurred, and by twice what smooths the whole picture, if only by
    enlarging it."""
    wide, usual = (spread(told.family, told.parameters) for told in (part, whole))
    if wide is None or usual is None:
        return False
    return _blurred(part) >= SURE_PART and wide > 2 * usual


def _blurred(part: Identification) -> float:
    """Probability that a part was blurred."""
    return sum(part.odds.get(family, 0.0) for family in ("gaussian", "box"))


def _painted(picture: np.ndarray, region: Region, part: Identification) -> Identification | None:
    """The answer where a part was painted over; None where none was."""
    reduced = max(1, -(-max(picture.shape[:2]) // PAINTED))
    thinned = np.ascontiguousarray(picture[::reduced, ::reduced])
    fills = [f for f in find_fills(thinned, PAINT) if f.probability >= SLIVER or _broad(f.box)]
    if not fills:
        return None
    fill = fills[0]
    x0, y0, x1, y1 = (reduced * v for v in fill.box)
    box = (x0, y0, min(x1, picture.shape[1]), min(y1, picture.shape[0]))
    if _surroundings(fill, box, region, part):
        return None
    answer = Identification(
        box,
        "solid" if fill.one_colour else "generative",
        region_shape=fill.shape,
        parameters={"color": fill.colour},
        noise=0.0,
        confidence=round(fill.probability, 4),
    )
    if not fill.one_colour:
        return answer
    return replace(answer, spec="solid|ellipse" if fill.shape == "ellipse" else "solid")


def _surroundings(fill: Fill, box: Box, region: Region, part: Identification) -> bool:
    """Whether a fill `box` is rather what lies around a clear region: something smaller elsewhere;
    of what looks drawn, a wall behind the region or what has its colour beside it."""
    a, b, c, d = region.box
    clear = region.evidence > CLEARER
    apart = min(box[2], c) <= max(box[0], a) or min(box[3], d) <= max(box[1], b)
    if clear and apart and (c - a) * (d - b) > (box[2] - box[0]) * (box[3] - box[1]):
        return True
    if fill.one_colour:
        return False
    if part.family == "solid" and same_place(box, part.region):
        return True
    certain = part.family == "solid" or _blurred(part) >= SURE_PART
    inside = a >= box[0] and b >= box[1] and c <= box[2] and d <= box[3]
    return clear and certain and (not inside or fill.sharp < RIMMED)


def _broad(box: Box) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) >= BROAD


def _identify_at(
    picture: np.ndarray, place: Region, stored: int | None, family: str | None = None
) -> Identification:
    """The answer for a part of any shape."""
    if place.shape == "ellipse" or place.soft:
        return _identify_masked(picture, place, stored, family)
    return identify_box(picture, place.box, stored, family=family)


def _identify_masked(
    picture: np.ndarray, region: Region, stored: int | None, family: str | None = None
) -> Identification:
    """The answer for an ellipse or a box that fades, from the rectangle inside it where the mask is
    whole."""
    core = whole_part(region)
    fading_box = region.shape == "box"
    # The one tool known to fade a box blurs it by the Gaussian that blurs the mask.
    excluded = ("box",) if fading_box else ()
    inside = identify_box(picture, core, stored, True, excluded, family)
    parameters = dict(inside.parameters)
    for side, start, first in (("x", region.box[0], core[0]), ("y", region.box[1], core[1])):
        if (phase := f"phase_{side}") in parameters:
            block = parameters[f"block_{side}"]
            parameters[phase] = round((first - start + parameters[phase]) % block)
    if region.soft:
        parameters["soft"] = region.soft
    spec = inside.spec
    if spec is not None and not fading_box:
        spec += f"|ellipse:soft={region.soft:.2g}" if region.soft else "|ellipse"
    elif inside.family == "gaussian":
        spec = f"imagenet:r={region.soft:.3g},grow=0"
    shape = "soft" if fading_box else "ellipse"
    return replace(inside, region=region.box, region_shape=shape, parameters=parameters, spec=spec)
