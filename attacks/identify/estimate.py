"""What was done to one picture: region first, then exact traces, then spectra."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from attacks.identify import responses
from attacks.identify.compression import MCU, jpeg_quality_of
from attacks.identify.ellipse import inner_rectangle
from attacks.identify.enlarged import Enlargement, enlargement
from attacks.identify.evidence import Evidence, measure
from attacks.identify.learned import classify
from attacks.identify.likelihood import scan
from attacks.identify.prior import face_prior
from attacks.identify.region import find_region
from attacks.identify.result import EncodedInfo, Identification, with_codec
from attacks.identify.spectra import Spectrum
from attacks.identify.structure import block_grid, solid_colour
from attacks.identify.traces import comb_size, line_direction
from attacks.identify.widths import gaussian_widths
from attacks.operators.blur import rule_kernel, rule_sigma
from metrics.errors import InputError

SMALLEST = 8
"""Sides in pixels under which a spectrum says nothing."""
RECTANGULAR = 4.0
"""Standard deviations from which a Gaussian's two axes are taken to differ, if also by more than
`STRETCH`."""
STRETCH = 0.05
"""Log ratio of two sigmas."""
EXPLAINED = 0.9
"""Confidence from which one operator on the whole picture is preferred to one on a part."""
OPENCV = 8.0
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
    stored = None if encoded is None else encoded.quality
    if region is None:
        # The arrays are small: threads would mostly wait for each other.
        with threadpool_limits(1):
            answer = _search(picture, stored)
    else:
        x0, y0, x1, y1 = region
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise InputError(f"region {region} does not lie in a picture of {width} x {height}.")
        with threadpool_limits(1):
            answer = _identify_region(picture, region, stored)
    answer = with_codec(answer)
    if encoded is None:
        return answer
    return replace(answer, codec=encoded.codec, bit_depth=encoded.bit_depth)


def _search(picture: np.ndarray, stored: int | None) -> Identification:
    """The answer for the part that was processed, if one stands out and the whole picture has no
    better explanation: blocks and enlarged samples have straight edges too."""
    height, width = picture.shape[:2]
    found = find_region(picture)
    box = (0, 0, width, height)
    if found.shape == "ellipse":
        part = _identify_ellipse(picture, found.box, stored)
    else:
        part = _identify_region(picture, found.box, stored)
    if found.box == box or part.family in ("solid", "pixelate"):
        return part
    whole = _identify_region(picture, box, stored)
    explained = whole.family not in ("none", "unknown") and whole.confidence > EXPLAINED
    return whole if explained or part.family in ("none", "unknown") else part


def _identify_ellipse(
    picture: np.ndarray, box: tuple[int, int, int, int], stored: int | None
) -> Identification:
    """The answer for the ellipse that touches `box`, from the rectangle inside it."""
    inside = _identify_region(picture, inner_rectangle(box), stored, cut=True)
    spec = None if inside.spec is None else f"{inside.spec}|ellipse"
    return replace(inside, region=box, region_shape="ellipse", spec=spec)


def _identify_region(
    picture: np.ndarray,
    box: tuple[int, int, int, int],
    stored: int | None,
    cut: bool = False,
) -> Identification:
    """`stored`: quality of the JPEG file, None where it is none; `cut`: the box is cut out of what
    was processed."""
    x0, y0, x1, y1 = box
    region = np.ascontiguousarray(picture[y0:y1, x0:x1])
    height, width = region.shape[:2]
    answer = Identification(box, "unknown", quality=stored)
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
    # Units that lie in the region as a whole: what is outside may have been stored before.
    quality = stored or jpeg_quality_of(picture[-(-y0 // MCU) * MCU : y1, -(-x0 // MCU) * MCU : x1])
    evidence = measure(region, cut)
    enlarged = enlargement(region)
    # The samples' places tell an enlargement even under JPEG, where the network guesses.
    family, confidence = classify(evidence.features, "downscale")
    describe = {"none": _none, "box": _box, "motion": _motion, "permute": _permute, "noise": _noise}
    scrambled = family in ("permute", "noise") and confidence > EXPLAINED
    if enlarged.certain and not scrambled:
        family, confidence = "downscale", 1.0
        parameters, spec = _downscale(enlarged)
    elif family == "gaussian":
        parameters, spec = _gaussian(evidence, quality)
    else:
        parameters, spec = describe.get(family, _nothing)(evidence, region)
    return replace(
        answer,
        family=family,
        parameters=parameters,
        noise=float(np.sqrt(evidence.gaussian.noise)),
        codec=None if quality is None else "jpeg",
        quality=quality,
        confidence=confidence,
        spec=spec,
    )


Description = tuple[dict[str, Any], str | None]


def _nothing(evidence: Evidence, region: np.ndarray) -> Description:
    return {}, None


def _none(evidence: Evidence, region: np.ndarray) -> Description:
    return {"sigma_x": 0.0, "sigma_y": 0.0, "kernel_size": 1}, "none"


def _gaussian(evidence: Evidence, quality: int | None) -> Description:
    """Square unless the axes differ by much more than their uncertainty."""
    found = gaussian_widths(evidence.power, quality)
    stretch = abs(np.log(found.x / found.y))
    if stretch > max(STRETCH, RECTANGULAR * np.hypot(found.sd_x, found.sd_y)):
        sigma_x, sigma_y, sd_x, sd_y = found.x, found.y, found.sd_x, found.sd_y
        spec = f"gaussian:sx={sigma_x:.4g},sy={sigma_y:.4g}"
        kernel = max(3, rule_kernel(float(np.sqrt(sigma_x * sigma_y))))
    else:
        sigma_x = sigma_y = found.square
        sd_x = sd_y = found.sd_square
        kernel = max(3, rule_kernel(found.square))
        spec = f"gaussian:k={kernel}"
        opencv = None if quality else _opencv_kernel(evidence.fine, kernel)
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


def _downscale(enlarged: Enlargement) -> Description:
    factor = float(np.sqrt(enlarged.factor_x * enlarged.factor_y))
    parameters = {"factor_x": enlarged.factor_x, "factor_y": enlarged.factor_y}
    return parameters, f"downscale:f={factor:.4g},up={enlarged.interpolation}"


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


def _box(evidence: Evidence, region: np.ndarray) -> Description:
    """The whole width near the scan's, and no wider than the region, that fits best."""
    limit = min(region.shape[:2])
    rough = min(round(2 * evidence.box_half + 1), limit)
    span = max(2, round(0.15 * rough))
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
