"""The detector adapter: odd input on every machine, real faces where they are."""

import cv2
import numpy as np
import pandas as pd
import pytest

from reid_audit.attacks.recognition.align import face_width
from reid_audit.attacks.recognition.detect import TILE, VIEWS, Detector, _View, tiles
from reid_audit.metrics.errors import InputError


@pytest.fixture(scope="module")
def detector():
    return Detector()


@pytest.fixture(scope="module")
def faces(shared_data):
    paths = pd.read_csv(shared_data / "lfw.csv").path.sample(6, random_state=0)
    return [cv2.cvtColor(cv2.imread(str(shared_data / p)), cv2.COLOR_BGR2RGB) for p in paths]


def test_pictures_without_a_face_give_none(detector):
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (11, 300), (12, 12), (20, 400), (64, 64), (64, 64), (301, 57)]
    pictures = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    pictures.append(np.full((90, 90, 3), 128, np.uint8))
    assert detector.detect(pictures) == [[]] * len(pictures)
    assert detector.detect([]) == []


def test_sizes_that_cannot_be_found_are_refused(detector):
    with pytest.raises(InputError, match="ask for 12 or more"):
        detector.detect([], smallest=8)


def test_finds_the_face_in_the_middle(detector, faces):
    """LFW's deep funnel puts eyes near (105, 114) and (147, 113), faces about 94 px wide."""
    for found in detector.detect(faces):
        landmarks = found[0].landmarks
        assert np.abs(landmarks[:2] - [(105, 114), (147, 113)]).max() < 15
        assert 75 < face_width(landmarks) < 115
        assert found[0].score > 0.9
        x0, y0, x1, y1 = found[0].box
        assert ((landmarks > (x0, y0)) & (landmarks < (x1, y1))).all()


def test_neighbours_change_nothing(detector, faces):
    """One by one, all at once and between other sizes: the same to the last bit."""
    mixed = [faces[0], faces[1][:200], *faces[2:], faces[1]]
    alone = [detector.detect([picture])[0] for picture in mixed]
    for a, b in zip(alone, detector.detect(mixed), strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one.box, other.box)
            np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_batches_find_the_same_faces(detector, faces):
    batched = Detector(batch_size=4).detect(faces)
    for one, other in zip(detector.detect(faces), batched, strict=True):
        assert len(one) == len(other)
        assert np.abs(one[0].landmarks - other[0].landmarks).max() < 4


def test_most_prominent_face_comes_first(detector, faces):
    """A face half the size, put into a corner, comes second."""
    picture = np.zeros((250, 375, 3), np.uint8)
    picture[:, :250] = faces[0]
    picture[:125, 250:] = cv2.resize(faces[2], (125, 125), interpolation=cv2.INTER_AREA)
    found = detector.detect([picture])[0]
    assert len(found) >= 2
    weights = [face.score * face.area for face in found]
    assert weights == sorted(weights, reverse=True)
    assert found[0].landmarks[:, 0].max() < 250


def test_weights_are_read_without_running_code(monkeypatch):
    """facenet-pytorch must get its networks through the restricted unpickler."""
    import torch

    original, used = torch.load, []

    def load(*arguments, **options):
        used.append(options.get("weights_only"))
        return original(*arguments, **options)

    monkeypatch.setattr(torch, "load", load)
    Detector()
    assert len(used) == 3 and False not in used


def test_every_face_lies_whole_in_a_part_that_looks_for_its_size():
    """Squares of all sizes and places in a 4K picture, twice the face's width to hold its head."""
    rng = np.random.default_rng(0)
    height, width = 2160, 3840
    parts = tiles((height, width), 20)
    assert max((t.box[2] - t.box[0]) * t.scale * (t.box[3] - t.box[1]) * t.scale for t in parts) < (
        1.5 * TILE**2 * 1.01
    ), "no part is larger than the memory allowed for one"
    for _ in range(2000):
        face = float(np.exp(rng.uniform(np.log(14), np.log(800))))
        x, y = rng.uniform(0, width - 2 * face), rng.uniform(0, height - 2 * face)
        assert any(
            tile.box[0] <= x
            and tile.box[1] <= y
            and x + 2 * face <= tile.box[2]
            and y + 2 * face <= tile.box[3]
            and tile.widths[0] <= face < tile.widths[1]
            and face * tile.scale >= 0.7 * 24
            for tile in parts
        )


def test_small_faces_are_found_whatever_the_size_of_the_picture(detector, faces):
    """A face 24 px wide (LFW's fill 94 of 250) in the corner of a large grey picture."""
    rng = np.random.default_rng(0)
    picture = rng.normal(128, 4, (1500, 2200, 3)).clip(0, 255).astype(np.uint8)
    small = cv2.resize(faces[0], (64, 64), interpolation=cv2.INTER_AREA)
    picture[1400:1464, 2100:2164] = small
    found = detector.detect([picture])[0]
    assert len(found) == 1
    expected = (np.array([(105, 114), (147, 113)]) + 0.5) * 64 / 250 - 0.5 + (2100, 1400)
    assert np.abs(found[0].landmarks[:2] - expected).max() < 3
    assert 14 < found[0].width < 34


def test_views_place_what_they_show():
    """A dot in the picture lies in every crop where the crop says that it lies."""
    picture = np.zeros((200, 200, 3), np.uint8)
    cv2.circle(picture, (90, 110), 3, (255, 255, 255), -1)
    for shift, zoom, mirrored in VIEWS:
        view = _View(np.array([100.0, 100.0]) + np.array(shift) * 60, 60 * zoom, mirrored)
        crop = view.crop(picture[40:160, 30:170], 1.0, np.array([30.0, 40.0]))[..., 0].astype(float)
        y, x = np.indices(crop.shape)
        middle = np.array([(x * crop).sum(), (y * crop).sum()]) / crop.sum()
        placed = view.place((middle[None] + 0.5) / len(crop))
        np.testing.assert_allclose(placed[0] - 0.5, (90, 110), atol=0.3)
