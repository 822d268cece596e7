"""Parts painted over with one colour, or with a drawing, from the pixels.

Paint is flat: neighbouring pixels are equal, through a codec nearly so, which photographs are only
in patches without a shape. A flat patch counts as paint when it fills a box or an ellipse, stands
out from what is around all along its rim, and does not cross the whole picture, as captions,
frames, gaps between pictures and letterbox bars do.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Box = tuple[int, int, int, int]

SMALLEST = 8
"""Sides in pixels of the least part that is looked at."""
LEAST_SHARE = 8e-4
"""Of the picture's area."""
FLAT = (0, 2, 6)
"""Ranges in grey levels of 3 x 3 pixels that count as flat: in a lossless file, and through
codecs."""
NEAR = (1, 10, 22)
"""Distances from the patch's colour, in grey levels, at which pixels still belong to it."""
EVEN = (0, 3, 8)
"""Median distances in grey levels of a patch's pixels from its colour."""
FULL = (0.97, 0.9, 0.86)
"""Share of a box, or overlap with an ellipse, that the patch with its holes must reach."""
STANDS_OUT = 20
"""Difference in grey levels between the colour and what lies outside the rim."""
AROUND = 0.8
"""Share of the rim along which it must stand out."""
SMOOTH = 0.6
"""Share of a photograph's rim that may be that clear by chance; a patch of a few blocks."""
ONE_COLOUR = 0.94
"""Share of its pixels from which a part is filled with one colour: less is a drawing."""
DRAWN = 0.4
"""Least share of the main colour in a drawing."""
SIDE = 2000
"""Longer side in pixels to which pictures are reduced for the search."""


@dataclass(frozen=True)
class Fill:
    """box: x0, y0, x1, y1; shape: `box` or `ellipse`; colour: the main one; share: of the part that
    has it; clear: share of the rim that stands out."""

    box: Box
    shape: str
    colour: tuple[int, int, int]
    share: float
    clear: float

    @property
    def one_colour(self) -> bool:
        """Whether nothing but one colour is painted."""
        return self.share >= ONE_COLOUR

    @property
    def area(self) -> int:
        """Pixels of the box."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)


def find_fills(picture: np.ndarray) -> tuple[Fill, ...]:
    """Painted parts of a picture `(H, W, 3)` uint8, the largest first; they do not overlap."""
    height, width = picture.shape[:2]
    fills: list[Fill] = []
    for flat, near, even, full in zip(FLAT, NEAR, EVEN, FULL, strict=True):
        least = max(SMALLEST**2, round(LEAST_SHARE * height * width))
        for box in _flat_parts(picture, flat, least):
            fill = _fill_at(picture, box, near, even, full)
            if fill is not None and not any(_touch(fill.box, kept.box) for kept in fills):
                fills.append(fill)
    return tuple(sorted(fills, key=lambda fill: -fill.area))


def _flat_parts(picture: np.ndarray, flat: int, least: int) -> list[tuple[Box, np.ndarray]]:
    """Boxes around connected flat pixels, and which pixels those are `(h, w)` bool."""
    cross = np.ones((3, 3), np.uint8)
    span = (cv2.dilate(picture, cross) - cv2.erode(picture, cross)).max(axis=2)
    inside = (span <= flat).astype(np.uint8)
    count, label, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
    parts = []
    for index in range(1, count):
        x, y, w, h, area = stats[index].tolist()
        if min(w, h) >= SMALLEST - 4 and area >= least / 3:
            parts.append(((x, y, x + w, y + h), label[y : y + h, x : x + w] == index))
    return parts


def _fill_at(
    picture: np.ndarray, part: tuple[Box, np.ndarray], near: int, even: int, full: float
) -> Fill | None:
    """The fill that a flat part belongs to, None where it is none."""
    (x0, y0, x1, y1), flat = part
    height, width = picture.shape[:2]
    colour = np.median(picture[y0:y1, x0:x1][flat], axis=0).astype(np.int16)
    if np.abs(picture[y0:y1, x0:x1][flat] - colour).mean() > even:
        return None
    # What stands on the same colour, without the flat part's own rim: a blurred or coded border.
    pad = 12
    left, top = max(0, x0 - pad), max(0, y0 - pad)
    window = picture[top : y1 + pad, left : x1 + pad].astype(np.int16)
    same = (np.abs(window - colour).max(axis=2) <= near).astype(np.uint8)
    label = cv2.connectedComponents(same, connectivity=4)[1]
    at = np.flatnonzero(flat.ravel())
    row, column = np.unravel_index(at[len(at) // 2], flat.shape)
    own = (label == label[row + y0 - top, column + x0 - left]).astype(np.uint8)
    if not same[row + y0 - top, column + x0 - left]:
        return None
    solid = _without_spurs(_filled(own))
    y, x = np.nonzero(solid)
    if not len(y):
        return None
    box = (int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)
    shape = _shape(solid, box, full)
    if shape is None:
        return None
    a, b, c, d = box
    share = float((own > 0)[b:d, a:c][_mask(box, shape)].mean())
    box = (a + left, b + top, c + left, d + top)
    clear = _stands_out(picture, box, shape, colour)
    a, b, c, d = box
    crosses = (a == 0 and c == width) or (b == 0 and d == height)
    small = min(c - a, d - b) < SMALLEST
    if crosses or small or clear < AROUND or share < DRAWN:
        return None
    return Fill(box, shape, (int(colour[0]), int(colour[1]), int(colour[2])), share, clear)


def _filled(mask: np.ndarray) -> np.ndarray:
    """A mask `(H, W)` uint8 with its holes."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED)


def _without_spurs(mask: np.ndarray) -> np.ndarray:
    """The largest part of a mask `(H, W)` uint8 that is left without thin arms: beside a fill there
    may be pixels of its colour."""
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    count, label, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return opened
    return np.asarray(label == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), np.uint8)


def _mask(box: Box, shape: str) -> np.ndarray:
    """Which pixels of a box `(h, w)` a shape holds."""
    x0, y0, x1, y1 = box
    height, width = y1 - y0, x1 - x0
    if shape == "box":
        return np.ones((height, width), bool)
    y = (np.arange(height) + 0.5) / height * 2 - 1
    x = (np.arange(width) + 0.5) / width * 2 - 1
    return y[:, None] ** 2 + x[None] ** 2 <= 1


def _shape(mask: np.ndarray, box: Box, full: float) -> str | None:
    x0, y0, x1, y1 = box
    part = mask[y0:y1, x0:x1] > 0
    if part.mean() >= full:
        return "box"
    ellipse = _mask(box, "ellipse")
    overlap = (part & ellipse).sum() / max((part | ellipse).sum(), 1)
    return "ellipse" if overlap >= full else None


def _stands_out(picture: np.ndarray, box: Box, shape: str, colour: np.ndarray) -> float:
    """Share of the rim, where it is not the picture's own, beyond which the colour is another."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = box
    if shape == "box":
        x, y = np.arange(x0, x1), np.arange(y0, y1)
        outer = 3
        rows = [np.full_like(x, y0 - outer), np.full_like(x, y1 - 1 + outer), y, y]
        columns = [x, x, np.full_like(y, x0 - outer), np.full_like(y, x1 - 1 + outer)]
        row, column = np.concatenate(rows), np.concatenate(columns)
    else:
        angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
        row = np.rint((y0 + y1 - 1) / 2 + ((y1 - y0) / 2 + 3) * np.sin(angle)).astype(int)
        column = np.rint((x0 + x1 - 1) / 2 + ((x1 - x0) / 2 + 3) * np.cos(angle)).astype(int)
    seen = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    if seen.sum() < 2 * SMALLEST:
        return 0.0
    beyond = picture[row[seen], column[seen]].astype(np.int16)
    return float((np.abs(beyond - colour).max(axis=1) > STANDS_OUT).mean())


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
