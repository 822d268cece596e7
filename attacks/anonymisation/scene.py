"""Processed parts of a picture that may show many faces, at any size.

Where detail is missing, a crop of the picture is searched like a picture of one face. Places come
from a coarse map of detail, and large crops are thinned out first, so that a large picture costs
little more than its processed parts.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from reid_audit.attacks.anonymisation.ellipse import Box
from reid_audit.attacks.anonymisation.region import (
    ENOUGH,
    Region,
    find_region,
    with_sharpest_sides,
)

CELL = 4
"""Pixels along each side of the cells of the map, on pictures up to `FINE`."""
FINE = 640
"""Longer side in pixels up to which cells stay that small; they grow with the picture."""
SIZES = np.geomspace(3, 96, 13)
"""Sides in cells of the squares that are tried."""
CONTRAST = 0.5
"""Log ratio of detail around a square to that inside it from which it is looked at."""
MOST = 24
"""Squares that are looked at."""
AROUND = 0.7
"""Surroundings that are searched with a square, in its sides."""
LEAST = 64
"""Sides in pixels of the least crop."""
UNIT = 16
"""Pixels of which crops start at multiples, a JPEG's unit."""
SEARCHED = 640
"""Sides in pixels to which a crop is thinned out before it is searched."""
BAND = 512
"""Rows of a picture whose detail is computed at once."""
OVERLAP = 0.3
"""Share of the smaller of two parts that the other may cover."""


def find_regions(
    picture: np.ndarray, was_jpeg: bool = True, most: int = MOST, enough: float = ENOUGH
) -> tuple[Region, ...]:
    """Processed parts of a picture `(H, W, 3)` uint8, the clearest first; none where no part
    stands out. `was_jpeg` and `enough` as for `find_region`; `most`: places that are looked at."""
    regions: list[Region] = []
    for square in _places(picture)[:most]:
        if any(covered(square, region.box) > 1 - OVERLAP for region in regions):
            continue
        region = _searched(picture, square, was_jpeg, enough)
        if region is None:
            continue
        clash = [r for r in regions if covered(region.box, r.box) > OVERLAP]
        if all(region.evidence > r.evidence for r in clash):
            regions = [r for r in regions if r not in clash] + [region]
    return tuple(sorted(regions, key=lambda region: -region.evidence))


def _searched(picture: np.ndarray, square: Box, was_jpeg: bool, enough: float) -> Region | None:
    """The processed part in and around a square, in pixels of the whole picture."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = square
    far = max(round(AROUND * (x1 - x0)), (LEAST - (x1 - x0)) // 2, UNIT)
    left, top = (max(0, v - far) // UNIT * UNIT for v in (x0, y0))
    right, bottom = min(width, x1 + far), min(height, y1 + far)
    crop = picture[top:bottom, left:right]
    # Every few pixels: the sides of a part stay as sharp, and its inside has detail as little.
    thin = -(-max(crop.shape[:2]) // SEARCHED)
    thinned = np.ascontiguousarray(crop[::thin, ::thin])
    region = find_region(thinned, was_jpeg and thin == 1, enough)
    if thin > 1:
        region = _enlarged(region, thin, crop)
    a, b, c, d = region.box
    # A side on the crop's own border was not seen, unless that is the picture's.
    unseen = (a == 0 and left > 0) or (b == 0 and top > 0)
    unseen |= (c == right - left and right < width) or (d == bottom - top and bottom < height)
    whole = (a, b, c, d) == (0, 0, right - left, bottom - top)
    if unseen or whole:
        return None
    return replace(region, box=(a + left, b + top, c + left, d + top))


def _enlarged(region: Region, thin: int, crop: np.ndarray) -> Region:
    """A region of a crop `(H, W, 3)` of which every `thin`-th pixel was searched, the sides of a
    box moved to where they are sharpest."""
    height, width = crop.shape[:2]
    x0, y0, x1, y1 = (thin * v for v in region.box)
    box = (x0, y0, min(x1, width), min(y1, height))
    if box == (0, 0, width, height) or region.shape != "box" or region.soft:
        return replace(region, box=box)
    return replace(region, box=with_sharpest_sides(crop, box, thin))


def _places(picture: np.ndarray) -> list[Box]:
    """Squares with less detail inside than around, the clearest first."""
    height, width = picture.shape[:2]
    cell = max(CELL, round(CELL * max(height, width) / FINE / 2))
    if min(height, width) < cell:  # a strip: nothing in it has surroundings
        return []
    detail = _detail_map(picture, cell)
    rows, columns = detail.shape
    sums = cv2.integral(detail)
    scores: list[tuple[float, Box]] = []
    for size in sorted({round(v) for v in SIZES}):
        if size > min(rows, columns):
            break
        inside = _mean(sums, size, 0, rows, columns)
        around = _mean(sums, size, max(1, round(0.4 * size)), rows, columns)
        score = (around - inside) * np.sqrt(min(size, 12))
        score[around - inside < CONTRAST] = -np.inf
        peak = cv2.dilate(score, np.ones((2 * (size // 3) + 1,) * 2))
        for y, x in np.argwhere((score == peak) & np.isfinite(score)):
            box = (int(x) * cell, int(y) * cell, int(x + size) * cell, int(y + size) * cell)
            scores.append((float(score[y, x]), box))
    scores.sort(key=lambda pair: -pair[0])
    kept: list[Box] = []
    for _, box in scores:
        if all(_iou(box, other) < OVERLAP for other in kept):
            kept.append(box)
    return kept


def _mean(sums: np.ndarray, size: int, ring: int, rows: int, columns: int) -> np.ndarray:
    """Mean `(rows - size + 1, columns - size + 1)` inside each square, or in a ring around it."""
    y, x = np.arange(rows - size + 1)[:, None], np.arange(columns - size + 1)[None]

    def total(grow: int) -> tuple[np.ndarray, np.ndarray]:
        top, bottom = (y - grow).clip(0), (y + size + grow).clip(None, rows)
        left, right = (x - grow).clip(0), (x + size + grow).clip(None, columns)
        content = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return content, (bottom - top) * (right - left)

    inner, count = total(0)
    if not ring:
        return np.asarray(inner / count)
    outer, whole = total(ring)
    return np.asarray((outer - inner) / np.maximum(whole - count, 1))


def _detail_map(picture: np.ndarray, cell: int) -> np.ndarray:
    """Mean log size of second differences in cells `(H // cell, W // cell)`."""
    height, width = picture.shape[:2]
    rows, columns = height // cell, width // cell
    out = np.empty((rows, columns))
    step = max(1, BAND // cell)
    for row in range(0, rows, step):
        top, bottom = row * cell, min(rows, row + step) * cell
        before, after = min(top, 1), min(height - bottom, 1)  # second differences look around
        grey = cv2.cvtColor(
            picture[top - before : bottom + after, : columns * cell], cv2.COLOR_RGB2GRAY
        )
        size = np.abs(cv2.Laplacian(grey, cv2.CV_16S)).astype(np.float32)
        log = cv2.log(size + 1)[before : before + bottom - top]
        shape = columns, (bottom - top) // cell
        out[row : row + step] = cv2.resize(log, shape, interpolation=cv2.INTER_AREA)
    return out


def _area(box: Box) -> int:
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def _common(a: Box, b: Box) -> int:
    return _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def covered(a: Box, b: Box) -> float:
    """Share of the smaller of two boxes that the other covers."""
    return _common(a, b) / max(1, min(_area(a), _area(b)))


def _iou(a: Box, b: Box) -> float:
    common = _common(a, b)
    return common / max(1, _area(a) + _area(b) - common)
