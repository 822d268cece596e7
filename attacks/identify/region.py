"""Where the picture was processed, from its pixels.

Tools cut a box out, process it alone and put it back, so its border is a jump between a side whose
own detail is gone and one whose detail is not. For every gap between two neighbouring rows or
columns, and each pixel along it, the jump across the gap is compared with the differences just
inside; a box is scored by the sum along its four sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CANDIDATES = 14
"""Lines kept for each side."""
OFFSET = 0.3
"""Evidence a line needs per pixel, so that longer is not better on ordinary content."""
SMALLEST = 12
"""Sides of a region in pixels below which nothing is looked for."""
ACCEPTED = 0.55
"""Mean evidence per border pixel, above `OFFSET`, from which a box is believed."""


@dataclass(frozen=True)
class Region:
    """box: x0, y0, x1, y1; shape: `box` or `ellipse`; evidence: mean per border pixel, 0 for the
    whole picture."""

    box: tuple[int, int, int, int]
    shape: str = "box"
    evidence: float = 0.0


def find_region(picture: np.ndarray) -> Region:
    """The processed part of a picture `(H, W, 3)` uint8; the whole picture when none stands out."""
    height, width = picture.shape[:2]
    whole = Region((0, 0, width, height))
    if min(height, width) < 2 * SMALLEST:
        return whole
    left, right = _side_evidence(picture)
    top, bottom = (e.T for e in _side_evidence(picture.transpose(1, 0, 2)))
    return _best_box(left, right, top, bottom) or whole


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


def _cumulative(evidence: np.ndarray) -> np.ndarray:
    return np.vstack([np.zeros(evidence.shape[1]), np.cumsum(evidence, axis=0)])


def _lines(cumulative: np.ndarray, border: int) -> np.ndarray:
    """Columns whose best run of evidence is largest, and the picture's border."""
    best_run = (cumulative - np.minimum.accumulate(cumulative, axis=0)).max(axis=0)
    order = np.argsort(-best_run, kind="stable")[:CANDIDATES]
    return np.unique(np.append(order, border))


def _best_box(
    left: np.ndarray, right: np.ndarray, top: np.ndarray, bottom: np.ndarray
) -> Region | None:
    sums = [_cumulative(e) for e in (left, right, top.T, bottom.T)]
    height, width = left.shape[0], top.shape[1]
    x0, x1 = _lines(sums[0], 0), _lines(sums[1], width)
    y0, y1 = _lines(sums[2], 0), _lines(sums[3], height)
    a, b, c, d = np.meshgrid(x0, x1, y0, y1, indexing="ij")
    sides = np.stack(
        [
            sums[0][d, a] - sums[0][c, a],
            sums[1][d, b] - sums[1][c, b],
            sums[2][b, c] - sums[2][a, c],
            sums[3][b, d] - sums[3][a, d],
        ]
    )
    score = sides.sum(axis=0)
    score[(b - a < SMALLEST) | (d - c < SMALLEST) | (sides.min(axis=0) < 0)] = -np.inf
    best = np.unravel_index(np.argmax(score), score.shape)
    box = tuple(int(v[best]) for v in (a, c, b, d))
    visible = sum(
        length
        for length, seen in (
            (box[3] - box[1], box[0] > 0),
            (box[3] - box[1], box[2] < width),
            (box[2] - box[0], box[1] > 0),
            (box[2] - box[0], box[3] < height),
        )
        if seen
    )
    if not visible or score[best] / visible < ACCEPTED:
        return None
    return Region(box, "box", float(score[best] / visible))
