"""Operators that leave an exact trace: equal pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SOLID_SHARE = 0.99


@dataclass(frozen=True)
class Grid:
    """Blocks of equal pixels: sizes and the first block's start (phase) along x and y, in pixels
    of the region; `share`: of neighbour pairs inside blocks that are equal."""

    block_x: float
    block_y: float
    phase_x: int
    phase_y: int
    share: float


def solid_colour(region: np.ndarray) -> tuple[int, int, int] | None:
    """The one colour of a region `(H, W, 3)`, or None when less than 99 % of it has one."""
    middle = np.median(region.reshape(-1, 3), axis=0).astype(np.uint8)
    same = (region == middle).all(axis=2).mean()
    return tuple(int(v) for v in middle) if same >= SOLID_SHARE else None  # type: ignore[return-value]


def block_grid(region: np.ndarray) -> Grid | None:
    """The grid of a pixelated region, or None."""
    x, y = _boundaries(region), _boundaries(region.transpose(1, 0, 2))
    if x is None or y is None:
        return None
    (block_x, phase_x, share_x), (block_y, phase_y, share_y) = x, y
    return Grid(block_x, block_y, phase_x, phase_y, min(share_x, share_y))


def _boundaries(region: np.ndarray) -> tuple[float, int, float] | None:
    """Block size, phase and share of equal neighbours between boundaries along x.

    Columns are boundaries when they change far more often than the columns between them.
    """
    changes = (np.diff(region.astype(np.int16), axis=1) != 0).any(axis=2).mean(axis=0)
    size = region.shape[1]
    active = np.flatnonzero(changes > 0.5 * max(np.percentile(changes, 98), 1e-9)) + 1
    quiet = np.delete(changes, active - 1)
    if len(active) < 2 or len(quiet) < len(changes) / 3 or changes[active - 1].mean() < 0.1:
        return None
    gaps = np.diff(active)
    step = float(np.median(gaps))
    # A boundary between equal blocks is missing: such gaps are near multiples of the step.
    count = np.rint(gaps / step).sum()
    if count < 1 or step < 2 or np.abs(gaps / step - np.rint(gaps / step)).max() > 0.5:
        return None
    block = (active[-1] - active[0]) / count
    if abs(block - round(block)) < 0.5 / count:
        block = float(round(block))
    if quiet.mean() > 0.02 or block > size / 2 + 1:
        return None
    return block, round(active[0] % block), float(1 - quiet.mean())
