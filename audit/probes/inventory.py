"""Which of a picture's faces were covered, which in part, and which were missed.

A face is judged by what an attacker needs of it: both eyes and the mouth, each by how much of its
detail was changed, and the whole face by what share of it lies inside the changed place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.recognition.align import face_width
from reid_audit.audit.data import Box
from reid_audit.audit.probes.difference import (
    NOISE,
    RECTANGULAR,
    Change,
    Difference,
    convex_hull,
)

Landmarks = NDArray[np.float32]
State = Literal["covered", "partial", "missed", "unmatched"]

FEATURE = 0.16
"""Radius of an eye's or the mouth's window, in face widths."""
DETAIL = 0.08
"""Sigma of the blur that the detail of a feature is measured against, in face widths."""
CODED, LEAST, MOST = 4.0, 0.1, 0.6
"""A feature is changed from `CODED` times what coding would change, as a share of its detail,
within these limits: coded features were changed by at most .3 of it, blurred ones by .7 and
more."""
SEEN = 0.25
"""Share of a feature's window whose pixels must be changed by more than coding explains, too: in
small faces a codec changes all of the little detail that there is."""
ACROSS, ALONG = 0.42, 0.5
"""Half axes of the face from brows to below the mouth, in face widths: what must be covered."""
UNTOUCHED = 0.1
"""Share of the face that may be untouched before it is covered in part only."""
STRONG = 5.0
"""Grey levels by which a place without a face must have been changed to be counted."""
TINY = 24
"""Shorter side in pixels up to which ringing makes a changed box look like an ellipse."""
REACH = 1.6
"""Face widths from a face's middle within which a changed place is taken to be its own."""


@dataclass(frozen=True)
class Region:
    """Where a face was processed. shape: `box` or `ellipse`; source: sidecar, configured,
    difference or pixels."""

    box: Box
    shape: str
    source: str


@dataclass(frozen=True)
class Coverage:
    """What became of one face: `untouched` is the share of it outside the changed place, `features`
    how many of both eyes and the mouth were changed, `box` the changed place."""

    state: State
    untouched: float
    features: int
    region: Region | None


def coverage(difference: Difference, faces: Sequence[Landmarks]) -> list[Coverage]:
    """What became of faces with `landmarks (5, 2)` in pixels of the compared pictures."""
    shape = difference.picture.shape
    hidden, processed = np.zeros(shape, bool), np.zeros(shape, bool)
    regions = []
    for row, landmarks in enumerate(faces):
        others = [face for place, face in enumerate(faces) if place != row]
        own = _own_place(difference, landmarks, others)
        if own is not None:
            (x0, y0, x1, y1), pixels, place = own
            hidden[y0:y1, x0:x1] |= pixels
            processed[y0:y1, x0:x1] |= pixels & _within(place, own[0], difference)
        regions.append(own[2] if own is not None else None)
    judged = []
    for landmarks, region in zip(faces, regions, strict=True):
        inside, (left, top) = face_mask(landmarks, shape)
        height, width = inside.shape
        # A neighbour's place hides what it covers of this face as well as its own does.
        there = hidden[top : top + height, left : left + width] & inside
        share = float(there.sum() / inside.sum()) if inside.any() else 0.0
        # Where nothing large enough for a place was changed, features speak for themselves.
        where = processed if difference.blocks and region is not None else np.ones(shape, bool)
        features = sum(
            _changed(difference, landmarks, centre, where) for centre in features_of(landmarks)
        )
        if features == 0:
            judged.append(Coverage("missed", 1 - share, 0, None))
            continue
        whole = features == 3 and share >= 1 - UNTOUCHED
        judged.append(Coverage("covered" if whole else "partial", 1 - share, features, region))
    return judged


def features_of(landmarks: Landmarks) -> tuple[NDArray[np.float32], ...]:
    """Both eyes and the middle of the mouth."""
    return landmarks[0], landmarks[1], np.asarray(landmarks[3:].mean(axis=0), np.float32)


def face_mask(
    landmarks: Landmarks, shape: tuple[int, ...]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """The face from brows to below the mouth as a mask, and the left and upper end at which the
    mask lies in a picture of `shape`."""
    width = float(face_width(landmarks))
    middle = landmarks.mean(axis=0)
    down = landmarks[3:].mean(axis=0) - landmarks[:2].mean(axis=0)
    down = down / max(float(np.hypot(*down)), 1e-6)
    x0, y0 = np.maximum(np.floor(middle - width), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(middle + width), shape[1::-1]).astype(int)
    if x0 >= x1 or y0 >= y1:
        return np.zeros((0, 0), bool), (0, 0)
    ys, xs = np.mgrid[y0:y1, x0:x1]
    along = (xs - middle[0]) * down[0] + (ys - middle[1]) * down[1]
    across = (xs - middle[0]) * down[1] - (ys - middle[1]) * down[0]
    inside = (across / (ACROSS * width)) ** 2 + (along / (ALONG * width)) ** 2 < 1
    return inside, (int(x0), int(y0))


def places_without_face(difference: Difference, faces: Sequence[Landmarks]) -> list[Change]:
    """Changed places that lie on no face: badges, plates, screens."""
    return [
        place
        for place in changed_for_certain(difference)
        if not any(_touches(place, landmarks, difference.picture.shape) for landmarks in faces)
    ]


def _own_place(
    difference: Difference, landmarks: Landmarks, others: Sequence[Landmarks]
) -> tuple[Box, NDArray[np.bool_], Region] | None:
    """The changed place on a face: its box, its convex mask inside the box, and the region."""
    shape = difference.picture.shape
    parts = []
    for place in difference.places:
        if not _touches(place, landmarks, shape):
            continue
        shared = [face for face in others if _touches(place, face, shape)]
        pixels = place.hull
        if shared and not place.rectangular:
            pixels = place.pixels & _nearest(place.box, landmarks, shared)
        if pixels.any():
            parts.append((place.box, pixels))
    if not parts:
        return None
    boxes = np.array([box for box, _ in parts])
    left, top = (int(v) for v in boxes[:, :2].min(axis=0))
    right, bottom = (int(v) for v in boxes[:, 2:].max(axis=0))
    mine = np.zeros((bottom - top, right - left), bool)
    for (x0, y0, x1, y1), pixels in parts:
        mine[y0 - top : y1 - top, x0 - left : x1 - left] |= pixels
    x, y, width, height = cv2.boundingRect(mine.astype(np.uint8))
    whole = convex_hull(mine[y : y + height, x : x + width])
    box = (left + x, top + y, left + x + width, top + y + height)
    return box, whole, region_of(difference, box, whole)


def region_of(difference: Difference, box: Box, hull: NDArray[np.bool_]) -> Region:
    """The region that was processed where a place with a `hull (h, w)` in its `box` was changed."""
    kind = "box" if hull.mean() >= RECTANGULAR else "ellipse"
    tight = difference.tightened(box)
    if kind == "box":  # the ends of an ellipse are too faint to be told from ringing
        tight = difference.without_ringing(tight)
    return Region(tight, kind, "difference")


def changed_for_certain(difference: Difference) -> list[Change]:
    """Changed places that stand out of the noise even where no face vouches for them."""
    least = STRONG + NOISE * difference.noise
    return [place for place in difference.places if place.strength >= least]


def _within(region: Region, box: Box, difference: Difference) -> NDArray[np.bool_]:
    """Pixels of a changed `box` inside the processed region: what shares a JPEG's block with a
    covered part rings, and in a small face that is half of it."""
    inside = np.ones((box[3] - box[1], box[2] - box[0]), bool)
    small = min(inside.shape) <= TINY
    if difference.blocks and (small or region.shape == "box"):
        tight = difference.without_ringing(region.box)
        x0, y0, x1, y1 = np.subtract(tight, (box[0], box[1], box[0], box[1]))
        inside[:] = False
        inside[max(0, y0) : y1, max(0, x0) : x1] = True
    return inside


def _nearest(box: Box, landmarks: Landmarks, others: Sequence[Landmarks]) -> NDArray[np.bool_]:
    """Pixels of `box` that are nearer to this face than to the others, in widths of each."""
    ys, xs = np.mgrid[box[1] : box[3], box[0] : box[2]]

    def away(face: Landmarks) -> NDArray[np.float64]:
        middle, width = face.mean(axis=0), float(face_width(face))
        return np.asarray(np.hypot(xs - middle[0], ys - middle[1]) / width)

    own = away(landmarks)
    near = own <= REACH
    for face in others:
        near &= own <= away(face)
    return np.asarray(near)


def _touches(place: Change, landmarks: Landmarks, shape: tuple[int, ...]) -> bool:
    """Whether a changed place lies on the face itself."""
    inside, (left, top) = face_mask(landmarks, shape)
    height, width = inside.shape
    x0, y0, x1, y1 = place.box
    a, b = max(x0, left), max(y0, top)
    c, d = min(x1, left + width), min(y1, top + height)
    if a >= c or b >= d:
        return False
    there = place.hull[b - y0 : d - y0, a - x0 : c - x0]
    return bool((there & inside[b - top : d - top, a - left : c - left]).any())


def _changed(
    difference: Difference,
    landmarks: Landmarks,
    centre: NDArray[np.float32],
    where: NDArray[np.bool_],
) -> bool:
    """Whether the detail about `centre` was changed by more than coding would, inside `where`
    `(H, W)`."""
    width = float(face_width(landmarks))
    radius, sigma = max(2.0, FEATURE * width), max(1.0, DETAIL * width)
    reach = int(np.ceil(radius + 3 * sigma))
    height, wide = difference.picture.shape
    x, y = (round(float(v)) for v in centre)
    x0, y0, x1, y1 = (
        max(0, x - reach),
        max(0, y - reach),
        min(wide, x + reach),
        min(height, y + reach),
    )
    if x0 >= x1 or y0 >= y1:
        return False
    clear = difference.original[y0:y1, x0:x1]
    error = difference.picture[y0:y1, x0:x1] - clear
    detail = clear - cv2.GaussianBlur(clear, (0, 0), sigma)
    ys, xs = np.mgrid[y0:y1, x0:x1]
    near = (xs - centre[0]) ** 2 + (ys - centre[1]) ** 2 <= radius**2
    if not near.any():
        return False
    there = max(1.0, float(np.sqrt((detail[near] ** 2).mean())))
    limit = float(np.clip(CODED * difference.noise / there, LEAST, MOST))
    if float(np.sqrt((error[near] ** 2).mean())) / there <= limit:
        return False
    changed = difference.changed[y0:y1, x0:x1] & where[y0:y1, x0:x1]
    return bool(changed[near].mean() >= SEEN)
