"""Pose, place and surroundings against rotations, shifts and pictures that are known."""

import cv2
import numpy as np
import pytest

from reid_audit.metrics.fidelity import ssim
from reid_audit.metrics.utility import (
    HEAD,
    head_pose,
    landmark_shift,
    pareto,
    pose_change,
    ssim_outside,
    usefulness,
    yaw_pitch_roll,
)


def seen(*angles, width=90.0):
    """Landmarks of the middling head turned by Rodrigues vectors in degrees, y down."""
    heads = [HEAD @ cv2.Rodrigues(np.radians(np.array(a, float)))[0].T for a in angles]
    return np.stack([(head[:, :2] * (1, -1)) * width + (200, 150) for head in heads])


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((0, 25, 0), (25, 0, 0)),
        ((-15, 0, 0), (0, 15, 0)),
        ((0, 0, 10), (0, 0, 10)),
    ],
)
def test_the_pose_of_the_middling_head_is_its_turn(turn, expected):
    assert yaw_pitch_roll(head_pose(seen(turn)))[0] == pytest.approx(expected, abs=1e-6)


def test_a_change_of_pose_is_the_angle_between_both():
    before, after = seen((0, -10, 0), (5, 0, 0)), seen((0, 22, 0), (5, 0, 0), width=40)
    assert pose_change(before, after) == pytest.approx([32, 0], abs=1e-5)


def test_a_shift_is_told_in_face_widths():
    before = seen((0, 0, 0), (0, 0, 0))
    assert landmark_shift(before, before + np.array([0, 9]), [90, 45]) == pytest.approx([0.1, 0.2])


def test_what_happens_in_the_face_does_not_count_outside_it():
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (80, 90, 3), np.uint8), (0, 0), 1)
    covered = picture.copy()
    covered[20:50, 30:60] = 0
    assert ssim_outside(picture, covered, (30, 20, 60, 50)) == pytest.approx(1.0)
    assert ssim_outside(picture, covered, (31, 20, 60, 50)) < 1.0
    blurred = cv2.GaussianBlur(picture, (0, 0), 4)
    whole = ssim(picture[None], blurred[None])[0]
    assert ssim_outside(picture, blurred, (0, 0, 0, 0)) == pytest.approx(whole)
    assert np.isnan(ssim_outside(picture, covered, (0, 0, 90, 80)))


def test_usefulness_goes_from_all_to_nothing():
    found = [True, True, False, False]
    shift, pose = [0.0, 0.125, np.nan, np.nan], [0.0, 22.5, np.nan, np.nan]
    outside = [1.0, 1.0, 1.0, np.nan]
    assert usefulness(found, shift, pose, outside) == pytest.approx([1.0, 0.75, 0.25, 0.0])


def test_a_setting_that_another_beats_is_not_on_the_front():
    risk, use = [0.9, 0.9, 0.2, 0.1, np.nan], [0.9, 0.8, 0.5, 0.5, 1.0]
    assert pareto(risk, use).tolist() == [True, False, False, True, False]
