"""Where the picture was processed, from its pixels.

Tools cut a box out, process it alone and put it back, so its border is a jump between a side whose
own detail is gone and one whose detail is not. For every gap between two neighbouring rows or
columns, and each pixel along it, the jump across the gap is compared with the differences just
inside; a box is scored by the sum along its four sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
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
from reid_audit.attacks.anonymisation.structure import block_grid

CANDIDATES = 14
"""Lines kept for each side."""
OFFSET = 0.3
"""Evidence a line needs per pixel, so that longer is not better on ordinary content."""
SMALLEST = 12
"""Sides of a region in pixels below which nothing is looked for."""
SLENDER = 3.0
"""Longest ratio of a region's sides."""
BAND = 14
"""Width in pixels of the bands whose detail is compared."""
CONTRAST = 0.15
ENOUGH = 75.0
"""Border pixels times evidence times contrast that a region needs: of development pictures nobody
touched ellipses had mostly up to 46, anonymised ones 82 and more."""
STRETCHED = 1.6
"""Ratio of a region's sides above which its score falls: strips of sky and hair have borders too,
and masks of faces are not so long."""
ACCEPTED = 0.3
"""Evidence per border pixel, above `OFFSET`, that each side needs."""
THREE, UNSEEN = 1.0, 0.67
"""The same where three sides are enough, and what is left of their evidence."""
MOVED = 1.1
"""How much better a box must be for a side to leave the clearest lines."""
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
JPEG = 8
"""Side in pixels of a JPEG's blocks."""
NEIGHBOURS = np.tile(np.array([1, 1, 0, 1, 1]) / (4 * 33), (33, 1))
"""Weights of the lines of the JPEG grid on either side, 33 pixels along them."""


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
    left, right = _side_evidence(picture)
    top, bottom = (e.T for e in _side_evidence(picture.transpose(1, 0, 2)))
    blocks = _pixelated(picture, _plausible_boxes(left, right, top, bottom))
    left, right = _without_jpeg(left), _without_jpeg(right)
    top, bottom = _without_jpeg(top.T).T, _without_jpeg(bottom.T).T
    sides = (left, right, top, bottom)
    if blocks is not None:
        ellipse = elliptic_blocks(picture, blocks.box)
        if ellipse is not None:
            rim = Region(to_rim(ellipse, sides)[0], "ellipse", evidence=blocks.evidence)
            blocks = _within(rim, whole)
        return blocks, sides, True
    detail = _detail(picture)
    best = _best(detail, *_plausible_boxes(*sides, unseen=1))
    if best is not None and best.score >= enough:
        best = _moved(best, detail, _sums(*sides))
        if best.contrast >= CONTRAST:
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
    evidence = _side_evidence(rows)[side].mean(axis=0)
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
    x0, y0, x1, y1 = _box(boxes[strongest])
    if block_grid(picture[y0:y1, x0:x1]) is None:
        return None
    return Region(extend_blocks(picture, (x0, y0, x1, y1)), evidence=float(evidence[strongest]))


def _box(row: np.ndarray) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(v) for v in row)
    return x0, y0, x1, y1


def compactness(boxes: np.ndarray) -> np.ndarray:
    """Weight `(N,)` in (0, 1] of boxes `(N, 4)`: 1 up to sides in the ratio `STRETCHED`, less the
    longer they are."""
    sides = np.sort(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.asarray((STRETCHED * sides[:, 0] / sides[:, 1]).clip(0, 1))


@dataclass(frozen=True)
class _Candidate:
    """rank: the score, less for what the picture's border hides."""

    box: Box
    evidence: float
    contrast: float
    score: float
    rank: float


def _best(
    detail: np.ndarray, boxes: np.ndarray, length: np.ndarray, evidence: np.ndarray
) -> _Candidate | None:
    """The box of highest rank among judged ones; None where there is none."""
    if not len(boxes):
        return None
    contrast = detail_contrast(detail, boxes)
    score = length * evidence * contrast.clip(0, 1) * compactness(boxes)
    rank = score * length / _perimeter(boxes)
    best = np.argmax(rank)
    values = (float(v[best]) for v in (evidence, contrast, score, rank))
    return _Candidate(_box(boxes[best]), *values)


def _moved(best: _Candidate, detail: np.ndarray, sums: tuple[np.ndarray, ...]) -> _Candidate:
    """The candidate with each side where its rank is highest, the others as they are: what a side
    shows of a plain wall is less than what the rest of a picture shows elsewhere."""
    height, width = detail.shape
    for side, end in enumerate((width, height, width, height)):
        boxes = np.tile(np.array(best.box), (end + 1, 1))
        boxes[:, side] = np.arange(end + 1)
        other = _best(detail, *_judged(boxes, sums, unseen=1))
        if other is not None and other.rank > MOVED * best.rank:
            best = other
    return best


def _perimeter(boxes: np.ndarray) -> np.ndarray:
    """Lengths `(N,)` of the borders of boxes `(N, 4)`."""
    return np.asarray(2 * (boxes[:, 2:] - boxes[:, :2]).sum(axis=1))


def detail_contrast(detail: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Log ratio `(N,)` of `detail` `(H, W)` in a band just outside each box `(N, 4)` to that just
    inside; 0 where there is no outside. A printed frame has its detail inside, a processed region
    outside. Of a box that ends with the picture the middle counts too, if it has more: where no
    side is seen, something else may lie between."""
    height, width = detail.shape
    sums = cv2.integral(detail)

    def total(grow: int) -> tuple[np.ndarray, np.ndarray]:
        x0, x1 = ((boxes[:, i] + s * grow).clip(0, width) for i, s in ((0, -1), (2, 1)))
        y0, y1 = ((boxes[:, i] + s * grow).clip(0, height) for i, s in ((1, -1), (3, 1)))
        x1, y1 = np.maximum(x0, x1), np.maximum(y0, y1)
        content = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
        return content, (x1 - x0) * (y1 - y0)

    (far, far_n), (out, out_n), (edge, edge_n), (core, core_n) = map(total, (BAND, 2, -2, -BAND))
    outside = (far - out) / np.maximum(far_n - out_n, 1)
    inside = (edge - core) / np.maximum(edge_n - core_n, 1)
    cut = (boxes[:, :2] == 0).any(axis=1) | (boxes[:, 2:] == (width, height)).any(axis=1)
    middle = np.where(cut, core / np.maximum(core_n, 1), -np.inf)
    inside = np.maximum(inside, middle)
    return np.where((far_n > out_n) & (edge_n > core_n), outside - inside, 0.0)


def _detail(picture: np.ndarray) -> np.ndarray:
    """Log size of the second differences along both axes `(H, W)`."""
    values = picture.astype(np.int16).mean(axis=2)
    padded = np.pad(values, 1, mode="edge")
    across = padded[1:-1, :-2] - 2 * values + padded[1:-1, 2:]
    down = padded[:-2, 1:-1] - 2 * values + padded[2:, 1:-1]
    return np.asarray(np.log((np.abs(across) + np.abs(down)) / 2 + 0.5))


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


def _side_evidence(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evidence `(H, W + 1)` that a region's left (right) side stands in the gap before column x.

    Gap x lies between columns x - 1 and x. The log ratio of the jump to the differences inside the
    region is about 0 on ordinary content.
    """
    jump = np.abs(np.diff(picture.astype(np.int16), axis=1)).mean(axis=2)  # gap x = 1..W-1
    height, gaps = jump.shape
    left = np.full((height, gaps + 2), -OFFSET)
    right = left.copy()
    log_jump = np.log1p(jump)
    inside_left = np.log1p((jump[:, 1:-1] + jump[:, 2:]) / 2)
    left[:, 1 : gaps - 1] = (log_jump[:, :-2] - inside_left).clip(-1.5, 2) - OFFSET
    inside_right = np.log1p((jump[:, :-2] + jump[:, 1:-1]) / 2)
    right[:, 3 : gaps + 1] = (log_jump[:, 2:] - inside_right).clip(-1.5, 2) - OFFSET
    # A region may reach the picture's border, where there is nothing to see.
    left[:, 0] = right[:, -1] = 0
    return left, right


def _without_jpeg(evidence: np.ndarray) -> np.ndarray:
    """Evidence `(H, W + 1)` less, on a JPEG's grid, what is usual on its lines nearby.

    A JPEG jumps at the border of every block, most where the picture is smooth, so that a handful
    of its blocks looks like a region.
    """
    out = evidence.copy()
    lines = out[:, JPEG:-1:JPEG]
    if lines.shape[1] > 1:
        near = cv2.filter2D(lines + OFFSET, -1, NEIGHBOURS, borderType=cv2.BORDER_REFLECT_101)
        lines -= np.maximum(near, 0)
    return out


def _cumulative(evidence: np.ndarray) -> np.ndarray:
    return np.vstack([np.zeros(evidence.shape[1]), np.cumsum(evidence, axis=0)])


def _lines(cumulative: np.ndarray, border: int) -> np.ndarray:
    """Columns whose best run of evidence is largest, and the picture's border."""
    best_run = (cumulative - np.minimum.accumulate(cumulative, axis=0)).max(axis=0)
    order = np.argsort(-best_run, kind="stable")[:CANDIDATES]
    return np.unique(np.append(order, border))


def _plausible_boxes(
    left: np.ndarray, right: np.ndarray, top: np.ndarray, bottom: np.ndarray, unseen: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes `(N, 4)` between the clearest lines, as `_judged`."""
    sums = _sums(left, right, top, bottom)
    height, width = left.shape[0], top.shape[1]
    x0, x1 = _lines(sums[0], 0), _lines(sums[1], width)
    y0, y1 = _lines(sums[2], 0), _lines(sums[3], height)
    edges = np.meshgrid(x0, y0, x1, y1, indexing="ij")
    return _judged(np.stack([edge.ravel() for edge in edges], axis=1), sums, unseen)


def _goes_on(boxes: np.ndarray, density: np.ndarray, sums: tuple[np.ndarray, ...]) -> np.ndarray:
    """Whether the two sides beside the weakest of each box go on beyond it `(N,)`: then it is no
    end of the region.

    Args:
        density: evidence per pixel of the sides `(4, N)`: left, right, top, bottom.
    """
    a, c, b, d = boxes.T
    size = np.array([sums[2].shape[0], sums[2].shape[0], sums[0].shape[0], sums[0].shape[0]]) - 1
    ends = np.stack([a, b, c, d])
    outwards = np.array([-1, 1, -1, 1])[:, None] * SMALLEST
    beyond = (ends + outwards).clip(0, size[:, None])
    weakest = density.argmin(axis=0)
    rows = np.arange(len(boxes))
    start, end = np.sort([ends[weakest, rows], beyond[weakest, rows]], axis=0)
    across = weakest < 2  # the left or the right side: the lines beside it are above and below
    lines = [np.where(across, c, a), np.where(across, d, b)]
    means = []
    for line, (rising, lying) in zip(lines, ((0, 2), (1, 3)), strict=True):
        total = np.empty(len(boxes))
        for chosen, table in ((across, sums[lying]), (~across, sums[rising])):
            at = line[chosen]
            total[chosen] = table[end[chosen], at] - table[start[chosen], at]
        means.append(total / np.maximum(end - start, 1))
    return np.asarray(np.minimum(*means) > ACCEPTED)


def _sums(
    left: np.ndarray, right: np.ndarray, top: np.ndarray, bottom: np.ndarray
) -> tuple[np.ndarray, ...]:
    return tuple(_cumulative(e) for e in (left, right, top.T, bottom.T))


def _judged(
    boxes: np.ndarray, sums: tuple[np.ndarray, ...], unseen: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of boxes `(N, 4)` that have evidence on every side, the length of the border that is
    not on the picture's own, and the evidence per pixel of the weakest such side. `unseen`: sides
    that need not be seen where the others are clear, 0 or 1."""
    height, width = sums[0].shape[0] - 1, sums[2].shape[0] - 1
    across, down = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    fits = (across >= SMALLEST) & (down >= SMALLEST)
    fits &= np.maximum(across, down) <= SLENDER * np.minimum(across, down)
    boxes = boxes[fits]
    a, c, b, d = boxes.T
    sides = np.stack(
        [
            sums[0][d, a] - sums[0][c, a],
            sums[1][d, b] - sums[1][c, b],
            sums[2][b, c] - sums[2][a, c],
            sums[3][b, d] - sums[3][a, d],
        ]
    )
    lengths = np.stack([d - c, d - c, b - a, b - a])
    visible = np.stack([a > 0, b < width, c > 0, d < height])
    density = np.where(visible, sides / lengths, np.inf)
    weakest, second = np.sort(density, axis=0)[:2]
    if unseen:  # on a plain wall
        three = visible.all(axis=0) & (second >= THREE) & ~_goes_on(boxes, density, sums)
        weakest = np.where(three, np.maximum(weakest, UNSEEN * second), weakest)
    length = (visible * lengths).sum(axis=0)
    # What crosses the picture is a caption, a bar or a neighbour in a collage.
    crosses = ~(visible[0] | visible[1]) | ~(visible[2] | visible[3])
    good = (length > 0) & (weakest > ACCEPTED) & ~crosses
    return boxes[good], length[good], weakest[good]
