"""The detector adapter: odd input on every machine, real faces where they are."""

import cv2
import numpy as np
import pandas as pd
import pytest

from reid_audit.attacks.recognition.align import face_width
from reid_audit.attacks.recognition.detect import Detector
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
