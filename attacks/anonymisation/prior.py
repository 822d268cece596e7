"""How much power clear faces have at each frequency, and how that varies between pictures.

Log power is a smooth surface with few coefficients: natural cubic splines in log radial frequency,
angular terms, and extra terms on the axes (straight edges and picture borders put power there).
Mean and covariance of the coefficients were measured over background pictures
(`fitting/families.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

import numpy as np

from reid_audit.attacks.anonymisation.spectra import Spectrum, empty_spectrum

KNOTS = np.log([1.0, 3.0, 8.0, 20.0, 50.0, 110.0, 255.0])

LEAST = 2e-4
"""Least variance of a combination of coefficients: about the smallest that is measured."""


def _splines(x: np.ndarray) -> np.ndarray:
    """Natural cubic splines `(n, knots)` in truncated-power form: linear past the outer knots."""
    last, before = KNOTS[-1], KNOTS[-2]

    def hinge(knot: float) -> np.ndarray:
        cubes = np.maximum(x - knot, 0) ** 3 - np.maximum(x - last, 0) ** 3
        return np.asarray(cubes / (last - knot))

    bends = [hinge(knot) - hinge(before) for knot in KNOTS[:-2]]
    return np.stack([np.ones_like(x), x, *bends], axis=-1)


def design(spectrum: Spectrum) -> np.ndarray:
    """Terms `(cells, J)` of log power at each cell of a spectrum.

    The radial coordinate is in modes of a square of the same diagonal resolution, so that a
    head-and-shoulders picture has its face at the same place whatever its size in pixels.
    """
    return _design(spectrum.height, spectrum.width, spectrum.growth)


@lru_cache(maxsize=32)
def _design(height: int, width: int, growth: float) -> np.ndarray:
    spectrum = empty_spectrum(height, width, growth)
    side = 2 * np.sqrt(max(height - 1, 1) * max(width - 1, 1))
    y = spectrum.rows.frequency[spectrum.row] * side
    x = spectrum.columns.frequency[spectrum.column] * side
    radius = np.log(np.maximum(np.hypot(x, y), 0.5))
    angle = 2 * np.arctan2(y, x)
    on_x, on_y = (spectrum.row == 0) * 1.0, (spectrum.column == 0) * 1.0
    return np.column_stack(
        [
            _splines(radius),
            np.cos(angle),
            np.cos(angle) * radius,
            np.cos(2 * angle),
            np.cos(2 * angle) * radius,
            on_x,
            on_x * radius,
            on_y,
            on_y * radius,
        ]
    )


@dataclass(frozen=True)
class SpectrumPrior:
    """Normal distribution of the coefficients of the planes, luma first.

    mean: `(P, J)`; covariance: `(P * J, P * J)`.
    """

    mean: np.ndarray
    covariance: np.ndarray

    def first(self, planes: int) -> SpectrumPrior:
        """The prior of the first planes alone."""
        terms = self.mean.shape[1]
        return SpectrumPrior(
            self.mean[:planes], self.covariance[: planes * terms, : planes * terms]
        )


@cache
def face_prior() -> SpectrumPrior:
    """The prior that ships with the package (`prior.json`)."""
    text = resources.files(__package__).joinpath("prior.json").read_text()
    stored = {name: np.array(values) for name, values in json.loads(text).items()}
    variance, axes = np.linalg.eigh(stored["covariance"])
    # Rounded to five digits, the least variances are off and may even be negative.
    covariance = (axes * np.maximum(variance, LEAST)) @ axes.T
    return SpectrumPrior(stored["mean"], covariance)
