"""Face detection: an adapter over facenet-pytorch's MTCNN, whose weights come in its wheel.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks",
IEEE SPL 2016. facenet-pytorch reads its weights with `torch.load`, which from torch 2.6 on
unpickles tensors only and runs no code.

MTCNN was trained on faces that fill much of a picture. Small ones are found by enlarging the
picture, part by part so that memory does not grow with it, and by a second look: its last network
sees each candidate in several slightly different crops. A face keeps its score in all of them and
its landmarks scatter about the right place; what only looks like a face in one crop does not.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils.detect_face import detect_face
from numpy.typing import NDArray

from reid_audit.attacks.recognition.align import MIRRORED
from reid_audit.attacks.recognition.sizes import SMALLEST_FACE, SMALLEST_POSSIBLE
from reid_audit.metrics.errors import InputError

# MTCNN's first network sees 12 x 12 px; below this size of picture there is nothing to look at.
SMALLEST_PICTURE = 12
# Width in pixels to which the smallest faces are enlarged: the second network's input.
ENLARGED = 24
# Faces a little smaller than asked for are looked for too, since a detector's boxes scatter.
TOLERANCE = 0.7
# Side in pixels of the parts searched, after enlarging; memory grows with its square.
TILE = 1280
# One scale looks for faces up to this many times the smallest.
LEVEL = 3.0
# The cascade's thresholds: below MTCNN's own (.6, .7, .7), since a second look follows.
LOOSE = (0.6, 0.6, 0.4)
# Mean score in the second look from which a candidate is a face, by the width of its box in pixels:
# of what is smaller than `SMALL`, hands and leaves look like faces more often.
SMALL, CERTAIN_SMALL, CERTAIN = 17.0, 0.75, 0.6
# Candidates that score less at the first of the two looks are not looked at again.
HOPELESS = 0.3
# Boxes that share this much of the smaller one show the same face.
SAME = 0.5
# Side of the last network's input.
INPUT = 48
# Crops of the second look: shift right and down in sides of the box, zoom, mirrored or not.
VIEWS = tuple(
    (shift, zoom, mirrored)
    for shift, zoom in (
        ((0.0, 0.0), 1.0),
        ((0.0, 0.0), 1.15),
        ((0.06, 0.06), 1.05),
        ((-0.06, 0.06), 1.05),
        ((0.06, -0.06), 1.05),
        ((-0.06, -0.06), 1.05),
    )
    for mirrored in (False, True)
)


@dataclass(frozen=True, eq=False)
class Detection:
    """A face that was found.

    Attributes:
        box: `(4,)` float32 x0, y0, x1, y1 in pixels; may reach beyond the border.
        landmarks: `(5, 2)` float32 x, y in pixels: eyes, nose, mouth corners, left to right.
        score: the detector's confidence, 0 to 1.
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    score: float

    @property
    def width(self) -> float:
        """Of the box, in pixels."""
        return float(self.box[2] - self.box[0])

    @property
    def area(self) -> float:
        """Pixels covered by the box."""
        return float(np.prod(self.box[2:] - self.box[:2]))


@cache
def detector_version() -> str:
    """Names the detector and this code: what was found under another name may differ."""
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return f"mtcnn-{version('facenet-pytorch')}-{code}"


@dataclass(frozen=True)
class Tile:
    """A part of a picture that is searched at one scale.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the picture.
        scale: how much the part is enlarged (below 1: reduced).
        widths: least and greatest width of the faces looked for in it, in pixels of the picture.
    """

    box: tuple[int, int, int, int]
    scale: float
    widths: tuple[float, float]


def tiles(shape: Sequence[int], smallest: float) -> list[Tile]:
    """Parts that cover a picture of `shape` (height, width) at every scale needed for faces from
    `smallest` pixels up: each face lies whole in one of them, whatever its size.

    Each scale after the first is half the one before and looks for faces from `LEVEL` times the
    width on, the last, on which the picture is one part, for all that are larger.

    >>> [tile.scale for tile in tiles((600, 800), smallest=24)]
    [1.0]
    """
    height, width = shape[:2]
    scale, least = ENLARGED / smallest, 0.0
    levels: list[Tile] = []
    while True:
        side = TILE / scale
        overlap = LEVEL * smallest * 2
        # A picture a little larger than a part is searched as one.
        whole = height * width * scale**2 <= 1.5 * TILE**2
        greatest = float("inf") if whole else LEVEL * smallest
        rows = [(0, height)] if whole else _spans(height, side, overlap)
        columns = [(0, width)] if whole else _spans(width, side, overlap)
        levels += [
            Tile((x0, y0, x1, y1), scale, (least, greatest))
            for y0, y1 in rows
            for x0, x1 in columns
        ]
        if whole:
            return levels
        least, scale, smallest = greatest / 2, scale / 2, smallest * 2


def _spans(length: int, side: float, overlap: float) -> list[tuple[int, int]]:
    """Equal spans of about `side` that cover `length` and overlap by at least `overlap`."""
    if length <= side:
        return [(0, length)]
    count = int(np.ceil((length - overlap) / (side - overlap)))
    size = int(np.ceil((length + (count - 1) * overlap) / count))
    starts = np.linspace(0, length - size, count).round().astype(int)
    return [(int(start), int(start) + size) for start in starts]


class Detector:
    """Finds faces in pictures.

    Args:
        device: where the networks run.
        batch_size: pictures of one size taken together. The default is one on a CPU, where more
            gains little, and where detections are then bit for bit the same whatever other
            pictures are given; 32 on an accelerator.
    """

    def __init__(self, device: str | torch.device = "cpu", batch_size: int | None = None) -> None:
        self.device = torch.device(device)
        self.batch_size = batch_size or (1 if self.device.type == "cpu" else 32)
        self._mtcnn = MTCNN(device=self.device).to(memory_format=torch.channels_last)

    def detect(
        self, pictures: Sequence[NDArray[np.uint8]], smallest: float = SMALLEST_FACE
    ) -> list[list[Detection]]:
        """Faces of every picture, the most prominent (score times area) first.

        Args:
            pictures: RGB uint8 `(H, W, 3)` of any sizes.
            smallest: width in pixels of the smallest faces looked for, whatever the size of the
                picture.

        Raises:
            InputError: `smallest` is below `SMALLEST_POSSIBLE`.
        """
        if not smallest >= SMALLEST_POSSIBLE:
            raise InputError(
                f"Faces {smallest:g} pixels wide cannot be found; ask for {SMALLEST_POSSIBLE:g} "
                "or more."
            )
        by_shape = defaultdict(list)
        for index, picture in enumerate(pictures):
            by_shape[picture.shape].append(index)
        by_picture: list[list[Detection]] = [[] for _ in pictures]
        for shape, indices in by_shape.items():
            if min(shape[:2]) < SMALLEST_PICTURE:
                continue
            for start in range(0, len(indices), self.batch_size):
                part = indices[start : start + self.batch_size]
                faces = self._detect_equal([pictures[index] for index in part], smallest)
                for index, detections in zip(part, faces, strict=True):
                    by_picture[index] = detections
        return by_picture

    def _detect_equal(
        self, pictures: list[NDArray[np.uint8]], smallest: float
    ) -> list[list[Detection]]:
        """Faces of pictures of one size."""
        candidates: list[list[Detection]] = [[] for _ in pictures]
        for tile in tiles(pictures[0].shape, smallest):
            for faces, more in zip(
                candidates, self._propose(pictures, tile, smallest), strict=True
            ):
                faces += more
        return [
            self._confirm(picture, faces, smallest)
            for picture, faces in zip(pictures, candidates, strict=True)
        ]

    def _confirm(
        self, picture: NDArray[np.uint8], candidates: Sequence[Detection], smallest: float
    ) -> list[Detection]:
        """Those of the candidates that are faces, each once, the most prominent first."""
        faces = []
        for candidate in candidates:
            face = self._look_again(picture, candidate)
            if face.score >= HOPELESS:
                # Centred by the first look, a face scores as before and other things less.
                face = self._look_again(picture, face)
            certain = CERTAIN_SMALL if face.width < SMALL else CERTAIN
            if face.score >= certain and face.width >= TOLERANCE * smallest:
                faces.append(face)
        return sorted(distinct(faces), key=lambda face: face.score * face.area, reverse=True)

    def _propose(
        self, pictures: list[NDArray[np.uint8]], tile: Tile, smallest: float
    ) -> list[list[Detection]]:
        """What may be a face in one part of every picture, in pixels of the picture."""
        x0, y0, x1, y1 = tile.box
        size = (round((x1 - x0) * tile.scale), round((y1 - y0) * tile.scale))
        if min(size) < SMALLEST_PICTURE:
            return [[] for _ in pictures]
        method = cv2.INTER_CUBIC if tile.scale > 1 else cv2.INTER_AREA
        parts = [
            cv2.resize(picture[y0:y1, x0:x1], size, interpolation=method) for picture in pictures
        ]
        net = self._mtcnn
        with torch.inference_mode():
            # MTCNN.detect would pack the results into ragged arrays, which NumPy 2 refuses.
            boxes, landmarks = detect_face(
                np.stack(parts),
                min(*size, TOLERANCE * ENLARGED),
                net.pnet,
                net.rnet,
                net.onet,
                LOOSE,
                net.factor,
                self.device,
            )
        # The arrays may be of dtype object.
        factor = np.array([(x1 - x0) / size[0], (y1 - y0) / size[1]], np.float32)
        corner = np.array([x0, y0], np.float32)
        least, greatest = tile.widths
        faces = [
            [
                Detection(
                    (row[:4].reshape(2, 2) * factor + corner).reshape(4),
                    five * factor + corner,
                    float(row[4]),
                )
                for row, five in zip(
                    np.asarray(rows, np.float32), np.asarray(points, np.float32), strict=True
                )
            ]
            for rows, points in zip(boxes, landmarks, strict=True)
        ]
        return [[face for face in some if least <= face.width < greatest] for some in faces]

    def _look_again(self, picture: NDArray[np.uint8], face: Detection) -> Detection:
        """The face as the last network sees it in `VIEWS`: mean score, median landmarks."""
        centre = (face.box[:2] + face.box[2:]) / 2
        side = float(max(face.box[2:] - face.box[:2]))
        part, ratio, corner = _around(picture, centre, side)
        views = [_View(centre + np.array(shift) * side, side * zoom, m) for shift, zoom, m in VIEWS]
        crops = [view.crop(part, ratio, corner) for view in views]
        batch = torch.as_tensor(np.stack(crops), device=self.device).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            outputs = self._mtcnn.onet((batch - 127.5) / 128)
        moves, points, scores = (output.cpu().numpy() for output in outputs)
        # A mirror swaps left and right: put both corners of each box in order.
        boxes = [
            np.sort(view.place(np.array([[0, 0], [1, 1]]) + move.reshape(2, 2)), axis=0)
            for view, move in zip(views, moves, strict=True)
        ]
        landmarks = [
            view.place(point.reshape(2, 5).T[MIRRORED if view.mirrored else slice(None)])
            for view, point in zip(views, points, strict=True)
        ]
        return Detection(
            np.median(boxes, axis=0).reshape(4).astype(np.float32),
            np.median(landmarks, axis=0).astype(np.float32),
            float(scores[:, 1].mean()),
        )


@dataclass(frozen=True)
class _View:
    """A square of the picture, perhaps mirrored, as the last network sees it."""

    centre: NDArray[np.float64]
    side: float
    mirrored: bool

    def crop(
        self, part: NDArray[np.uint8], ratio: float, corner: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """`(INPUT, INPUT, 3)` from `part`, which starts at `corner` and was reduced by `ratio`."""
        step = self.side / INPUT
        # Where the middles of the crop's first pixel and of the next ones lie in the picture.
        first = self.centre - self.side / 2 + step / 2 - 0.5
        steps = np.array([step, step])
        if self.mirrored:
            first[0] += self.side - step
            steps[0] = -step
        matrix = np.c_[np.diag(steps / ratio), (first - corner + 0.5) / ratio - 0.5]
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(part, matrix, (INPUT, INPUT), flags=flags), np.uint8)

    def place(self, points: NDArray[np.float32]) -> NDArray[np.float64]:
        """Points `(N, 2)` in shares of the crop's side, in pixels of the picture."""
        shares = np.c_[1 - points[:, 0], points[:, 1]] if self.mirrored else points
        return np.asarray(self.centre - self.side / 2 + self.side * shares, np.float64)


def most_prominent(detections: Sequence[Detection], shape: Sequence[int]) -> Detection | None:
    """The face that a picture of `shape` (height, width) is of: a large one near the middle.

    None where there is no detection.
    """
    middle = np.array([shape[1], shape[0]]) / 2

    def prominence(detection: Detection) -> float:
        x0, y0, x1, y1 = (float(v) for v in detection.box)
        away = np.hypot(*(np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - middle)) / np.hypot(*middle)
        return detection.score * detection.area * float(np.exp(-4 * away**2))

    return max(detections, key=prominence, default=None)


def _around(
    picture: NDArray[np.uint8], centre: NDArray[np.floating], side: float
) -> tuple[NDArray[np.uint8], float, NDArray[np.float64]]:
    """The surroundings of a face, reduced so far that no crop of them aliases; the factor by which
    they were reduced, and where their corner lies."""
    corner = np.maximum(0, np.floor(centre - side)).astype(int)
    end = np.minimum(picture.shape[1::-1], np.ceil(centre + side).astype(int) + 1)
    part = picture[corner[1] : max(end[1], corner[1] + 1), corner[0] : max(end[0], corner[0] + 1)]
    ratio = max(1.0, side / (1.5 * INPUT))
    if ratio > 1:
        reduced = cv2.resize(part, None, fx=1 / ratio, fy=1 / ratio, interpolation=cv2.INTER_AREA)
        part = np.asarray(reduced, np.uint8)
    return part, ratio, corner.astype(float)


def distinct(faces: Sequence[Detection]) -> list[Detection]:
    """The best of those that show one face: boxes that overlap by `SAME` of the smaller."""
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: face.score, reverse=True):
        if all(shared(face, other) < SAME for other in kept):
            kept.append(face)
    return kept


def shared(face: Detection, other: Detection) -> float:
    """Common area of two boxes over that of the smaller one."""
    low = np.maximum(face.box[:2], other.box[:2])
    high = np.minimum(face.box[2:], other.box[2:])
    return float(np.prod(np.maximum(0, high - low))) / max(1e-6, min(face.area, other.area))
