"""Where the sides of a box that was processed may stand, and boxes whose sides are all clear.

For every gap between two neighbouring rows or columns, and each pixel along it, the jump across the
gap is compared with the differences just inside; a box is scored by the sum along its sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from reid_audit.attacks.anonymisation.ellipse import Box, Sides

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
STRETCHED = 1.6
"""Ratio of a region's sides above which its score falls: strips of sky and hair have borders too,
and masks of faces are not so long."""
ACCEPTED = 0.3
"""Evidence per border pixel, above `OFFSET`, that each side needs."""
THREE, UNSEEN = 1.0, 0.67
"""The same where three sides are enough, and what is left of their evidence."""
FAINT = 0.35
"""The most that a line shows of a box which goes on beyond both its corners."""
MOVED = 1.1
"""How much better a box must be for a side to leave the clearest lines."""
JPEG = 8
"""Side in pixels of a JPEG's blocks."""
NEIGHBOURS = np.tile(np.array([1, 1, 0, 1, 1]) / (4 * 33), (33, 1))
"""Weights of the lines of the JPEG grid on either side, 33 pixels along them."""


def side_evidence(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def without_jpeg(evidence: np.ndarray) -> np.ndarray:
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


@dataclass(frozen=True)
class Candidate:
    """rank: the score, less for what the picture's border hides."""

    box: Box
    evidence: float
    contrast: float
    score: float
    rank: float


def clearest_box(detail: np.ndarray, sides: Sides, enough: float) -> Candidate | None:
    """The box with the clearest sides and less detail inside than outside; None where none has a
    score of `enough`. One side may be hidden by a plain wall."""
    sums = _sums(*sides)
    best = _best(detail, *plausible_boxes(*sides, unseen=1))
    return None if best is None or best.score < enough else _moved(best, detail, sums)


def _best(
    detail: np.ndarray, boxes: np.ndarray, length: np.ndarray, evidence: np.ndarray
) -> Candidate | None:
    """The box of highest rank among judged ones; None where there is none."""
    if not len(boxes):
        return None
    contrast = detail_contrast(detail, boxes)
    score = length * evidence * contrast.clip(0, 1) * compactness(boxes)
    rank = score * length / _perimeter(boxes)
    best = np.argmax(rank)
    values = (float(v[best]) for v in (evidence, contrast, score, rank))
    return Candidate(as_box(boxes[best]), *values)


def _moved(best: Candidate, detail: np.ndarray, sums: tuple[np.ndarray, ...]) -> Candidate:
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


def plausible_boxes(
    left: np.ndarray, right: np.ndarray, top: np.ndarray, bottom: np.ndarray, unseen: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes `(N, 4)` between the clearest lines, as `_judged`."""
    sums = _sums(left, right, top, bottom)
    height, width = left.shape[0], top.shape[1]
    x0, x1 = _lines(sums[0], 0), _lines(sums[1], width)
    y0, y1 = _lines(sums[2], 0), _lines(sums[3], height)
    edges = np.meshgrid(x0, y0, x1, y1, indexing="ij")
    return _judged(np.stack([edge.ravel() for edge in edges], axis=1), sums, unseen)


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
    density = np.where(_crossing(boxes, sums) & visible, np.minimum(density, FAINT), density)
    weakest, second = np.sort(density, axis=0)[:2]
    if unseen:  # on a plain wall
        three = visible.all(axis=0) & (second >= THREE) & ~_goes_on(boxes, density, sums)
        weakest = np.where(three, np.maximum(weakest, UNSEEN * second), weakest)
    length = (visible * lengths).sum(axis=0)
    # What crosses the picture is a caption, a bar or a neighbour in a collage.
    crosses = ~(visible[0] | visible[1]) | ~(visible[2] | visible[3])
    good = (length > 0) & (weakest > ACCEPTED) & ~crosses
    return boxes[good], length[good], weakest[good]


def _crossing(boxes: np.ndarray, sums: tuple[np.ndarray, ...]) -> np.ndarray:
    """Which sides `(4, N)` of boxes lie on lines that go on beyond both corners: those of captions
    and bars."""
    x0, y0, x1, y1 = boxes.T
    lines = (
        (sums[0], x0, y0, y1),
        (sums[1], x1, y0, y1),
        (sums[2], y0, x0, x1),
        (sums[3], y1, x0, x1),
    )
    on = [
        np.minimum(_mean(total, at, start - SMALLEST, start), _mean(total, at, end, end + SMALLEST))
        > ACCEPTED
        for total, at, start, end in lines
    ]
    return np.stack(on)


def _goes_on(boxes: np.ndarray, density: np.ndarray, sums: tuple[np.ndarray, ...]) -> np.ndarray:
    """Whether the two sides beside the weakest of each box go on beyond it `(N,)`: then it is no
    end of the region.

    Args:
        density: evidence per pixel of the sides `(4, N)`: left, right, top, bottom.
    """
    x0, y0, x1, y1 = boxes.T
    lying, upright = ((sums[2], y0), (sums[3], y1)), ((sums[0], x0), (sums[1], x1))
    beyond = (
        (x0 - SMALLEST, x0, lying),
        (x1, x1 + SMALLEST, lying),
        (y0 - SMALLEST, y0, upright),
        (y1, y1 + SMALLEST, upright),
    )
    on = [
        np.minimum(*(_mean(total, at, start, end) for total, at in lines)) > ACCEPTED
        for start, end, lines in beyond
    ]
    return np.asarray(np.stack(on)[density.argmin(axis=0), np.arange(len(boxes))])


def _mean(total: np.ndarray, at: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Mean evidence `(N,)` of the gaps `at`, from `start` to `end` along them."""
    start, end = (edge.clip(0, len(total) - 1) for edge in (start, end))
    return np.asarray((total[end, at] - total[start, at]) / np.maximum(end - start, 1))


def _sums(
    left: np.ndarray, right: np.ndarray, top: np.ndarray, bottom: np.ndarray
) -> tuple[np.ndarray, ...]:
    return tuple(_cumulative(e) for e in (left, right, top.T, bottom.T))


def _lines(cumulative: np.ndarray, border: int) -> np.ndarray:
    """Columns whose best run of evidence is largest, and the picture's border."""
    best_run = (cumulative - np.minimum.accumulate(cumulative, axis=0)).max(axis=0)
    order = np.argsort(-best_run, kind="stable")[:CANDIDATES]
    return np.unique(np.append(order, border))


def _cumulative(evidence: np.ndarray) -> np.ndarray:
    return np.vstack([np.zeros(evidence.shape[1]), np.cumsum(evidence, axis=0)])


def local_detail(picture: np.ndarray) -> np.ndarray:
    """Log size of the second differences along both axes `(H, W)`."""
    values = picture.astype(np.int16).mean(axis=2)
    padded = np.pad(values, 1, mode="edge")
    across = padded[1:-1, :-2] - 2 * values + padded[1:-1, 2:]
    down = padded[:-2, 1:-1] - 2 * values + padded[2:, 1:-1]
    return np.asarray(np.log((np.abs(across) + np.abs(down)) / 2 + 0.5))


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


def compactness(boxes: np.ndarray) -> np.ndarray:
    """Weight `(N,)` in (0, 1] of boxes `(N, 4)`: 1 up to sides in the ratio `STRETCHED`, less the
    longer they are."""
    sides = np.sort(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.asarray((STRETCHED * sides[:, 0] / sides[:, 1]).clip(0, 1))


def _perimeter(boxes: np.ndarray) -> np.ndarray:
    """Lengths `(N,)` of the borders of boxes `(N, 4)`."""
    return np.asarray(2 * (boxes[:, 2:] - boxes[:, :2]).sum(axis=1))


def as_box(row: np.ndarray) -> Box:
    """One of boxes `(N, 4)` as whole numbers."""
    x0, y0, x1, y1 = (int(v) for v in row)
    return x0, y0, x1, y1
