"""What was done inside one box: exact traces first, then the spectrum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from reid_audit.attacks.anonymisation.compression import MCU, jpeg_quality_of
from reid_audit.attacks.anonymisation.ellipse import Box
from reid_audit.attacks.anonymisation.enlarged import enlargement
from reid_audit.attacks.anonymisation.evidence import Evidence, measure
from reid_audit.attacks.anonymisation.learned import classify, family_odds, smooth_odds
from reid_audit.attacks.anonymisation.parameters import (
    NOISY,
    describe,
    describe_enlargement,
    spread,
)
from reid_audit.attacks.anonymisation.result import Identification
from reid_audit.attacks.anonymisation.structure import block_grid, solid_colour
from reid_audit.attacks.operators.base import ROUNDING_VARIANCE

SMALLEST = 8
"""Sides in pixels under which a spectrum says nothing."""
SURE = 0.9
"""Confidence from which one of several explanations is taken for certain."""
MOST = 768
"""Sides in pixels of the middle of a region that its spectrum is read from."""
SLIGHT = 1.0
"""Standard deviation in pixels under which a filter on everything must be sure."""
SHAKEN = 1.2
"""Standard deviation in grey levels that a codec leaves inside a fill."""
COMMON = 0.5
"""Least confidence in what the other parts of a picture say."""
POSSIBLE = 1e-5
"""Probability of a family from which it is possible."""


def identify_box(
    picture: np.ndarray,
    box: Box,
    stored: int | None,
    cut: bool = False,
    excluded: tuple[str, ...] = (),
    family: str | None = None,
) -> Identification:
    """The answer for one box of a picture `(H, W, 3)` uint8.

    Args:
        stored: quality of the JPEG file, None where it is none.
        cut: whether the box is cut out of what was processed.
        excluded: families that are out of the question.
        family: known from elsewhere, where the pixels leave a choice.
    """
    x0, y0, x1, y1 = box
    everything = picture[y0:y1, x0:x1]
    far_x, far_y = (max(0, side - MOST) // 2 // MCU * MCU for side in (x1 - x0, y1 - y0))
    x0, y0 = x0 + far_x, y0 + far_y
    x1, y1 = min(x1, x0 + MOST), min(y1, y0 + MOST)
    region = np.ascontiguousarray(picture[y0:y1, x0:x1])
    cut |= region.shape != everything.shape
    answer = Identification(box, "unknown", quality=stored)
    exact = _exact(answer, region, everything, cut, (far_x, far_y))
    if exact is not None:
        return exact
    if min(region.shape[:2]) < SMALLEST or region.std() == 0:  # one colour in the middle alone
        return answer
    # Units that lie in the region as a whole: what is outside may have been stored before.
    left, top = (-(-start // MCU) * MCU for start in (x0, y0))
    quality = stored or jpeg_quality_of(picture[top:y1, left:x1])
    evidence = measure(region, cut, quality)
    odds = family_odds(evidence.features, "downscale", *excluded)
    if quality is not None:
        odds = smooth_odds(odds, evidence.features)
    known = family if family in odds else None
    return _smoothed(answer, region, evidence, odds, known, everything.shape == picture.shape)


def _exact(
    answer: Identification,
    region: np.ndarray,
    everything: np.ndarray,
    cut: bool,
    far: tuple[int, int],
) -> Identification | None:
    """The answer where equal pixels give it: one colour, or blocks of one colour each. `region`
    begins `far` pixels inside `everything`."""
    colour = solid_colour(region)
    if colour is not None and solid_colour(everything) is not None:
        return replace(_filled(answer, colour, 1.0), noise=0.0)
    if min(region.shape[:2]) < SMALLEST:
        return None
    grid = block_grid(region)
    # A codec leaves one colour a block of what it shakes, as a mosaic of its blocks would.
    shaken = _one_colour(region) if grid is not None or not cut else None
    if shaken is not None:
        return _filled(answer, shaken, 0.98)
    if grid is None:
        return None
    block = max(1, round((grid.block_x * grid.block_y) ** 0.5))
    parameters = {
        "block_x": grid.block_x,
        "block_y": grid.block_y,
        "phase_x": round((far[0] + grid.phase_x) % grid.block_x),
        "phase_y": round((far[1] + grid.phase_y) % grid.block_y),
    }
    return replace(
        answer,
        family="pixelate",
        parameters=parameters,
        confidence=grid.share,
        spec=f"pixelate:b={block}",
    )


def _filled(
    answer: Identification, colour: tuple[int, int, int], confidence: float
) -> Identification:
    parameters = {"color": colour}
    return replace(
        answer, family="solid", parameters=parameters, confidence=confidence, spec="solid"
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


def _smoothed(
    answer: Identification,
    region: np.ndarray,
    evidence: Evidence,
    odds: dict[str, float],
    family: str | None,
    whole: bool,
) -> Identification:
    """The likeliest of `odds`, or `family` where it is known, with its settings. `whole`: the
    region is the picture."""
    likeliest, confidence = classify(odds)
    if family is not None:
        likeliest, confidence = family, max(odds[family], COMMON)
    # The samples' places tell an enlargement even under JPEG, where the network guesses.
    enlarged = enlargement(region)
    scrambled = likeliest in ("permute", "noise") and confidence > SURE
    if enlarged.certain and not scrambled:
        likeliest, confidence, odds = "downscale", 1.0, {}
        parameters, spec = describe_enlargement(enlarged)
    else:
        parameters, spec = describe(likeliest, evidence, region)
        if whole and odds.get("none", 0.0) > 1 - SURE and _slight(likeliest, parameters):
            likeliest, confidence = "none", odds["none"]
            parameters, spec = describe(likeliest, evidence, region)
    measured = likeliest in ("gaussian", "box", "noise")
    noise = evidence.noise if measured else evidence.gaussian.noise**0.5
    if (
        spec is not None
        and likeliest in ("gaussian", "box")
        and evidence.quality is None
        and noise > NOISY
    ):
        spec += f"|noise:sigma={np.sqrt(noise**2 - ROUNDING_VARIANCE):.3g}"
    return replace(
        answer,
        family=likeliest,
        parameters=parameters,
        noise=float(noise),
        codec=None if evidence.quality is None else "jpeg",
        quality=evidence.quality,
        confidence=confidence,
        spec=spec,
        odds={name: round(p, 5) for name, p in odds.items() if p > POSSIBLE},
    )


def _slight(family: str, parameters: dict[str, Any]) -> bool:
    """Whether a filter is so narrow that it hides nobody, as lenses and resizing leave it."""
    width = spread(family, parameters)
    return width is not None and family != "downscale" and width < SLIGHT
