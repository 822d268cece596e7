"""Restoration of a blur that is seen through a mask, or whose window is even.

Such a blur is not diagonal in any fixed basis: outside the mask the face is seen as it is, inside
it blurred, and what was blurred there reaches beyond. The estimate is still that of least mean
square error: with a prior on the slowest modes, both kinds of pixels are observations of them, and
one system of linear equations gives the modes that explain both. An inverse that takes no notice of
the mask makes much of what contradicts it, and names nobody (benchmarks/tried.md, linear
restoration).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from reid_audit.attacks.operators.base import Cover
from reid_audit.attacks.operators.spectrum import inverse_basis

MODES = 1600
"""Most modes that are solved for: their number cubed is what a system costs."""
LEFT_OUT = 0.05
"""What the other modes may add to the blurred picture, in the noise's variance, before more modes
are taken."""
TOO_MUCH = 24.0
"""The same from which a picture was blurred too little for so few modes."""
FEWEST, STEP = 64, 1.25
"""Numbers of modes that are tried: the first, and the ratio of the others."""

Extent = tuple[int, int]
"""How many of the slowest rows and columns of modes."""


@dataclass(frozen=True, eq=False)
class _Plane:
    """One colour's equations: the extent of its modes, the variance of what else is in a covered
    and in an open pixel, the root of the prior `(R * C,)`, the factor of the matrix."""

    extent: Extent
    covered: float
    open: float
    root: np.ndarray
    factor: tuple[np.ndarray, bool]


@dataclass(frozen=True, eq=False)
class System:
    """The equations of all regions of one size under one cover.

    down `(H, R)`, across `(W, C)`: the slowest modes along both axes.
    """

    cover: Cover
    down: np.ndarray
    across: np.ndarray
    planes: tuple[_Plane, ...]

    @classmethod
    def of(cls, cover: Cover, prior: np.ndarray, noise: np.ndarray | float) -> System | None:
        """The equations, or None where what covers a region leaves more modes than can be solved
        for.

        Args:
            prior: power `(P, H, W)` of the clear planes' DCT-I modes. noise: variance of what was
            added to what is seen, one or `(H, W)` for every mode.
        """
        shape = cover.pixels.shape
        level = np.broadcast_to(noise, shape)
        through = np.outer(_strength(cover.rows), _strength(cover.columns))
        chosen = []
        for power in prior:
            for extent in _extents(*shape):
                white = float(level[: extent[0], : extent[1]].mean())
                rest = _beyond(power * through, extent)
                if rest <= LEFT_OUT * white:
                    break
            if rest > TOO_MUCH * white:
                return None
            chosen.append((extent, white + rest, white + _beyond(power, extent)))
        rows, columns = (max(sides) for sides in zip(*(e for e, _, _ in chosen), strict=True))
        down = inverse_basis(shape[0])[:, :rows]
        across = inverse_basis(shape[1])[:, :columns]
        inside = _products(cover.pixels, cover.rows @ down, cover.columns @ across)
        outside = _products(~cover.pixels, down, across)
        planes = []
        for power, (extent, covered, open_) in zip(prior, chosen, strict=True):
            m, n = extent
            own = (np.arange(rows)[:, None] < m) & (np.arange(columns) < n)
            index = np.ix_(*(np.flatnonzero(own),) * 2)
            root = np.sqrt(power[:m, :n]).ravel()
            matrix = (inside[index] / covered + outside[index] / open_) * root[:, None] * root
            matrix[np.diag_indices(len(matrix))] += 1
            factor = cho_factor(matrix, overwrite_a=True, check_finite=False)
            planes.append(_Plane(extent, covered, open_, root, factor))
        return cls(cover, down, across, tuple(planes))

    def uncovered(self, seen: np.ndarray) -> tuple[np.ndarray, float]:
        """The linear estimate of least mean square error, `(P, H, W)` float64, from the planes that
        are seen, `(P, H, W)`; these themselves where nothing covers them. And how surprising the
        covered pixels of the first plane are: about 1 where the cover is the one that was used."""
        pixels = self.cover.pixels
        out, surprises = [], []
        for plane, own in zip(seen.astype(float), self.planes, strict=True):
            down, across = self.down[:, : own.extent[0]], self.across[:, : own.extent[1]]
            covered = self.cover.rows.T @ (plane * pixels) @ self.cover.columns / own.covered
            told = down.T @ (covered + plane * ~pixels / own.open) @ across
            modes = cho_solve(own.factor, own.root * told.ravel(), check_finite=False)
            estimate = down @ (own.root * modes).reshape(own.extent) @ across.T
            error = self.cover.rows @ estimate @ self.cover.columns.T - plane
            misfit = (error[pixels] ** 2).sum() / own.covered
            misfit += ((estimate - plane)[~pixels] ** 2).sum() / own.open
            surprises.append((misfit + (modes**2).sum()) / pixels.size)
            out.append(np.where(pixels, estimate, plane))
        return np.stack(out), float(surprises[0])


def _products(pixels: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Inner products `(R C, R C)`, over some pixels `(H, W)`, of the pictures that are made of a
    column of `down (H, R)` and one of `across (W, C)`."""
    rows, columns = down.shape[1], across.shape[1]
    by_row = pixels @ (across[:, :, None] * across[:, None, :]).reshape(len(across), -1)
    pairs = (down[:, :, None] * down[:, None, :]).reshape(len(down), -1)
    product = (pairs.T @ by_row).reshape(rows, rows, columns, columns)
    return np.asarray(product.transpose(0, 2, 1, 3).reshape(rows * columns, rows * columns))


def _strength(axis: np.ndarray) -> np.ndarray:
    """Share `(N,)` of its power that a matrix `(N, N)` leaves to every mode."""
    modes = inverse_basis(len(axis))
    return np.asarray(((axis @ modes) ** 2).sum(axis=0) / (modes**2).sum(axis=0))


def _beyond(power: np.ndarray, extent: Extent) -> float:
    """Variance of a pixel from the modes `(H, W)` beyond an extent."""
    return float((power.sum() - power[: extent[0], : extent[1]].sum()) / power.size)


def _extents(height: int, width: int) -> Iterator[Extent]:
    """From few modes to as many as can be solved for, in the region's proportions."""
    most = min(MODES, height * width)
    count = min(FEWEST, most)
    while True:
        rows = min(height, max(1, int((count * height / width) ** 0.5)))
        yield rows, min(width, max(1, int(count / rows)))
        if count >= most:
            return
        count = min(most, int(STEP * count) + 1)
