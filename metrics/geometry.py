"""How far a face's geometry is from what it was: shape, turn of the head, expression and gaze.

All of it is read from dense landmarks numbered as MediaPipe's face mesh. Expression here is a few
lengths of the face and says nothing of what anybody feels. Values are per face; 0 is no change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

OUTER_CORNERS = (33, 263)
"""Of the eyes: their distance is the unit of lengths, as in the landmark literature."""
EYE_CORNERS = ((33, 133), (362, 263))
"""Of the eye at the left of the picture and of the other, left to right."""
LIPS, MOUTH_CORNERS, BROWS = (13, 14), (61, 291), (105, 334)
RIGID = (
    *(10, 67, 297, 103, 332, 54, 284, 21, 251, 127, 356, 234, 454),  # forehead, temples, ears
    *(33, 133, 362, 263),  # corners of the eyes
    *(9, 8, 168, 6, 197, 195, 5, 4),  # down the nose
)
"""Points of the mesh that mouth, brows and lids do not move."""
MEASURES = ("mouth_opening", "mouth_width", "brow_height", "eye_opening")
"""Between the inner lips; between the corners of the mouth; from the middle of a brow to the middle
of its eye; between the lids. The last in widths of the eye, the others in distances of the outer
corners of the eyes. Where there are two, their mean."""


OUTER, INNER, LOWER, UPPER = 0, 8, 4, 12
"""Of an eye's 71 points: its corners, and the middles of its lids."""


def interocular(points: ArrayLike) -> Floats:
    """Distance `(N,)` in pixels of the outer corners of the eyes of meshes `(N, 468, 3)`."""
    left, right = (np.asarray(points, float)[:, corner] for corner in OUTER_CORNERS)
    return np.asarray(np.linalg.norm(right - left, axis=1))


def mesh_distance(before: ArrayLike, after: ArrayLike) -> Floats:
    """Mean distance `(N,)` in the picture of points of meshes `(N, 468, 3)` from where they were,
    as a share of the distance of the outer corners of the eyes before."""
    apart = np.asarray(after, float)[..., :2] - np.asarray(before, float)[..., :2]
    return np.asarray(np.linalg.norm(apart, axis=2).mean(axis=1) / interocular(before))


def head_turn(before: ArrayLike, after: ArrayLike) -> Floats:
    """Rotation matrices `(N, 3, 3)` that take heads `(N, 468, 3)` onto how they are turned after.

    The least-squares rotation of the points that no expression moves (Kabsch, Acta
    Crystallographica A32, 1976), in axes to the right as seen, up, and towards the camera.
    """
    flip = (1, -1, -1)  # y of pictures is down, depth of the mesh away from the camera
    a, b = (np.asarray(mesh, float)[:, list(RIGID)] * flip for mesh in (before, after))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    left, _, right = np.linalg.svd(np.einsum("nki,nkj->nij", b, a))
    mirrored = np.linalg.det(left @ right) < 0
    left[mirrored, :, -1] *= -1
    return np.asarray(left @ right)


def expression(points: ArrayLike, eyes: ArrayLike) -> Floats:
    """`MEASURES` `(N, 4)` of meshes `(N, 468, 3)` and eyes `(N, 2, 71, 3)`.

    Distances are of points in space, so that a turned head does not count.
    """
    mesh, lids = np.asarray(points, float), np.asarray(eyes, float)

    def between(pair: tuple[int, int]) -> Floats:
        return np.asarray(np.linalg.norm(mesh[:, pair[0]] - mesh[:, pair[1]], axis=1))

    unit = interocular(mesh)
    above = [
        np.linalg.norm(mesh[:, brow] - mesh[:, list(corners)].mean(axis=1), axis=1)
        for brow, corners in zip(BROWS, EYE_CORNERS, strict=True)
    ]
    opening = np.linalg.norm(lids[:, :, LOWER] - lids[:, :, UPPER], axis=2)
    width = np.linalg.norm(lids[:, :, OUTER] - lids[:, :, INNER], axis=2)
    return np.stack(
        [
            between(LIPS) / unit,
            between(MOUTH_CORNERS) / unit,
            np.mean(above, axis=0) / unit,
            (opening / width).mean(axis=1),
        ],
        axis=1,
    )


def gaze(eyes: ArrayLike, irises: ArrayLike) -> Floats:
    """Where the irises stand between the corners of their eyes, `(N, 2)`, the mean of both eyes.

    To the right as seen and up, from midway between the corners, in widths of the eye.

    Args:
        eyes: `(N, 2, 71, 3)`, the eye at the left of the picture first. irises: `(N, 2, 5, 3)`,
            the middle first.
    """
    lids, middle = np.asarray(eyes, float)[..., :2], np.asarray(irises, float)[:, :, 0, :2]
    outer, inner = lids[:, :, OUTER], lids[:, :, INNER]
    # The outer corner is the left one of the left eye and the right one of the other.
    start = np.stack([outer[:, 0], inner[:, 1]], axis=1)
    end = np.stack([inner[:, 0], outer[:, 1]], axis=1)
    along = end - start
    off = middle - (start + end) / 2
    width = np.square(along).sum(axis=2)
    right = (off * along).sum(axis=2) / width
    up = (off[..., 0] * along[..., 1] - off[..., 1] * along[..., 0]) / width
    return np.asarray(np.stack([right, up], axis=2).mean(axis=1))
