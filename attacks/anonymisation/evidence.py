"""Everything measured on a region before a decision: closed-form fits and a vector of features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reid_audit.attacks.anonymisation import responses
from reid_audit.attacks.anonymisation.likelihood import Fit, fit, scan
from reid_audit.attacks.anonymisation.prior import face_prior
from reid_audit.attacks.anonymisation.spectra import (
    Spectrum,
    empty_spectrum,
    power_of,
    spectrum,
    thinned,
)
from reid_audit.attacks.anonymisation.traces import traces
from reid_audit.attacks.anonymisation.widths import conditions

COARSE, FINE = 6.0, 12.0
"""Growth of frequency bins for the scan and for the refinement."""
GAUSSIAN_HALVES = np.r_[0:3:0.5, 3:8, 8:14:1.5, 14:26:2.5, 26:50:5, 50:100:10].astype(float)
BOX_HALVES = (np.r_[2:16, 16:34:2, 34:70:4, 70:140:8] - 1) / 2
ABSOLUTE = np.geomspace(0.008, 0.71, 21)
"""Edges of the radial bins in cycles per pixel."""
RELATIVE = np.geomspace(0.25, 4.8, 15)
"""Edges of the radial bins in units of 1 / (2 pi sigma) of the fitted blur."""

CORNER = 0.7
"""Share of both frequency axes above which what is left is taken for noise."""
SUMMARY = 9
"""Leading features that sum the fits up; then come the rings of each plane."""
RINGS = len(ABSOLUTE) + len(RELATIVE) - 2
"""Rings of one plane: absolute, then relative."""


@dataclass(frozen=True)
class Evidence:
    """gaussian, box: best fits of square kernels, their shape the half width. margin: by how much
    the box's cost lies under the Gaussian's. features `(F,)`: NaN where a grey region has none.
    power `(P, H, W)` of every mode; fine: the spectrum the fits saw; noise: standard deviation in
    grey levels at the highest frequencies, before it was thinned; quality, cut: as given. step: how
    far apart the samples lie along x and y, in pixels of the region, if it was thinned."""

    gaussian: Fit
    box_half: float
    margin: float
    features: np.ndarray
    power: np.ndarray
    fine: Spectrum
    noise: float
    quality: int | None
    cut: bool
    step: tuple[float, float] = (1.0, 1.0)


@lru_cache(maxsize=32)
def _bank(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half widths of Gaussians and boxes that fit into the region, and their log |H|^2."""
    limit = min(height, width)
    gaussians, boxes = GAUSSIAN_HALVES[limit >= GAUSSIAN_HALVES], BOX_HALVES[limit > BOX_HALVES]
    cells = empty_spectrum(height, width, COARSE)
    banks = responses.gaussian.bank(gaussians, cells), responses.box.bank(boxes, cells)
    return gaussians, boxes, np.vstack(banks)


def measure(
    region: np.ndarray,
    cut: bool = False,
    quality: int | None = None,
    factor: float = 1.0,
    noise: float | None = None,
) -> Evidence:
    """Evidence from a region `(H, W, 3)` uint8 that is not constant, sides at least 8, `cut` out of
    what was processed or the whole of it; `quality`: of the JPEG it was; `factor`: by how much it
    is thinned first; `noise`: of all samples, where that was measured already."""
    step = (1.0, 1.0)
    if factor > 1:
        region, step = thinned(region, factor)
    height, width = region.shape[:2]
    power = power_of(region, cut)
    coarse, fine = spectrum(power, COARSE), spectrum(power, FINE)
    prior = face_prior()
    gaussians, boxes, bank = _bank(height, width)
    costs = scan(coarse, prior, bank)
    gaussian_costs, box_costs = np.split(costs, [len(gaussians)])
    start = gaussians[np.argmin(gaussian_costs)]
    # Within reach of the scan's peak: far from it the likelihood is flat, and steps run away.
    limits = (max(0.0, 0.5 * start - 2), 1.6 * start + 3)
    best = fit(fine, prior, responses.gaussian, np.array([start]), limits)
    box_half = float(boxes[np.argmin(box_costs)])
    margin = float(gaussian_costs.min() - box_costs.min())
    cells = coarse.weight.sum()
    summary = [
        np.log(best.shape[0] + 0.5),
        best.sd[0] / (best.shape[0] + 0.5),
        np.log(best.noise),
        best.cost / cells,
        np.arcsinh(margin / 30),
        np.arcsinh((gaussian_costs[0] - gaussian_costs.min()) / 30),
        np.log(box_half + 0.5),
        np.log(height * width) / 2,
        np.log(height / width),
    ]
    left = white_noise(power)
    features = np.concatenate(
        [
            summary,
            _radial(fine, best),
            traces(region),
            [np.log(left)],
            conditions(power.shape, quality, cut)[2:],
        ]
    )
    noise = left if noise is None else noise
    return Evidence(best, box_half, margin, features, power, fine, noise, quality, cut, step)


def white_noise(power: np.ndarray) -> float:
    """Standard deviation in grey levels of what is left at the highest frequencies of `power_of` a
    region `(P, H, W)`: noise, where a blur took everything else."""
    height, width = (int(CORNER * side) for side in power.shape[1:])
    return float(np.sqrt(power[:, height:, width:].mean()))


def _radial(fine: Spectrum, fit: Fit) -> np.ndarray:
    """Log power in absolute rings, and log power over the fit's in rings that scale with the fitted
    blur, `(3 * 34,)`; chroma is NaN for a grey region."""
    radius = np.hypot(fine.rows.frequency[fine.row], fine.columns.frequency[fine.column])
    sigma = responses.rule_sigma(float(fit.shape[0]))
    absolute = _rings(radius, ABSOLUTE, fine.weight, fine.power)
    scaled = 2 * np.pi * sigma * radius
    observed = _rings(scaled, RELATIVE, fine.weight, fine.power)
    expected = _rings(scaled, RELATIVE, fine.weight, fit.total)
    rings = np.concatenate([absolute, observed - expected], axis=1)
    full = np.full((3, rings.shape[1]), np.nan)
    full[: len(rings)] = rings
    return full.ravel()


def _rings(
    radius: np.ndarray, edges: np.ndarray, weight: np.ndarray, power: np.ndarray
) -> np.ndarray:
    """Log of the mean power `(P, rings)`; an empty ring takes the value of the one before it."""
    ring = np.digitize(radius, edges) - 1
    inside = (ring >= 0) & (ring < len(edges) - 1)
    size = len(edges) - 1
    count = np.bincount(ring[inside], weight[inside], size)
    sums = np.stack([np.bincount(ring[inside], (weight * p)[inside], size) for p in power])
    filled = np.maximum.accumulate(np.where(count > 0, np.arange(size), 0))
    return np.log(sums / np.maximum(count, 1e-9) + 1e-3)[:, filled]
