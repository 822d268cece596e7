"""Who is who: the faces of a picture, and which of its items names each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from reid_audit.audit.data import Box
from reid_audit.audit.probes.boxes import area
from reid_audit.audit.probes.faces import Found, Landmarks, overlap
from reid_audit.audit.probes.pairs import Turn
from reid_audit.audit.probes.scene import SceneFace, Source, Task

SURE = 0.7
"""Score from which a detection is counted as a face that nobody labelled."""
NAMED = 0.3
"""Overlap from which a detection is the face that a box names."""


@dataclass(frozen=True, eq=False)
class Named:
    """The picture's items and the boxes that they name, as the picture lies now."""

    boxes: tuple[Box | None, ...]

    @classmethod
    def of(cls, task: Task, turn: Turn, shape: tuple[int, int]) -> Named:
        """A task's, on its picture that was turned and is of `shape` (height, width) now."""
        before = turn.shape(shape)  # quarters of a turn swap sides either way
        return cls(
            tuple(
                turn.box(item.face_box, before) if item.face_box is not None else None
                for item in task.items
            )
        )

    def assign(
        self,
        detected: Found | None,
        frame: tuple[float, float],
        regions: Sequence[Box] = (),
        alone: bool = False,
    ) -> list[SceneFace]:
        """Every face of the picture: those that were found, scaled by `frame` (x, y), and those
        that an item names, for want of a found one where a record says `regions`. `alone`, without
        an original, every region is taken to lie on a face."""
        here = _scaled(detected, frame) if detected is not None else None
        detections = here.detections if here is not None else ()
        owner: dict[int, int] = {}
        faces: list[SceneFace] = []
        source: Source = "anonymised" if alone else "originals"
        for place, box in enumerate(self.boxes):
            if box is None:
                continue
            free = [row for row in range(len(detections)) if row not in owner]
            alike = {row: overlap(detections[row].box, box) for row in free}
            row = max(alike, key=alike.__getitem__, default=None)
            if row is not None and alike[row] >= NAMED:
                owner[row] = place
            else:
                faces.append(_seen(_typical(box), "manifest", place))
        for place, box in enumerate(self.boxes):
            if box is not None:
                continue
            hidden = [region for region in regions if not _holds_any(region, faces)]
            row = self._prominent(here, owner, hidden if alone else ())
            if row is not None:
                owner[row] = place
            elif hidden:
                largest = max(hidden, key=area)
                faces.append(_seen(_typical(largest), "region", place))
        for row, detection in enumerate(detections):
            if row in owner or detection.score >= SURE:
                faces.append(_seen(detection.landmarks, source, owner.get(row)))
        for region in regions if alone else ():
            if not _holds_any(region, faces):
                faces.append(_seen(_typical(region), "region", None))
        return sorted(faces, key=lambda face: (face.item is None, face.item or 0, face.box))

    @staticmethod
    def _prominent(
        faces: Found | None, owner: Mapping[int, int], regions: Sequence[Box]
    ) -> int | None:
        """The face that a label without a box means: the prominent one, where the picture was
        processed if that is known."""
        if faces is None:
            return None
        free = [row for row in range(len(faces.detections)) if row not in owner]
        inside = [
            row
            for row in free
            if any(holds_middle(faces.detections[row].landmarks, region) for region in regions)
        ]
        if regions and not inside:
            return None
        chosen = Found(faces.shape, tuple(faces.detections[row] for row in inside or free))
        points = chosen.labelled()
        return next((r for r in free if faces.detections[r].landmarks is points), None)


def _scaled(faces: Found, frame: tuple[float, float]) -> Found:
    if frame == (1.0, 1.0):
        return faces
    scale = np.array(frame, np.float32)
    moved = tuple(
        replace(
            d,
            box=np.asarray(d.box * np.tile(scale, 2), np.float32),
            landmarks=np.asarray((d.landmarks + 0.5) * scale - 0.5, np.float32),
        )
        for d in faces.detections
    )
    height, width = faces.shape
    return Found((round(height * frame[1]), round(width * frame[0])), moved)


def _seen(landmarks: Landmarks, source: Source, item: int | None) -> SceneFace:
    return SceneFace(landmarks, "unmatched", 1.0, source, item, None, None)


def _typical(box: Box) -> Landmarks:
    points = Found((0, 0), ()).labelled(box)
    assert points is not None  # a box always has typical landmarks
    return points


def holds_middle(landmarks: Landmarks, box: Box) -> bool:
    """Whether the middle of a face lies in a box."""
    x, y = landmarks.mean(axis=0)
    return bool(box[0] <= x < box[2] and box[1] <= y < box[3])


def _holds_any(box: Box, faces: Iterable[SceneFace]) -> bool:
    return any(holds_middle(face.landmarks, box) for face in faces)
