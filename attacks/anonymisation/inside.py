"""What was done inside one box: exact traces first, then the spectrum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reid_audit.attacks.anonymisation.compression import MCU, jpeg_quality_of
from reid_audit.attacks.anonymisation.ellipse import Box
from reid_audit.attacks.anonymisation.enlarged import enlargement
from reid_audit.attacks.anonymisation.evidence import Evidence, measure
from reid_audit.attacks.anonymisation.learned import SMOOTH, classify, family_odds, smooth_odds
from reid_audit.attacks.anonymisation.parameters import (
    NOISY,
    describe,
    describe_enlargement,
    sigma_in_samples,
    spread,
)
from reid_audit.attacks.anonymisation.result import Identification
from reid_audit.attacks.anonymisation.spectra import is_cut
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
FACTORS = (8, 6, 4, 3, 2, 1.5)
"""By how much regions are thinned at most, and how else."""
WIDE = {"gaussian": 3.0, "box": 1.7}
"""Standard deviation in samples from which a blur is read well."""
NARROW = 5.0
"""Sigma in pixels up to which what all samples say is right without a codec."""
WIDEST = 0.23
"""Standard deviation in shorter sides above which a blur leaves nothing to be read: mean filters
over four fifths."""
FEWEST = 34
"""Samples along the shorter side of a thinned region."""
DOUBTFUL = 0.7
"""Confidence of a thinned region's kind of blur under which a surer one of all samples counts: a
strip beside what was blurred looks like a mean filter's edge."""
LEARNT_SIDE, LEARNT_SIGMA = 300, 12.0
"""Pixels along the longer side of regions, and the sigma of blurs, that `widths` learnt from."""
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
    first = _read(region, cut, quality, excluded)
    known = family if family in first.odds else None
    return _smoothed(answer, region, first, known, everything.shape == picture.shape)


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


@dataclass(frozen=True)
class _Reading:
    """What a region says at one scale, and how probable each family is. `excluded`: families that
    were out of the question."""

    evidence: Evidence
    odds: dict[str, float]
    excluded: tuple[str, ...]

    def likeliest(self, family: str | None) -> tuple[str, float]:
        """A family and its probability: `family`, where it is known."""
        if family is not None:
            return family, max(self.odds[family], COMMON)
        return classify(self.odds)


def _read(
    region: np.ndarray,
    cut: bool,
    quality: int | None,
    excluded: tuple[str, ...],
    factor: float = 1.0,
    noise: float | None = None,
) -> _Reading:
    evidence = measure(region, cut, quality, factor, noise)
    odds = family_odds(evidence.features, "downscale", *excluded)
    if quality is not None:
        odds = smooth_odds(odds, evidence.features)
    return _Reading(evidence, odds, excluded)


def _read_thinned(region: np.ndarray, first: _Reading, family: str | None) -> _Reading:
    """The reading of a smooth region that is thinned as far as its blur stays wide. What a wide
    blur left lies in few of the modes: in all of them it is lost among noise and a codec's errors,
    and it is wider than any that the networks have learnt from."""
    cut, quality, noise = first.evidence.cut, first.evidence.quality, first.evidence.noise
    side = min(region.shape[:2])
    if quality is None and _sigma(first, family) <= NARROW:
        return first
    for factor in FACTORS:
        if side < FEWEST * factor:
            continue
        thin = _read(region, cut, quality, first.excluded, factor, noise)
        name, _ = thin.likeliest(family)
        if name not in WIDE:
            continue
        if WIDE[name] <= sigma_in_samples(name, thin.evidence) <= WIDEST * side / factor:
            return thin
    return first


def _read_blur(
    region: np.ndarray, first: _Reading, family: str | None
) -> tuple[_Reading, _Reading]:
    """The reading of a smooth region, and that which tells its blur: of the region thinned, but
    where the networks have learnt from such blurs as they are. If the region turns out to be cut
    out of what was blurred, both are read anew."""
    thin = _read_thinned(region, first, family)
    quality = first.evidence.quality
    shaken = quality is not None or first.evidence.noise > NOISY
    if not first.evidence.cut and is_cut(region, _sigma(thin, family) if shaken else None):
        first = _read(region, True, quality, first.excluded)
        thin = _read_thinned(region, first, family)
    both = {reading.likeliest(family)[0] for reading in (first, thin)}
    learnt = max(region.shape[:2]) <= LEARNT_SIDE and _sigma(thin, family) <= LEARNT_SIGMA
    # A codec hides a mean filter's width from close samples, and which of the two it was.
    known = both <= set(SMOOTH) if quality is None else both == {"gaussian"}
    if learnt and known:
        return first, first
    sure, unsure = first.likeliest(family)[1], thin.likeliest(family)[1]
    if quality is None and len(both) > 1 and unsure < min(sure, DOUBTFUL):
        thin = replace(thin, odds=first.odds)
    return first, thin


def _sigma(reading: _Reading, family: str | None) -> float:
    """Standard deviation in pixels of the blur that a reading tells of."""
    name, _ = reading.likeliest(family)
    return sigma_in_samples(name, reading.evidence) * max(reading.evidence.step)


def _smoothed(
    answer: Identification,
    region: np.ndarray,
    first: _Reading,
    family: str | None,
    whole: bool,
) -> Identification:
    """The likeliest family, or `family` where it is known, with its settings. `whole`: the region
    is the picture."""
    likeliest, confidence = first.likeliest(family)
    thin = first
    # The samples' places tell an enlargement even under JPEG, where the network guesses.
    enlarged = enlargement(region)
    scrambled = likeliest in ("permute", "noise") and confidence > SURE
    if enlarged.certain and not scrambled:
        likeliest, confidence, odds = "downscale", 1.0, {}
        parameters, spec = describe_enlargement(enlarged)
    else:
        if likeliest in SMOOTH:
            first, thin = _read_blur(region, first, family)
        odds, (likeliest, confidence) = thin.odds, thin.likeliest(family)
        parameters, spec = describe(likeliest, region, first.evidence, thin.evidence)
        if whole and odds.get("none", 0.0) > 1 - SURE and _slight(likeliest, parameters):
            likeliest, confidence = "none", odds["none"]
            parameters, spec = describe(likeliest, region, first.evidence, first.evidence)
    evidence = first.evidence
    measured = likeliest in (*SMOOTH, "noise")
    noise = evidence.noise if measured else evidence.gaussian.noise**0.5
    if spec is not None and likeliest in SMOOTH and evidence.quality is None and noise > NOISY:
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
