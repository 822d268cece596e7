"""Face detection: one adapter over facenet-pytorch's MTCNN, whose weights come in its wheel.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks",
IEEE SPL 2016. facenet-pytorch reads its weights with `torch.load`, which from torch 2.6 on
unpickles tensors only and runs no code.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils.detect_face import detect_face
from numpy.typing import NDArray

from reid_audit.metrics.errors import InputError

# MTCNN's first network sees 12 x 12 px; below this size of picture there is nothing to look at.
SMALLEST_PICTURE = 12
SMALLEST_FACE = 20.0
"""Width in pixels of the smallest faces that are looked for, unless another is asked for."""
SMALLEST_POSSIBLE = 12.0
"""The least that may be asked for: smaller faces cannot be told from other things."""


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
    def area(self) -> float:
        """Pixels covered by the box."""
        return float(np.prod(self.box[2:] - self.box[:2]))


@cache
def detector_version() -> str:
    """Names the detector and this code: what was found under another name may differ."""
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return f"mtcnn-{version('facenet-pytorch')}-{code}"


class Detector:
    """Finds faces in pictures.

    Args:
        device: where the networks run.
        batch_size: pictures of one size taken together. The default is one on a CPU, where more
            gains little, and where detections are then bit for bit the same whatever other
            pictures are given; 32 on an accelerator.
    """

    def __init__(
        self,
        device: str | torch.device = "cpu",
        batch_size: int | None = None,
    ) -> None:
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
        found: list[list[Detection]] = [[] for _ in pictures]
        for shape, indices in by_shape.items():
            if min(shape[:2]) < SMALLEST_PICTURE:
                continue
            for start in range(0, len(indices), self.batch_size):
                part = indices[start : start + self.batch_size]
                faces = self._detect_equal([pictures[index] for index in part], smallest)
                for index, detections in zip(part, faces, strict=True):
                    found[index] = detections
        return found

    def _detect_equal(
        self, pictures: list[NDArray[np.uint8]], smallest: float
    ) -> list[list[Detection]]:
        """Faces of pictures of one size."""
        side = min(pictures[0].shape[:2])
        net = self._mtcnn
        with torch.inference_mode():
            # MTCNN.detect would pack the results into ragged arrays, which NumPy 2 refuses.
            boxes, landmarks = detect_face(
                np.stack(pictures),
                min(side, smallest),
                net.pnet,
                net.rnet,
                net.onet,
                net.thresholds,
                net.factor,
                self.device,
            )
        return [_detections(b, p) for b, p in zip(boxes, landmarks, strict=True)]


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


def _detections(rows: NDArray, landmarks: NDArray) -> list[Detection]:
    """Detections from rows x0, y0, x1, y1, score; the arrays may be of dtype object."""
    found = [
        Detection(row[:4], points, float(row[4]))
        for row, points in zip(
            np.asarray(rows, np.float32), np.asarray(landmarks, np.float32), strict=True
        )
    ]
    return sorted(found, key=lambda face: face.score * face.area, reverse=True)
