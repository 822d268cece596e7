"""Whether an embedded picture shows something clearer than the picture that embeds it.

Both are brought to one scale by what stands around the anonymised places, then compared in bands
of detail. An honest preview has no detail that the picture lacks; the clear original has it just
where the anonymiser worked, and agrees with the picture once both are blurred as strongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""Grey levels 0 to 255, `(H, W)`."""
Relation = Literal["clearer", "same", "negative", "other"]

_SEARCH = 96
"""Longest side in pixels at which the place of one picture in the other is looked for."""
_ALIGN = 320
_BAR = 2.5
_EXACT = 0.97
"""Agreement above which a place needs no search for a better one."""
_TRIED = 3
_SURE = 0.9
_LONGEST = 1600
_SAME_SCENE = 0.55
"""Median correlation of blocks, or correlation of the whole, from which two pictures show one
scene."""
_GRAIN = 3.2, 8.0
"""Least detail in grey levels that counts as lacking: above twice and a half what a codec or a
palette leaves in most of the picture, and within these bounds. After smoothing a good codec leaves
1.3, a palette of 256 colours 4."""
_SHARE = 0.2, 0.5
"""Lacking detail, relative to the picture's own, from which a place counts: three and a half times
what most of the picture has, within these bounds. Honest thumbnails have 0.1, a strongly compressed
film 0.4; places that were anonymised, at a few pixels a face, 0.2 to 2."""
_SAME_WHEN_BLURRED = 0.85
"""Correlation inside an area from which one picture is the other's blur or mosaic."""
_LEFT_OF_MEAN = 0.5
"""Share of a difference that strong smoothing may leave where a picture shows the other's mean."""
_FLAT = 3.0
_WINDOW = 2.5
"""Standard deviation in pixels of the window in which detail is measured."""
_SMALLEST = 30
"""Pixels of an area, at the scale compared: less is an edge or a block of a codec."""
_TURNS = (None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180)


@dataclass(frozen=True)
class Comparison:
    """What an embedded picture is to the visible one."""

    relation: Relation
    """`negative`: the same scene with dark and bright exchanged, as a gain map; `other`: another
    scene, or none that can be recognised."""
    area: float = 0.0
    """Pixels of the embedded picture that are clearer."""


def compare(
    shown: Plane,
    hidden: Plane,
    regions: Sequence[Sequence[float]] = (),
    *,
    still: bool = True,
) -> Comparison:
    """Compare an embedded picture `hidden` with the visible one, `shown`.

    Args:
        regions: boxes x0, y0, x1, y1 of `shown` known to be anonymised; of a still, any detail
            there that `shown` lacks counts.
        still: whether `hidden` was taken at the same moment, as a thumbnail is. A frame of a film
            may show something that moved, so in it only a place counts whose blur is what
            `shown` shows, or that `shown` fills with one colour.
    """
    place = register(shown, hidden)
    if place is None or place.score < _SURE:
        negative = register(shown, 255 - hidden)
        if negative is not None and (place is None or negative.score > place.score):
            return Comparison("negative")
    if place is None:
        return Comparison("other")
    seen, own, valid, step, fit = _at_one_scale(shown, place.hidden, place.matrix)
    known = _mask(regions, fit, own.shape) if len(regions) else None
    # What lies beyond the overlap, as a bar, must not reach into it by smoothing.
    rows, columns = (np.flatnonzero(valid.any(axis=axis)) for axis in (1, 0))
    shared = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    seen, own, valid = seen[shared], own[shared], valid[shared]
    known = known[shared] if known is not None else None
    area = _clearer_area(seen, own, valid, known, still)
    return Comparison("clearer", area * step**2) if area else Comparison("same")


# ---- one picture's place in the other ----------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """`matrix` (2, 3) maps pixels of the embedded picture, turned as it had to be and without
    its bars (`hidden`), to pixels of the visible one."""

    hidden: Plane
    matrix: NDArray[np.float64]
    score: float


def register(shown: Plane, hidden: Plane) -> Place | None:
    """Where the embedded picture lies in the visible one (or beyond it), or None."""
    if min(*shown.shape, *hidden.shape) < 16:
        return None
    places = []
    for turn in _TURNS:
        turned = _turned(hidden, turn)
        for content in _with_and_without_bars(turned):
            for matrix in _simple_places(shown, content):
                place = Place(content, matrix, _agreement(shown, content, matrix))
                if place.score > _EXACT:
                    return place
                places.append(place)
    for turn in _TURNS:
        turned = _turned(hidden, turn)
        content = _with_and_without_bars(turned)[-1]
        places += [
            Place(content, matrix, _agreement(shown, content, matrix))
            for matrix in _searched_places(shown, content)
        ]
    best = max(places, key=lambda place: place.score)
    for place in sorted(places, key=lambda place: -place.score)[:_TRIED]:
        if place.score < _SAME_SCENE / 2:
            break
        matrix = _aligned(shown, place.hidden, place.matrix)
        score = _agreement(shown, place.hidden, matrix)
        if score > best.score:
            best = Place(place.hidden, matrix, score)
    return best if best.score >= _SAME_SCENE else None


def _turned(plane: Plane, turn: int | None) -> Plane:
    return plane if turn is None else np.asarray(cv2.rotate(plane, turn), np.float32)


def _with_and_without_bars(plane: Plane) -> list[Plane]:
    """The picture, and if even bars fill it up to a fixed shape, what stands between them."""
    rows = np.flatnonzero(plane.std(axis=1) > _BAR)
    columns = np.flatnonzero(plane.std(axis=0) > _BAR)
    if len(rows) < 16 or len(columns) < 16:
        return [plane]
    inner = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return [plane] if inner.shape == plane.shape else [plane, inner]


def _simple_places(shown: Plane, hidden: Plane) -> Iterator[NDArray[np.float64]]:
    """The whole picture at another size, and its centre cut to another shape."""
    (height, width), (h, w) = shown.shape, hidden.shape
    yield _scaling(width / w, height / h, 0, 0)
    for scale in (min(width / w, height / h), max(width / w, height / h)):
        yield _scaling(scale, scale, (width - scale * w) / 2, (height - scale * h) / 2)


def _scaling(sx: float, sy: float, x: float, y: float) -> NDArray[np.float64]:
    # Centres of pixels stand at whole numbers, hence the halves.
    return np.array([[sx, 0, x + (sx - 1) / 2], [0, sy, y + (sy - 1) / 2]])


def _searched_places(shown: Plane, hidden: Plane) -> Iterator[NDArray[np.float64]]:
    """The best correlation over scale and shift, with either picture inside the other."""
    big, big_step = _shrunk(shown, _SEARCH)
    small, small_step = _shrunk(hidden, _SEARCH)
    for inner, outer, inside in ((small, big, True), (big, small, False)):
        best, at = 0.0, None
        fit = min(outer.shape[0] / inner.shape[0], outer.shape[1] / inner.shape[1])
        for scale in fit * np.geomspace(0.3, 1.0, 14):
            size = round(inner.shape[1] * scale), round(inner.shape[0] * scale)
            if min(size) < 16:
                continue
            template = cv2.resize(inner, size, interpolation=cv2.INTER_AREA)
            likeness = cv2.matchTemplate(outer, template, cv2.TM_CCOEFF_NORMED)
            _, value, _, (x, y) = cv2.minMaxLoc(np.nan_to_num(likeness, posinf=0, neginf=0))
            if value > best:
                ratio = size[0] / inner.shape[1], size[1] / inner.shape[0]
                best, at = value, (ratio, x, y)
        if at is None:
            continue
        (rx, ry), x, y = at
        into = _scaling(rx, ry, x, y)
        if not inside:
            into = _inverse(into)
        before = _scaling(1 / small_step[0], 1 / small_step[1], 0, 0)
        after = _scaling(big_step[0], big_step[1], 0, 0)
        yield _chain(after, _chain(into, before))


def _chain(second: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    whole: NDArray[np.float64] = np.vstack([second, [0, 0, 1]]) @ np.vstack([first, [0, 0, 1]])
    return whole[:2]


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def _shrunk(plane: Plane, side: int) -> tuple[Plane, tuple[float, float]]:
    """The plane at `side` pixels at most, and how many of its pixels one of the result spans."""
    height, width = plane.shape
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = _reduced(plane, size) if scale < 1 else plane
    return small, (width / size[0], height / size[1])


def _reduced(plane: Plane, size: tuple[int, int]) -> Plane:
    """The plane at another width and height, by area means."""
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _agreement(shown: Plane, hidden: Plane, matrix: NDArray[np.float64]) -> float:
    """Median correlation over blocks, or correlation of the whole, the higher; at a small scale."""
    small, step = _shrunk(hidden, _ALIGN)
    seen, valid = _warped(shown, _chain(matrix, _scaling(*step, 0, 0)), small.shape)
    if valid.mean() < 0.05:
        return 0.0
    a, b = _mean(seen, 1), _mean(small, 1)
    saa, sbb, sab = _moments(a, b, 4.0)
    textured = valid & (sbb > 6.0**2)
    blocks = 0.0
    if textured.sum() > 60:
        blocks = float(np.median((sab / np.sqrt(saa * sbb + 20.0))[textured]))
    x, y = a[valid] - a[valid].mean(), b[valid] - b[valid].mean()
    whole = float((x * y).sum() / (np.sqrt((x**2).sum() * (y**2).sum()) + 1e-6))
    return max(blocks, whole - 0.25)


def _aligned(shown: Plane, hidden: Plane, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The place moved by parts of a pixel until both agree best."""
    small, step = _shrunk(hidden, _ALIGN)
    coarse = _chain(matrix, _scaling(*step, 0, 0))
    seen, valid = _warped(shown, coarse, small.shape)
    if valid.sum() < 400:
        return matrix
    correction: cv2.typing.MatLike = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
    for sigma in (4, 1):
        a, b = _mean(seen, sigma), _mean(small, sigma)
        try:
            _, correction = cv2.findTransformECC(
                b, a, correction, cv2.MOTION_AFFINE, criteria, valid.astype(np.uint8), 1
            )
        except cv2.error:  # it does not converge: the pictures agree no better anywhere near
            return matrix
    finer = _chain(coarse, correction.astype(np.float64))
    if _skew(finer) > 1.2 * _skew(coarse):
        return matrix
    return _chain(finer, _inverse(_scaling(*step, 0, 0)))


def _skew(matrix: NDArray[np.float64]) -> float:
    """How far a map stretches one direction more than the other."""
    stretches = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return float(stretches[0] / max(stretches[1], 1e-6))


def _warped(
    shown: Plane, matrix: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[Plane, NDArray[np.bool_]]:
    """`shown` as the embedded picture's grid sees it, and where it is defined."""
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    source, step = shown, (1.0, 1.0)
    if scale > 1:
        size = (
            max(1, round(shown.shape[1] / scale)),
            max(1, round(shown.shape[0] / scale)),
        )
        source = _reduced(shown, size)
        step = shown.shape[1] / size[0], shown.shape[0] / size[1]
    into = _chain(_scaling(1 / step[0], 1 / step[1], 0, 0), matrix)
    height, width = shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(
        source, into, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    ones = np.ones(source.shape, np.uint8)
    inside = cv2.warpAffine(
        ones, into, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    return np.asarray(seen, np.float32), inside.astype(bool)


# ---- detail ------------------------------------------------------------------------------------


def _at_one_scale(
    shown: Plane, hidden: Plane, matrix: NDArray[np.float64]
) -> tuple[Plane, Plane, NDArray[np.bool_], float, NDArray[np.float64]]:
    """Both on the coarser of their grids, where the overlap is, pixels of `hidden` per pixel, and
    the map into `shown`."""
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    side = max(hidden.shape) * min(1.0, scale)
    own, step = _shrunk(hidden, round(min(side, _LONGEST)))
    fit = _chain(matrix, _scaling(*step, 0, 0))
    seen, valid = _warped(shown, fit, own.shape)
    return seen, own, valid, step[0], fit


def _mask(
    regions: Sequence[Sequence[float]], fit: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """The regions of `shown` on the grid that both share."""
    back = _inverse(fit)
    mask = np.zeros(shape, np.uint8)
    for x0, y0, x1, y1 in regions:
        corners = np.array([[x0, y0, 1], [x1, y0, 1], [x1, y1, 1], [x0, y1, 1]], float) @ back.T
        cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    return mask.astype(bool)


def _clearer_area(
    seen: Plane,
    own: Plane,
    valid: NDArray[np.bool_],
    known: NDArray[np.bool_] | None,
    still: bool,
) -> float:
    """Pixels in which `own` has detail that `seen` lacks, at the finest scale where the two can be
    compared; 0 where there are none."""
    factor = 1
    while min(own.shape) >= 16:
        detail = _Detail.of(seen, own, valid)
        if detail.comparable:
            return float(_counted(detail, seen, own, valid, known, still) * factor**2)
        seen, own = (np.asarray(cv2.pyrDown(plane), np.float32) for plane in (seen, own))
        size = own.shape[1], own.shape[0]
        valid = cv2.resize(valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        if known is not None:
            known = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        factor *= 2
    return 0.0


@dataclass(frozen=True)
class _Detail:
    """Detail round every pixel, in grey levels: of `seen`, of `own`, and what of `own`'s no
    multiple of `seen`'s explains."""

    seen: Plane
    own: Plane
    new: Plane
    lacking: NDArray[np.bool_]
    comparable: bool

    @classmethod
    def of(cls, seen: Plane, own: Plane, valid: NDArray[np.bool_]) -> _Detail:
        a, b = (_band(plane) for plane in (seen, own))
        saa, sbb, new = _unexplained(a, b)
        detail_seen, detail_own = np.sqrt(saa), np.sqrt(sbb)
        inside = cv2.erode(valid.astype(np.uint8), np.ones((5, 5))) > 0
        textured = inside & (detail_seen > _GRAIN[0])
        grain = np.clip(2.5 * _typical(new[inside]), *_GRAIN)
        share = np.clip(3.5 * _typical(new[textured] / detail_seen[textured]), *_SHARE)
        lacking = (
            inside & (new > grain) & (new > share * detail_seen) & (detail_own > 0.8 * detail_seen)
        )
        disagree = (lacking & textured).sum()
        return cls(detail_seen, detail_own, new, lacking, disagree <= 0.4 * textured.sum())


def _typical(values: NDArray[np.floating]) -> float:
    """The lower quartile: places that were anonymised may fill half of the picture."""
    return float(np.percentile(values, 25)) if values.size else 0.0


def _band(plane: Plane) -> Plane:
    fine = _mean(plane, 1.0)
    return fine - _mean(fine, 4.0)


def _mean(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _moments(a: Plane, b: Plane, sigma: float) -> tuple[Plane, Plane, Plane]:
    """Variances and covariance round every pixel."""
    ma, mb = _mean(a, sigma), _mean(b, sigma)
    return (
        np.maximum(_mean(a * a, sigma) - ma * ma, 0),
        np.maximum(_mean(b * b, sigma) - mb * mb, 0),
        _mean(a * b, sigma) - ma * mb,
    )


def _unexplained(a: Plane, b: Plane) -> tuple[Plane, Plane, Plane]:
    """Energy of `a` and `b` round every pixel, and the root of `b`'s energy that neither a multiple
    nor a small shift of `a` explains (least squares over `a` and its two derivatives)."""
    basis = [
        a,
        cv2.Sobel(a, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(a, cv2.CV_32F, 0, 1, scale=1 / 8),
    ]
    gram = np.empty((*a.shape, 3, 3), np.float32)
    moments = np.empty((*a.shape, 3), np.float32)
    for i in range(3):
        moments[..., i] = _mean(basis[i] * b, _WINDOW)
        for j in range(i, 3):
            gram[..., i, j] = gram[..., j, i] = _mean(basis[i] * basis[j], _WINDOW)
    gram[..., range(3), range(3)] += 1.0
    weights = np.linalg.solve(gram, moments[..., None])[..., 0]
    energy = _mean(b * b, _WINDOW)
    new = np.sqrt(np.maximum(energy - (weights * moments).sum(-1), 0))
    return gram[..., 0, 0], energy, new


def _counted(
    detail: _Detail,
    seen: Plane,
    own: Plane,
    valid: NDArray[np.bool_],
    known: NDArray[np.bool_] | None,
    still: bool,
) -> int:
    """Pixels of the areas that are clearer beyond doubt."""
    if (
        still
        and known is not None
        and (detail.lacking & known).sum() > max(_SMALLEST, 0.2 * known.sum())
    ):
        return int((detail.lacking & known).sum())
    opened = cv2.morphologyEx(detail.lacking.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    joined = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    around_agrees = detail.lacking.sum() < 0.35 * valid.sum()
    total = 0
    for label in range(1, count):
        area = int(stats[label, cv2.CC_STAT_AREA])
        if area < _SMALLEST:
            continue
        inside = labels == label
        hidden = _blurred(seen, own, inside) or _filled(seen, own, inside)
        if hidden or (still and around_agrees):
            total += area
    return total


def _blurred(seen: Plane, own: Plane, inside: NDArray[np.bool_]) -> bool:
    """Whether `seen` shows in the area what `own` shows there, blurred: both agree once they are
    smoothed as strongly. Something that moved away differs at every scale."""
    # The area reaches a window's width beyond what differs, and there the two agree anyhow.
    inside = inside & (np.abs(own - seen) > _FLAT)
    if inside.sum() < _SMALLEST / 2:
        return False
    side = np.sqrt(inside.sum())
    a, b = (_mean(plane, max(1.5, 0.12 * side))[inside] for plane in (seen, own))
    if a.std() > _FLAT:
        return float(np.corrcoef(a, b)[0, 1]) > _SAME_WHEN_BLURRED and a.std() < 1.5 * b.std()
    difference = own - seen
    left = (_mean(difference, max(2.0, 0.25 * side))[inside] ** 2).mean()
    return bool(left < _LEFT_OF_MEAN**2 * (difference[inside] ** 2).mean())


def _filled(seen: Plane, own: Plane, inside: NDArray[np.bool_]) -> bool:
    """Whether `seen` covers the area with one colour that does not stand around it anyhow."""
    mask = inside.astype(np.uint8)
    core = cv2.erode(mask, np.ones((5, 5))) > 0
    ring = (cv2.dilate(mask, np.ones((13, 13))) > 0) & ~(cv2.dilate(mask, np.ones((5, 5))) > 0)
    if core.sum() < 12 or not ring.any():
        return False
    colour = float(np.median(seen[core]))
    # The area reaches a window's width beyond the fill, hence not all of it.
    flat = float((np.abs(seen[core] - colour) <= _FLAT).mean())
    return flat > 0.5 and abs(colour - float(own[ring].mean())) > 20
