"""Whether a picture was processed as a whole, seen beside its original."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from reid_audit.attacks.anonymisation import Identification, identify, read_encoded
from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.audit.probes.difference import Difference
from reid_audit.audit.probes.looking import look_at_all
from reid_audit.audit.probes.pairs import placed
from reid_audit.audit.probes.scene import Picture

COARSE, REMADE = 24, 0.97
"""Side in pixels to which an original that was processed again is reduced, and its correlation with
the picture from which they are one."""
SHUFFLED = 2.0
"""Mean difference in grey levels of sorted values up to which pixels only changed places."""


def made_from(path: Path, picture: Picture, original: Picture) -> bool:
    """Whether a picture that nothing of its original is seen in was made from it all the same: what
    the pixels of the file say was done to it makes it from the original."""
    told = identify(picture, read_encoded(path))
    if not processed_as_whole(told, picture.shape[:2]):
        return False
    clear = placed(original, picture.shape[:2], False)
    if told.family == "permute":  # the same values in other places
        gap = np.abs(np.sort(clear, axis=None).astype(float) - np.sort(picture, axis=None))
        return bool(gap.mean() <= SHUFFLED)
    operator = told.operator()
    if operator is None:
        return False
    made = operator.apply(np.ascontiguousarray(clear), np.random.default_rng(0))
    a, b = (
        cv2.resize(p, (COARSE, COARSE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
        for p in (made, picture)
    )
    return bool(np.corrcoef(a, b)[0, 1] >= REMADE)


def changed_as_whole(
    difference: Difference,
    picture: Picture,
    clear: Picture,
    encoded: EncodedInfo,
    closely: bool = True,
) -> bool:
    """Whether a picture was processed as a whole. `closely`: where it lost its detail everywhere,
    some operator must make it from its original, since codecs smooth as well and a face that was
    processed is no longer missed; where nothing stands out its own pixels are asked, since a mild
    change of everything looks like coding."""
    if difference.whole:
        return True
    if not closely or (difference.picture == difference.original).all():
        return False
    if difference.smoothed:
        if difference.filled:
            return False  # of the whole picture it would have been seen above
        told = look_at_all(picture, clear, encoded).settled
        return told is not None and told.spec not in (None, "none", "solid")
    pixels = None if difference.places else identify(picture, encoded)
    return pixels is not None and processed_as_whole(pixels, picture.shape[:2])


def processed_as_whole(identification: Identification, shape: tuple[int, int]) -> bool:
    """Whether pixels say for certain that a picture of `shape` (height, width) was processed as a
    whole."""
    everywhere = identification.region == (0, 0, shape[1], shape[0])
    return (
        everywhere
        and identification.family not in ("none", "unknown")
        and identification.confidence > 0.9
    )
