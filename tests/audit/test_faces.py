"""Where faces stand, and the windows that attacks see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reid_audit.attacks.recognition.align import face_width, window_around
from reid_audit.attacks.recognition.detect import Detection
from reid_audit.audit.data import Item
from reid_audit.audit.probes.faces import (
    FaceFinder,
    Found,
    anonymized_faces,
    clear_faces,
    make_face,
    overlap,
)

POINTS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
boxes = st.tuples(*[st.integers(0, 20)] * 4).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))


def detection(x0: float, y0: float, x1: float, y1: float, score: float = 0.99) -> Detection:
    scale = np.array([x1 - x0, y1 - y0], np.float32) / 96
    return Detection(np.array([x0, y0, x1, y1], np.float32), POINTS * scale + [x0, y0], score)


def item(path: Path = Path("p.png"), name: str | None = "ada") -> Item:
    return Item("p", name, "probe", path)


@given(boxes, boxes)
def test_overlap_is_the_share_of_common_pixels(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    masks = []
    for x0, y0, x1, y1 in (a, b):
        mask = np.zeros((41, 41), bool)
        mask[y0:y1, x0:x1] = True
        masks.append(mask)
    union = (masks[0] | masks[1]).sum()
    expected = (masks[0] & masks[1]).sum() / union if union else 0
    assert overlap(a, b) == pytest.approx(expected)


@given(st.floats(-50, 250), st.floats(-50, 250), st.floats(0.2, 3))
def test_a_window_lies_in_the_picture_and_holds_the_face(x: float, y: float, scale: float) -> None:
    points = (POINTS * scale + [x, y]).astype(np.float32)
    x0, y0, x1, y1 = window_around(points, (200, 180), 3 * float(face_width(points)))
    middle = points.mean(0)
    if 0 < middle[0] < 180 and 0 < middle[1] < 200:
        assert 0 <= x0 < x1 <= 180 and 0 <= y0 < y1 <= 200
        inside = points[((points > 0) & (points < [180, 200])).all(1)]
        assert (inside >= [x0 - 1, y0 - 1]).all() and (inside <= [x1 + 1, y1 + 1]).all()
        assert max(x1 - x0, y1 - y0) <= 3 * float(face_width(points)) + 2


def test_a_label_means_the_face_it_overlaps_else_the_large_one_in_the_middle() -> None:
    middle, corner = detection(60, 60, 140, 140), detection(0, 0, 60, 60)
    found = Found((200, 200), (corner, middle))
    np.testing.assert_array_equal(found.labelled(), middle.landmarks)
    np.testing.assert_array_equal(found.labelled((5, 5, 60, 60)), corner.landmarks)
    nowhere = found.labelled((150, 150, 190, 190))
    assert nowhere is not None and (nowhere > 150).all() and (nowhere < 190).all()
    assert Found((200, 200), ()).labelled() is None


def test_equal_content_has_an_equal_key() -> None:
    a = make_face(item(Path("a.png")), "f" * 64, POINTS, (96, 96), "detected")
    b = make_face(item(Path("b.png"), "bo"), "f" * 64, POINTS, (96, 96), "originals")
    assert a.key == b.key
    assert make_face(item(), "e" * 64, POINTS, (96, 96), "detected").key != a.key
    assert make_face(item(), "f" * 64, POINTS + 1, (96, 96), "detected").key != a.key


def test_faces_become_windows_with_regions_and_landmarks_in_them(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "p.png")
    points = POINTS * 0.8 + [200, 100]
    face = make_face(item(tmp_path / "p.png"), "f" * 64, points.astype(np.float32), (300, 400), "x")
    x0, y0, x1, y1 = face.window
    region = (x0 + 10, 0, 400, y1 - 7)
    probes = anonymized_faces([face], [region])
    np.testing.assert_array_equal(probes.pictures[0], picture[y0:y1, x0:x1])
    np.testing.assert_allclose(probes.landmarks[0], points - [x0, y0], atol=1e-4)
    assert probes.regions[0].tolist() == [10, 0, x1 - x0, y1 - y0 - 7]
    clear = clear_faces(
        [face, make_face(item(tmp_path / "p.png", None), "f" * 64, POINTS, (300, 400), "x")]
    )
    np.testing.assert_array_equal(clear.load(0), probes.pictures[0])
    assert clear.identities[0] == "ada" and clear.identities[1].startswith("unnamed")


def test_what_was_found_is_remembered_by_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def detect(path: Path, device: str, smallest: float) -> Found | None:
        looked.append(path.name)
        return None if path.name == "broken" else Found((96, 96), (detection(1.5, 2, 90, 91),))

    monkeypatch.setattr("reid_audit.audit.probes.faces.detect_file", detect)
    pictures = {"aa": Path("one"), "bb": Path("two"), "cc": Path("broken")}
    first = FaceFinder(tmp_path).find(pictures, lambda *_: None, "")
    again = FaceFinder(tmp_path).find(pictures, lambda *_: None, "")
    assert sorted(first) == sorted(again) == ["aa", "bb"]
    assert looked == ["one", "two", "broken", "broken"]
    assert again["aa"].shape == (96, 96)
    np.testing.assert_array_equal(again["aa"].detections[0].box, first["aa"].detections[0].box)
    next(tmp_path.glob("aa*.json")).write_text("{half")  # a damaged memory is looked up anew
    FaceFinder(tmp_path).find(pictures, lambda *_: None, "")
    assert looked[4:] == ["one", "broken"]
    FaceFinder(tmp_path, smallest=12).find(pictures, lambda *_: None, "")
    assert looked[6:] == ["one", "two", "broken"], "another setting is asked anew"
