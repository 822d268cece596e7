"""What was done to one picture: region first, then exact traces, then spectra."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from reid_audit.attacks.anonymisation import responses
from reid_audit.attacks.anonymisation.blocks import more_blocks
from reid_audit.attacks.anonymisation.compression import MCU, jpeg_quality_of
from reid_audit.attacks.anonymisation.ellipse import Box
from reid_audit.attacks.anonymisation.enlarged import Enlargement, enlargement
from reid_audit.attacks.anonymisation.evidence import Evidence, measure
from reid_audit.attacks.anonymisation.fills import Fill, even_blocks, find_fills, same_place
from reid_audit.attacks.anonymisation.learned import classify, family_odds, smooth_odds
from reid_audit.attacks.anonymisation.likelihood import scan
from reid_audit.attacks.anonymisation.prior import face_prior
from reid_audit.attacks.anonymisation.region import (
    STANDS_OUT,
    Region,
    find_region,
    whole_part,
)
from reid_audit.attacks.anonymisation.result import EncodedInfo, Identification, with_codec
from reid_audit.attacks.anonymisation.scene import find_regions
from reid_audit.attacks.anonymisation.spectra import Spectrum
from reid_audit.attacks.anonymisation.structure import block_grid, solid_colour
from reid_audit.attacks.anonymisation.traces import blocks_under_jpeg, comb_size, line_direction
from reid_audit.attacks.anonymisation.widths import Widths, gaussian_widths
from reid_audit.attacks.operators.base import ROUNDING_VARIANCE
from reid_audit.attacks.operators.blur import rule_kernel, rule_sigma
from reid_audit.metrics.errors import InputError

SMALLEST = 8
"""Sides in pixels under which a spectrum says nothing."""
RECTANGULAR = 4.0
"""Standard deviations from which a Gaussian's two axes are taken to differ, if also by more than
`STRETCH`."""
STRETCH = 0.05
"""Log ratio of two sigmas."""
EXPLAINED = 0.9
"""Confidence from which one operator on the whole picture is preferred to one on a part."""
NOISY = 0.6
"""Standard deviation in grey levels from which noise was added: rounding alone leaves .29."""
FIRM = 0.6
"""Evidence per border pixel under which a part is believed only where what was done to it is
certain, and where that is not one of `RARE`."""
WIDER = 0.45
"""The same where the whole picture is smooth, as enlarged ones are, and the part more so."""
JAGGED = ("pixelate", "downscale", "permute")
"""Families that put straight edges into a whole picture, so that a part seems to stand out."""
MARGIN = 12
"""Range of grey levels in a line of a margin, which a codec may have shaken."""
RARE = ("median", "motion", "permute", "noise")
"""Families that smooth parts of ordinary pictures are taken for."""
CLEAR_PART, SURE_PART = 0.8, 0.8
"""Evidence per border pixel, and confidence in what was done, from which a small part counts."""
PAINTED_PART = 1.2
"""Evidence from which a small part of one colour was painted: bricks and tiles have up to 1.15."""
FAIR_PART = 0.5
"""Evidence from which one of several parts that were smoothed counts."""
LARGEST_HALF = 60
"""Half width of the largest kernel that is looked for under noise."""
LARGE = 1024
"""Longer side in pixels above which a picture is searched from a map of its detail."""
PLACES = 12
"""Places in a large picture that are looked at."""
PAINTED = 2048
"""Longer side in pixels to which pictures are thinned out before paint is looked for."""
PAINT = 0.6
"""Probability from which a part counts as painted."""
BROAD, SLIVER = 12, 0.9
"""Sides in pixels under which more is needed: photographs have flat slivers at their borders."""
CLEARER = 0.6
"""Evidence per border pixel from which a larger part elsewhere is preferred to paint."""
SLIGHT = 1.0
"""Standard deviation in pixels under which a filter on everything must be sure."""
RIMMED = 0.5
"""Share of its rim that is sharp under which a drawing around a clear part may be a wall."""
SHAKEN = 1.2
"""Standard deviation in grey levels that a codec leaves inside a fill."""
MOST = 768
"""Sides in pixels of the middle of a region that its spectrum is read from."""
COMMON = 0.5
"""Least confidence in what the other parts of a picture say."""
POSSIBLE = 1e-5
"""Probability of a family from which it is possible."""
OPENCV = 8.0
"""Gain in log posterior from which the kernel is taken to be OpenCV's."""


def identify(
    picture: np.ndarray,
    encoded: EncodedInfo | None = None,
    region: Box | Region | None = None,
    family: str | None = None,
) -> Identification:
    """Identify the operator that made `picture` `(H, W, 3)` uint8.

    `encoded` are facts from the file's header (`read_encoded`); `region`, a box in pixels or a
    `Region` (an ellipse, a mask that fades), overrules the search for the processed part; `family`
    is what other parts say where this one leaves a choice.

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
        place = region if isinstance(region, Region) else Region(region)
        x0, y0, x1, y1 = place.box
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise InputError(f"region {place.box} does not lie in a picture of {width} x {height}.")
        with threadpool_limits(1):
            answer = _identify_at(picture, place, stored, family)
    answer = with_codec(answer)
    if encoded is None:
        return answer
    return replace(answer, codec=encoded.codec, bit_depth=encoded.bit_depth)


def _search(picture: np.ndarray, stored: int | None) -> Identification:
    """The answer for the part that was processed, if one stands out and the whole picture has no
    better explanation: blocks and enlarged samples have straight edges too."""
    height, width = picture.shape[:2]
    box = (0, 0, width, height)
    if max(height, width) > LARGE:
        regions = find_regions(picture, stored is None, PLACES)
        region = regions[0] if regions else Region(box)
    else:
        region = find_region(picture, was_jpeg=stored is None)
    answer = _explained(picture, region, stored)
    if answer.family == "none" and answer.region == box:
        return _among_several(picture, stored) or answer
    return answer


def _among_several(picture: np.ndarray, stored: int | None) -> Identification | None:
    """The clearest of the small parts of a picture of which none stands out by itself; None where
    no part is clear and no two were smoothed alike."""
    told = [(r, _identify_at(picture, r, stored)) for r in find_regions(picture, stored is None)]
    parts = [(r, a) for r, a in told if a.family not in ("none", "unknown", *RARE)]
    clear = [
        a
        for r, a in parts
        if a.confidence >= SURE_PART
        and r.evidence >= CLEAR_PART
        and (a.family != "solid" or (r.evidence >= PAINTED_PART and even_blocks(picture, r.box)))
    ]
    alike = [a for r, a in parts if r.evidence >= FAIR_PART and a.family in ("gaussian", "box")]
    clear.sort(key=lambda answer: answer.family != "solid")  # through a codec only few are told
    return clear[0] if clear else alike[0] if len(alike) > 1 else None


def _explained(picture: np.ndarray, region: Region, stored: int | None) -> Identification:
    """The answer for a region, unless paint or the whole picture explains more."""
    height, width = picture.shape[:2]
    box = (0, 0, width, height)
    part = _identify_at(picture, region, stored)
    if part.family == "pixelate" and part.odds and region.shape == "box" and region.box != box:
        part = replace(part, region=more_blocks(picture, region.box, part.parameters["block_x"]))
    # Blocks of one colour are flat and have sharp rims, and equal ones side by side look painted.
    exact = part.family == "pixelate" and not part.odds
    paint = None if exact else _painted(picture, region, part)
    if paint is not None and (part.family != "pixelate" or paint.confidence >= SLIVER):
        return replace(paint, quality=stored)
    if region.box == box or region.soft or part.family in ("solid", "pixelate"):
        return part
    whole = _identify_region(picture, box, stored)
    if whole.family in JAGGED and whole.odds and (inner := _without_margins(picture)) != box:
        whole = _identify_region(picture, inner, stored)
    # Noise on everything would not leave a part without detail.
    nothing = whole.family in ("none", "unknown", "noise")
    # What smooths everything leaves no box with sharp sides, and what enlarges it no wider blur.
    clear = region.shape == "box" and (
        (region.evidence >= STANDS_OUT and whole.family not in JAGGED)
        or (region.evidence >= WIDER and _wider(part, whole))
    )
    explained = not (nothing or clear) and whole.confidence > EXPLAINED
    faint = region.shape == "box" and 0 < region.evidence < FIRM
    doubtful = faint and (part.family in RARE or part.confidence < EXPLAINED)
    doubtful = doubtful or part.family in ("none", "unknown")
    return whole if explained or doubtful else part


def _without_margins(picture: np.ndarray) -> Box:
    """The picture less lines of one colour at its border, whose edges look like those of blocks."""
    height, width = picture.shape[:2]
    levels = picture.astype(np.int16)
    rows = np.ptp(levels, axis=1).max(axis=1) > MARGIN
    columns = np.ptp(levels, axis=0).max(axis=1) > MARGIN
    if not rows.any() or not columns.any():
        return 0, 0, width, height
    (top, bottom), (left, right) = ((np.flatnonzero(k)[[0, -1]]) for k in (rows, columns))
    return int(left), int(top), int(right) + 1, int(bottom) + 1


def _wider(part: Identification, whole: Identification) -> bool:
    """Whether a part was surely blurred, and by twice what smooths the whole picture, if only by
    enlarging it."""
    wide, usual = _spread(part), _spread(whole)
    if wide is None or usual is None:
        return False
    return _blurred(part) >= SURE_PART and wide > 2 * usual


def _blurred(part: Identification) -> float:
    """Probability that a part was blurred."""
    return sum(part.odds.get(family, 0.0) for family in ("gaussian", "box"))


def _slight(family: str, parameters: dict[str, Any]) -> bool:
    """Whether a filter is so narrow that it hides nobody, as lenses and resizing leave it."""
    spread = _spread(Identification((0, 0, 0, 0), family, parameters=parameters))
    return spread is not None and family != "downscale" and spread < SLIGHT


def _spread(answer: Identification) -> float | None:
    """Standard deviation in pixels of a filter; None of what is none."""
    told = answer.parameters
    if answer.family == "gaussian":
        return float(max(told["sigma_x"], told["sigma_y"]))
    if answer.family == "box":
        return float(told["box_x"]) / math.sqrt(12)
    if answer.family == "downscale":  # samples so far apart, smoothed by half of it
        return float(max(told["factor_x"], told["factor_y"])) / 2
    return None


def _painted(picture: np.ndarray, region: Region, part: Identification) -> Identification | None:
    """The answer where a part was painted over; None where none was."""
    reduced = max(1, -(-max(picture.shape[:2]) // PAINTED))
    thinned = np.ascontiguousarray(picture[::reduced, ::reduced])
    fills = [f for f in find_fills(thinned, PAINT) if f.probability >= SLIVER or _broad(f.box)]
    if not fills:
        return None
    fill = fills[0]
    x0, y0, x1, y1 = (reduced * v for v in fill.box)
    box = (x0, y0, min(x1, picture.shape[1]), min(y1, picture.shape[0]))
    if _surroundings(fill, box, region, part):
        return None
    answer = Identification(
        box,
        "solid" if fill.one_colour else "generative",
        region_shape=fill.shape,
        parameters={"color": fill.colour},
        noise=0.0,
        confidence=round(fill.probability, 4),
    )
    if not fill.one_colour:
        return answer
    return replace(answer, spec="solid|ellipse" if fill.shape == "ellipse" else "solid")


def _surroundings(fill: Fill, box: Box, region: Region, part: Identification) -> bool:
    """Whether a fill `box` is rather what lies around a clear region: something smaller elsewhere;
    of what looks drawn, a wall behind the region or what has its colour beside it."""
    a, b, c, d = region.box
    clear = region.evidence > CLEARER
    apart = min(box[2], c) <= max(box[0], a) or min(box[3], d) <= max(box[1], b)
    if clear and apart and (c - a) * (d - b) > (box[2] - box[0]) * (box[3] - box[1]):
        return True
    if fill.one_colour:
        return False
    if part.family == "solid" and same_place(box, part.region):
        return True
    certain = part.family == "solid" or _blurred(part) >= SURE_PART
    inside = a >= box[0] and b >= box[1] and c <= box[2] and d <= box[3]
    return clear and certain and (not inside or fill.sharp < RIMMED)


def _broad(box: Box) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) >= BROAD


def _identify_at(
    picture: np.ndarray, place: Region, stored: int | None, family: str | None = None
) -> Identification:
    """The answer for a part of any shape."""
    if place.shape == "ellipse" or place.soft:
        return _identify_masked(picture, place, stored, family)
    return _identify_region(picture, place.box, stored, family=family)


def _identify_masked(
    picture: np.ndarray, region: Region, stored: int | None, family: str | None = None
) -> Identification:
    """The answer for an ellipse or a box that fades, from the rectangle inside it where the mask is
    whole."""
    core = whole_part(region)
    fading_box = region.shape == "box"
    # The one tool known to fade a box blurs it by the Gaussian that blurs the mask.
    excluded = ("box",) if fading_box else ()
    inside = _identify_region(picture, core, stored, True, excluded, family)
    parameters = dict(inside.parameters)
    for side, start, first in (("x", region.box[0], core[0]), ("y", region.box[1], core[1])):
        if (phase := f"phase_{side}") in parameters:
            block = parameters[f"block_{side}"]
            parameters[phase] = round((first - start + parameters[phase]) % block)
    if region.soft:
        parameters["soft"] = region.soft
    spec = inside.spec
    if spec is not None and not fading_box:
        spec += f"|ellipse:soft={region.soft:.2g}" if region.soft else "|ellipse"
    elif inside.family == "gaussian":
        spec = f"imagenet:r={region.soft:.3g},grow=0"
    shape = "soft" if fading_box else "ellipse"
    return replace(inside, region=region.box, region_shape=shape, parameters=parameters, spec=spec)


def _identify_region(
    picture: np.ndarray,
    box: tuple[int, int, int, int],
    stored: int | None,
    cut: bool = False,
    excluded: tuple[str, ...] = (),
    family: str | None = None,
) -> Identification:
    """`stored`: quality of the JPEG file, None where it is none; `cut`: the box is cut out of what
    was processed; `excluded`: families that are out of the question; `family`: known from
    elsewhere, where the pixels leave a choice."""
    x0, y0, x1, y1 = box
    far_x, far_y = (max(0, side - MOST) // 2 // MCU * MCU for side in (x1 - x0, y1 - y0))
    everything = picture[y0:y1, x0:x1]
    x0, y0 = x0 + far_x, y0 + far_y
    x1, y1 = min(x1, x0 + MOST), min(y1, y0 + MOST)
    cut |= (y1 - y0, x1 - x0) != everything.shape[:2]
    region = np.ascontiguousarray(picture[y0:y1, x0:x1])
    height, width = region.shape[:2]
    answer = Identification(box, "unknown", quality=stored)
    colour = solid_colour(region)
    if colour is not None and solid_colour(everything) is not None:
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
    # A codec leaves one colour a block of what it shakes, as a mosaic of its blocks would.
    filled = _one_colour(region) if grid is not None or not cut else None
    if filled is not None:
        return replace(
            answer, family="solid", parameters={"color": filled}, confidence=0.98, spec="solid"
        )
    if grid is not None:
        block = max(1, round((grid.block_x * grid.block_y) ** 0.5))
        parameters = {
            "block_x": grid.block_x,
            "block_y": grid.block_y,
            "phase_x": round((far_x + grid.phase_x) % grid.block_x),
            "phase_y": round((far_y + grid.phase_y) % grid.block_y),
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
    if region.std() == 0:  # one colour in the middle of a part that has others
        return answer
    evidence = measure(region, cut, quality)
    enlarged = enlargement(region)
    # The samples' places tell an enlargement even under JPEG, where the network guesses.
    odds = family_odds(evidence.features, "downscale", *excluded)
    if quality is not None:
        odds = smooth_odds(odds, evidence.features)
    likeliest, confidence = classify(odds)
    if family in odds:
        likeliest, confidence = family, max(odds[family], COMMON)
    describe = {
        "none": _none,
        "gaussian": _gaussian,
        "box": _box,
        "motion": _motion,
        "permute": _permute,
        "pixelate": _pixelate,
        "noise": _noise,
    }
    scrambled = likeliest in ("permute", "noise") and confidence > EXPLAINED
    if enlarged.certain and not scrambled:
        likeliest, confidence, odds = "downscale", 1.0, {}
        parameters, spec = _downscale(enlarged)
    else:
        parameters, spec = describe.get(likeliest, _nothing)(evidence, region)
        unsure = odds.get("none", 0.0) > 1 - EXPLAINED
        if unsure and everything.shape == picture.shape and _slight(likeliest, parameters):
            likeliest, confidence = "none", odds["none"]
            parameters, spec = _none(evidence, region)
    noise = (
        evidence.noise
        if likeliest in ("gaussian", "box", "noise")
        else evidence.gaussian.noise**0.5
    )
    if spec is not None and likeliest in ("gaussian", "box") and quality is None and noise > NOISY:
        spec += f"|noise:sigma={np.sqrt(noise**2 - ROUNDING_VARIANCE):.3g}"
    return replace(
        answer,
        family=likeliest,
        parameters=parameters,
        noise=float(noise),
        codec=None if quality is None else "jpeg",
        quality=quality,
        confidence=confidence,
        spec=spec,
        odds={name: round(p, 5) for name, p in odds.items() if p > POSSIBLE},
    )


def _one_colour(region: np.ndarray) -> tuple[int, int, int] | None:
    """The colour of a region `(H, W, 3)` that was filled and went through a codec, which shakes
    pixels near its border."""
    height, width = region.shape[:2]
    in_y, in_x = min(8, height // 4), min(8, width // 4)
    inside = region[in_y : height - in_y, in_x : width - in_x].reshape(-1, 3).astype(np.float32)
    if not len(inside) or inside.std(axis=0).max() > SHAKEN:
        return None
    red, green, blue = (int(v) for v in np.median(inside, axis=0))
    return red, green, blue


Description = tuple[dict[str, Any], str | None]


def _nothing(evidence: Evidence, region: np.ndarray) -> Description:
    return {}, None


def _none(evidence: Evidence, region: np.ndarray) -> Description:
    return {"sigma_x": 0.0, "sigma_y": 0.0, "kernel_size": 1}, "none"


def _gaussian(evidence: Evidence, region: np.ndarray) -> Description:
    """Square unless the axes differ by much more than their uncertainty; under noise, which the
    networks of `widths` do not know, by the likelihood alone."""
    if evidence.quality is None and evidence.noise > NOISY:
        widths = _width_under_noise(evidence.fine)
    else:
        widths = gaussian_widths(evidence.power, evidence.quality, evidence.cut)
    stretch = abs(np.log(widths.x / widths.y))
    if stretch > max(STRETCH, RECTANGULAR * np.hypot(widths.sd_x, widths.sd_y)):
        sigma_x, sigma_y, sd_x, sd_y = widths.x, widths.y, widths.sd_x, widths.sd_y
        spec = f"gaussian:sx={sigma_x:.4g},sy={sigma_y:.4g}"
        kernel = max(3, rule_kernel(float(np.sqrt(sigma_x * sigma_y))))
    else:
        sigma_x = sigma_y = widths.square
        sd_x = sd_y = widths.sd_square
        kernel = max(3, rule_kernel(widths.square))
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
    widths = np.arange(max(2, rough - span), min(limit, rough + span) + 1)
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


def _pixelate(evidence: Evidence, region: np.ndarray) -> Description:
    """Under a JPEG: blocks are no longer of one colour, but jump at regular places."""
    size = blocks_under_jpeg(region)
    return {"block_x": size, "block_y": size}, f"pixelate:b={size}"


def _noise(evidence: Evidence, region: np.ndarray) -> Description:
    sigma = evidence.noise
    return {"sigma": sigma}, f"noise:sigma={sigma:.3g}"
