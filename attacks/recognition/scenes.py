"""Faces in scenes: what two detectors of different make see together.

Where an audit counts the faces of a picture, one that its detector misses is one nobody asks about.
MTCNN misses faces in profile, behind sunglasses and behind others; CenterFace sees those, and finds
few others (benchmarks/detection.md). It sees faces through a light blur too, so that it looks at
originals alone: in anonymised pictures what it finds need not be clear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reid_audit.attacks.recognition.cache import centerface_file
from reid_audit.attacks.recognition.centerface import CenterFace
from reid_audit.attacks.recognition.detect import (
    CERTAIN,
    CERTAIN_SMALL,
    SAME,
    SMALL,
    Detection,
    Detector,
    detector_version,
    distinct,
    shared,
)
from reid_audit.attacks.recognition.sizes import SMALLEST_FACE

# Score of MTCNN for a face that it does not find: with it, what CenterFace alone is half sure of
# just counts as a face that nobody labelled.
UNSEEN = 0.4


class SceneDetector:
    """MTCNN and, where it is installed, CenterFace.

    Args:
        device: where MTCNN runs.
    """

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self._mtcnn = Detector(device)
        network = centerface_file()
        self._centerface = None if network is None else CenterFace(network)

    def detect(
        self, pictures: Sequence[NDArray[np.uint8]], smallest: float = SMALLEST_FACE
    ) -> list[list[Detection]]:
        """Faces of every picture, as `Detector.detect` gives them.

        Raises:
            InputError: `smallest` is below the least that can be asked for.
        """
        by_picture = self._mtcnn.detect(pictures, smallest)
        if self._centerface is None:
            return by_picture
        return [
            together(faces, self._centerface.detect(picture, smallest))
            for picture, faces in zip(pictures, by_picture, strict=True)
        ]


def together(faces: Sequence[Detection], others: Sequence[Detection]) -> list[Detection]:
    """What MTCNN and CenterFace saw of one picture, the most prominent first.

    Their errors are taken to be independent: a face is none where both are wrong.

    >>> box, points = np.array([0, 0, 40, 40], np.float32), np.zeros((5, 2), np.float32)
    >>> [seen] = together([Detection(box, points, 0.6)], [Detection(box, points, 0.5)])
    >>> seen.score
    0.8
    """
    certain = []
    for face in faces:
        seen = max((o.score for o in others if shared(face, o) >= SAME), default=0.0)
        certain.append(_scored(face, face.score, seen))
    for other in others:
        if all(shared(face, other) < SAME for face in faces):
            face = _scored(other, UNSEEN, other.score)
            if face.score >= (CERTAIN_SMALL if face.width < SMALL else CERTAIN):
                certain.append(face)
    return sorted(distinct(certain), key=lambda face: face.score * face.area, reverse=True)


def _scored(face: Detection, first: float, second: float) -> Detection:
    return replace(face, score=1 - (1 - first) * (1 - second))


def scene_detector_version() -> str:
    """Names the detectors and this code: what was found under another name may differ."""
    if centerface_file() is None:
        return detector_version()
    here = Path(__file__)
    code = b"".join(p.read_bytes() for p in (here, here.with_name("centerface.py")))
    return f"{detector_version()}-centerface-{hashlib.sha256(code).hexdigest()[:8]}"
