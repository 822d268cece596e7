"""Probes that share one anonymisation: who they are, where they were processed, and the variants
of them that controls run on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.anonymisation import Identification
from reid_audit.attacks.forward import ForwardModel, RelativeBox, sampled_widths
from reid_audit.attacks.interface import AnonymizedFaces
from reid_audit.attacks.operators import Operator, parse
from reid_audit.audit.data import Box
from reid_audit.audit.probes.faces import Face, anonymized_faces
from reid_audit.audit.results.schema import Anonymizer

FACE = RelativeBox(-0.55, -0.85, 0.55, 0.7)
"""The face without hair and surroundings, relative to the mean landmark, in face widths."""
SURROUND = 0.85
"""Half side of the square on which pictures are compared, in face widths."""


@dataclass(frozen=True, eq=False)
class Group:
    """The probes of one condition. `regions` are in pixels of the whole pictures; `settled`: what
    originals say was done to some of the probes, each beside what their pixels alone say."""

    id: str
    title: str
    operator: Operator | None
    anonymizer: Anonymizer
    faces: tuple[Face, ...]
    originals: tuple[Face | None, ...]
    regions: tuple[Box, ...]
    whole_picture: bool
    settled: tuple[tuple[Identification, Identification], ...] = ()

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def identities(self) -> tuple[str | None, ...]:
        """Who the probes show, as far as the data says."""
        return tuple(face.item.identity for face in self.faces)

    @property
    def forward(self) -> ForwardModel:
        """What the attacker believes was done; nothing, where the operator is unknown."""
        operator = self.operator if self.operator is not None else parse("none")
        sample = sampled_widths([face.width for face in self.faces])
        if self.whole_picture:
            return ForwardModel(operator, sample)
        landmarks = np.array([face.landmarks for face in self.faces])
        return ForwardModel(
            operator, sample, RelativeBox.measure(np.array(self.regions), landmarks)
        )

    def shards(self, size: int) -> Iterator[range]:
        """Consecutive index ranges of at most `size` probes."""
        for start in range(0, len(self), size):
            yield range(start, min(start + size, len(self)))

    def load(self, indices: Sequence[int]) -> AnonymizedFaces:
        """The probes at `indices`, decoded."""
        return anonymized_faces(
            [self.faces[i] for i in indices], [self.regions[i] for i in indices]
        )

    def load_originals(self, indices: Sequence[int]) -> list[NDArray[np.uint8] | None]:
        """The same windows before anonymisation, where there are originals of equal size."""
        windows: list[NDArray[np.uint8] | None] = []
        for i in indices:
            original, probe = self.originals[i], self.faces[i]
            same = original is not None and original.window == probe.window
            windows.append(original.load() if original is not None and same else None)
        return windows


def without_faces(probes: AnonymizedFaces) -> AnonymizedFaces:
    """Context-only control: the face of every probe painted over, its surroundings as they are."""
    pictures = []
    for picture, landmarks in zip(probes.pictures, probes.landmarks, strict=True):
        x0, y0, x1, y1 = FACE.place(landmarks, picture.shape)
        painted = picture.copy()
        painted[y0:y1, x0:x1] = 0
        pictures.append(painted)
    return replace(probes, pictures=tuple(pictures))


def covered(probes: AnonymizedFaces) -> AnonymizedFaces:
    """Of a tool that processed regions: these painted over, and nothing else. What is left of the
    face beside them (a forehead above a narrow box) stays, as the tool left it."""
    pictures = []
    for picture, (x0, y0, x1, y1) in zip(probes.pictures, probes.regions, strict=True):
        painted = picture.copy()
        painted[y0:y1, x0:x1] = 0
        pictures.append(painted)
    return replace(probes, pictures=tuple(pictures))


def solid(probes: AnonymizedFaces) -> AnonymizedFaces:
    """Solid-fill control: nothing but one colour, so that any success would be a fault of ours."""
    return replace(probes, pictures=tuple(np.zeros_like(p) for p in probes.pictures))


def face_square(picture: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The part of a window on which picture fidelity is measured."""
    box = RelativeBox(-SURROUND, -SURROUND, SURROUND, SURROUND)
    x0, y0, x1, y1 = box.place(landmarks, picture.shape)
    return picture[y0:y1, x0:x1]
