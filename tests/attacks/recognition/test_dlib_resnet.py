"""The torch port against dlib itself."""

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from reid_audit.attacks.recognition import dlib_resnet
from reid_audit.attacks.recognition.align import DLIB, crop, typical_landmarks
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.metrics.errors import InputError

# dlib's own bound between its CPU and GPU runs is of this order.
PARITY = 1e-4


@pytest.fixture(scope="module")
def reference():
    dlib = pytest.importorskip("dlib", reason="dlib-bin is not installed")
    model = dlib.face_recognition_model_v1(str(dlib_resnet.installed_file()))
    return lambda chips: np.array([model.compute_face_descriptor(chip) for chip in chips])


@pytest.fixture(scope="module")
def recognizer():
    return load_recognizer("dlib")


def drawn_chips():
    """Noise, flat colours and a drawn face: from silence to the busiest input."""
    rng = np.random.default_rng(0)
    flat = np.full((2, 150, 150, 3), [[[[0]]], [[[255]]]], np.uint8)
    face = np.full((150, 150, 3), (190, 150, 130), np.uint8)
    for x, y in np.asarray(DLIB.points, int).tolist():
        cv2.circle(face, (x, y), 9, (60, 30, 30), -1)
    noise = rng.integers(0, 256, (2, 150, 150, 3), dtype=np.uint8)
    return np.concatenate([flat, face[None], cv2.GaussianBlur(face, (0, 0), 5)[None], noise])


def test_same_numbers_as_dlib(recognizer, reference):
    chips = drawn_chips()
    assert np.abs(recognizer.embed(chips) - reference(chips)).max() < PARITY


def test_same_numbers_as_dlib_on_real_faces(recognizer, reference, shared_data):
    paths = pd.read_csv(shared_data / "lfw.csv").path.sample(8, random_state=0)
    pictures = [cv2.imread(str(shared_data / path))[..., ::-1] for path in paths]
    boxes = np.tile([78, 62, 172, 187], (len(pictures), 1))
    chips = crop([np.ascontiguousarray(p) for p in pictures], typical_landmarks(boxes), DLIB)
    assert np.abs(recognizer.embed(chips) - reference(chips)).max() < PARITY


def test_trainable_copy_computes_the_same_and_learns(recognizer):
    chips = drawn_chips()
    module = recognizer.module()
    inputs = recognizer.preprocess(torch.from_numpy(chips).permute(0, 3, 1, 2))
    embeddings = module(inputs)
    np.testing.assert_allclose(embeddings.detach(), recognizer.embed(chips), atol=1e-5)
    embeddings.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_copies_share_nothing(recognizer):
    before = recognizer.embed(drawn_chips())
    with torch.no_grad():
        for parameter in recognizer.module().parameters():
            parameter.zero_()
    np.testing.assert_array_equal(recognizer.embed(drawn_chips()), before)
    assert all(p.abs().sum() > 0 for p in recognizer.module().parameters())


def test_every_byte_of_weights_is_used():
    whole = dlib_resnet.load(dlib_resnet.installed_file())
    count = sum(parameter.numel() for parameter in whole.parameters())
    settings = dlib_resnet.installed_file().stat().st_size - 4 * count
    assert 0 < settings < 20_000, "what is no weight is layer settings, a few bytes per layer"


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.dat"
    path.write_bytes(bytes(1000))
    with pytest.raises(InputError, match=r"other\.dat holds no tensor"):
        dlib_resnet.load(path)
