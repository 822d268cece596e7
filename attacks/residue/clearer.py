"""Whether an embedded picture shows something clearer than the picture that embeds it.

Both are brought to one scale by what stands around the anonymised places, then compared in bands
of detail. An honest preview has no detail that the picture lacks; the clear original has it just
where the anonymiser worked, and agrees with the picture once both are blurred as strongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.residue.registration import (
    Plane,
    chain,
    inverse,
    mean,
    register,
    scaling,
    shrunk,
    warped,
)

Relation = Literal["clearer", "same", "negative", "other"]

_SURE = 0.9
"""Agreement under which one picture may be the other's negative."""
_LONGEST = 1600
"""Longest side in pixels at which the two are compared."""
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
"""Difference in grey levels up to which a codec explains it."""
_WINDOW = 2.5
"""Standard deviation in pixels of the window in which detail is measured."""
_SMALLEST = 30
"""Pixels of an area, at the scale compared: less is an edge or a block of a codec."""


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


def _at_one_scale(
    shown: Plane, hidden: Plane, matrix: NDArray[np.float64]
) -> tuple[Plane, Plane, NDArray[np.bool_], float, NDArray[np.float64]]:
    """Both on the coarser of their grids, where the overlap is, pixels of `hidden` per pixel, and
    the map into `shown`."""
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    side = max(hidden.shape) * min(1.0, scale)
    own, step = shrunk(hidden, round(min(side, _LONGEST)))
    fit = chain(matrix, scaling(*step, 0, 0))
    seen, valid = warped(shown, fit, own.shape)
    return seen, own, valid, step[0], fit


def _mask(
    regions: Sequence[Sequence[float]], fit: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """The regions of `shown` on the grid that both share."""
    back = inverse(fit)
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
    fine = mean(plane, 1.0)
    return fine - mean(fine, 4.0)


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
        moments[..., i] = mean(basis[i] * b, _WINDOW)
        for j in range(i, 3):
            gram[..., i, j] = gram[..., j, i] = mean(basis[i] * basis[j], _WINDOW)
    gram[..., range(3), range(3)] += 1.0
    weights = np.linalg.solve(gram, moments[..., None])[..., 0]
    energy = mean(b * b, _WINDOW)
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
    a, b = (mean(plane, max(1.5, 0.12 * side))[inside] for plane in (seen, own))
    if a.std() > _FLAT:
        return float(np.corrcoef(a, b)[0, 1]) > _SAME_WHEN_BLURRED and a.std() < 1.5 * b.std()
    difference = own - seen
    left = (mean(difference, max(2.0, 0.25 * side))[inside] ** 2).mean()
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
