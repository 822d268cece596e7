"""The attacker's model of the anonymisation: which operator, on which part, at which face size.

It lets an attacker do to reference faces what was done to the probes, so that everything learnt
from them (priors, linear maps, students) is learnt through the very same operator.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from reid_audit.attacks.operators import Chain, Operator
from reid_audit.attacks.operators.base import apply_to_box
from reid_audit.attacks.operators.codec import Codec, Jpeg
from reid_audit.attacks.operators.move import Rotate
from reid_audit.attacks.operators.ranged import Ranged
from reid_audit.attacks.pictures import Picture
from reid_audit.attacks.recognition.align import face_width

SAMPLE = 64
"""Face widths kept to imitate the spread of the probes' sizes."""

RESIZE_TOLERANCE = 0.08
"""Reference faces within this share of the wanted size are used as they are: resampling them
would change their spectrum more than the difference in scale does."""


@dataclass(frozen=True)
class RelativeBox:
    """A box in units of face width, relative to the mean of the five landmarks."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def measure(cls, regions: np.ndarray, landmarks: np.ndarray) -> RelativeBox:
        """Median position of processed boxes `(N, 4)` relative to landmarks `(N, 5, 2)`."""
        centre = landmarks.mean(axis=1)
        width = face_width(landmarks)[:, None]
        corners = (regions.reshape(-1, 2, 2) - centre[:, None]) / width[:, None]
        return cls(*(float(v) for v in np.median(corners.reshape(-1, 4), axis=0)))

    def place(self, landmarks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The box in pixels `(4,)` int on a face with `landmarks (5, 2)`, clipped to `shape`."""
        centre, width = landmarks.mean(axis=0), float(face_width(landmarks))
        corners = np.array([[self.left, self.top], [self.right, self.bottom]]) * width + centre
        height_, width_ = shape[:2]
        return np.asarray(np.rint(corners).clip(0, [width_, height_]).astype(int).ravel())


def sampled_widths(widths: ArrayLike) -> tuple[float, ...]:
    """At most SAMPLE of the face widths `(N,)`, evenly picked from small to large, in tenths of a
    pixel."""
    ordered = np.sort(np.asarray(widths, np.float64))
    picks = np.linspace(0, len(ordered) - 1, min(SAMPLE, len(ordered))).round().astype(int)
    return tuple(round(float(width), 1) for width in ordered[picks])


@dataclass(frozen=True)
class ForwardModel:
    """What was done to the probes, as the attacker believes.

    operator: lengths in pixels of the probes. face_widths: a sample of the probes' face widths in
    pixels; empty where they are not known, so that reference faces keep their size. box: the
    processed part, or None for the whole picture.
    """

    operator: Operator
    face_widths: tuple[float, ...]
    box: RelativeBox | None = None

    @property
    def face_width(self) -> float:
        """Median face width of the probes, in pixels."""
        return float(np.median(self.face_widths))

    @property
    def key(self) -> str:
        """Digest of everything that `degrade` depends on, for caches."""
        return hashlib.sha256(
            repr((str(self.operator), self.face_widths, self.box)).encode()
        ).hexdigest()[:16]

    def match_scale(
        self, picture: Picture, landmarks: np.ndarray, rng: np.random.Generator
    ) -> tuple[Picture, np.ndarray]:
        """Resize a clear window so that its face is as wide as a randomly chosen probe's."""
        if not self.face_widths:
            return picture, landmarks
        wanted = self.face_widths[rng.integers(len(self.face_widths))]
        factor = wanted / float(face_width(landmarks))
        if abs(np.log(factor)) <= RESIZE_TOLERANCE:
            return picture, landmarks
        height, width = picture.shape[:2]
        size = max(8, round(width * factor)), max(8, round(height * factor))
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        scale = np.array([size[0] / width, size[1] / height])
        moved = (landmarks + 0.5) * scale - 0.5  # pixel centres
        resized = np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)
        return resized, moved.astype(np.float32)

    def region(self, picture: Picture, landmarks: np.ndarray) -> np.ndarray:
        """The part `(4,)` of a window that the operator acts on."""
        if self.box is None:
            return np.array([0, 0, picture.shape[1], picture.shape[0]])
        return self.box.place(landmarks, picture.shape)

    def degrade(
        self, picture: Picture, landmarks: np.ndarray, rng: np.random.Generator
    ) -> tuple[Picture, np.ndarray, np.ndarray]:
        """Do to a clear window what was done to the probes.

        Returns the anonymised window, its landmarks `(5, 2)` and its processed region `(4,)`.
        """
        picture, landmarks = self.match_scale(picture, landmarks, rng)
        region = self.region(picture, landmarks)
        return apply_to_box(self.operator, picture, region, rng), landmarks, region


def straightened(operator: Operator, picture: Picture) -> Picture:
    """An anonymised region `(H, W, 3)` turned back by the rotations of `operator`.

    What they cost is their interpolation and the corners: blur is the same in every direction, so
    that it does not matter what came first.
    """
    for step in reversed(_steps(operator)):
        if isinstance(step, Rotate) and step.deg:
            picture = replace(step, deg=-step.deg).apply(picture, np.random.default_rng(0))
    return picture


def settings(operator: Operator, count: int) -> tuple[Operator, ...]:
    """`count` settings, from weakest to strongest, of the first step that is drawn anew for every
    picture; nothing where all pictures are treated alike. Codecs stay as they are: their files
    and pixels tell the quality, and what they cost is nearly the same over their usual range.

    >>> from reid_audit.attacks.operators import parse
    >>> [str(o) for o in settings(parse("box:k=3..7|noise:sigma=2"), 3)]
    ['box:k=3|noise:sigma=2', 'box:k=5|noise:sigma=2', 'box:k=7|noise:sigma=2']
    """
    steps = _steps(operator)
    for place, step in enumerate(steps):
        if isinstance(step, Ranged) and not isinstance(step.low, Codec):
            fixed = dict.fromkeys(step.at(float(share)) for share in np.linspace(0, 1, count))
            return tuple(
                Chain((*steps[:place], setting, *steps[place + 1 :])) if len(steps) > 1 else setting
                for setting in fixed
            )
    return ()


def as_stored(operator: Operator, quality: int | None) -> Operator:
    """`operator` with the JPEG behind it that the pictures are stored as, at this libjpeg quality;
    None: no JPEG.

    People name the tool, not how its output was saved, and an attacker who takes a JPEG's error for
    rounding sharpens it until nothing else is left. An operator that names its codec knows better;
    untouched pictures and fills have nothing to restore.
    """
    last = _steps(operator)[-1]
    named = isinstance(last.low if isinstance(last, Ranged) else last, Codec)
    if quality is None or named or operator.family in ("none", "solid"):
        return operator
    return Chain((*_steps(operator), Jpeg(quality)))


def _steps(operator: Operator) -> tuple[Operator, ...]:
    return operator.steps if isinstance(operator, Chain) else (operator,)
