"""Parts of one picture, estimated together."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

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


SMALL = [(60, 80, 86, 112), (300, 60, 328, 96), (560, 300, 586, 332), (720, 90, 750, 128)]
"""As wide as the faces of a street."""


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("kind", "quality"), [("solid", 90), ("solid", 75), ("gaussian", 90)])
def test_parts_as_small_as_the_faces_of_a_street(seed: int, kind: str, quality: int) -> None:
    picture = street(np.random.default_rng(seed))
    for x0, y0, x1, y1 in SMALL:
        part = picture[y0:y1, x0:x1]
        part[:] = 30 if kind == "solid" else cv2.GaussianBlur(part.copy(), (0, 0), 5)
    stored = EncodedInfo("jpeg", 8, quality, (standard_luma(quality),), False)
    parts = identify_parts(stored_again(picture, quality), stored)
    assert {p.family for p in parts} == {kind}
    assert {p.region for p in parts} <= set(SMALL)
    assert len(parts) >= (4 if kind == "solid" else 3)


@pytest.mark.parametrize("seed", range(3))
def test_an_untouched_street_has_no_parts(seed: int) -> None:
    stored = EncodedInfo("jpeg", 8, 85, (standard_luma(85),), False)
    picture = street(np.random.default_rng(seed))
    (told,) = identify_parts(stored_again(picture, 85), stored)
    assert (told.family, told.region) == ("none", (0, 0, 900, 600))


def test_ellipses_whose_boxes_meet_at_a_corner_are_two_parts() -> None:
    picture = street(np.random.default_rng(3))
    boxes = [(100, 100, 220, 260), (205, 235, 325, 395), (560, 120, 690, 290)]
    blurred = cv2.blur(picture, (21, 21))
    for x0, y0, x1, y1 in boxes:
        mask = np.zeros(picture.shape[:2], np.uint8)
        middle, axes = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
        cv2.ellipse(mask, middle, axes, 0, 0, 360, 1, -1)
        picture = np.where(mask[..., None] > 0, blurred, picture)
    parts = identify_parts(picture)
    assert len(parts) == 3 and {p.region_shape for p in parts} == {"ellipse"}
    for told in parts:
        assert min(np.abs(np.subtract(told.region, box)).max() for box in boxes) <= 6
