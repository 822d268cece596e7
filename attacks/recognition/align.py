"""Five-point alignment: a least-squares similarity takes a face onto a recogniser's template.

Landmarks are `(5, 2)` x, y in pixels: left eye, right eye, nose, left and right mouth corner as
seen in the picture. Pixel centres have integer coordinates, as in OpenCV.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.metrics.errors import InputError

Landmarks = NDArray[np.float32]

# How much of the side of an ArcFace crop a face is wide: the definition of "face width" here.
FACE_SHARE = 0.705
# Median landmarks in MTCNN's boxes, as fractions of width and height (395 LFW pictures, made
# symmetric); the boxes are this much higher than wide.
BOX_LANDMARKS = ((0.27, 0.385), (0.73, 0.385), (0.51, 0.58), (0.295, 0.75), (0.705, 0.75))
BOX_ASPECT = 1.33
# Standard deviations by which `moved` moves: degrees, logarithm of size, face widths.
DEGREES, SCALE, SHIFT = 3.0, 0.04, 0.03
# Side of a reference face's window in face widths.
WINDOW = 3.0
# Which landmark each one is in a mirror.
MIRRORED = [1, 0, 2, 4, 3]


@dataclass(frozen=True)
class Template:
    """Where a recogniser expects the five landmarks in its square crop.

    Attributes:
        name: as sidecars call it.
        size: side of the crop in pixels.
        points: five (x, y) in pixels of a crop of that side.
        stretch: how much wider than true to life the crop shows a face.
    """

    name: str
    size: int
    points: tuple[tuple[float, float], ...]
    stretch: float = 1.0

    def resized(self, size: int) -> "Template":
        """The same template for a crop of another side."""
        # Pixel centres are integers, so scaling happens about the corner at (-.5, -.5).
        points = (np.asarray(self.points) + 0.5) * (size / self.size) - 0.5
        return replace(self, size=size, points=tuple(map(tuple, points.tolist())))

    def matrices(self, landmarks: ArrayLike) -> NDArray[np.float64]:
        """`(..., 2, 3)` affine maps that take `(..., 5, 2)` landmarks to this template."""
        widen = np.array([self.stretch, 1.0])
        fitted = fit_similarity(landmarks, np.asarray(self.points) / widen)
        return np.asarray(fitted * widen[:, None])


# Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019:
# the mean landmarks on which its 112-px training crops were aligned.
ARCFACE = Template(
    "arcface112",
    112,
    (
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ),
)

# dlib's 150-px chips are aligned on eye corners and nose base with padding .25; these are the
# medians of where MTCNN's landmarks lie in dlib's own chips (395 LFW pictures).
DLIB = Template(
    "dlib150", 150, ((48.7, 46.7), (102.4, 46.7), (75.2, 78.7), (51.6, 105.4), (99.4, 105.4))
)

# facenet-pytorch stretches MTCNN's box to 146 x 146 px inside a margin of 7 (its LFW evaluation).
FACENET = Template(
    "facenet160",
    160,
    tuple((7 + 146 * x - 0.5, 7 + 146 * y - 0.5) for x, y in BOX_LANDMARKS),
    stretch=BOX_ASPECT,
)

TEMPLATES = {template.name: template for template in (ARCFACE, DLIB, FACENET)}


def fit_similarity(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Least-squares rotation, scale and shift from `source` to `target`, without reflection.

    The two-dimensional case of Umeyama, "Least-Squares Estimation of Transformation Parameters
    Between Two Point Patterns", TPAMI 1991, eq. 40-42: with points as complex numbers the
    rotation and scale are one complex factor, an ordinary regression slope.

    Args:
        source: `(..., N, 2)` points.
        target: `(..., N, 2)` points, broadcast against `source`.

    Returns:
        `(..., 2, 3)` matrices for `cv2.warpAffine` (source to target).

    Raises:
        InputError: all source points coincide.

    >>> fit_similarity([[0, 0], [1, 0]], [[5, 5], [5, 7]]).round(6) + 0.0
    array([[ 0., -2.,  5.],
           [ 2.,  0.,  5.]])
    """
    p, q = np.broadcast_arrays(np.asarray(source, np.float64), np.asarray(target, np.float64))
    p, q = p[..., 0] + 1j * p[..., 1], q[..., 0] + 1j * q[..., 1]
    centred = p - p.mean(-1, keepdims=True)
    spread = (np.abs(centred) ** 2).sum(-1)
    if not np.all(spread > 0):
        raise InputError("Landmarks of a face coincide: give five distinct points.")
    factor = (centred.conj() * q).sum(-1) / spread
    shift = q.mean(-1) - factor * p.mean(-1)
    rows = [factor.real, -factor.imag, shift.real, factor.imag, factor.real, shift.imag]
    return np.stack(rows, -1).reshape(*factor.shape, 2, 3)


def face_width(landmarks: ArrayLike) -> NDArray[np.float64]:
    """Width of the face in pixels: .705 of the side of the ArcFace crop of these landmarks.

    Args:
        landmarks: `(..., 5, 2)`.

    Returns:
        `(...)` pixels.

    >>> round(float(face_width(ARCFACE.points)), 2)
    78.96
    """
    matrix = fit_similarity(landmarks, ARCFACE.points)
    scale = np.hypot(matrix[..., 0, 0], matrix[..., 1, 0])
    return FACE_SHARE * ARCFACE.size / scale


def window_around(
    landmarks: Landmarks, shape: Sequence[int], side: float
) -> tuple[int, int, int, int]:
    """The window x0, y0, x1, y1 of `side` pixels about a face with `landmarks (5, 2)`, cut at the
    border of its picture of `shape` (height, width)."""
    half = side / 2
    x, y = landmarks.mean(axis=0)
    height, width = shape[:2]
    x0, y0 = max(0, round(float(x - half))), max(0, round(float(y - half)))
    x1, y1 = min(width, round(float(x + half))), min(height, round(float(y + half)))
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def reference_window(landmarks: Landmarks, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """The window of a reference face: the square of three face widths."""
    return window_around(landmarks, shape, WINDOW * float(face_width(landmarks)))


def crop(
    pictures: Sequence[NDArray[np.uint8]],
    landmarks: ArrayLike,
    template: Template = ARCFACE,
    size: int | None = None,
) -> NDArray[np.uint8]:
    """Cut faces out so that their landmarks lie on the template; black beyond the border.

    Args:
        pictures: B RGB pictures `(H, W, 3)` of any sizes.
        landmarks: `(B, 5, 2)`.
        template: where the landmarks should come to lie.
        size: side S of the crops (default: the template's).

    Returns:
        `(B, S, S, 3)` uint8.
    """
    template = template.resized(size or template.size)
    points = np.asarray(landmarks, np.float64).reshape(-1, 5, 2)
    matrices = template.matrices(points)
    crops = np.empty((len(points), template.size, template.size, 3), np.uint8)
    for index, (picture, matrix) in enumerate(zip(pictures, matrices, strict=True)):
        crops[index] = warp(picture, matrix, template.size)
    return crops


def warp(picture: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """`(size, size, 3)` picture under an affine map `(2, 3)`; averages areas before it shrinks."""
    # Bilinear interpolation reads 2 x 2 pixels: below half size it would skip some, and alias.
    factor = int(1 / np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if factor >= 2:
        height, width = (max(1, side // factor) for side in picture.shape[:2])
        ratio = np.array([picture.shape[1] / width, picture.shape[0] / height])
        picture = np.asarray(
            cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
        # x_old = ratio * (x_new + .5) - .5: areas stay in place, not pixel centres.
        shift = matrix[:, :2] @ (ratio / 2 - 0.5) + matrix[:, 2]
        matrix = np.column_stack([matrix[:, :2] * ratio, shift])
    square = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(square, np.uint8)


def moved(
    picture: NDArray[np.uint8], landmarks: Landmarks, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], Landmarks]:
    """Mirror a picture `(H, W, 3)` at random and move it by a few degrees, per cent and pixels,
    with its landmarks `(5, 2)`; mirrored beyond its border."""
    height, width = picture.shape[:2]
    angle, scale = rng.normal(0, DEGREES), float(np.exp(rng.normal(0, SCALE)))
    centre = (width - 1) / 2, (height - 1) / 2
    matrix = np.asarray(cv2.getRotationMatrix2D(centre, angle, scale), np.float64)
    matrix[:, 2] += rng.normal(0, SHIFT * float(face_width(landmarks)), 2)
    points = landmarks
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += width - 1
        points = points[MIRRORED]
    mode = cv2.BORDER_REFLECT_101
    out = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=mode)
    return np.asarray(out, np.uint8), (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def typical_landmarks(box: ArrayLike) -> Landmarks:
    """Where the five landmarks of a frontal face lie when only its box is known.

    Args:
        box: `(..., 4)` x0, y0, x1, y1 of a face box as MTCNN draws it (brows to chin).

    Returns:
        `(..., 5, 2)` float32.

    >>> typical_landmarks([0, 0, 100, 100])[2].tolist()
    [51.0, 58.0]
    """
    corners = np.asarray(box, np.float64).reshape(*np.shape(box)[:-1], 2, 2)
    start, end = corners[..., :1, :], corners[..., 1:, :]
    return (start + np.asarray(BOX_LANDMARKS) * (end - start)).astype(np.float32)
