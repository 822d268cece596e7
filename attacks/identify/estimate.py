"""What was done to one picture: region first, then exact traces, then the model bank."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from attacks.identify import responses
from attacks.identify.likelihood import Fit, fit, scan
from attacks.identify.prior import face_prior
from attacks.identify.region import Region, find_region
from attacks.identify.result import EncodedInfo, Identification
from attacks.identify.spectra import empty_spectrum, spectrum
from attacks.identify.structure import block_grid, solid_colour
from attacks.operators.blur import rule_kernel
from metrics.errors import InputError

COARSE, FINE = 8.0, 16.0
"""Growth of frequency bins for the scan and for the refinement."""
SMALLEST = 8
"""Sides in pixels under which a spectrum says nothing."""
GAUSSIAN_HALVES = np.r_[0:4:0.5, 4:12, 12:30:2, 30:60:3, 60:100:6].astype(float)
BOX_HALVES = (np.r_[2:41, 42:60:2, 60:129:3] - 1) / 2


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
    facts = encoded or EncodedInfo("unknown")
    return replace(
        answer,
        region=found.box,
        region_shape=found.shape,
        codec=facts.codec if encoded else None,
        quality=facts.quality,
        bit_depth=facts.bit_depth,
    )


def _identify_region(region: np.ndarray) -> Identification:
    height, width = region.shape[:2]
    whole = (0, 0, width, height)
    colour = solid_colour(region)
    if colour is not None:
        return Identification(
            whole, "solid", parameters={"color": colour}, noise=0.0, confidence=1.0, spec="solid"
        )
    if min(height, width) < SMALLEST:
        return Identification(whole, "unknown")
    grid = block_grid(region)
    if grid is not None:
        return Identification(
            whole,
            "pixelate",
            parameters={
                "block_x": grid.block_x,
                "block_y": grid.block_y,
                "phase_x": grid.phase_x,
                "phase_y": grid.phase_y,
            },
            confidence=grid.share,
            spec=f"pixelate:b={max(1, round((grid.block_x * grid.block_y) ** 0.5))}",
        )
    return _identify_blur(region)


@lru_cache(maxsize=64)
def _bank(family: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Half widths that fit into the region and their log |H|^2 on the coarse cells."""
    halves, model = {
        "gaussian": (GAUSSIAN_HALVES, responses.gaussian),
        "box": (BOX_HALVES, responses.box),
    }[family]
    halves = halves[halves <= min(height, width)]
    return halves, model.bank(halves, empty_spectrum(height, width, COARSE))


def _identify_blur(region: np.ndarray) -> Identification:
    height, width = region.shape[:2]
    coarse, fine = spectrum(region, COARSE), spectrum(region, FINE)
    prior = face_prior()
    gaussians, gaussian_bank = _bank("gaussian", height, width)
    boxes, box_bank = _bank("box", height, width)
    costs = scan(coarse, prior, np.vstack([gaussian_bank, box_bank]))
    gaussian_costs, box_costs = np.split(costs, [len(gaussians)])
    limit = (0.0, float(min(height, width)))
    start = gaussians[np.argmin(gaussian_costs)]
    best = fit(fine, prior, responses.gaussian, np.array([start] * 2), limit)
    family, answer = "gaussian", best
    margin = 10.0
    if box_costs.min() < gaussian_costs.min() - 20:
        start = boxes[np.argmin(box_costs)]
        boxed = fit(fine, prior, responses.box, np.array([start] * 2), limit)
        if boxed.cost < best.cost - margin:
            family, answer = "box", boxed
    gain = abs(gaussian_costs.min() - box_costs.min())
    parameters, spec = _describe(family, answer)
    if family == "gaussian" and parameters["kernel_size"] == 1:
        family, spec = "none", "none"
    return Identification(
        (0, 0, width, height),
        family,
        parameters=parameters,
        noise=float(np.sqrt(answer.noise)),
        confidence=float(-np.expm1(-gain / 50)),
        spec=spec,
    )


def _describe(family: str, found: Fit) -> tuple[dict[str, float | int], str]:
    x, y = (float(v) for v in found.shape)
    sd_x, sd_y = (float(v) for v in found.sd)
    if family == "box":
        size_x, size_y = max(1, round(2 * x + 1)), max(1, round(2 * y + 1))
        size = max(1, round(x + y + 1))
        return {"box_x": size_x, "box_y": size_y}, f"box:k={size}"
    sigma_x, sigma_y = responses.rule_sigma(x), responses.rule_sigma(y)
    kernel = rule_kernel(float(np.sqrt(max(sigma_x, 0.1) * max(sigma_y, 0.1))))
    parameters = {
        "sigma_x": sigma_x,
        "sigma_y": sigma_y,
        "sigma_x_sd": 0.3 * sd_x,
        "sigma_y_sd": 0.3 * sd_y,
        "kernel_size": kernel,
    }
    return parameters, f"gaussian:sx={sigma_x:.4g},sy={sigma_y:.4g}"
