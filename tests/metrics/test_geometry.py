"""Changes of a face's geometry against rotations, scales and lengths that are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reid_audit.metrics.geometry import (
    LIPS,
    MEASURES,
    MOUTH_CORNERS,
    OUTER_CORNERS,
    RIGID,
    expression,
    gaze,
    head_turn,
    interocular,
    mesh_distance,
)
from reid_audit.metrics.utility import yaw_pitch_roll

FLIP = np.array([1, -1, -1])


def face(seed=0):
    """A mesh (1, 468, 3) and eyes (1, 2, 71, 3) of points that lie anywhere."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, 468, 3)) * (40, 50, 20), rng.normal(size=(1, 2, 71, 3)) * 10


def turned(points, rotation, scale=1.0, shift=(0, 0, 0)):
    """Turned in axes to the right, up and towards the camera, as a camera sees it."""
    return rotation.apply((points * FLIP).reshape(-1, 3)).reshape(points.shape) * FLIP * scale + (
        np.array(shift)
    )


@pytest.mark.parametrize("angles", [(12.0, 0, 0), (0, -9.0, 0), (0, 0, 33.0), (8.0, -5.0, 3.0)])
def test_the_turn_of_a_head_is_what_it_was_turned_by(angles):
    yaw, pitch, roll = angles
    rotation = Rotation.from_euler("YXZ", (yaw, -pitch, roll), degrees=True)
    mesh, _ = face()
    after = turned(mesh, rotation, scale=1.7, shift=(5, -3, 40))
    after[:, [13, 14, 152]] += 25  # an open mouth turns no head
    turn = head_turn(mesh, after)
    assert turn[0] == pytest.approx(rotation.as_matrix(), abs=1e-9)
    assert yaw_pitch_roll(turn)[0] == pytest.approx(angles, abs=1e-6)


def test_of_points_that_moved_apart_the_turn_is_the_least_squares_one():
    mesh, _ = face()
    rng = np.random.default_rng(1)
    after = turned(mesh, Rotation.from_rotvec([0.1, -0.2, 0.3])) + rng.normal(size=mesh.shape) * 9
    rigid = [(m[0, list(RIGID)] * FLIP) for m in (mesh, after)]
    centred = [points - points.mean(axis=0) for points in rigid]
    best, _ = Rotation.align_vectors(centred[1], centred[0])
    assert head_turn(mesh, after)[0] == pytest.approx(best.as_matrix(), abs=1e-6)


def test_a_mirrored_face_is_no_turn():
    mesh, _ = face()
    turn = head_turn(mesh, mesh * (-1, 1, 1))
    assert np.linalg.det(turn[0]) == pytest.approx(1.0)


def test_a_distance_is_a_share_of_the_eyes_distance():
    mesh = np.repeat(face()[0], 2, axis=0)
    for corner, x in zip(OUTER_CORNERS, (-30, 30), strict=True):
        mesh[:, corner] = x, 0, 0
    assert interocular(mesh) == pytest.approx([60, 60])
    assert mesh_distance(mesh, mesh + np.array([3, 4, 100])) == pytest.approx([5 / 60] * 2)
    assert mesh_distance(2 * mesh, 2 * mesh + np.array([6, 8, 0])) == pytest.approx([5 / 60] * 2)


def test_expression_is_lengths_of_the_face_whatever_its_size_and_turn():
    mesh, eyes = face()
    before = expression(mesh, eyes)
    assert before.shape == (1, len(MEASURES))
    rotation = Rotation.from_euler("ZXY", (10, 20, 30), degrees=True)
    seen = turned(mesh, rotation, 0.4, (7, 8, 9)), turned(eyes, rotation, 0.4, (7, 8, 9))
    assert expression(*seen) == pytest.approx(before)


@pytest.mark.parametrize(
    ("measure", "move"),
    [
        ("mouth_opening", lambda mesh, eyes: _part(mesh, LIPS, 12.0)),
        ("mouth_width", lambda mesh, eyes: _part(mesh, MOUTH_CORNERS, 12.0)),
        ("brow_height", lambda mesh, eyes: mesh.__setitem__((0, [105, 334]), 500.0)),
        ("eye_opening", lambda mesh, eyes: eyes.__setitem__((0, slice(None), 4), 300.0)),
    ],
)
def test_each_length_moves_alone(measure, move):
    mesh, eyes = face()
    before = expression(mesh, eyes)
    move(mesh, eyes)
    apart = expression(mesh, eyes) - before
    assert [name for name, a in zip(MEASURES, apart[0], strict=True) if abs(a) > 1e-9] == [measure]


def _part(mesh, pair, by):
    """Move two points apart by so many pixels in all."""
    a, b = mesh[0, pair[0]].copy(), mesh[0, pair[1]].copy()
    away = (b - a) / np.linalg.norm(b - a) * by
    mesh[0, pair[1]] += away


def test_two_lips_that_part_by_a_tenth_of_the_eyes_distance_say_so():
    mesh, eyes = face()
    before = expression(mesh, eyes)
    _part(mesh, LIPS, 0.1 * interocular(mesh)[0])
    assert (expression(mesh, eyes) - before)[0, 0] == pytest.approx(0.1)


def looking(right, up, centre=(100.0, 80.0), width=40.0):
    """Two level eyes whose irises stand that far from the middle, in widths of an eye."""
    eyes, irises = np.zeros((1, 2, 71, 3)), np.zeros((1, 2, 5, 3))
    for side, x in enumerate((-50, 50)):
        middle = np.array([centre[0] + x, centre[1], 0])
        outward = -1 if side == 0 else 1
        eyes[0, side, 0] = middle + np.array([outward * width / 2, 0, 0])
        eyes[0, side, 8] = middle - np.array([outward * width / 2, 0, 0])
        irises[0, side, 0] = middle + np.array([right * width, -up * width, 0])
    return eyes, irises


def test_a_gaze_is_told_in_widths_of_the_eye_to_the_right_and_up():
    assert gaze(*looking(0, 0))[0] == pytest.approx([0, 0])
    assert gaze(*looking(0.2, 0.1))[0] == pytest.approx([0.2, 0.1])
    assert gaze(*looking(-0.2, -0.1, centre=(0, 0), width=11))[0] == pytest.approx([-0.2, -0.1])


def test_a_gaze_does_not_move_with_a_tilted_head():
    eyes, irises = (
        turned(part, Rotation.from_euler("z", 25, degrees=True)) for part in looking(0.15, -0.05)
    )
    assert gaze(eyes, irises)[0] == pytest.approx([0.15, -0.05])
