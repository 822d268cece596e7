"""From pictures to faces: where each face stands, and the window around it that attacks see.

A reference face's window is the square of three face widths about it, cut at the picture's border:
it is anonymised after it was cut out. A probe's window is the whole picture: a blur of the whole
picture is mirrored at the picture's border, and restoring a part of it would spread the mismatch at
the part's border over the face (benchmarks/tried.md, windows). Only pictures so large that memory
counts are cut, far from the face, and those of which only a region was processed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache as remembered
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.interface import AnonymizedFaces, ClearFaces
from reid_audit.attacks.recognition.align import (
    face_width,
    reference_window,
    typical_landmarks,
    window_around,
)
from reid_audit.attacks.recognition.detect import (
    Detection,
    Detector,
    detector_version,
    most_prominent,
)
from reid_audit.attacks.recognition.scenes import SceneDetector, scene_detector_version
from reid_audit.attacks.recognition.sizes import SMALLEST_FACE
from reid_audit.audit.data import Box, Item, decode
from reid_audit.audit.engine import Engine, Local
from reid_audit.audit.probes.pairs import UPRIGHT, Turn
from reid_audit.audit.probes.sharing import worth_processes
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.files import write_text

PROBE_WINDOW = 8.0
"""Side of a probe's window in face widths."""
CUT = 256
"""Least side in pixels of a probe's window where only a region was processed."""
WHOLE = 1024
"""Probes' pictures up to this side in pixels are never cut."""
DECODING = 0.18e6
"""Cost of reading a picture, in pixels of looking for faces."""

Landmarks = NDArray[np.float32]
Progress = Callable[[str, int, int], None]
Look = Callable[[Path, str, float], "Found | None"]


@dataclass(frozen=True, eq=False)
class Face:
    """One face of one picture.

    key: digest of the picture file and the face's place in it; equal content has an equal key.
    landmarks: `(5, 2)` in pixels of the upright picture.
    window: x0, y0, x1, y1 of the part of the picture that attacks see.
    source: where the landmarks come from: detected, manifest, originals, anonymised or typical.
    turn: what lays the file's picture as landmarks and window see it.
    """

    item: Item
    key: str
    landmarks: Landmarks
    window: Box
    source: str
    turn: Turn = UPRIGHT

    def load(self) -> NDArray[np.uint8]:
        """The window `(H, W, 3)` uint8."""
        x0, y0, x1, y1 = self.window
        return np.ascontiguousarray(self.turn.apply(decode(self.item.path))[y0:y1, x0:x1])

    @property
    def local_landmarks(self) -> Landmarks:
        """Landmarks `(5, 2)` in pixels of the window."""
        return np.asarray(self.landmarks - np.array(self.window[:2], np.float32), np.float32)

    @property
    def width(self) -> float:
        """Face width in pixels."""
        return float(face_width(self.landmarks))


def make_face(
    item: Item,
    digest: str,
    landmarks: Landmarks,
    shape: Sequence[int],
    source: str,
    turn: Turn = UPRIGHT,
    region: Box | None = None,
) -> Face:
    """A face from where it stands in a picture of `shape`; its window depends on its role, and a
    probe's on whether a `region` or the whole picture was processed."""
    window = reference_window(landmarks, shape)
    if item.role == "probe":
        least = 2 * WHOLE if region is None else CUT
        side = max(PROBE_WINDOW * float(face_width(landmarks)), least)
        window = window_around(landmarks, shape, side)
    if item.role == "probe" and region is not None:
        low, high = np.minimum(window[:2], region[:2]), np.maximum(window[2:], region[2:])
        high = np.minimum(high, shape[1::-1])
        window = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    place = hashlib.sha256(np.round(landmarks, 2).astype("<f4").tobytes()).hexdigest()
    return Face(item, f"{digest[:24]}-{place[:8]}", landmarks, window, source, turn)


@dataclass(frozen=True, eq=False)
class Found:
    """What the detector found in one picture file."""

    shape: tuple[int, int]
    detections: tuple[Detection, ...]

    def labelled(self, box: Sequence[float] | None = None) -> Landmarks | None:
        """Landmarks `(5, 2)` of the face a label means: the one that overlaps `box`, or the large
        one near the middle. With a box that nothing overlaps, the box's typical landmarks."""
        if box is not None:
            best = max(self.detections, key=lambda d: overlap(d.box, box), default=None)
            if best is not None and overlap(best.box, box) >= 0.3:
                return best.landmarks
            return np.asarray(typical_landmarks(box), np.float32)
        shown = most_prominent(self.detections, self.shape)
        return None if shown is None else shown.landmarks


def overlap(a: Sequence[float] | NDArray[np.float32], b: Sequence[float]) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1.

    >>> overlap((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return float(both / union) if union > 0 else 0.0


class FaceFinder:
    """Detects faces in files, by an engine when there are many, and remembers by content what it
    found.

    Args:
        cache: folder for what was found (positions only), or None.
        engine: does the work; by default this process.
        device: where the detector runs; other processes are used on CPUs only.
        smallest: width in pixels of the smallest faces looked for.
    """

    def __init__(
        self,
        cache: Path | None,
        engine: Engine | None = None,
        device: str = "cpu",
        smallest: float = SMALLEST_FACE,
    ) -> None:
        self.cache, self.device, self.smallest = cache, device, smallest
        self.engine = engine if engine is not None and device == "cpu" else Local(1)

    def find(self, pictures: Mapping[str, Path], progress: Progress, what: str) -> dict[str, Found]:
        """Detections by digest, of pictures given as digest -> path; unreadable ones are absent."""
        return self._find(pictures, progress, what, detect_file, detector_version())

    def find_all(
        self, pictures: Mapping[str, Path], progress: Progress, what: str
    ) -> dict[str, Found]:
        """As `find`, of clear pictures of which every face counts."""
        return self._find(pictures, progress, what, detect_scene, scene_detector_version())

    def _find(
        self,
        pictures: Mapping[str, Path],
        progress: Progress,
        what: str,
        look: Look,
        version: str,
    ) -> dict[str, Found]:
        # What was found by another detector, setting or version of the code is no answer here.
        setting = f"{version}-{self.smallest:g}"
        known = {digest: faces for digest in pictures if (faces := self._recall(digest, setting))}
        missing = [(digest, path) for digest, path in pictures.items() if digest not in known]
        work = partial(_looked, look, self.device, self.smallest)
        paths = [path for _, path in missing]
        results = self.engine.map(work, paths, worth=worth_processes(paths, DECODING))
        for done, ((digest, _), faces) in enumerate(zip(missing, results, strict=True), start=1):
            if faces is not None:
                known[digest] = faces
                self._remember(digest, setting, faces)
            progress(what, done, len(missing))
        return known

    def _recall(self, digest: str, setting: str) -> Found | None:
        if self.cache is None:
            return None
        try:
            content = json.loads(_kept(self.cache, digest, setting).read_text())
        except (OSError, ValueError):
            return None
        detections = (
            Detection(
                np.array(d["box"], np.float32), np.array(d["landmarks"], np.float32), d["score"]
            )
            for d in content["detections"]
        )
        return Found(tuple(content["shape"]), tuple(detections))

    def _remember(self, digest: str, setting: str, faces: Found) -> None:
        if self.cache is None:
            return
        rows = [
            {"box": d.box.tolist(), "landmarks": d.landmarks.tolist(), "score": d.score}
            for d in faces.detections
        ]
        content = json.dumps({"shape": faces.shape, "detections": rows})
        write_text(_kept(self.cache, digest, setting), content)


def _looked(look: Look, device: str, smallest: float, path: Path) -> Found | None:
    return look(path, device, smallest)


def _kept(cache: Path, digest: str, setting: str) -> Path:
    return cache / f"{digest}-{setting}.json"


@remembered
def _detector(device: str) -> Detector:
    """This process's, made once, since processes can be handed no network."""
    return Detector(device)


@remembered
def _scene_detector(device: str) -> SceneDetector:
    return SceneDetector(device)


def detect_file(path: Path, device: str, smallest: float) -> Found | None:
    """Faces of a picture file; None where it cannot be read."""
    return _detect_file(path, _detector(device), smallest)


def detect_scene(path: Path, device: str, smallest: float) -> Found | None:
    """Faces of a picture file that two detectors see, where both are installed; None where it
    cannot be read."""
    return _detect_file(path, _scene_detector(device), smallest)


def _detect_file(path: Path, detector: Detector | SceneDetector, smallest: float) -> Found | None:
    try:
        picture = decode(path)
    except InputError:
        return None
    return detect_picture(picture, detector, smallest)


def detect_picture(
    picture: NDArray[np.uint8],
    detector: Detector | SceneDetector,
    smallest: float = SMALLEST_FACE,
) -> Found:
    """Faces of a decoded picture, `(H, W, 3)` uint8, from a width of `smallest` pixels up."""
    height, width = picture.shape[:2]
    return Found((height, width), tuple(detector.detect([picture], smallest)[0]))


def clear_faces(faces: Sequence[Face]) -> ClearFaces:
    """Reference faces as attacks take them."""
    landmarks = np.array([face.local_landmarks for face in faces], np.float32).reshape(-1, 5, 2)
    return ClearFaces(
        tuple(face.key for face in faces),
        tuple(face.item.identity or f"unnamed {face.key}" for face in faces),
        landmarks,
        lambda index: faces[index].load(),
    )


def anonymized_faces(faces: Sequence[Face], regions: Sequence[Box]) -> AnonymizedFaces:
    """Probes as attacks take them; `regions` in pixels of the whole picture."""
    local = []
    for face, (x0, y0, x1, y1) in zip(faces, regions, strict=True):
        left, top, right, bottom = face.window
        clipped = (max(x0, left), max(y0, top), min(x1, right), min(y1, bottom))
        local.append(np.subtract(clipped, (left, top, left, top)))
    return AnonymizedFaces(
        tuple(face.item.image_id for face in faces),
        tuple(face.load() for face in faces),
        np.array([face.local_landmarks for face in faces], np.float32).reshape(-1, 5, 2),
        np.array(local, int).reshape(-1, 4),
    )
