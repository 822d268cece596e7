"""Alignment against scikit-image's Umeyama fit and against pictures whose answer is known."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from reid_audit.attacks.recognition.align import (
    ARCFACE,
    DLIB,
    FACENET,
    MIRRORED,
    TEMPLATES,
    crop,
    face_width,
    fit_similarity,
    moved,
    typical_landmarks,
)
from reid_audit.metrics.errors import InputError

seeds = st.integers(0, 2**32 - 1)


def random_landmarks(seed, count=4):
    rng = np.random.default_rng(seed)
    return rng.normal(ARCFACE.points, 6, (count, 5, 2)) * rng.uniform(0.5, 4) + rng.uniform(-50, 50)


@given(seeds)
def test_fit_is_umeyamas(seed):
    landmarks = random_landmarks(seed)
    for points, matrix in zip(landmarks, fit_similarity(landmarks, ARCFACE.points), strict=True):
        reference = SimilarityTransform.from_estimate(points, np.array(ARCFACE.points))
        np.testing.assert_allclose(matrix, reference.params[:2], atol=1e-6)


@given(seeds, st.floats(0.2, 5), st.floats(-3, 3), st.floats(-200, 200))
def test_face_width_follows_scale_and_ignores_rotation_and_place(seed, scale, angle, shift):
    landmarks = random_landmarks(seed)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = landmarks @ turn.T + shift
    np.testing.assert_allclose(face_width(moved), scale * face_width(landmarks), rtol=1e-9)


def test_coinciding_landmarks_are_refused():
    with pytest.raises(InputError, match="coincide"):
        face_width(np.ones((5, 2)))


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda t: t.name)
@pytest.mark.parametrize("scale", [0.6, 1.7, 5.3])
def test_dots_on_landmarks_come_to_lie_on_the_template(template, scale):
    """Anti-aliased dots at known places, larger and smaller than the crop."""
    landmarks = typical_landmarks([[40, 30, 124, 141]]) * scale
    picture = np.zeros((int(180 * scale), int(170 * scale), 3), np.uint8)
    for x, y in landmarks[0]:
        cv2.circle(
            picture, (round(x * 16), round(y * 16)), round(48 * scale), (255,) * 3, -1, 16, 4
        )
    side = crop([picture], landmarks, template)[0, ..., 0].astype(float)
    target = np.asarray(template.points)
    for point in target:
        x, y = np.meshgrid(np.arange(template.size), np.arange(template.size))
        near = side * (np.hypot(x - point[0], y - point[1]) < template.size / 12)
        centre = np.array([(near * x).sum(), (near * y).sum()]) / near.sum()
        # Templates differ in shape from the typical face, by up to 5 % of the crop.
        assert np.abs(centre - point).max() < 0.06 * template.size


def test_shrinking_averages_instead_of_skipping():
    """A fine chequerboard is grey from afar; reading single pixels would leave a pattern."""
    board = (np.indices((1120, 1120)).sum(0) % 2 * 255).astype(np.uint8)
    picture = np.repeat(board[..., None], 3, 2)
    result = crop([picture], [(np.asarray(ARCFACE.points) + 0.5) * 10 - 0.5])
    assert result.std() < 2 and abs(result.mean() - 127.5) < 1


def test_shrinking_keeps_the_place():
    """A smooth ramp stays the same ramp to less than a tenth of a crop pixel."""
    factor, side = 6.3, 112
    x = (np.arange(int(side * factor)) + 0.5) / factor - 0.5
    picture = np.broadcast_to((2 * x + 10)[None, :, None], (x.size, x.size, 3))
    landmarks = (np.asarray(ARCFACE.points) + 0.5) * factor - 0.5
    result = crop([np.round(picture).clip(0, 255).astype(np.uint8)], [landmarks])[0, 56, 5:-5, 0]
    error = result - (2 * np.arange(side)[5:-5] + 10)
    assert abs(error.mean()) < 0.2


def test_no_pictures_give_no_crops():
    assert crop([], np.empty((0, 5, 2))).shape == (0, 112, 112, 3)


def test_dlib_template_has_the_eyes_where_dlibs_chip_geometry_has_them():
    """dlib places eye centres at about (47.7, 47.1) and (100.3, 47.1) of a 150-px chip."""
    eyes = np.asarray(DLIB.points)[:2]
    assert np.abs(eyes - [(47.7, 47.1), (100.3, 47.1)]).max() < 2.5


def test_facenet_template_maps_the_usual_box_onto_the_crop():
    """A box 1.33 times as high as wide fills the crop but for a margin of 7 px."""
    box = np.array([100, 100, 200, 233])
    matrix = FACENET.matrices(typical_landmarks(box))
    corners = np.array([[100, 100], [200, 233]]) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(corners, [[6.5, 6.5], [152.5, 152.5]], atol=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_a_moved_picture_takes_its_landmarks_along(seed: int) -> None:
    points = np.asarray(ARCFACE.points, np.float32)
    picture = np.zeros((112, 112, 3), np.uint8)
    for index, (x, y) in enumerate(points):
        cv2.circle(picture, (round(float(x)), round(float(y))), 3, (100 + 30 * index,) * 3, -1)
    out, found = moved(picture, points, np.random.default_rng(seed))
    assert found[0, 0] < found[1, 0] and found[3, 0] < found[4, 0]  # left stays left in a mirror
    mirrored = out[round(float(found[0, 1])), round(float(found[0, 0])), 0] > 115
    for index, (x, y) in enumerate(found):
        level = 100 + 30 * (MIRRORED[index] if mirrored else index)
        assert abs(int(out[round(float(y)), round(float(x)), 0]) - level) < 15
