"""Where one picture lies in another: at another size, turned, cut to another shape, or inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""Grey levels 0 to 255, `(H, W)`."""

_SEARCH = 96
"""Longest side in pixels at which the place of one picture in the other is looked for."""
_ALIGN = 320
"""The same at which two places are compared."""
_BAR = 2.5
"""Standard deviation in grey levels of a line up to which it belongs to a bar."""
_EXACT = 0.97
"""Agreement above which a place needs no search for a better one."""
_TRIED = 3
_SAME_SCENE = 0.55
"""Median correlation of blocks, or correlation of the whole, from which two pictures show one
scene."""
_TURNS = (None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180)


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
    yield scaling(width / w, height / h, 0, 0)
    for scale in (min(width / w, height / h), max(width / w, height / h)):
        yield scaling(scale, scale, (width - scale * w) / 2, (height - scale * h) / 2)


def scaling(sx: float, sy: float, x: float, y: float) -> NDArray[np.float64]:
    """The map `(2, 3)` of pixels that are enlarged and then moved by x, y."""
    # Centres of pixels stand at whole numbers, hence the halves.
    return np.array([[sx, 0, x + (sx - 1) / 2], [0, sy, y + (sy - 1) / 2]])


def _searched_places(shown: Plane, hidden: Plane) -> Iterator[NDArray[np.float64]]:
    """The best correlation over scale and shift, with either picture inside the other."""
    big, big_step = shrunk(shown, _SEARCH)
    small, small_step = shrunk(hidden, _SEARCH)
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
        into = scaling(rx, ry, x, y)
        if not inside:
            into = inverse(into)
        before = scaling(1 / small_step[0], 1 / small_step[1], 0, 0)
        after = scaling(big_step[0], big_step[1], 0, 0)
        yield chain(after, chain(into, before))


def chain(second: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map `(2, 3)` that does `first` and then `second`."""
    whole: NDArray[np.float64] = np.vstack([second, [0, 0, 1]]) @ np.vstack([first, [0, 0, 1]])
    return whole[:2]


def inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map `(2, 3)` back."""
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def shrunk(plane: Plane, side: int) -> tuple[Plane, tuple[float, float]]:
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
    small, step = shrunk(hidden, _ALIGN)
    seen, valid = warped(shown, chain(matrix, scaling(*step, 0, 0)), small.shape)
    if valid.mean() < 0.05:
        return 0.0
    a, b = mean(seen, 1), mean(small, 1)
    saa, sbb, sab = moments(a, b, 4.0)
    textured = valid & (sbb > 6.0**2)
    blocks = 0.0
    if textured.sum() > 60:
        blocks = float(np.median((sab / np.sqrt(saa * sbb + 20.0))[textured]))
    x, y = a[valid] - a[valid].mean(), b[valid] - b[valid].mean()
    whole = float((x * y).sum() / (np.sqrt((x**2).sum() * (y**2).sum()) + 1e-6))
    return max(blocks, whole - 0.25)


def _aligned(shown: Plane, hidden: Plane, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The place moved by parts of a pixel until both agree best."""
    small, step = shrunk(hidden, _ALIGN)
    coarse = chain(matrix, scaling(*step, 0, 0))
    seen, valid = warped(shown, coarse, small.shape)
    if valid.sum() < 400:
        return matrix
    correction: cv2.typing.MatLike = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
    for sigma in (4, 1):
        a, b = mean(seen, sigma), mean(small, sigma)
        try:
            _, correction = cv2.findTransformECC(
                b, a, correction, cv2.MOTION_AFFINE, criteria, valid.astype(np.uint8), 1
            )
        except cv2.error:  # it does not converge: the pictures agree no better anywhere near
            return matrix
    finer = chain(coarse, correction.astype(np.float64))
    if _skew(finer) > 1.2 * _skew(coarse):
        return matrix
    return chain(finer, inverse(scaling(*step, 0, 0)))


def _skew(matrix: NDArray[np.float64]) -> float:
    """How far a map stretches one direction more than the other."""
    stretches = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return float(stretches[0] / max(stretches[1], 1e-6))


def warped(
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
    into = chain(scaling(1 / step[0], 1 / step[1], 0, 0), matrix)
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


def mean(plane: Plane, sigma: float) -> Plane:
    """The mean round every pixel, in a Gaussian window of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def moments(a: Plane, b: Plane, sigma: float) -> tuple[Plane, Plane, Plane]:
    """Variances and covariance round every pixel."""
    ma, mb = mean(a, sigma), mean(b, sigma)
    return (
        np.maximum(mean(a * a, sigma) - ma * ma, 0),
        np.maximum(mean(b * b, sigma) - mb * mb, 0),
        mean(a * b, sigma) - ma * mb,
    )
