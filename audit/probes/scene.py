"""One anonymised picture: what to ask of it, and its faces as they were found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid_audit.attacks.anonymisation import Identification
from reid_audit.attacks.recognition.align import face_width
from reid_audit.audit.data import Box, Item
from reid_audit.audit.probes.faces import Found, Landmarks
from reid_audit.audit.probes.inventory import Region, State
from reid_audit.audit.probes.pairs import UPRIGHT, Pair, Turn

Picture = NDArray[np.uint8]
"""`(H, W, 3)`, RGB."""
Source = Literal["originals", "manifest", "anonymised", "region", "none"]
"""Where a face's place was seen."""


@dataclass(frozen=True, eq=False)
class SceneFace:
    """One face of an anonymised picture that lies as its original does.

    landmarks: `(5, 2)` in its pixels. item: which of the picture's items names it, or None.
    region: where it was processed; None where it was not, or with the whole picture.
    identification: what was done there, settled by the original where there is one, else as far as
    its own pixels tell; None where not asked. pixels_alone: what they tell, where the original
    settled it.
    """

    landmarks: Landmarks
    state: State
    untouched: float
    source: Source
    item: int | None
    region: Region | None
    identification: Identification | None
    pixels_alone: Identification | None = None

    @property
    def width(self) -> float:
        """In pixels."""
        return float(face_width(self.landmarks))

    @property
    def box(self) -> Box:
        """About the face from brows to chin, in pixels."""
        (x, y), half = self.landmarks.mean(axis=0).tolist(), self.width / 2
        long = 1.3 * half
        return round(x - half), round(y - long), round(x + half), round(y + long)


@dataclass(frozen=True, eq=False)
class Scene:
    """One anonymised picture.

    shape: height and width as the original lies. pair: None without an original.
    whole: it was processed as a whole. without_face: processed places on which no face lies.
    """

    shape: tuple[int, int]
    pair: Pair | None
    faces: tuple[SceneFace, ...]
    whole: bool = False
    without_face: tuple[Box, ...] = ()

    @property
    def turn(self) -> Turn:
        """How the anonymised picture is turned to lie as its original."""
        return self.pair.turn if self.pair is not None else UPRIGHT

    def in_original(self, landmarks: Landmarks, shape: tuple[int, int]) -> Landmarks:
        """Points `(5, 2)` in pixels of the original's file, of height and width `shape`."""
        if self.pair is not None and self.pair.padded:
            return landmarks
        scale = np.array([shape[1] / self.shape[1], shape[0] / self.shape[0]])
        return np.asarray((landmarks + 0.5) * scale - 0.5, np.float32)

    @property
    def told(self) -> bool:
        """Whether an original tells what became of the faces."""
        return self.pair is not None and self.pair.relation != "different"


@dataclass(frozen=True)
class Task:
    """What a picture's examination depends on.

    content: digests of its file and its original's. items: of this one picture. clear, seen: faces
    found in its original and in itself; None where not looked for. method, region: how and where
    it was processed, where the configuration says. usual: where and by what family most pictures of
    this size were processed, to be looked at where nothing stands out.
    """

    content: str
    path: Path
    original: Path | None
    items: tuple[Item, ...]
    clear: Found | None = field(compare=False)
    seen: Found | None = field(compare=False)
    method: str | None = None
    region: str | None = None
    usual: tuple[Box, str] | None = None
