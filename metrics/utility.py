"""What an anonymised picture is still good for: the face's place and pose, and what is around it.

Values are per picture; a picture that keeps all is 1 in every share and 0 in every change.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.metrics.fidelity import ssim_map

Floats = NDArray[np.float64]

HEAD = np.array(
    [
        *([-0.33, 0.33, 0.0], [0.33, 0.33, 0.0], [0.0, -0.04, 0.30]),
        *([-0.26, -0.38, 0.06], [0.26, -0.38, 0.06]),
    ]
)
"""Eyes, nose tip and corners of the mouth of a middling head, in face widths: right as seen, up,
towards the camera. Proportions of anthropometric tables, rounded; the pose of a head that is built
otherwise is off by a few degrees, the same in both pictures."""
LOST_POSE, LOST_PLACE = 45.0, 0.25
"""Degrees and face widths of change from which nothing of the pose or the place is counted kept."""


def head_pose(landmarks: ArrayLike) -> Floats:
    """Rotation matrices `(N, 3, 3)` of heads from five landmarks under parallel projection.

    The scaled orthographic fit of DeMenthon and Davis's first step: two rows by least squares, made
    orthonormal, and their cross product.

    Args:
        landmarks: `(N, 5, 2)` in pixels, y down: left eye, right eye, nose, left and right corner
            of the mouth, as seen in the picture.
    """
    points = np.asarray(landmarks, dtype=float) * (1, -1)
    points = points - points.mean(axis=1, keepdims=True)
    model = HEAD - HEAD.mean(axis=0)
    rows = np.einsum("kj,njc->nck", np.linalg.pinv(model), points)  # (N, 2, 3)
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    two = left @ right
    third = np.cross(two[:, 0], two[:, 1])
    return np.asarray(np.concatenate([two, third[:, None]], axis=1))


def yaw_pitch_roll(rotations: ArrayLike) -> Floats:
    """Angles `(N, 3)` in degrees: to the right as seen, up, and anticlockwise as seen."""
    r = np.asarray(rotations, dtype=float)
    yaw = np.arctan2(r[:, 0, 2], r[:, 2, 2])
    pitch = np.arcsin(np.clip(r[:, 1, 2], -1, 1))
    roll = np.arctan2(r[:, 1, 0], r[:, 1, 1])
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=1)))


def pose_change(before: ArrayLike, after: ArrayLike) -> Floats:
    """Angle `(N,)` in degrees between the poses of two sets of landmarks `(N, 5, 2)`."""
    # |A - B| = 2 sqrt(2) sin(angle / 2) keeps small angles, which an arccos loses.
    apart = np.linalg.norm(head_pose(after) - head_pose(before), axis=(1, 2))
    return np.asarray(np.degrees(2 * np.arcsin(np.clip(apart / np.sqrt(8), 0, 1))))


def landmark_shift(before: ArrayLike, after: ArrayLike, widths: ArrayLike) -> Floats:
    """Mean distance `(N,)` of landmarks `(N, 5, 2)` from where they were, in face widths `(N,)`.

    >>> points = np.zeros((1, 5, 2))
    >>> landmark_shift(points, points + (3, 4), [50.0]).tolist()
    [0.1]
    """
    apart = np.linalg.norm(np.asarray(after, float) - np.asarray(before, float), axis=2)
    return np.asarray(apart.mean(axis=1) / np.asarray(widths, float))


def ssim_outside(
    reference: NDArray[np.uint8], other: NDArray[np.uint8], face: tuple[int, int, int, int]
) -> float:
    """Mean structural similarity of two pictures `(H, W, 3)` uint8 over the windows that touch no
    pixel of a face's box x0, y0, x1, y1; NaN where there is none."""
    if min(reference.shape[:2]) < 11:
        return float("nan")
    similarity = ssim_map(reference, other, 255.0).mean(axis=-1)
    inside = np.zeros(reference.shape[:2], np.uint8)
    x0, y0, x1, y1 = face
    inside[y0:y1, x0:x1] = 1
    touched = cv2.dilate(inside, np.ones((11, 11), np.uint8))[5:-5, 5:-5]
    free = similarity[touched == 0]
    return float(free.mean()) if free.size else float("nan")


def usefulness(
    detected: ArrayLike, shift: ArrayLike, pose: ArrayLike, outside: ArrayLike
) -> Floats:
    """One share `(N,)` of what is kept: the mean of four, each in [0, 1].

    A face is still found; its landmarks lie where they did; its pose is what it was (both 0 where
    no face is found); and what is around it looks as it did (left out where it is NaN).

    Args:
        detected: `(N,)` truth. shift: face widths. pose: degrees. outside: SSIM.
    """
    still_found = np.asarray(detected, dtype=float)
    parts = [
        still_found,
        still_found * np.clip(1 - np.nan_to_num(np.asarray(shift, float)) / LOST_PLACE, 0, 1),
        still_found * np.clip(1 - np.nan_to_num(np.asarray(pose, float)) / LOST_POSE, 0, 1),
        np.clip(np.asarray(outside, float), 0, 1),
    ]
    return np.asarray(np.nanmean(np.stack(parts), axis=0))


def pareto(risk: ArrayLike, utility: ArrayLike) -> NDArray[np.bool_]:
    """Which of N settings `(N,)` no other one beats: none has as little risk and more utility, or
    less risk and as much. NaN in either is never on the front.

    >>> pareto([0.9, 0.5, 0.5, 0.0], [1.0, 0.8, 0.6, 0.1]).tolist()
    [True, True, False, True]
    """
    r, u = np.asarray(risk, float), np.asarray(utility, float)
    with np.errstate(invalid="ignore"):
        no_worse = (r[None] <= r[:, None]) & (u[None] >= u[:, None])
        better = (r[None] < r[:, None]) | (u[None] > u[:, None])
    return np.asarray(~(no_worse & better).any(axis=1) & np.isfinite(r) & np.isfinite(u))
