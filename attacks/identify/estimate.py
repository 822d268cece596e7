"""What was done to one picture: region first, then exact traces, then spectra."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from attacks.identify import responses
from attacks.identify.evidence import Evidence, measure
from attacks.identify.learned import classify, correct_half
from attacks.identify.likelihood import fit, scan
from attacks.identify.prior import face_prior
from attacks.identify.region import Region, find_region
from attacks.identify.result import EncodedInfo, Identification
from attacks.identify.structure import block_grid, solid_colour
from attacks.identify.traces import comb_size, line_direction
from attacks.operators.blur import rule_kernel
from metrics.errors import InputError

SMALLEST = 8
"""Sides in pixels under which a spectrum says nothing."""
RECTANGULAR = 25.0
"""Gain in log posterior from which a Gaussian's two axes are taken to differ."""
OPENCV = 4.0
"""Gain in log posterior from which the kernel is taken to be OpenCV's."""


def identify(
    picture: np.ndarray,
    encoded: EncodedInfo | None = None,
    region: tuple[int, int, int, int] | None = None,
) -> Identification:
    """Identify the operator that made `picture` `(H, W, 3)` uint8.

    `encoded` are facts from the file's header (`read_encoded`); `region` overrules the search for
    the processed part.

    Raises:
        InputError: not a colour picture of 8 bits, or an impossible region.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise InputError(
            f"identify takes RGB uint8 (H, W, 3), not {picture.dtype} {picture.shape}; convert it."
        )
    height, width = picture.shape[:2]
    if region is None:
        found = find_region(picture)
    else:
        x0, y0, x1, y1 = region
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise InputError(f"region {region} does not lie in a picture of {width} x {height}.")
        found = Region((x0, y0, x1, y1))
    x0, y0, x1, y1 = found.box
    answer = _identify_region(np.ascontiguousarray(picture[y0:y1, x0:x1]))
    answer = replace(answer, region=found.box, region_shape=found.shape)
    if encoded is None:
        return answer
    return replace(
        answer, codec=encoded.codec, quality=encoded.quality, bit_depth=encoded.bit_depth
    )


def _identify_region(region: np.ndarray) -> Identification:
    height, width = region.shape[:2]
    answer = Identification((0, 0, width, height), "unknown")
    colour = solid_colour(region)
    if colour is not None:
        return replace(
            answer,
            family="solid",
            parameters={"color": colour},
            noise=0.0,
            confidence=1.0,
            spec="solid",
        )
    if min(height, width) < SMALLEST:
        return answer
    grid = block_grid(region)
    if grid is not None:
        block = max(1, round((grid.block_x * grid.block_y) ** 0.5))
        parameters = {
            "block_x": grid.block_x,
            "block_y": grid.block_y,
            "phase_x": grid.phase_x,
            "phase_y": grid.phase_y,
        }
        return replace(
            answer,
            family="pixelate",
            parameters=parameters,
            confidence=grid.share,
            spec=f"pixelate:b={block}",
        )
    evidence = measure(region)
    family, confidence = classify(evidence.features)
    describe = {"none": _none, "gaussian": _gaussian, "box": _box, "motion": _motion}
    describe |= {"permute": _permute, "noise": _noise}
    parameters, spec = describe.get(family, _nothing)(evidence, region)
    return replace(
        answer,
        family=family,
        parameters=parameters,
        noise=float(np.sqrt(evidence.gaussian.noise)),
        confidence=confidence,
        spec=spec,
    )


Description = tuple[dict[str, Any], str | None]


def _nothing(evidence: Evidence, region: np.ndarray) -> Description:
    return {}, None


def _none(evidence: Evidence, region: np.ndarray) -> Description:
    return {"sigma_x": 0.0, "sigma_y": 0.0, "kernel_size": 1}, "none"


def _gaussian(evidence: Evidence, region: np.ndarray) -> Description:
    """Square unless two axes explain the spectrum much better; square sigmas are corrected by
    what was learnt from whitened spectra."""
    square = evidence.gaussian
    start = np.repeat(square.shape, 2)
    limits = (0.0, float(min(region.shape[:2])))
    both = fit(evidence.fine, face_prior(), responses.gaussian, start, limits)
    stretch = abs(np.log((both.shape[0] + 1) / (both.shape[1] + 1)))
    tool = "gaussian"
    if square.cost - both.cost > RECTANGULAR and stretch > 0.1:
        halves, sds = both.shape, both.sd
    else:
        half, sd = correct_half(float(square.shape[0]), evidence.features)
        opencv = _opencv_half(evidence, half)
        if opencv is not None:
            tool, half = "cv-gaussian", opencv
        halves, sds = np.array([half, half]), np.array([sd, sd])
    sigma_x, sigma_y = (max(0.1, responses.rule_sigma(float(h))) for h in halves)
    kernel = max(3, rule_kernel(float(np.sqrt(sigma_x * sigma_y))))
    parameters = {
        "sigma_x": sigma_x,
        "sigma_y": sigma_y,
        "sigma_x_sd": 0.3 * float(sds[0]),
        "sigma_y_sd": 0.3 * float(sds[1]),
        "kernel_size": kernel,
    }
    if sigma_x == sigma_y:
        return parameters, f"{tool}:k={kernel}"
    return parameters, f"gaussian:sx={sigma_x:.4g},sy={sigma_y:.4g}"


def _opencv_half(evidence: Evidence, half: float) -> float | None:
    """Half width of the OpenCV kernel near `half` that explains the spectrum better than any of
    torchvision's, if one does: OpenCV rounds the weights to 1/256."""
    reach = max(3, round(0.2 * half))
    halves = np.arange(max(2, round(half) - reach), round(half) + reach + 1)
    banks = [model.bank(halves, evidence.fine) for model in (responses.gaussian, responses.opencv)]
    smooth, rounded = np.split(scan(evidence.fine, face_prior(), np.vstack(banks)), 2)
    if smooth.min() - rounded.min() < OPENCV:
        return None
    return float(halves[np.argmin(rounded)])


def _box(evidence: Evidence, region: np.ndarray) -> Description:
    """Whole widths near the scan's, each axis apart."""
    rough = round(2 * evidence.box_half + 1)
    span = max(2, round(0.15 * rough))
    limit = min(region.shape[:2])
    widths = np.arange(max(1, rough - span), min(limit, rough + span) + 1)
    bank = responses.box.bank((widths - 1) / 2, evidence.fine)
    size = int(widths[np.argmin(scan(evidence.fine, face_prior(), bank))])
    return {"box_x": size, "box_y": size}, f"box:k={size | 1}"


def _motion(evidence: Evidence, region: np.ndarray) -> Description:
    length, angle = line_direction(region)
    odd = 2 * round((length - 1) / 2) + 1
    return {"length": length, "angle": angle}, f"motion:k={odd},angle={angle:g}"


def _permute(evidence: Evidence, region: np.ndarray) -> Description:
    size = comb_size(region)
    return {"block": size}, f"permute:b={size}"


def _noise(evidence: Evidence, region: np.ndarray) -> Description:
    sigma = float(np.sqrt(evidence.gaussian.noise))
    return {"sigma": sigma}, f"noise:sigma={sigma:.3g}"
