"""How far a pixelated part reaches: to an ellipse around it, or to more blocks beside it."""

from __future__ import annotations

import cv2
import numpy as np

from reid_audit.attacks.anonymisation.ellipse import Box, ellipse_distance
from reid_audit.attacks.anonymisation.structure import Grid, block_grid

SMALLEST = 16
"""Sides in pixels of the boxes that are looked at."""
AROUND = 0.3
"""Margin in sides of the box that is looked at: the ellipse around a box is 1.41 times as wide."""
MIDDLE = 0.15
"""Margin in sides of the box inside which the grid is read."""
BLOCK = 0.5
"""Share of equal neighbours from which a cell of the grid belongs to the region."""
CHANCE = 0.2
"""Share of equal neighbours that counts as none: smooth parts of a picture have some."""
CLEARLY = 0.03
"""By how much an ellipse must overlap the blocks better than a box does."""
REPEATED = 0.5
"""Of the mean jump of the lines inside a box, what a further line must jump."""


def elliptic_blocks(picture: np.ndarray, box: Box) -> Box | None:
    """The box that the pixelated ellipse around `box` touches, None if the blocks fill a box.

    A block on the rim is only in part of one colour; its share of equal neighbours says how much
    lies inside. Centre and half axes are those of the blocks' moments.
    """
    x0, y0, x1, y1 = box
    # The corners of a box that was grown too far would spoil the grid.
    in_x, in_y = round(MIDDLE * (x1 - x0)), round(MIDDLE * (y1 - y0))
    grid = block_grid(picture[y0 + in_y : y1 - in_y, x0 + in_x : x1 - in_x])
    if grid is None or min(y1 - y0, x1 - x0) < SMALLEST:
        return None
    far_x, far_y = round(AROUND * (x1 - x0)), round(AROUND * (y1 - y0))
    left, top = max(0, x0 - far_x), max(0, y0 - far_y)
    part = picture[top : y1 + far_y, left : x1 + far_x].astype(np.int16)
    inside = _inside(part, grid, x0 + in_x - left, y0 + in_y - top)
    total = inside.sum()
    if not total:
        return None
    y, x = np.arange(part.shape[0])[:, None], np.arange(part.shape[1])[None]
    middle_x, middle_y = (inside * x).sum() / total, (inside * y).sum() / total
    spread_x = np.sqrt((inside * (x - middle_x) ** 2).sum() / total)
    spread_y = np.sqrt((inside * (y - middle_y) ** 2).sum() / total)

    def around(factor: float) -> Box:
        half_x, half_y = factor * spread_x, factor * spread_y
        low = round(middle_x + 0.5 - half_x), round(middle_y + 0.5 - half_y)
        return *low, round(middle_x + 0.5 + half_x), round(middle_y + 0.5 + half_y)

    ellipse, rectangle = around(2.0), around(3**0.5)
    a, b, c, d = rectangle
    in_ellipse = ellipse_distance(y, x, ellipse) <= 1
    in_rectangle = (x >= a) & (x < c) & (y >= b) & (y < d)
    if _overlap(inside, in_ellipse) < _overlap(inside, in_rectangle) + CLEARLY:
        return None
    a, b, c, d = ellipse
    return a + left, b + top, c + left, d + top


def _overlap(weight: np.ndarray, mask: np.ndarray) -> float:
    return float(np.minimum(weight, mask).sum() / np.maximum(weight, mask).sum())


def _inside(part: np.ndarray, grid: Grid, x: int, y: int) -> np.ndarray:
    """How much of the cell that each pixel `(H, W)` lies in belongs to the blocks around the middle
    of a part of a picture `(H, W, 3)`, 0 to 1. x, y: where the grid's region starts."""
    height, width = part.shape[:2]
    column = _cells(width, grid.block_x, x + grid.phase_x)
    row = _cells(height, grid.block_y, y + grid.phase_y)
    cell = row[:, None] * (column[-1] + 1) + column[None]
    size = int(cell[-1, -1]) + 1
    across = (np.diff(part, axis=1) == 0).all(axis=2)
    down = (np.diff(part, axis=0) == 0).all(axis=2)
    within_x = np.broadcast_to(np.diff(column)[None] == 0, across.shape)
    within_y = np.broadcast_to(np.diff(row)[:, None] == 0, down.shape)
    equal, pairs = np.zeros(size), np.zeros(size)
    for same, within, of in ((across, within_x, cell[:, 1:]), (down, within_y, cell[1:])):
        equal += np.bincount(of[within], same[within], size)
        pairs += np.bincount(of[within], minlength=size)
    share = (equal / np.maximum(pairs, 1)).reshape(-1, int(column[-1]) + 1)
    label = cv2.connectedComponents((share > BLOCK).astype(np.uint8), connectivity=4)[1]
    core = label[row[height // 2], column[width // 2]]
    # Cells on the rim touch the component without being half full.
    near = cv2.dilate((label == core).astype(np.uint8), np.ones((3, 3))) > 0
    share = np.where(near & (core > 0), (share - CHANCE) / (1 - CHANCE), 0).clip(0, 1)
    return np.asarray(share[row][:, column])


def _cells(size: int, block: float, phase: float) -> np.ndarray:
    """Number of the cell that each of `size` pixels lies in, from 0."""
    cell = np.floor((np.arange(size) + 0.5 - phase) / block).astype(int)
    return np.asarray(cell - cell[0])


def more_blocks(picture: np.ndarray, box: Box, block: int) -> Box:
    """A box inside what was pixelated and stored as JPEG, grown to all of its whole blocks.

    A codec shakes blocks of one colour, so that they are told by their lattice: the lines between
    them jump, by more than half as much as inside the box, over what changes between the lines.
    """
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64)
    grown = _tried(luma, box, block)
    while grown != box:
        box, grown = grown, _tried(luma, grown, block)
    return box


def _tried(luma: np.ndarray, box: Box, block: int) -> Box:
    """The box with one more block on each side where there is one."""
    x0, y0, x1, y1 = box
    left, right = _more(luma[y0:y1], x0, x1, block)
    top, bottom = _more(luma[:, left:right].T, y0, y1, block)
    return left, top, right, bottom


def _more(strip: np.ndarray, low: int, high: int, block: int) -> tuple[int, int]:
    """Ends of a run of blocks along the columns, each a block further if one is there."""
    jumps = np.log1p(np.abs(np.diff(strip, axis=1))).mean(axis=0)  # gap x lies at jumps[x - 1]

    def lattice(start: int, line: int) -> float:
        return float(jumps[line - 1] - np.median(jumps[start : start + block - 1]))

    starts = range(low, high - block + 1, block)
    usual = np.mean([lattice(x, x) for x in starts if x > low] or [np.inf])
    if low - block > 0 and lattice(low - block, low - block) > REPEATED * usual:
        low -= block
    last = low + (high - low) // block * block
    if last + block < strip.shape[1] and lattice(last, last + block) > REPEATED * usual:
        return low, last + block
    return low, high
