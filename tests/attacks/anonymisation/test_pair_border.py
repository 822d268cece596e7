"""A pair tells the operator although codecs blur where the processed part ends."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.anonymisation import identify_pair
from reid_audit.audit.people import identity, nuisance, render


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return render(identity(5), nuisance(5, 0), 160)


def as_jpeg(picture: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=80)
    return np.asarray(Image.open(stream).convert("RGB"))


@pytest.mark.parametrize("off", [(0, 0, 0, 0), (-5, -3, 6, 4), (4, 2, -3, -6)])
@pytest.mark.parametrize(("family", "parameter"), [("gaussian", "sigma_x"), ("box", "box_x")])
def test_a_wide_filter_is_found_although_the_border_is_not(
    face: np.ndarray, family: str, parameter: str, off: tuple[int, int, int, int]
) -> None:
    x0, y0, x1, y1 = box = (41, 30, 119, 132)
    part = np.ascontiguousarray(face[y0:y1, x0:x1])
    made = face.copy()
    made[y0:y1, x0:x1] = (
        cv2.GaussianBlur(part, (0, 0), 14) if family == "gaussian" else cv2.blur(part, (31, 31))
    )
    told = tuple(side + step for side, step in zip(box, off, strict=True))
    found = identify_pair(face, as_jpeg(made), told).settled
    assert found.family == family
    assert found.parameters[parameter] == pytest.approx(14 if family == "gaussian" else 31, rel=0.1)


def test_another_face_is_no_filter(face: np.ndarray) -> None:
    other = render(identity(6), nuisance(6, 0), 160)
    made = face.copy()
    made[30:132, 41:119] = other[30:132, 41:119]
    assert identify_pair(face, made, (41, 30, 119, 132)).settled.family in ("generative", "unknown")
