"""Elliptic regions with a hard rim, from the pixels.

A tool that pastes its output through an ellipse leaves fine detail outside and none inside.
Ellipses of a few sizes are tried everywhere for that contrast; the best are moved until their rims
fit the jumps from pixel to pixel. A soft rim has no jumps, and untouched faces, smooth in the
middle, show as much contrast: regions that fade in are not found.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from scipy import fft

Box = tuple[int, int, int, int]

CELLS = 64
"""Cells along the longer side on which ellipses are tried."""
HALF_WIDTHS = (0.08, 0.1, 0.125, 0.155, 0.19, 0.235, 0.29, 0.36)
"""Half widths that are tried, in the longer side of the picture."""
ASPECTS = (1.0, 1.25, 1.55)
"""Heights over widths that are tried."""
STARTS = 4
"""Candidates that are moved; one less goes on to each finer step."""
INNER, OUTER = 0.85, (1.1, 1.45)
"""Half axes up to which, and between which, detail is compared."""
CONTRAST = 0.4
"""Log ratio of detail outside to inside that an ellipse needs."""
STEPS = (8, 4, 2, 1)
"""Pixels that a side is moved by, from coarse to fine."""
MOVES = np.vstack(
    [np.eye(4), [1, 0, 1, 0], [0, 1, 0, 1], [-1, 0, 1, 0], [0, -1, 0, 1], [-1, -1, 1, 1]]
)
"""Sides x0, y0, x1, y1 that are moved together."""
NEAR = 4
"""Step from which on rims are moved to jumps instead of along the detail."""
COARSE = 32
"""Samples of detail across an ellipse."""
SMALLEST = 24
"""Sides in pixels of the boxes of ellipses that are tried."""


def ellipse_distance(y: np.ndarray, x: np.ndarray, box: Box) -> np.ndarray:
    """Distance from the middle in units of the half axes of the ellipse in a box."""
    x0, y0, x1, y1 = box
    return np.hypot((2 * x - x0 - x1 + 1) / (x1 - x0), (2 * y - y0 - y1 + 1) / (y1 - y0))


Score = Callable[[Box], float]
Sides = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def find_ellipse(detail: np.ndarray, sides: Sides) -> tuple[Box, float]:
    """The likeliest ellipse without detail inside, by the box it touches, and the mean evidence per
    rim pixel of a jump there, 0 where no ellipse has less detail inside than outside.

    `detail` `(H, W)`: log size of the second differences; `sides`: evidence that a region's left,
    right `(H, W + 1)`, top and bottom `(H + 1, W)` stands in a gap (`region.py`).
    """
    candidates = [(0.0, box) for box in _starts(detail)]
    for step in STEPS:
        # While a rim is far off, the detail says where to go; nearer, a jump beside it does.
        score = _explained(detail) if step > NEAR else _rim(_spread(sides, step // 2))
        candidates = sorted(
            (moved(box, step, score, detail.shape) for _, box in candidates), reverse=True
        )
        candidates = candidates[: max(1, len(candidates) - 1)]
    evidence, box = candidates[0] if candidates else (0.0, (0, 0, *detail.shape[::-1]))
    return box, evidence


def to_rim(box: Box, sides: Sides) -> tuple[Box, float]:
    """The ellipse near the one in `box` whose rim fits the jumps best, and the mean evidence."""
    shape = (sides[0].shape[0], sides[2].shape[1])
    evidence = 0.0
    for step in (2, 1):
        evidence, box = moved(box, step, _rim(_spread(sides, step // 2)), shape)
    return box, evidence


@lru_cache(maxsize=8)
def _kernels(height: int, width: int) -> tuple[list[tuple[float, float]], np.ndarray, np.ndarray]:
    """Half axes (down, across) in cells, and transforms `(K, ...)` of the inside and the ring."""
    axes, inner, outer = [], [], []
    shape = fft.next_fast_len(2 * height), fft.next_fast_len(2 * width)
    y = np.minimum(np.arange(shape[0]), shape[0] - np.arange(shape[0]))[:, None]
    x = np.minimum(np.arange(shape[1]), shape[1] - np.arange(shape[1]))
    for share in HALF_WIDTHS:
        for aspect in ASPECTS:
            across = share * max(height, width)
            down = across * aspect
            if 2 * down > height or 2 * across > width:
                continue
            radius = np.hypot(y / down, x / across)
            axes.append((down, across))
            inner.append((radius < INNER) * 1.0)
            outer.append(((radius > OUTER[0]) & (radius < OUTER[1])) * 1.0)
    both = [fft.rfft2(np.array(m)) if m else np.empty(0) for m in (inner, outer)]
    return axes, both[0], both[1]


def _starts(detail: np.ndarray) -> list[Box]:
    """The likeliest ellipses by contrast alone, no two alike."""
    height, width = detail.shape
    step = max(1, round(max(height, width) / CELLS))
    cells = cv2.resize(detail, (width // step, height // step), interpolation=cv2.INTER_AREA)
    axes, inner, outer = _kernels(*cells.shape)
    if not axes:
        return []
    full = fft.next_fast_len(2 * cells.shape[0]), fft.next_fast_len(2 * cells.shape[1])
    stacked = np.zeros((3, *full))
    at = np.s_[:, : cells.shape[0], : cells.shape[1]]
    stacked[at] = [cells, np.ones_like(cells), cells**2]
    values, ones, squares = fft.rfft2(stacked)

    def mean(kernel: np.ndarray, what: np.ndarray) -> np.ndarray:
        sums = fft.irfft2(kernel * what, full)[at]
        return np.asarray(sums / np.maximum(fft.irfft2(kernel * ones, full)[at], 1))

    inside = mean(inner, values)
    spread = np.maximum(mean(inner, squares) - inside**2, 0)
    contrast = mean(outer, values) - inside
    score = np.where(contrast > CONTRAST, contrast / np.sqrt(0.25 + spread), -np.inf)
    for (down, across), plane in zip(axes, score, strict=True):
        if 2 * across * step < SMALLEST:
            plane[:] = -np.inf
        plane[: int(down)] = plane[len(plane) - int(down) :] = -np.inf
        plane[:, : int(across)] = plane[:, plane.shape[1] - int(across) :] = -np.inf
        plane *= (down * across) ** 0.25
    boxes: list[Box] = []
    while len(boxes) < STARTS:
        kind, y, x = (int(i) for i in np.unravel_index(np.argmax(score), score.shape))
        if not np.isfinite(score[kind, y, x]):
            break
        down, across = axes[kind]
        corners = np.array([x + 0.5 - across, y + 0.5 - down, x + 0.5 + across, y + 0.5 + down])
        x0, y0, x1, y1 = (round(v) for v in corners * step)
        boxes.append((x0, y0, x1, y1))
        near = max(1, int(across / 3))
        alike = slice(max(0, kind - len(ASPECTS) + 1), kind + len(ASPECTS))
        score[alike, max(0, y - near) : y + near + 1, max(0, x - near) : x + near + 1] = -np.inf
    return boxes


def _neighbours(box: Box, step: int, height: int, width: int) -> np.ndarray:
    """The box and boxes `(N, 4)` with some of its sides moved by a step."""
    moves = step * np.vstack([np.zeros(4), MOVES, -MOVES]).astype(int)
    boxes = (np.array(box) + moves).clip(0, [width, height, width, height])
    return np.asarray(boxes[(boxes[:, 2:] - boxes[:, :2] >= SMALLEST / 2).all(axis=1)])


def moved(box: Box, step: int, score: Score, shape: tuple[int, int]) -> tuple[float, Box]:
    """The box moved by steps to where the score is highest, after that score; `shape`: (H, W)."""
    best = -np.inf
    for _ in range(8):
        trials = [
            (score(box), box) for box in map(_as_box, _neighbours(box, step, *shape).tolist())
        ]
        before, (best, box) = best, max(trials)
        if best <= before:
            break
    return best, box


def _explained(detail: np.ndarray) -> Score:
    """Share of the variance of detail, in a box and around it, that lies between the inside and the
    outside of the box's ellipse."""

    def score(box: Box) -> float:
        x0, y0, x1, y1 = box
        stride = max(1, (x1 - x0) // COARSE)
        far_x, far_y = (x1 - x0) // 5, (y1 - y0) // 5
        y = np.arange(max(0, y0 - far_y), min(len(detail), y1 + far_y), stride)[:, None]
        x = np.arange(max(0, x0 - far_x), min(detail.shape[1], x1 + far_x), stride)
        across = (2 * x - (x0 + x1 - 1)) / (x1 - x0)
        down = (2 * y - (y0 + y1 - 1)) / (y1 - y0)
        inside = across**2 + down**2 < 1
        values = detail[y, x]
        share = inside.mean()
        if share in (0, 1):
            return 0.0
        apart = values[~inside].mean() - values[inside].mean()
        return float(apart * abs(apart) * share * (1 - share) / (values.var() + 1e-6))

    return score


def _as_box(sides: list[int]) -> Box:
    x0, y0, x1, y1 = sides
    return x0, y0, x1, y1


def _spread(sides: Sides, reach: int) -> Sides:
    """The largest evidence within a reach in pixels across each gap."""
    left, right, top, bottom = sides
    wide, high = np.ones((1, 2 * reach + 1)), np.ones((2 * reach + 1, 1))
    dilate = cv2.dilate
    return dilate(left, wide), dilate(right, wide), dilate(top, high), dilate(bottom, high)


def _rim(sides: Sides) -> Score:
    """Mean evidence along the rim of a box's ellipse, met by every row and every column."""
    left, right, top, bottom = sides

    def score(box: Box) -> float:
        x0, y0, x1, y1 = box
        rows, first, last = _chords(y0, y1, x0, x1)
        columns, upper, lower = _chords(x0, x1, y0, y1)
        total = left[rows, first].sum() + right[rows, last].sum()
        total += top[upper, columns].sum() + bottom[lower, columns].sum()
        return float(total / (2 * (len(rows) + len(columns))))

    return score


def _chords(low: int, high: int, start: int, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines low..high-1 and, on each, the gaps before the first and after the last pixel inside the
    ellipse that spans start..end-1 the other way."""
    lines = np.arange(low, high)
    off = (2 * lines - (low + high - 1)) / (high - low)
    half = np.sqrt(np.maximum(1 - off**2, 0)) * (end - start) / 2
    middle = (start + end - 1) / 2
    return lines, np.ceil(middle - half).astype(int), np.floor(middle + half).astype(int) + 1
