"""Traces that a power spectrum does not show, as a fixed vector of numbers.

Each looks for one kind of operator: equal neighbours (median), regular jumps (permuted blocks,
JPEG), periodic bends (enlarging), oriented nulls (motion) and the tails of fine detail (noise).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

TILE = 128
ANGLES = np.arange(0, 180, 7.5)
LENGTHS = np.array([5, 7, 9, 11, 13, 15, 18, 21, 25, 29, 33, 38, 44, 50])
PERIODS = np.arange(4, 65)
EVEN = 0.65
"""Share of the strength of blocks of whole pixels, which may be multiples, that blocks need along
each axis that divide a region evenly."""
DIVISOR = 0.6
"""Share of the strongest pattern's strength from which a divisor of its size is the block size."""


def traces(region: np.ndarray) -> np.ndarray:
    """All traces of a region `(H, W, 3)` uint8, sides at least 8: `(T,)` float64."""
    luma = cv2.cvtColor(region, cv2.COLOR_RGB2GRAY)
    plane = luma.astype(np.float64)
    return np.concatenate(
        [
            _equal_neighbours(region),
            _median_residual(region),
            _tails(plane),
            *(np.concatenate([_comb(p), _bends(p)]) for p in (plane, plane.T)),
            _oriented(plane),
        ]
    )


def _equal_neighbours(region: np.ndarray) -> np.ndarray:
    """Shares of small first and second differences along both axes: medians repeat values."""
    shares = []
    for x in (region.astype(np.int16), region.transpose(1, 0, 2).astype(np.int16)):
        first = np.abs(np.diff(x, axis=1))
        second = np.abs(np.diff(x, n=2, axis=1))
        shares += [(first == k).mean() for k in (0, 1, 2)]
        shares += [(second == k).mean() for k in (0, 1, 2)]
        shares += [((first[:, 1:] == 0) & (first[:, :-1] == 0)).mean()]
        shares += [np.log1p(first.mean()), np.log1p(second.mean())]
    return np.array(shares)


def _median_residual(region: np.ndarray) -> np.ndarray:
    """How little small medians change the region: a median's output is nearly their fixed point."""
    features = []
    for size in (3, 5):
        change = cv2.absdiff(region, cv2.medianBlur(region, size))
        smooth = cv2.absdiff(region, cv2.blur(region, (size, size)))
        features += [(change == 0).mean(), np.log((change.mean() + 0.05) / (smooth.mean() + 0.05))]
    return np.array(features)


def _tails(plane: np.ndarray) -> np.ndarray:
    """Size and tails of the finest detail."""
    fine = cv2.filter2D(plane, cv2.CV_64F, np.outer([1, -2, 1], [1, -2, 1]) / 6.0)
    size = np.abs(fine)
    middle = np.median(size)
    return np.array(
        [
            np.log(middle + 0.1),
            np.log((size.mean() + 0.1) / (middle + 0.1)),
            np.log((np.sqrt((fine**2).mean()) + 0.1) / (middle + 0.1)),
        ]
    )


def _comb(plane: np.ndarray) -> np.ndarray:
    """Strongest regular pattern of jumps between columns: log ratio of jumps on and off the grid
    over all block sizes and phases, its block size, and the same at JPEG's 8."""
    best, size, at_eight = 0.0, 0, 0.0
    for period, strength in _comb_strengths(plane).items():
        if strength > 1.15 * best:
            best, size = strength, period
        if period == 8:
            at_eight = strength
    return np.array([best, np.log(size + 1), at_eight])


def _comb_strengths(plane: np.ndarray) -> dict[int, float]:
    """By block size in pixels, the log ratio of jumps between columns on and off the grid."""
    excess = _excess(plane)
    strengths = {}
    for period in PERIODS[len(excess) >= PERIODS * 2]:
        whole = excess[: len(excess) // period * period].reshape(-1, period)
        mean = whole.mean(axis=0).max()
        strengths[int(period)] = float(mean * np.sqrt(len(whole) / (len(whole) + 2)))
    return strengths


def _excess(plane: np.ndarray) -> np.ndarray:
    """Log of the mean jump between columns `(W - 1,)`, over what is usual around."""
    jump = np.log(np.abs(np.diff(plane, axis=1)).mean(axis=0) + 0.3)
    padded = np.pad(jump, 4, mode="edge")
    return np.asarray(
        jump - np.median(np.stack([padded[i : i + len(jump)] for i in range(9)]), axis=0)
    )


def _bends(plane: np.ndarray) -> np.ndarray:
    """Strongest periodicity in the columns' mean second difference, relative to the spectrum's
    median, and its frequency: enlarging by interpolation bends at the knots only."""
    bend = np.log(np.abs(np.diff(plane, n=2, axis=1)).mean(axis=0) + 0.1)
    bend -= cv2.blur(bend[None], (31, 1))[0]
    power = np.abs(np.fft.rfft(bend * np.hanning(len(bend)), 512)) ** 2
    power = power[20:]  # periods up to 25 px
    peak = int(np.argmax(power))
    return np.array(
        [
            np.log((power[peak] + 1e-12) / (np.median(power) + 1e-9)),
            (peak + 20) / 512,
            np.log(power[peak] / len(bend) + 1e-4),
        ]
    )


def comb_size(region: np.ndarray) -> int:
    """Block size in pixels of the strongest regular pattern of jumps."""
    plane = cv2.cvtColor(region, cv2.COLOR_RGB2GRAY).astype(np.float64)
    strongest = max((_comb(p) for p in (plane, plane.T)), key=lambda f: f[0])
    return max(1, round(float(np.expm1(strongest[1]))))


def blocks_under_jpeg(region: np.ndarray) -> tuple[float, float]:
    """Sides along x and y in pixels of the blocks of a region `(H, W, 3)` that was pixelated and
    stored as JPEG: whole ones, alike along both axes, or those that divide the region evenly, as
    when it was reduced to a number of blocks and enlarged again."""
    plane = cv2.cvtColor(region, cv2.COLOR_RGB2GRAY).astype(np.float64)
    x, y = _comb_strengths(plane), _comb_strengths(plane.T)
    both = {size: x[size] + y[size] for size in sorted(x.keys() & y.keys())}
    if not both:
        return 1.0, 1.0
    whole, *_ = _nearly_strongest(both, lambda size, best: best % size == 0)
    columns, rows = (_even_strengths(p) for p in (plane, plane.T))
    across, down = (
        _nearly_strongest(strengths, lambda count, best: count % best == 0)[-1]
        for strengths in (columns, rows)
    )
    if columns[across] < EVEN * x[whole] or rows[down] < EVEN * y[whole]:
        return float(whole), float(whole)
    height, width = plane.shape
    return width / across, height / down


def _nearly_strongest(strengths: dict[int, float], kin: Callable[[int, int], bool]) -> list[int]:
    """The patterns in the order given that are `kin` to the strongest and nearly as strong: lines
    that the blocks share with the codec's units jump most, so that it may be every second one."""
    best = max(strengths, key=lambda pattern: strengths[pattern])
    return [p for p in strengths if kin(p, best) and strengths[p] >= DIVISOR * strengths[best]]


def _even_strengths(plane: np.ndarray) -> dict[int, float]:
    """By number of blocks, the log ratio of jumps between columns where they would meet."""
    excess = _excess(plane)
    width = plane.shape[1]
    strengths = {}
    for count in range(2, max(3, width // int(PERIODS[0]) + 1)):
        meet = np.arange(1, count) * width / count
        lines = [np.ceil(meet - late).astype(int) - 1 for late in (0.0, 0.5)]
        mean = max(excess[line].mean() for line in lines)
        strengths[count] = float(mean * np.sqrt(count / (count + 2)))
    return strengths


def line_direction(region: np.ndarray) -> tuple[int, float]:
    """Length in pixels and angle in degrees, counter-clockwise from horizontal, of the line kernel
    that matches the spectrum best."""
    plane = cv2.cvtColor(region, cv2.COLOR_RGB2GRAY).astype(np.float64)
    _, _, log_length, cosine, sine = _oriented(plane)
    # Rows run downwards, angles upwards.
    angle = float(-np.rad2deg(np.arctan2(sine, cosine)) / 2 % 180)
    return round(float(np.exp(log_length))), round(angle, 1)


@lru_cache(maxsize=1)
def _templates() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whitened log spectra `(angles * lengths, cells)` of line kernels on a tile's frequencies, the
    kept cells, and each cell's ring."""
    fy, fx = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    radius = np.hypot(fy, fx)
    keep = (radius > 2.5 / TILE) & (radius < 0.3)
    ring = np.rint(radius[keep] * TILE).astype(int)
    fy, fx = np.broadcast_arrays(fy, fx)
    fy, fx = fy[keep], fx[keep]
    angle = np.deg2rad(ANGLES)
    along = np.cos(angle)[:, None] * fx + np.sin(angle)[:, None] * fy
    kernels = np.sinc(LENGTHS[None, :, None] * along[:, None]) ** 2
    logs = np.log(kernels + 0.02).reshape(-1, len(ring))
    return np.stack([_unit(row, ring) for row in logs]).astype(np.float32), keep, ring


def _unit(values: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Values less their ring's mean, scaled to unit length."""
    count = np.maximum(np.bincount(ring), 1)
    values = values - (np.bincount(ring, values) / count)[ring]
    return np.asarray(values / (np.linalg.norm(values) + 1e-9))


def _oriented(plane: np.ndarray) -> np.ndarray:
    """Best match with a line kernel's spectrum, its length and angle, and the match across it."""
    templates, keep, ring = _templates()
    size = [min(TILE, s) for s in plane.shape]
    window = np.outer(np.hanning(size[0] + 2)[1:-1], np.hanning(size[1] + 2)[1:-1])
    starts = [sorted({0, (s - t) // 2, s - t}) for s, t in zip(plane.shape, size, strict=True)]
    power = np.zeros((TILE, TILE // 2 + 1))
    for y in starts[0]:
        for x in starts[1]:
            tile = plane[y : y + size[0], x : x + size[1]]
            power += np.abs(np.fft.rfft2((tile - tile.mean()) * window, (TILE, TILE))) ** 2
    power /= len(starts[0]) * len(starts[1]) * (window**2).sum()
    match = (templates @ _unit(np.log(power[keep] + 0.15), ring)).reshape(len(ANGLES), -1)
    angle, length = np.unravel_index(np.argmax(match), match.shape)
    across = match[(angle + len(ANGLES) // 2) % len(ANGLES)].max()
    turn = np.deg2rad(2 * ANGLES[angle])
    return np.array([match.max(), across, np.log(LENGTHS[length]), np.cos(turn), np.sin(turn)])
