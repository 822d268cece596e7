"""Whether a region was enlarged from fewer samples: then it lies, up to rounding, in the column
space of an interpolation matrix, whose samples stand at known places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy import fft
from scipy.linalg import cho_factor, cho_solve

from reid_audit.metrics.sampling import evenly

LINEAR = cv2.INTER_LINEAR
INTERPOLATIONS = {"linear": LINEAR, "cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}
FRAME = 1.0
"""Standard deviation in grey levels up to which a line is of one colour, through a codec."""
LINES = 48
"""Lines that are projected."""
MIRRORED = 24
"""Pairs of modes that are compared."""
FEWEST = 6
"""Samples."""
FACTOR, FARTHEST = 1.5, 16.0
"""Smallest and largest enlargement that is looked for: what is left of a heavy blur fits into fewer
samples wherever they stand."""
ALIKE = 0.1
"""Largest log ratio of the factors along the two axes."""
LARGE = 5.0
"""Enlargement from which every number of samples is tried."""
CANDIDATES = 3


CLEARLY, AT_LEAST = 0.7, 0.3
"""Log ratios of residuals that the clearer and the other axis need (benchmarks/tried.md, estimation
of the operator)."""


@dataclass(frozen=True)
class Enlargement:
    """factor_x, factor_y: pixels per sample, 1 where nothing was found; ratio_x, ratio_y: log ratio
    of the residual of interpolation with the samples half a step aside to the one with them in
    place, about 0 unless the region was enlarged; interpolation: `linear`, `cubic`, `lanczos`."""

    factor_x: float
    factor_y: float
    ratio_x: float
    ratio_y: float
    interpolation: str

    @property
    def certain(self) -> bool:
        """Whether the region was surely enlarged: clearly along one axis, at least along the other,
        and by like factors."""
        high, low = max(self.ratio_x, self.ratio_y), min(self.ratio_x, self.ratio_y)
        alike = abs(np.log(self.factor_x / self.factor_y)) < ALIKE
        return high > CLEARLY and low > AT_LEAST and bool(alike)


def enlargement(region: np.ndarray) -> Enlargement:
    """How well interpolation from fewer samples explains a region `(H, W, 3)`."""
    green = _unframed(region[..., 1].astype(np.float32))
    ratio_x, factor_x, kind_x = _along(green)
    ratio_y, factor_y, kind_y = _along(green.T)
    kind = kind_x if ratio_x > ratio_y else kind_y
    return Enlargement(factor_x, factor_y, ratio_x, ratio_y, kind)


def _unframed(plane: np.ndarray) -> np.ndarray:
    """A plane `(H, W)` without the frame of one colour that stands on all its sides, which fewer
    samples explain however they stand."""
    rows, columns = (np.flatnonzero(plane.std(axis=axis) > FRAME) for axis in (1, 0))
    if not rows.size or not columns.size:
        return plane
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    framed = top > 0 and left > 0 and bottom < plane.shape[0] and right < plane.shape[1]
    return plane[top:bottom, left:right] if framed else plane


def _along(plane: np.ndarray) -> tuple[float, float, str]:
    """Ratio, factor and interpolation along x of a plane `(H, W)`."""
    width = plane.shape[1]
    best = (0.0, 1.0, "linear")
    if min(plane.shape) < 3 * FEWEST:
        return best
    lines = np.ascontiguousarray(plane[evenly(len(plane), LINES)].T, dtype=np.float32)
    lines -= lines.mean(axis=0)
    for count in {*_by_mirrored_modes(plane), *_by_trying(lines)}:
        for name, kind in INTERPOLATIONS.items():
            rest = _residual(lines, count, kind)
            ratio = float(np.log(_residual(lines, count, kind, aside=True) / rest))
            if ratio > best[0]:
                best = ratio, width / count, name
    return best


def _by_mirrored_modes(plane: np.ndarray) -> list[int]:
    """The likeliest numbers of samples along x of a plane `(H, W)`.

    Samples at (i + 1/2) W / n make DCT-II modes n - j and n + j proportional to each other, with
    one factor for all lines; lines are taken as vertical modes, which differ from each other.
    """
    width = plane.shape[1]
    modes = fft.dctn(plane, norm="ortho")
    modes /= np.abs(modes) + 1  # what lies under the rounding counts little
    power = modes**2
    scores = {}
    for count in range(_fewest(width), int(width / FACTOR) + 1):
        reach = min(count, width - count, MIRRORED + 1)
        left, right = slice(count - 1, count - reach, -1), slice(count + 1, count + reach)
        product = np.einsum("ij,ij->j", modes[:, left], modes[:, right])
        chance = np.sqrt(np.einsum("ij,ij->j", power[:, left], power[:, right]))
        excess = np.abs(product) / (chance + 1e-3) - 0.8  # the mean of |N(0, 1)|
        scores[count] = float(excess.sum() / np.sqrt(max(len(excess), 1)))
    return sorted(scores, key=lambda n: -scores[n])[:CANDIDATES]


def _by_trying(lines: np.ndarray) -> list[int]:
    """The number of samples, few, at which linear interpolation leaves much less than with one
    more or one fewer."""
    counts = range(_fewest(len(lines)) - 1, int(len(lines) / LARGE) + 2)
    if len(counts) < 3:
        return []
    rest = np.log([_residual(lines, count, LINEAR) for count in counts])
    dip = (rest[:-2] + rest[2:]) / 2 - rest[1:-1]
    return [counts[1 + int(np.argmax(dip))]]


def _fewest(width: int) -> int:
    return max(FEWEST, round(width / FARTHEST))


def _residual(lines: np.ndarray, count: int, kind: int, aside: bool = False) -> float:
    """Root mean square of what interpolation leaves of the lines `(W, N)`, with a tenth of rounding
    added."""
    matrix, factor = _interpolation(len(lines), count, kind, aside)
    rest = lines - matrix @ cho_solve(factor, matrix.T @ lines, check_finite=False)
    freedom = 1 - matrix.shape[1] / len(lines)
    return float(np.sqrt(np.vdot(rest, rest) / rest.size / freedom + 0.1 / 12))


@lru_cache(maxsize=512)
def _interpolation(
    width: int, count: int, kind: int, aside: bool
) -> tuple[np.ndarray, tuple[np.ndarray, bool]]:
    """Matrix `(width, samples)` of OpenCV's resize from `count` samples, in place or half a sample
    aside, and the Cholesky factor of its normal equations."""
    if aside:
        longer = round((count + 2) * width / count)
        matrix = cv2.resize(np.eye(count + 2), (count + 2, longer), interpolation=kind)
        first = round(width / count / 2)
        matrix = matrix[first : first + width]
        matrix = matrix[:, np.abs(matrix).sum(axis=0) > 1e-3]
    else:
        matrix = cv2.resize(np.eye(count), (count, width), interpolation=kind)
    normal = matrix.T @ matrix + 1e-6 * np.eye(matrix.shape[1])
    return matrix.astype(np.float32), cho_factor(normal.astype(np.float32))
