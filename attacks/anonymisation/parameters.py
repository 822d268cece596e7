"""The settings of each family, read from what was measured on a region."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from reid_audit.attacks.anonymisation import responses
from reid_audit.attacks.anonymisation.enlarged import Enlargement
from reid_audit.attacks.anonymisation.evidence import Evidence
from reid_audit.attacks.anonymisation.likelihood import scan
from reid_audit.attacks.anonymisation.prior import face_prior
from reid_audit.attacks.anonymisation.spectra import Spectrum
from reid_audit.attacks.anonymisation.traces import blocks_under_jpeg, comb_size, line_direction
from reid_audit.attacks.anonymisation.widths import Widths, gaussian_widths
from reid_audit.attacks.operators.blur import rule_kernel, rule_sigma

RECTANGULAR = 4.0
"""Standard deviations from which a Gaussian's two axes are taken to differ, if also by more than
`STRETCH`."""
STRETCH = 0.05
"""Log ratio of two sigmas."""
NOISY = 0.6
"""Standard deviation in grey levels from which noise was added: rounding alone leaves .29."""
LARGEST_HALF = 60
"""Half width of the largest kernel that is looked for under noise."""
UNLIKE = 3.0
"""Ratio of widths from which a mean filter is another than a Gaussian of its standard deviation."""
OPENCV = 8.0
"""Gain in log posterior from which the kernel is taken to be OpenCV's."""

Description = tuple[dict[str, Any], str | None]
"""Parameters as `Identification` names them, and the operator's spec where it is known."""


def describe(family: str, region: np.ndarray, evidence: Evidence, thinned: Evidence) -> Description:
    """The settings of `family` in a region `(H, W, 3)` uint8; nothing of one that has none.

    `evidence` is the region's, `thinned` what a blur's width is read from: the same, or that of the
    region thinned.
    """
    if family == "gaussian":
        return _gaussian(evidence, thinned)
    if family == "box":
        return _box(region, evidence, thinned)
    told = _DESCRIBED.get(family)
    return ({}, None) if told is None else told(region, evidence)


def describe_enlargement(enlarged: Enlargement) -> Description:
    """The settings of samples that were enlarged."""
    factor = float(np.sqrt(enlarged.factor_x * enlarged.factor_y))
    parameters = {"factor_x": enlarged.factor_x, "factor_y": enlarged.factor_y}
    return parameters, f"downscale:f={factor:.4g},up={enlarged.interpolation}"


def sigma_in_samples(family: str, evidence: Evidence) -> float:
    """Standard deviation of a blur, `gaussian` or `box`, in samples of what was measured."""
    if family == "gaussian":
        return _widths(evidence).square
    return _box_samples(evidence) / math.sqrt(12)


def spread(family: str, parameters: Mapping[str, Any]) -> float | None:
    """Standard deviation in pixels of a filter; None of what is none."""
    if family == "gaussian":
        return float(max(parameters["sigma_x"], parameters["sigma_y"]))
    if family == "box":
        return float(parameters["box_x"]) / math.sqrt(12)
    if family == "downscale":  # samples so far apart, smoothed by half of it
        return float(max(parameters["factor_x"], parameters["factor_y"])) / 2
    return None


def _none(region: np.ndarray, evidence: Evidence) -> Description:
    return {"sigma_x": 0.0, "sigma_y": 0.0, "kernel_size": 1}, "none"


def _gaussian(evidence: Evidence, thinned: Evidence) -> Description:
    """Square unless the axes differ by much more than their uncertainty."""
    widths = _widths(thinned)
    (step_x, step_y), step = thinned.step, math.sqrt(math.prod(thinned.step))
    sigma_x, sigma_y, sd_x, sd_y = widths.x * step_x, widths.y * step_y, widths.sd_x, widths.sd_y
    stretch = abs(np.log(sigma_x / sigma_y))
    if stretch > max(STRETCH, RECTANGULAR * np.hypot(sd_x, sd_y)):
        spec = f"gaussian:sx={sigma_x:.4g},sy={sigma_y:.4g}"
        kernel = max(3, rule_kernel(float(np.sqrt(sigma_x * sigma_y))))
    else:
        sigma_x = sigma_y = widths.square * step
        sd_x = sd_y = widths.sd_square
        kernel = max(3, rule_kernel(sigma_x))
        spec = f"gaussian:k={kernel}"
        plain = evidence.quality is None and not evidence.cut
        opencv = _opencv_kernel(evidence.fine, kernel) if plain else None
        if opencv is not None:
            kernel, spec = opencv, f"cv-gaussian:k={opencv}"
            sigma_x = sigma_y = rule_sigma(opencv)
    parameters = {
        "sigma_x": sigma_x,
        "sigma_y": sigma_y,
        "sigma_x_sd": sd_x * sigma_x,
        "sigma_y_sd": sd_y * sigma_y,
        "kernel_size": kernel,
    }
    return parameters, spec


def _widths(evidence: Evidence) -> Widths:
    """A Gaussian's in samples; under noise, which the networks of `widths` do not know, by the
    likelihood alone."""
    if evidence.quality is None and evidence.noise > NOISY:
        return _width_under_noise(evidence.fine)
    return gaussian_widths(evidence.power, evidence.quality, evidence.cut)


def _width_under_noise(fine: Spectrum) -> Widths:
    """The width of equal axes that explains a spectrum best."""
    halves = np.arange(1, min(LARGEST_HALF, min(fine.height, fine.width) // 2) + 1)
    cost = scan(fine, face_prior(), responses.gaussian.bank(halves.astype(float), fine))
    likely = np.exp(cost.min() - cost)
    likely /= likely.sum()
    sigma = rule_sigma(2 * int(halves[np.argmin(cost)]) + 1)
    sigmas = np.array([rule_sigma(2 * int(half) + 1) for half in halves])
    # Half a step of the grid at least.
    sd = max(float(np.sqrt(likely @ (sigmas - sigma) ** 2)), 0.15) / sigma
    return Widths(sigma, sigma, sigma, sd, sd, sd)


def _opencv_kernel(fine: Spectrum, kernel: int) -> int | None:
    """OpenCV kernel near `kernel` that explains the spectrum better than any of torchvision's, if
    one does: OpenCV rounds the weights to 1/256."""
    half = kernel // 2
    reach = max(2, round(0.1 * half))
    halves = np.arange(max(2, half - reach), half + reach + 1)
    banks = [model.bank(halves, fine) for model in (responses.gaussian, responses.opencv)]
    smooth, rounded = np.split(scan(fine, face_prior(), np.vstack(banks)), 2)
    if smooth.min() - rounded.min() < OPENCV:
        return None
    return int(2 * halves[np.argmin(rounded)] + 1)


def _box(region: np.ndarray, evidence: Evidence, thinned: Evidence) -> Description:
    """The whole width, no wider than the region, that fits best; through a codec it is no better
    known than by the samples of `thinned`."""
    size = _box_samples(thinned)
    step = math.sqrt(math.prod(thinned.step))
    if step > 1:
        rough = size * step
        sharp = evidence.quality is None
        size = _box_width(evidence.fine, rough, 2 * step) if sharp else round(rough)
    size = min(size, *region.shape[:2])
    return {"box_x": size, "box_y": size}, f"box:k={size | 1}"


def _box_samples(evidence: Evidence) -> int:
    """A mean filter's width in samples. What a codec adds is no white noise, and may look like the
    nulls of a filter of quite another width than the Gaussian's that resembles it."""
    rough = 2 * evidence.box_half + 1
    if evidence.quality is not None:
        alike = math.sqrt(12) * _widths(evidence).square
        if not alike / UNLIKE < rough < alike * UNLIKE:
            rough = alike
    return _box_width(evidence.fine, rough, 0.15 * rough)


def _box_width(fine: Spectrum, near: float, reach: float) -> int:
    """The whole width within `reach` of `near`, at least two on either side, that fits best."""
    limit = min(fine.height, fine.width)
    middle, span = min(round(near), limit), max(2, round(reach))
    widths = np.arange(max(2, middle - span), min(limit, middle + span) + 1)
    cost = scan(fine, face_prior(), responses.box.bank((widths - 1) / 2, fine))
    return int(widths[np.argmin(cost)])


def _motion(region: np.ndarray, evidence: Evidence) -> Description:
    length, angle = line_direction(region)
    odd = 2 * round((length - 1) / 2) + 1
    return {"length": length, "angle": angle}, f"motion:k={odd},angle={angle:g}"


def _permute(region: np.ndarray, evidence: Evidence) -> Description:
    size = comb_size(region)
    return {"block": size}, f"permute:b={size}"


def _pixelate(region: np.ndarray, evidence: Evidence) -> Description:
    """Under a JPEG: blocks are no longer of one colour, but jump at regular places."""
    x, y = blocks_under_jpeg(region)
    return {"block_x": x, "block_y": y}, f"pixelate:b={max(1, round(math.sqrt(x * y)))}"


def _noise(region: np.ndarray, evidence: Evidence) -> Description:
    sigma = evidence.noise
    return {"sigma": sigma}, f"noise:sigma={sigma:.3g}"


_DESCRIBED: dict[str, Callable[[np.ndarray, Evidence], Description]] = {
    "none": _none,
    "motion": _motion,
    "permute": _permute,
    "pixelate": _pixelate,
    "noise": _noise,
}
