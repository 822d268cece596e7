"""Which part of a picture that was once a JPEG was changed since, from its pixels.

What a decoder put out lies, block by block, on the lattice of its quantisation steps; whatever is
done to a part of the picture later moves that part off it, however softly. (After the comparison
with the picture stored again by H. Farid, "Exposing digital forgeries from JPEG ghosts", 2009;
here by likelihood.) Pictures that never were JPEGs, were resized since, or were stored again
after they were anonymised show nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.special import ndtr

from reid_audit.attacks.anonymisation.compression import FINEST, LUMA, luma_blocks, stored_again
from reid_audit.attacks.anonymisation.ellipse import Box, Score, ellipse_distance, moved
from reid_audit.attacks.anonymisation.encoded import standard_luma

BLOCK = 8
DECODED = 0.4
"""Standard deviation of a coefficient that lies on the lattice: luma is rounded, then colours."""
EMPTY = 0.95
"""Share of the coefficients without a step that have none in a changed block either: what was
blurred has little detail."""
MOST = 6.0
"""Largest log likelihood ratio of one coefficient: pixels that were clipped leave the lattice."""
STAYS = 0.35
"""Mean difference in grey levels of luma under which a block stays as it is when stored again
(benchmarks/tried.md, estimation of the operator)."""
CLIPPED_KEPT, CLIPPED_CHANGED = -4.0, -0.5
"""Log likelihood ratio of blocks with clipped pixels: of kept ones seven in ten stay. What does not
stay counts against a change too, lest regions spread over white walls."""
ENOUGH = 800.0
"""Log likelihood ratio that a changed part needs (benchmarks/tried.md, estimation of the
operator)."""
STEPS = (8, 4, 2, 1)
"""Pixels that a side is moved by, from coarse to fine."""
BOX_FADES = (0.0, 0.05, 0.1, 0.15)
"""How softly boxes that are tried fade."""
FAINT = 0.04
"""Weight below which a change of the fading part of a box is lost in the rounding."""


def changed_blocks(picture: np.ndarray, quality: int) -> np.ndarray:
    """Log likelihood ratio `(H // 8, W // 8)` of changed to kept for the blocks of a picture
    `(H, W, 3)` uint8 whose JPEG had this quality and started at its first pixel.

    Clipping moves blocks off the lattice; those with clipped pixels are stored again instead, which
    leaves most of them as they are if they were kept.
    """
    rows, columns = picture.shape[0] // BLOCK, picture.shape[1] // BLOCK
    part = picture[: BLOCK * rows, : BLOCK * columns]
    steps = standard_luma(quality)
    ratio = off_lattice(luma_blocks(part), steps).sum(axis=(2, 3))
    again = np.abs(stored_again(part, quality) @ LUMA - part.astype(np.float32) @ LUMA)
    stays = again.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3)) < STAYS
    return np.where(clipped_blocks(part), np.where(stays, CLIPPED_KEPT, CLIPPED_CHANGED), ratio)


@dataclass(frozen=True)
class Changed:
    """box: x0, y0, x1, y1; shape: `ellipse` that touches the box, or `box`; soft: of an ellipse the
    outer share of its half axes over which it fades, of a box the sigma of the Gaussian that fades
    it in shares of its longer side; score: log likelihood ratio."""

    box: Box
    shape: str
    soft: float
    score: float


def off_lattice(coefficients: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Log likelihood ratio of changed to kept for each of the coefficients `(..., 8, 8)`."""
    off = coefficients - steps * np.rint(coefficients / steps)
    kept = np.exp(-((off / DECODED) ** 2) / 2) / (DECODED * np.sqrt(2 * np.pi))
    empty = np.where(coefficients == off, EMPTY, 0.0)
    changed = empty * kept + (1 - empty) / steps
    ratio = np.log(changed / np.maximum(kept, 1e-9)).clip(-MOST, MOST)
    return np.where(steps >= FINEST, ratio, 0.0)


def clipped_blocks(picture: np.ndarray) -> np.ndarray:
    """Whether each block `(H // 8, W // 8)` of a picture has a value of 0 or 255."""
    height, width = picture.shape[:2]
    blocks = picture.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    return np.asarray(((blocks == 0) | (blocks == 255)).any(axis=(1, 3, 4)))


def find_changed(ratio: np.ndarray, near: Box | None = None) -> Changed | None:
    """The likeliest changed part by `changed_blocks`, its fading that of a few that fits best (a
    box) or not asked (an ellipse); None where nothing was changed. It is looked for from the blocks
    on, and from the box `near` on."""
    candidates = []
    for start in (_start(ratio), near):
        if start is not None:
            candidates += _changed_from(start, ratio)
    if not candidates:
        return None
    best = max(candidates, key=lambda changed: changed.score)
    return best if best.score >= ENOUGH else None


def _changed_from(start: Box, ratio: np.ndarray) -> list[Changed]:
    """An ellipse, and boxes that fade differently, that a box was moved to."""
    size = (BLOCK * ratio.shape[0], BLOCK * ratio.shape[1])
    score, box = _climb(start, size, _ellipse(ratio))
    candidates = [Changed(box, "ellipse", 0.0, score)]
    for soft in BOX_FADES:
        score, box = _climb(start, size, _box(ratio, soft))
        candidates.append(Changed(box, "box", soft, score))
    return candidates


def box_score(ratio: np.ndarray, box: Box) -> float:
    """Log likelihood ratio of a hard box, to compare with that of what was found."""
    return _box(ratio, 0.0)(box)


def ellipse_score(ratio: np.ndarray, box: Box) -> float:
    """The same of a hard ellipse."""
    return _ellipse(ratio)(box)


def _start(ratio: np.ndarray) -> Box | None:
    """Pixels around the likeliest connected changed blocks; strays are left out."""
    solid = cv2.morphologyEx((ratio > 0).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2)))
    count, label, boxes, _ = cv2.connectedComponentsWithStats(solid, connectivity=4)
    if count < 2:
        return None
    totals = np.bincount(label.ravel(), ratio.ravel(), count)
    x, y, width, height, _ = boxes[1 + int(np.argmax(totals[1:]))].tolist()
    return BLOCK * x, BLOCK * y, BLOCK * (x + width), BLOCK * (y + height)


def _climb(start: Box, size: tuple[int, int], score: Score) -> tuple[float, Box]:
    best, box = 0.0, start
    for step in STEPS:
        best, box = moved(box, step, score, size)
    return best, box


def _ellipse(ratio: np.ndarray) -> Score:
    """Sum over the blocks that the ellipse in a box reaches into."""
    y, x = corners(ratio)

    def score(box: Box) -> float:
        near_y, near_x = nearest(y, x, box)
        return float(ratio[ellipse_distance(near_y, near_x, box) < 1].sum())

    return score


def _box(ratio: np.ndarray, soft: float) -> Score:
    """Sum over the blocks in which a box that fades has any weight."""
    y, x = corners(ratio)

    def score(box: Box) -> float:
        near_y, near_x = nearest(y, x, box)
        return float(ratio[box_weight(near_y, near_x, box, soft) > FAINT].sum())

    return score


def corners(ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First pixels of the rows `(R, 1)` and columns `(1, C)` of blocks."""
    rows, columns = ratio.shape
    return BLOCK * np.arange(rows)[:, None], BLOCK * np.arange(columns)[None]


def nearest(y: np.ndarray, x: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """The pixel of each block that lies nearest to the middle of the box."""
    x0, y0, x1, y1 = box
    return (
        np.clip((y0 + y1 - 1) / 2, y, y + BLOCK - 1),
        np.clip((x0 + x1 - 1) / 2, x, x + BLOCK - 1),
    )


def box_weight(y: np.ndarray, x: np.ndarray, box: Box, soft: float) -> np.ndarray:
    """Weight in [0, 1] of a box blurred by a Gaussian whose sigma is the share `soft` of its longer
    side."""
    x0, y0, x1, y1 = box
    sigma = max(soft * max(x1 - x0, y1 - y0), 0.01)
    across = ndtr((x - x0 + 0.5) / sigma) - ndtr((x - x1 + 0.5) / sigma)
    return np.asarray(across * (ndtr((y - y0 + 0.5) / sigma) - ndtr((y - y1 + 0.5) / sigma)))
