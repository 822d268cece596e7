"""Parts of one picture, estimated together."""

from __future__ import annotations

import cv2
import numpy as np

from reid_audit.attacks.anonymisation import Identification, identify_parts
from reid_audit.attacks.anonymisation.compression import stored_again
from reid_audit.attacks.anonymisation.encoded import standard_luma
from reid_audit.attacks.anonymisation.parts import common_family
from reid_audit.attacks.anonymisation.result import EncodedInfo


def part(**odds: float) -> Identification:
    family = max(odds, key=odds.__getitem__)
    return Identification((0, 0, 9, 9), family, confidence=odds[family], odds=odds)


def test_the_evidence_of_the_parts_adds_up() -> None:
    doubtful, clear = part(box=0.7, gaussian=0.3), part(gaussian=0.95, box=0.05)
    assert common_family([doubtful]) == "box"
    assert common_family([doubtful, clear]) == "gaussian"


def test_one_part_that_is_wrong_and_sure_does_not_outvote_the_others() -> None:
    wrong = part(box=1.0, gaussian=0.0)
    assert common_family([wrong, *[part(gaussian=0.9, box=0.1)] * 3]) == "gaussian"


def street(rng: np.random.Generator) -> np.ndarray:
    """Detail at every scale, 600 x 900 pixels."""
    picture = np.full((600, 900, 3), 125.0)
    for step in (128, 64, 32, 16, 8, 4, 2):
        size = (600 // step + 2, 900 // step + 2)
        cloud = rng.normal(0, 1, (*size, 1)) + rng.normal(0, 0.3, (*size, 3))
        whole = cv2.resize(cloud, (size[1] * step, size[0] * step), interpolation=cv2.INTER_CUBIC)
        picture += 3 * step**0.5 * whole[:600, :900]
    return (picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8)


def test_small_blurred_parts_of_a_jpeg_are_told_one_by_one_and_as_one_tool() -> None:
    boxes = [(60, 80, 150, 200), (300, 60, 400, 190), (560, 300, 650, 420), (720, 90, 830, 240)]
    picture = street(np.random.default_rng(4))
    for x0, y0, x1, y1 in boxes:
        blurred = cv2.GaussianBlur(picture[y0:y1, x0:x1].copy(), (0, 0), 0.15 * (x1 - x0))
        picture[y0:y1, x0:x1] = blurred
    stored = EncodedInfo("jpeg", 8, 90, (standard_luma(90),), False)
    parts = identify_parts(stored_again(picture, 90), stored)
    assert {p.family for p in parts} == {"gaussian"}
    assert sorted(p.region for p in parts) == sorted(boxes)
    for p in parts:
        true = 0.15 * (p.region[2] - p.region[0])
        assert abs(np.log(p.parameters["sigma_x"] / true)) < 0.25
