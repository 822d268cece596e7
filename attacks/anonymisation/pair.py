"""What was done to a picture whose original is at hand: settled by doing it again.

Every family is fitted to the pair by least residual in the region, beside the tools of a catalogue
where they are given. What the pixels alone would have said stands beside the answer: the
difference is what keeping the setting secret is worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from reid_audit.attacks.anonymisation.ellipse import Box
from reid_audit.attacks.anonymisation.estimate import identify
from reid_audit.attacks.anonymisation.region import Region, whole_part
from reid_audit.attacks.anonymisation.result import EncodedInfo, Identification, with_codec
from reid_audit.attacks.anonymisation.structure import block_grid
from reid_audit.attacks.operators import Operator, parse
from reid_audit.attacks.operators.blur import rule_kernel, rule_sigma
from reid_audit.attacks.operators.tools import Placed
from reid_audit.attacks.operators.tools.matching import LENGTH_NAMES, lengths_of
from reid_audit.metrics.errors import InputError

UNCHANGED = 2.5
"""Root mean square difference in grey levels, of pictures smoothed against codecs, up to which
nothing was done."""
EXPLAINED = 0.12
"""Share of the change, in root mean squares, that the best operator may leave unexplained."""
FOREIGN = 0.7
"""Share from which it was painted or put there from elsewhere; between the two nothing is known,
since a place that overlaps another, or whose border is not known, explains as much."""
STEPS = (-9, -6, -4, -2, -1, 1, 2, 4, 6, 9)
"""Pixels by which the sides of a place are moved when no operator fits: codecs blur its border."""
SWEEPS = 2
SETTLED = 0.5
"""Residual in grey levels, rounding's, from which no further family is tried."""
SIMPLER = 1.03
"""Residual, in the least one's, up to which an earlier family is taken, or a tool."""
ALIKE, ROUNDING = 1.1, 0.1
"""Residual, in the least one's and beyond it in grey levels, up to which a tool is said to fit."""
ONE_COLOUR = 0.94
"""Share of its pixels from which a part is filled with one colour."""
FLAT = 3.0
"""Standard deviation in grey levels of a part filled with one colour, through a codec."""
SAME_COLOUR = 1.5
"""Residual in grey levels up to which a smoothing tool explains one colour: that of the part."""
WHITE = 0.55
"""Difference left by smoothing, in the whole, under which it is noise."""
SHUFFLED = 2.0
"""Mean difference in grey levels of sorted values under which pixels only changed places."""
MARGIN = 0.5
"""Surroundings in sides of the region that a tool may have looked at."""
SMALLEST = 6
"""Sides in pixels."""
PATIENCE = 3
"""Places further in, each leaving no less than the best, after which no further is looked at."""
RATIO = 1.25
"""Step of the first search over lengths."""
ANGLES = np.arange(0, 180, 22.5)
DEPENDENT = 0.3
"""Correlation with the picture's own detail from which a difference is no noise."""
MEDIANS = (3, 5, 7, 9, 13, 17, 23, 31, 41, 55)

Filter = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class PairIdentification:
    """What was done, settled on a pair of pictures.

    settled: fitted to original and anonymised picture; unaided: what the anonymised pixels alone
    say about the same region; residual: root mean square in grey levels of what the operator leaves
    unexplained, `change`: of what was changed in all.
    """

    settled: Identification
    unaided: Identification
    residual: float
    change: float


def in_place(picture: np.ndarray, placed: Placed) -> np.ndarray:
    """What a tool does in one place of a picture `(H, W, 3)`."""
    return placed.operator.apply_in(picture, placed.box, np.random.default_rng(0))


@dataclass(frozen=True)
class Placings:
    """What a tool would have done to a picture, at each place where it may have been.

    A tool with a fading edge does not show where its place ends: `at` takes the pixels on each
    side, fewer than `count`, by which the place lies inside the one that was seen. `remake`: the
    original as the tool leaves it, of a tool that looks at more than the original's own pixels:
    those are a part of a picture.
    """

    at: Callable[[int], Placed]
    count: int = 1
    remake: Callable[[np.ndarray, Placed], np.ndarray] = in_place


def identify_pair(
    original: np.ndarray,
    anonymised: np.ndarray,
    region: Box | Region | None = None,
    encoded: EncodedInfo | None = None,
    tools: Mapping[str, Placings] | None = None,
) -> PairIdentification:
    """What was done to `original` in `region` (default: the whole picture) to make `anonymised`.

    Both are `(H, W, 3)` uint8 of one size; `encoded`: header facts of the anonymised file;
    `tools`: by name, what tools of a catalogue would have done to this picture.

    Raises:
        InputError: the pictures differ in size, or the region does not lie in them.
    """
    if original.shape != anonymised.shape:
        raise InputError(
            f"a pair must have one size, not {original.shape} and {anonymised.shape}; resize one."
        )
    height, width = anonymised.shape[:2]
    place = region if isinstance(region, Region) else Region(region or (0, 0, width, height))
    unaided = identify(anonymised, encoded, place)
    with threadpool_limits(1):
        settled, residual, change = _settle(original, anonymised, place, unaided, tools or {})
    return PairIdentification(settled, unaided, residual, change)


@dataclass(frozen=True)
class _Candidate:
    """A setting of a family and what it does to a region `(H, W, 3)` uint8."""

    family: str
    parameters: dict[str, Any]
    spec: str
    apply: Filter


def _settle(
    original: np.ndarray,
    anonymised: np.ndarray,
    place: Region,
    unaided: Identification,
    tools: Mapping[str, Placings],
) -> tuple[Identification, float, float]:
    """The answer, its residual and the whole change."""
    core = whole_part(place) if place.shape == "ellipse" or place.soft else place.box
    answer = replace(
        unaided,
        region=place.box,
        region_shape=place.shape,
        parameters={},
        spec=None,
        confidence=1.0,
        odds={},
    )
    before, after = _part(original, core), _part(anonymised, core)
    change = _distance(before, after)
    raw = float(np.sqrt(((before.astype(np.float32) - after) ** 2).mean()))
    if change < UNCHANGED and raw < 2 * UNCHANGED:
        still = {"sigma_x": 0.0, "sigma_y": 0.0, "kernel_size": 1}
        return replace(answer, family="none", parameters=still, spec="none"), change, change
    if min(after.shape[:2]) < SMALLEST:
        return replace(answer, family="unknown", confidence=0.0), change, change
    remade = {
        name: _nearest(original, anonymised, placings, place.box, core)
        for name, placings in tools.items()
    }
    made = {name: rest for name, (rest, _) in remade.items()}
    nearest = min(made, key=made.__getitem__, default=None)
    smoothed = (
        nearest is not None
        and made[nearest] < SAME_COLOUR
        and remade[nearest][1].operator.family != "solid"
    )
    filled = None if smoothed else _filled(after)
    if filled is not None:
        told = {"color": filled}
        return replace(answer, family="solid", parameters=told, spec="solid"), 0.0, change
    if change < WHITE * raw and _independent(before, after):
        level = {"sigma": round(raw, 2)}
        spec = f"noise:sigma={raw:.3g}"
        return replace(answer, family="noise", parameters=level, spec=spec), raw, change
    if nearest is not None and made[nearest] < SETTLED:
        best, rest = _of_tool(remade[nearest][1]), made[nearest]
    else:
        best, rest = _best(original, place, core, after)
    if rest > UNCHANGED and (nearest is None or made[nearest] > UNCHANGED):
        best, rest = _with_moved_sides(original, anonymised, place, best, rest)
    if nearest is not None and made[nearest] <= SIMPLER * rest + 0.02:
        best, rest = _of_tool(remade[nearest][1]), made[nearest]
    if rest > max(EXPLAINED * change, UNCHANGED):
        sorted_gap = np.abs(np.sort(before, axis=None).astype(float) - np.sort(after, axis=None))
        if sorted_gap.mean() < SHUFFLED:
            return replace(answer, family="permute"), rest, change
        if rest > FOREIGN * change:
            return replace(answer, family="generative"), rest, change
        return replace(answer, family="unknown", confidence=0.0), rest, change
    spec = best.spec
    if place.shape == "ellipse" and "deface" not in spec:
        spec += f"|ellipse:soft={place.soft:.2g}" if place.soft else "|ellipse"
    alike = sorted((r, name) for name, r in made.items() if r <= ALIKE * rest + ROUNDING)
    settled = replace(
        answer,
        family=best.family,
        parameters=best.parameters,
        spec=spec,
        tools=tuple(name for _, name in alike),
    )
    return with_codec(settled), rest, change


def _filled(part: np.ndarray) -> tuple[int, int, int] | None:
    """The colour that a part `(H, W, 3)` was filled with, through a codec, or None."""
    colour = np.median(part.reshape(-1, 3), axis=0)
    near = np.abs(part - colour).max(axis=2) <= 4 * FLAT
    if near.mean() < ONE_COLOUR or part[near].std(axis=0).max() >= FLAT:
        return None
    red, green, blue = (int(v) for v in colour)
    return red, green, blue


def _nearest(
    original: np.ndarray, anonymised: np.ndarray, placings: Placings, box: Box, core: Box
) -> tuple[float, Placed]:
    """What a tool that is applied to the original leaves in the middle of the place, and the place
    where it leaves least; where that is to be found, what is left in all of the box counts as well:
    there the edge shows."""
    parts = (core,) if placings.count == 1 else (core, box)

    @cache
    def rest(inset: int) -> float:
        made = placings.remake(original, placings.at(inset))
        return max(_distance(_part(made, part), _part(anonymised, part)) for part in parts)

    best, inset, worse = 0, 1, 0
    while inset < placings.count and worse < PATIENCE:
        if rest(inset) < rest(best):
            best, worse = inset, 0
        else:
            worse += 1
        inset += max(1, inset // 2)
    step = best // 3
    while step:
        near = (i for i in (best - step, best + step) if i < placings.count)
        best, step = min((best, *near), key=rest), step // 2
    return rest(best), placings.at(best)


def _of_tool(placed: Placed) -> _Candidate:
    """A tool's layer with its lengths under the names of its family."""
    x0, y0, x1, y1 = placed.box
    height, width = y1 - y0, x1 - x0
    operator = placed.operator.pinned(height, width)
    candidate = _as_candidate(operator)
    lengths = lengths_of(placed.operator, operator.family, height, width)
    if lengths is None:
        return candidate
    head = LENGTH_NAMES[operator.family]
    return replace(candidate, parameters={f"{head}_{axis}": v for axis, v in lengths.items()})


def _best(
    original: np.ndarray,
    place: Region,
    core: Box,
    after: np.ndarray,
) -> tuple[_Candidate, float]:
    """The candidate of least residual, the region taken alone or with its surroundings."""
    fits: list[tuple[float, _Candidate]] = []
    for reach in (0.0, MARGIN):
        outer = _grown(place.box, reach, original.shape)
        clear = _part(original, outer)
        inner = (core[0] - outer[0], core[1] - outer[1], core[2] - outer[0], core[3] - outer[1])

        def residual(candidate: _Candidate, clear: np.ndarray = clear, inner: Box = inner) -> float:
            return _distance(_part(candidate.apply(clear), inner), after)

        side = min(place.box[2] - place.box[0], place.box[3] - place.box[1])
        for candidate in _fitted(residual, after, side, place):
            fits.append((residual(candidate), candidate))
            if fits[-1][0] < SETTLED:
                break
        if min(rest for rest, _ in fits) < UNCHANGED:
            break
    least = min(rest for rest, _ in fits)
    rest, best = next((r, fit) for r, fit in fits if r <= SIMPLER * least + 0.02)
    return best, rest


def _with_moved_sides(
    original: np.ndarray, anonymised: np.ndarray, place: Region, best: _Candidate, rest: float
) -> tuple[_Candidate, float]:
    """The setting of least residual when the sides of the place may lie some pixels elsewhere.

    What tools look at ends at the sides of the place, so that a wide filter is another one where
    they are wrong. Residuals are those of the middle, which lies inside whatever the sides are.
    """
    height, width = original.shape[:2]
    x0, y0, x1, y1 = whole_part(place) if place.shape == "ellipse" else place.box
    inset_x, inset_y = (min(max(STEPS), (side - SMALLEST) // 4) for side in (x1 - x0, y1 - y0))
    middle = (x0 + inset_x, y0 + inset_y, x1 - inset_x, y1 - inset_y)
    if min(middle[2] - middle[0], middle[3] - middle[1]) < SMALLEST:
        return best, rest
    after = _part(anonymised, middle)

    def residual(candidate: _Candidate, box: Box) -> float:
        inner = (middle[0] - box[0], middle[1] - box[1], middle[2] - box[0], middle[3] - box[1])
        return _distance(_part(candidate.apply(_part(original, box)), inner), after)

    def allowed(box: Box) -> bool:
        return (
            0 <= box[0] <= middle[0]
            and 0 <= box[1] <= middle[1]
            and middle[2] <= box[2] <= width
            and middle[3] <= box[3] <= height
        )

    def refitted(box: Box) -> _Candidate:
        side = min(box[2] - box[0], box[3] - box[1])
        there = replace(place, box=box)
        fits = (
            _least(lambda c: residual(c, box), _gaussian, 0.6, side / 2),
            _boxes(lambda c: residual(c, box), side, there),
        )
        return min(fits, key=lambda candidate: residual(candidate, box))

    box, least = place.box, residual(best, place.box)
    for _ in range(SWEEPS):
        for side, step in product(range(4), STEPS):
            sides = list(box)
            sides[side] += step
            tried = (sides[0], sides[1], sides[2], sides[3])
            if allowed(tried) and (told := residual(best, tried)) < least:
                box, least = tried, told
        again = refitted(box)
        if (told := residual(again, box)) < least:
            best, least = again, told
    return best, min(rest, least)


def _fitted(
    residual: Callable[[_Candidate], float], after: np.ndarray, side: int, place: Region
) -> Iterator[_Candidate]:
    """The best setting of each family, the likelier families first."""
    gaussian = _least(residual, _gaussian, 0.6, side / 2)
    kernel = max(3, rule_kernel(gaussian.parameters["sigma_x"]))
    rule = _gaussian(rule_sigma(kernel), kernel)
    yield rule if residual(rule) <= SIMPLER * residual(gaussian) + 0.02 else gaussian
    yield _boxes(residual, side, place)
    grid = block_grid(after)
    sizes = set(range(2, max(3, side // 2)))
    if grid is not None:
        sizes = {round(grid.block_x) + off for off in (-1, 0, 1)} - {0, 1}
    blocks = [
        _pixels(size, mode) for size in sorted(sizes) for mode in ("mean", "bilinear", "nearest")
    ]
    yield min(blocks, key=residual)
    yield _least(residual, _reduced, 1.5, side / 3)
    medians = [_median(size) for size in MEDIANS if size < side]
    if medians:
        yield min(medians, key=residual)
    lengths = sorted({round(v) | 1 for v in np.geomspace(5, max(6, min(side, 80)), 12)})
    if lengths:
        yield min((_line(k, a) for k in lengths for a in ANGLES.tolist()), key=residual)


def _least(
    residual: Callable[[_Candidate], float],
    make: Callable[[float], _Candidate],
    low: float,
    high: float,
) -> _Candidate:
    """The length between two that leaves least: steps by `RATIO`, then finer ones."""
    count = max(2, math.ceil(math.log(max(high / low, RATIO)) / math.log(RATIO)) + 1)
    lengths, step = np.geomspace(low, max(high, low * RATIO), count), RATIO
    best = float(min(lengths, key=lambda length: residual(make(float(length)))))
    for _ in range(4):
        step = step**0.4
        tried = [best / step**2, best / step, best, best * step, best * step**2]
        best = min(tried, key=lambda length: residual(make(length)))
    return make(best)


def _gaussian(sigma: float, kernel: int | None = None) -> _Candidate:
    operator = parse(f"gaussian:sigma={sigma:.4g}" if kernel is None else f"gaussian:k={kernel}")
    return _as_candidate(operator)


def _boxes(residual: Callable[[_Candidate], float], side: int, place: Region) -> _Candidate:
    """A square mean filter, or one that is as long as the region is."""
    x0, y0, x1, y1 = place.box
    square = _whole(residual, lambda k: _box(k, k), max(3, side))
    stretch = (y1 - y0) / (x1 - x0)
    longer = _whole(residual, lambda k: _box(k, max(1, int(k * stretch))), max(3, x1 - x0))
    return min((square, longer), key=residual)


def _whole(
    residual: Callable[[_Candidate], float], make: Callable[[int], _Candidate], most: int
) -> _Candidate:
    """The whole length up to `most` that leaves least."""
    coarse = sorted({max(2, round(v)) for v in np.geomspace(2, most, 24)})
    best = min(coarse, key=lambda k: residual(make(k)))
    reach = max(2, round(0.12 * best))
    near = range(max(2, best - reach), min(most, best + reach) + 1)
    return make(min(near, key=lambda k: residual(make(k))))


def _box(x: int, y: int) -> _Candidate:
    size = max(1, round(math.sqrt(x * y)))
    parameters = {"box_x": x, "box_y": y}
    return _Candidate("box", parameters, f"box:k={size | 1}", lambda a: cv2.blur(a, (x, y)))


def _pixels(size: int, mode: str) -> _Candidate:
    operator = parse(f"pixelate:b={size}" + ("" if mode == "mean" else f",mode={mode}"))
    parameters = {"block_x": size, "block_y": size}
    return replace(_as_candidate(operator), parameters=parameters)


def _reduced(factor: float) -> _Candidate:
    operator = parse(f"downscale:f={factor:.4g}")
    return replace(_as_candidate(operator), parameters={"factor_x": factor, "factor_y": factor})


def _median(size: int) -> _Candidate:
    return _as_candidate(parse(f"median:k={size}"))


def _line(length: int, angle: float) -> _Candidate:
    operator = parse(f"motion:k={length},angle={angle:g}")
    return replace(_as_candidate(operator), parameters={"length": length, "angle": angle})


def _as_candidate(operator: Operator) -> _Candidate:
    def apply(region: np.ndarray) -> np.ndarray:
        return operator.apply(np.ascontiguousarray(region), np.random.default_rng(0))

    return _Candidate(operator.family, operator.parameters, str(operator), apply)


def _part(picture: np.ndarray, box: Box) -> np.ndarray:
    x0, y0, x1, y1 = box
    return np.ascontiguousarray(picture[y0:y1, x0:x1])


def _grown(box: Box, share: float, shape: tuple[int, ...]) -> Box:
    x0, y0, x1, y1 = box
    more_x, more_y = round(share * (x1 - x0)), round(share * (y1 - y0))
    return (
        max(0, x0 - more_x),
        max(0, y0 - more_y),
        min(shape[1], x1 + more_x),
        min(shape[0], y1 + more_y),
    )


def _independent(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a difference has nothing to do with the picture's own detail: what a filter takes
    away does."""
    gap = (after.astype(np.float32) - before).mean(axis=2)
    luma = before.astype(np.float32).mean(axis=2)
    detail = luma - cv2.GaussianBlur(luma, (0, 0), 1.5)
    if detail.std() == 0:
        return True
    return bool(abs(np.corrcoef(gap.ravel(), detail.ravel())[0, 1]) < DEPENDENT)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference in grey levels, without what codecs add at fine scales."""
    gap = cv2.GaussianBlur(a.astype(np.float32) - b.astype(np.float32), (5, 5), 0.8)
    return float(np.sqrt((gap**2).mean()))
