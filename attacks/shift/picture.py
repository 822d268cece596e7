"""The anonymiser on a picture: find the face of a box, change it in its frame, put it back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from reid_audit.attacks.checkpoint import SHIPPED, WEIGHTS, Checkpoint
from reid_audit.attacks.networks.frame import cut, paste, template
from reid_audit.attacks.operators.base import rounded
from reid_audit.attacks.pictures import Picture
from reid_audit.attacks.recognition.align import typical_landmarks
from reid_audit.attacks.recognition.detect import Detector
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.shift.network import Shifter, Space, ellipse, shifted
from reid_audit.attacks.shift.objective import RECOGNISER, ShiftObjective
from reid_audit.attacks.shift.revision import revised
from reid_audit.metrics.errors import InputError, MissingWeights

AROUND = 0.5
"""Surroundings in sides of the box in which its face is looked for and seen."""


def shift(
    picture: Picture,
    box: Sequence[int],
    rng: np.random.Generator,
    key: int | None = None,
    steps: int = 8,
    strength: float = 0.8,
    diffusion: float = 0.0,
    weights: str | None = None,
) -> Picture:
    """A picture `(H, W, 3)` whose face in the box x0, y0, x1, y1 shows somebody else; see
    `attacks.operators.shift.IdentityShift`, whose settings these are.

    Raises:
        MissingWeights: those of the network or of a network that it needs are not there.
        InputError: `weights` is no folder of this anonymiser, or of one for another recogniser.
    """
    shifter, space = _loaded(weights)
    x0, y0, x1, y1 = (int(edge) for edge in box)
    margin = int(np.ceil(AROUND * max(x1 - x0, y1 - y0)))
    left, top = max(0, x0 - margin), max(0, y0 - margin)
    window = np.ascontiguousarray(picture[top : y1 + margin, left : x1 + margin])
    inner = np.array([x0 - left, y0 - top, x1 - left, y1 - top])
    landmarks = _landmarks(window, inner)

    clear = _tensor(cut([window], landmarks[None], shifter.size))
    own = space.identities(clear)
    wanted = -own if key is None else space.turned(own, key)
    after = shifted(shifter, space, clear, wanted, steps)
    changed = paste(window, 255 * strength * _array(after - clear), landmarks)
    if diffusion:
        drawn = revised(rounded(changed), landmarks, diffusion, int(rng.integers(2**63)))
        changed = _laid(changed, drawn, landmarks)
    out = picture.copy()
    a0, b0, a1, b1 = inner
    out[y0:y1, x0:x1] = rounded(changed)[b0:b1, a0:a1]
    return out


@lru_cache(maxsize=2)
def _loaded(weights: str | None) -> tuple[Shifter, Space]:
    """The network and the recogniser that it deceives, ready for use on a CPU."""
    name = ShiftObjective.name
    folder = SHIPPED / name if weights is None else Path(weights)
    if weights is None and not (folder / WEIGHTS).is_file():
        raise MissingWeights(
            f"The weights of {name} are not installed: train them with `reid-audit train {name} "
            f"FACES -o OUT --size slim` and write {name}:weights=OUT."
        )
    checkpoint = Checkpoint.open(folder, name)
    recognizer = load_recognizer(RECOGNISER, "cpu")
    if checkpoint.card.config["recognizer"]["digest"] != recognizer.digest:
        raise InputError(
            f"{folder}: was trained for another recogniser than {recognizer.name}; train it anew."
        )
    shifter = Shifter(checkpoint.card.config["size"], recognizer.dimension)
    checkpoint.fill(shifter)
    return shifter, Space(recognizer, shifter.size, shifter.centre, shifter.axes)


@lru_cache(maxsize=1)
def _detector() -> Detector:
    return Detector()


def _landmarks(window: Picture, box: np.ndarray) -> np.ndarray:
    """Landmarks `(5, 2)` of the face with its middle in the box whose own box is most like it;
    typical ones where there is none."""
    inside = [
        face
        for face in _detector().detect([window])[0]
        if (box[:2] <= (face.box[:2] + face.box[2:]) / 2).all()
        and ((face.box[:2] + face.box[2:]) / 2 <= box[2:]).all()
    ]
    best = max(inside, key=lambda face: _shared(face.box, box), default=None)
    return typical_landmarks(box) if best is None else best.landmarks


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    """Common area of two boxes over that of both together."""
    common = np.prod(np.maximum(0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])))
    return float(common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common))


def _laid(window: np.ndarray, face: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A window `(H, W, 3)` with the face of a frame `(S, S, 3)` laid over it inside the ellipse:
    unlike `paste`, of what was there nothing stays."""
    size = face.shape[0]
    matrix = template(size).matrices(np.asarray(landmarks, np.float64))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    there = window.shape[1::-1]
    moved = cv2.warpAffine(face.astype(np.float32), matrix, there, flags=flags)
    mask = cv2.warpAffine(ellipse(size).numpy(), matrix, there, flags=flags).clip(0, 1)[..., None]
    return np.asarray(mask * moved + (1 - mask) * window)


def _tensor(frames: np.ndarray) -> Tensor:
    """`(B, S, S, 3)` uint8 to `(B, 3, S, S)` in [0, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def _array(frames: Tensor) -> np.ndarray:
    """The one frame of `(1, 3, S, S)` as `(S, S, 3)`."""
    return np.asarray(frames[0].permute(1, 2, 0).numpy())
