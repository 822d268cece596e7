"""Power spectra of pictures in the basis in which blur is diagonal, binned for speed.

A blur with reflected borders multiplies each DCT-I mode by a known number, without leakage: no
window, no cropping error. Modes are averaged over cells that grow with frequency, so a 256-px
picture of 65,536 modes becomes some 3,000 cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import fft

OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
"""Orthonormal, so that rounding noise stays white with variance 1/12 in every plane."""


COARSEST = 20
"""Modes along each axis that are looked at for bends at the border."""
BENT, SHAKEN = 0.15, 0.75
"""Power of the bends over that of the coarsest modes from which nothing reflected, without and
with a codec or noise."""
APART = 1.5
"""Sigma in samples of a blur whose border is looked at through a codec or noise."""


@dataclass(frozen=True)
class Axis:
    """Frequency bins along one axis of `size` pixels.

    `edges` (bins + 1,): first mode of each bin; `mode` (bins,): mean mode number;
    `average` (bins, size): matrix that averages over the modes of each bin.
    """

    size: int
    edges: np.ndarray
    mode: np.ndarray
    average: np.ndarray

    @property
    def frequency(self) -> np.ndarray:
        """Cycles per pixel at the bins' centres, 0 to 1/2."""
        return self.mode / (2 * max(self.size - 1, 1))


@lru_cache(maxsize=64)
def axis(size: int, growth: float) -> Axis:
    """Bins of width max(1, k / growth) at mode k: a bin each for the first `growth` modes."""
    edges = [0]
    while edges[-1] < size:
        edges.append(min(size, edges[-1] + max(1, int(edges[-1] / growth))))
    starts = np.array(edges)
    counts = np.diff(starts)
    average = np.zeros((len(counts), size))
    for row, (first, count) in enumerate(zip(starts[:-1], counts, strict=True)):
        average[row, first : first + count] = 1 / count
    return Axis(size, starts, average @ np.arange(size), average)


@dataclass(frozen=True)
class Spectrum:
    """Binned power of a region: `power` (planes, cells), `weight` (cells,) modes per cell, and for
    each cell its bin along y and x (`row`, `column`)."""

    height: int
    width: int
    growth: float
    power: np.ndarray
    weight: np.ndarray
    row: np.ndarray
    column: np.ndarray

    @property
    def planes(self) -> int:
        """3, or 1 for a grey region."""
        return len(self.power)

    @property
    def rows(self) -> Axis:
        """The bins of vertical frequency."""
        return axis(self.height, self.growth)

    @property
    def columns(self) -> Axis:
        """The bins of horizontal frequency."""
        return axis(self.width, self.growth)


def is_grey(region: np.ndarray) -> bool:
    """Whether the three channels `(H, W, 3)` are equal."""
    return bool(
        (region[..., 0] == region[..., 1]).all() and (region[..., 1] == region[..., 2]).all()
    )


def planes(region: np.ndarray) -> np.ndarray:
    """Decorrelated planes `(P, H, W)` float64 of a region `(H, W, 3)`: luma and two opponent
    planes, or the one plane of a grey region."""
    if is_grey(region):
        return region[..., 0].astype(float)[None]
    return np.tensordot(OPPONENT, region.astype(float), axes=(1, 2))


def modes(plane: np.ndarray) -> np.ndarray:
    """DCT-I coefficients `(..., H, W)`, scaled like `attacks.operators.spectrum.analyse` (white
    noise of variance v has variance v in each mode) but by FFT."""
    coefficients = fft.dctn(plane, type=1, axes=(-2, -1))
    for position in (-2, -1):
        size = plane.shape[position]
        norm = np.full(size, np.sqrt(2.0 * (size - 1)))
        norm[[0, -1]] = 2 * np.sqrt(size - 1)
        shape = [1, 1]
        shape[position] = size
        coefficients = coefficients / norm.reshape(shape)
    return np.asarray(coefficients)


def power_of(region: np.ndarray, cut: bool = False) -> np.ndarray:
    """Power of every mode `(P, H, W)` of a region `(H, W, 3)`, at least 2 x 2.

    `cut`: the region was cut out of what was processed, so that nothing reflects at its border.
    """
    values = planes(region)
    if not cut:
        return modes(values) ** 2
    return np.asarray((modes(values) - _bent_by_border(values)) ** 2)


def is_cut(region: np.ndarray, sigma: float | None = None) -> bool:
    """Whether a smooth region `(H, W, 3)` was cut out of what was blurred, as when a whole picture
    is blurred and pasted through a mask: then its border bends as much as what is coarse in it.

    Where a blur reflected at the border, a hundredth of that is bent, where it did not, at least a
    sixth. A codec and noise shake the border: under them this is told from samples as far apart as
    the blur is wide, of which `sigma` is a rough guess in pixels.
    """
    bent = BENT if sigma is None else SHAKEN
    if sigma is not None and sigma > APART:
        region, _ = thinned(region, sigma / APART)
    values = planes(region)
    coarse = np.s_[:, :COARSEST, :COARSEST]
    power = modes(values)[coarse] ** 2
    power[:, 0, 0] = 0
    return bool((_bent_by_border(values)[coarse] ** 2).sum() > bent * power.sum())


def thinned(region: np.ndarray, factor: float) -> tuple[np.ndarray, tuple[float, float]]:
    """A region `(H, W, 3)` uint8 with `factor` times fewer samples a side, and how far apart they
    lie along x and y in pixels of the region.

    The lowest modes are kept, so that a blur that reflected at the border still does, and nothing
    is smoothed but what the new samples cannot hold.
    """
    sides = region.shape[:2]
    height, width = kept = [round((side - 1) / factor) + 1 for side in sides]
    coefficients = fft.dctn(region.astype(float), type=1, axes=(0, 1))[:height, :width]
    coefficients[-1] /= 2  # the last mode has no counterpart beyond it any more
    coefficients[:, -1] /= 2
    y, x = ((side - 1) / (few - 1) for side, few in zip(sides, kept, strict=True))
    samples = fft.idctn(coefficients, type=1, axes=(0, 1)) / (x * y)
    return np.clip(np.rint(samples), 0, 255).astype(np.uint8), (x, y)


def _bent_by_border(values: np.ndarray) -> np.ndarray:
    """Modes of the smooth part `(P, H, W)` that bends planes at their border.

    Reflecting a cut-out makes a kink all around, whose power hides what a blur took. The smooth
    part has the same kinks and is harmonic inside (after L. Moisan, "Periodic plus smooth image
    decomposition", 2011, for reflection in place of repetition).
    """
    kinks = np.zeros_like(values)
    for border, bend in ((kinks, values), (kinks.transpose(0, 2, 1), values.transpose(0, 2, 1))):
        # Second difference under reflection, less the one a pixel further in.
        border[:, 0] += 2 * (bend[:, 1] - bend[:, 0]) - (bend[:, 0] - 2 * bend[:, 1] + bend[:, 2])
        border[:, -1] += 2 * (bend[:, -2] - bend[:, -1])
        border[:, -1] -= bend[:, -1] - 2 * bend[:, -2] + bend[:, -3]
    rows, columns = (2 * np.cos(np.pi * np.arange(n) / (n - 1)) - 2 for n in values.shape[1:])
    laplacian = rows[:, None] + columns
    laplacian[0, 0] = np.inf  # the mean has no kinks
    return np.asarray(modes(kinks) / laplacian)


def spectrum(power: np.ndarray, growth: float) -> Spectrum:
    """Binned spectrum of `power_of` a region; the mean is left out."""
    cells = empty_spectrum(*power.shape[1:], growth)
    binned = cells.rows.average @ power @ cells.columns.average.T
    return replace(cells, power=binned[:, cells.row, cells.column])


@lru_cache(maxsize=32)
def empty_spectrum(height: int, width: int, growth: float) -> Spectrum:
    """The cells of a region of this size, without power."""
    rows, columns = axis(height, growth), axis(width, growth)
    weight = np.outer(np.diff(rows.edges), np.diff(columns.edges)).astype(float)
    weight[0, 0] = 0
    row, column = np.nonzero(weight)
    nothing = np.empty((0, len(row)))
    return Spectrum(height, width, growth, nothing, weight[row, column], row, column)
