"""Where the picture was processed, from its pixels.

Tools cut a box out, process it alone and put it back, so its border is a jump between a side whose
own detail is gone and one whose detail is not (`sides`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from reid_audit.attacks.anonymisation.blocks import elliptic_blocks
from reid_audit.attacks.anonymisation.compression import jpeg_quality_of
from reid_audit.attacks.anonymisation.ellipse import Box, Sides, find_ellipse, to_rim
from reid_audit.attacks.anonymisation.fading import with_fading
from reid_audit.attacks.anonymisation.lattice import (
    Changed,
    box_score,
    changed_blocks,
    ellipse_score,
    find_changed,
)
from reid_audit.attacks.anonymisation.sides import (
    ACCEPTED,
    JPEG,
    SMALLEST,
    as_box,
    clearest_box,
    compactness,
    detail_contrast,
    local_detail,
    plausible_boxes,
    side_evidence,
    without_jpeg,
)
from reid_audit.attacks.anonymisation.structure import block_grid

CONTRAST = 0.15
ENOUGH = 75.0
"""Border pixels times evidence times contrast that a region needs: of development pictures nobody
touched ellipses had mostly up to 46, anonymised ones 82 and more."""
SAME, SAME_ELLIPSE = 0.98, 0.93
"""Share of the likelihood ratio of what was changed from which a box, or an ellipse, with a sharp
border is it."""
SOFT, SOFT_BOX = 0.12, 0.02
"""Fading from which a rim is not taken for sharp."""
WHOLE = 2.0
"""Sigmas inside the side of a blurred box from which its mask is taken for whole."""
CORE = 24
"""Sides in pixels of the least part that a filter is read from."""
STANDS_OUT = 0.9
"""Evidence per border pixel from which a box is what was processed, whatever was done to the whole
picture."""
APART = 0.7
"""The same, whatever else was changed, if all of the box was: captions, bars and neighbours in a
collage lie off the lattice too, or move what follows them off it."""
NEAR = 12
"""Pixels within which the side of a changed box is looked for."""
CONTEXT = 4
"""Pixels beside a side that its evidence is read from."""


@dataclass(frozen=True)
class Region:
    """box: x0, y0, x1, y1; shape: `box` or `ellipse`; soft: over how much of the half axes an
    ellipse fades, or the sigma in longer sides of the Gaussian that fades a box; evidence: mean per
    border pixel, 0 for the whole picture."""

    box: tuple[int, int, int, int]
    shape: str = "box"
    soft: float = 0.0
    evidence: float = 0.0


def find_region(picture: np.ndarray, was_jpeg: bool = True, enough: float = ENOUGH) -> Region:
    """The processed part of a picture `(H, W, 3)` uint8; the whole picture when none stands out.

    `was_jpeg`: the picture may have been a JPEG before it was processed, and not since; `enough`:
    what a part with sharp borders needs (`ENOUGH`).
    """
    height, width = picture.shape[:2]
    whole = Region((0, 0, width, height))
    if min(height, width) < 2 * SMALLEST:
        return whole
    sharp, sides, blocky = _sharp_region(picture, enough)
    quality = jpeg_quality_of(picture) if was_jpeg else None
    if quality is None:
        return sharp
    ratio = changed_blocks(picture, quality)
    changed = find_changed(ratio, sharp.box if blocky else None)
    if changed is None:
        return sharp
    # A neighbour in a collage and a picture within bars lie off the lattice too.
    if _crosses(changed.box, whole.box) or (sharp.evidence and _apart(changed.box, sharp.box)):
        return sharp
    # Blocks of equal pixels show the sides of a box better than a lattice of eight pixels.
    if blocky and sharp.shape == changed.shape == "box":
        return sharp
    if sharp.shape == "box" and (
        sharp.evidence >= STANDS_OUT
        or (sharp.evidence >= APART and _changed_throughout(ratio, sharp.box))
    ):
        return sharp
    score, least = (box_score, SAME) if sharp.shape == "box" else (ellipse_score, SAME_ELLIPSE)
    if score(ratio, sharp.box) > least * changed.score:
        return sharp
    return _within(_changed_region(picture, quality, ratio, changed, sides), whole)


def _crosses(box: Box, whole: Box) -> bool:
    """Whether a box reaches across the whole picture, either way, within a block of a JPEG."""
    across = box[0] <= JPEG and box[2] >= whole[2] - JPEG
    return across != (box[1] <= JPEG and box[3] >= whole[3] - JPEG)


def _changed_throughout(ratio: np.ndarray, box: Box) -> bool:
    """Whether each third of a box, across and down, was changed."""
    x0, y0, x1, y1 = box
    x, y = (np.linspace(a, b, 4).astype(int).tolist() for a, b in ((x0, x1), (y0, y1)))
    strips = [(a, y0, b, y1) for a, b in pairwise(x)] + [(x0, a, x1, b) for a, b in pairwise(y)]
    return all(box_score(ratio, strip) > 0 for strip in strips)


def _apart(a: Box, b: Box) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def _within(region: Region, whole: Region) -> Region:
    """A region cut at the picture's border; the whole picture if too little is left."""
    x0, y0, x1, y1 = region.box
    _, _, width, height = whole.box
    box = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    inside = min(box[2] - box[0], box[3] - box[1]) >= SMALLEST
    return replace(region, box=box) if inside else whole


def whole_part(region: Region) -> tuple[int, int, int, int]:
    """The largest box inside a region's mask where that is whole, but no smaller than what a filter
    can be read from."""
    x0, y0, x1, y1 = region.box
    width, height = x1 - x0, y1 - y0
    if region.shape == "ellipse":
        share = (1 - (1 - region.soft) * 2**-0.5) / 2
        margins = share * width, share * height
    else:
        margins = (WHOLE * region.soft * max(width, height),) * 2
    left, top = (
        max(0, min(math.ceil(margin), (side - CORE) // 2))
        for margin, side in zip(margins, (width, height), strict=True)
    )
    return x0 + left, y0 + top, x1 - left, y1 - top


def _sharp_region(picture: np.ndarray, enough: float) -> tuple[Region, Sides, bool]:
    """The part with sharp borders, the evidence of sides that it was found by, and whether it is
    pixelated."""
    height, width = picture.shape[:2]
    whole = Region((0, 0, width, height))
    left, right = side_evidence(picture)
    top, bottom = (e.T for e in side_evidence(picture.transpose(1, 0, 2)))
    blocks = _pixelated(picture, plausible_boxes(left, right, top, bottom))
    left, right = without_jpeg(left), without_jpeg(right)
    top, bottom = without_jpeg(top.T).T, without_jpeg(bottom.T).T
    sides = (left, right, top, bottom)
    if blocks is not None:
        ellipse = elliptic_blocks(picture, blocks.box)
        if ellipse is not None:
            rim = Region(to_rim(ellipse, sides)[0], "ellipse", evidence=blocks.evidence)
            blocks = _within(rim, whole)
        return blocks, sides, True
    detail = local_detail(picture)
    best = clearest_box(detail, sides, enough)
    if best is not None and best.contrast >= CONTRAST:
        return Region(best.box, evidence=best.evidence), sides, False
    box, jump = find_ellipse(detail, sides)
    oval = np.array([box])
    border = 2 * (box[2] - box[0] + box[3] - box[1])
    score = border * jump * detail_contrast(detail, oval).clip(0, 1) * compactness(oval)
    clear = jump > ACCEPTED and score[0] >= enough
    return Region(box, "ellipse", evidence=jump) if clear else whole, sides, False


def _changed_region(
    picture: np.ndarray, quality: int, ratio: np.ndarray, changed: Changed, sides: Sides
) -> Region:
    """The part whose blocks were changed, its border as sharp as the pixels show it."""
    x0, y0, x1, y1 = core = _surely_changed(changed)
    if block_grid(picture[y0:y1, x0:x1]) is None:
        faded = with_fading(picture, quality, ratio, changed)
    elif changed.shape == "box":
        return Region(extend_blocks(picture, core))
    else:  # Tools that pixelate do not fade.
        faded = replace(changed, soft=0.0)
    if changed.shape == "box":
        if faded.soft >= SOFT_BOX:
            return Region(faded.box, "box", faded.soft)
        return Region(_to_jumps(changed.box, sides))
    if faded.soft >= SOFT:
        return Region(faded.box, "ellipse", faded.soft)
    box, jump = to_rim(changed.box, sides)
    return Region(box if jump > ACCEPTED else changed.box, "ellipse", evidence=max(jump, 0.0))


def _surely_changed(changed: Changed) -> tuple[int, int, int, int]:
    """The largest box inside what was changed that has nothing of what was kept: a block is changed
    if one of its pixels is."""
    x0, y0, x1, y1 = whole_part(Region(changed.box, changed.shape))
    if changed.shape == "ellipse":
        return x0, y0, x1, y1
    in_x, in_y = (min(JPEG, max(0, (side - CORE) // 2)) for side in (x1 - x0, y1 - y0))
    return x0 + in_x, y0 + in_y, x1 - in_x, y1 - in_y


def _to_jumps(box: tuple[int, int, int, int], sides: Sides) -> tuple[int, int, int, int]:
    """The box with each side on the strongest jump near it."""
    x0, y0, x1, y1 = box
    left, right, top, bottom = sides

    def strongest(evidence: np.ndarray, at: int) -> int:
        low = max(0, at - NEAR)
        return low + int(np.argmax(evidence[low : at + NEAR + 1]))

    moved = (
        strongest(left[y0:y1].mean(axis=0), x0),
        strongest(top[:, x0:x1].mean(axis=1), y0),
        strongest(right[y0:y1].mean(axis=0), x1),
        strongest(bottom[:, x0:x1].mean(axis=1), y1),
    )
    smallest = min(moved[2] - moved[0], moved[3] - moved[1])
    return moved if smallest >= SMALLEST else box


def with_sharpest_sides(picture: np.ndarray, box: Box, slack: int) -> Box:
    """The box with each side where the jump is strongest, at most `slack` pixels away."""
    x0, y0, x1, y1 = box
    left, right = (_sharpest(picture[y0:y1], x, slack, k) for k, x in enumerate((x0, x1)))
    turned = picture[:, x0:x1].transpose(1, 0, 2)
    top, bottom = (_sharpest(turned, y, slack, k) for k, y in enumerate((y0, y1)))
    return left, top, right, bottom


def _sharpest(strip: np.ndarray, at: int, slack: int, side: int) -> int:
    """Where near gap `at` the columns of a strip `(H, W, 3)` jump most as a left (0) or right (1)
    side does; sides on the picture's border stay."""
    width = strip.shape[1]
    if at <= slack or at >= width - slack:
        return at
    low, high = max(0, at - slack - CONTEXT), min(width, at + slack + CONTEXT)
    rows = strip[:: max(1, len(strip) // 256), low:high]
    evidence = side_evidence(rows)[side].mean(axis=0)
    start = at - slack - low
    return at - slack + int(np.argmax(evidence[start : start + 2 * slack + 1]))


def _pixelated(
    picture: np.ndarray, blocks: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> Region | None:
    """The pixelated region around the strongest of the plausible boxes, if its pixels are blocks.

    Asked before a JPEG's grid is discounted: blocks of eight pixels may lie on it.
    """
    boxes, length, evidence = blocks
    if not len(boxes):
        return None
    strongest = np.argmax(length * evidence)
    x0, y0, x1, y1 = as_box(boxes[strongest])
    if block_grid(picture[y0:y1, x0:x1]) is None:
        return None
    return Region(extend_blocks(picture, (x0, y0, x1, y1)), evidence=float(evidence[strongest]))


def extend_blocks(picture: np.ndarray, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Grow a box inside a pixelated region to the whole of it.

    A line outside belongs to the region when it repeats the line before it; lines that start a
    block need not, but must be followed by one that does.
    """
    x0, y0, x1, y1 = box
    x0, x1 = _extend(picture[y0:y1], x0, x1)
    y0, y1 = _extend(picture[:, x0:x1].transpose(1, 0, 2), y0, y1)
    return x0, y0, x1, y1


def _extend(strip: np.ndarray, low: int, high: int) -> tuple[int, int]:
    same = (np.diff(strip.astype(np.int16), axis=1) == 0).all(axis=2).mean(axis=0) > 0.8
    # same[i]: columns i and i + 1 are equal
    last = high - 1
    while last + 1 < strip.shape[1]:
        if same[last]:
            last += 1
        elif last + 2 < strip.shape[1] and same[last + 1]:
            last += 2
        else:
            break
    first = low
    while first > 0:
        if same[first - 1]:
            first -= 1
        elif first > 1 and same[first - 2]:
            first -= 2
        else:
            break
    return first, last + 1
