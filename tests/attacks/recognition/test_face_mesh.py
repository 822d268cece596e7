"""Dense landmarks on drawn people whose pose and mood are known, and beside dlib's on real ones."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.recognition import face_mesh
from reid_audit.attacks.recognition.detect import Detector
from reid_audit.attacks.recognition.face_mesh import FaceMesh, MeshFinder, installed_finder
from reid_audit.audit.people import identity, nuisance, render
from reid_audit.metrics.errors import IntegrityError
from reid_audit.metrics.geometry import (
    MEASURES,
    expression,
    gaze,
    head_turn,
    interocular,
    mesh_distance,
)
from reid_audit.metrics.utility import yaw_pitch_roll

PEOPLE = (1, 4, 5, 6)
DLIB = {36: 33, 39: 133, 42: 362, 45: 263, 48: 61, 54: 291, 30: 4, 33: 2}
"""Corners of the eyes and of the mouth, tip and base of the nose: in dlib's 68 points and here."""


@pytest.fixture(scope="module")
def finder() -> MeshFinder:
    found = installed_finder()
    if found is None:
        pytest.skip(f"no dense landmarks: ai-edge-litert and {face_mesh.WHEEL} are not installed")
    return found


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def draw(finder: MeshFinder, detector: Detector) -> Callable[..., list[FaceMesh]]:
    """A function (mood) that draws some people in it, otherwise as for a passport, and finds their
    faces' surfaces."""

    def drawn(**mood: float) -> list[FaceMesh]:
        meshes = []
        for seed in PEOPLE:
            plain = replace(nuisance(seed, 0, 0.0), glasses=1.0)
            picture = render(identity(seed), replace(plain, **mood), 192)
            mesh = finder.find(picture, detector.detect([picture])[0][0].landmarks)
            assert mesh is not None
            meshes.append(mesh)
        return meshes

    return drawn


@pytest.fixture(scope="module")
def passport(draw: Callable[..., list[FaceMesh]]) -> FaceMesh:
    return together(draw())


def together(meshes: list[FaceMesh]) -> FaceMesh:
    parts = ("points", "eyes", "irises")
    return FaceMesh(*(np.stack([getattr(mesh, part) for mesh in meshes]) for part in parts))


def change(before: FaceMesh, after: FaceMesh) -> dict[str, float]:
    """Mean changes of expression and gaze."""
    lengths = expression(after.points, after.eyes) - expression(before.points, before.eyes)
    looks = (gaze(after.eyes, after.irises) - gaze(before.eyes, before.irises)).mean(axis=0)
    told = dict(zip(MEASURES, lengths.mean(axis=0), strict=True))
    return {**told, "right": float(looks[0]), "up": float(looks[1])}


def person() -> tuple[np.ndarray, np.ndarray]:
    """A picture with room around the face, and its five landmarks."""
    picture = render(identity(1), replace(nuisance(1, 0, 0.0), glasses=1.0), 192)
    picture = cv2.copyMakeBorder(picture, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
    return picture, Detector().detect([picture])[0][0].landmarks


@pytest.mark.parametrize("degrees", [-30.0, 15.0, 40.0])
def test_a_picture_turned_in_its_plane_turns_the_surface_by_as_much(finder, degrees):
    picture, landmarks = person()
    side = picture.shape[0]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, 1.0)
    tilted = cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    moved = (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    before, after = finder.find(picture, landmarks), finder.find(tilted, moved)
    yaw, pitch, roll = yaw_pitch_roll(head_turn(before.points[None], after.points[None]))[0]
    assert roll == pytest.approx(degrees, abs=1.5)
    assert abs(yaw) < 2 and abs(pitch) < 2
    there = before.points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    apart = np.linalg.norm(after.points[:, :2] - there, axis=1).mean()
    assert apart / interocular(before.points[None])[0] < 0.02


def test_size_and_place_change_nothing(finder):
    picture, landmarks = person()
    large = cv2.resize(picture, None, fx=2.0, fy=2.0, interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, 31, 0, 57, 0, cv2.BORDER_REPLICATE)
    place = 2 * (landmarks + 0.5) - 0.5 + (57, 31)
    before, after = finder.find(picture, landmarks), finder.find(large, place.astype(np.float32))
    back = (after.points[:, :2] - (57, 31) + 0.5) / 2 - 0.5
    laid = np.column_stack([back, after.points[:, 2] / 2])
    assert mesh_distance(before.points[None], laid[None])[0] < 0.01
    lengths = [expression(mesh.points[None], mesh.eyes[None]) for mesh in (before, after)]
    assert lengths[0] == pytest.approx(lengths[1], abs=0.02)


def test_five_points_that_are_a_little_off_do_not_move_the_surface(finder):
    picture, landmarks = person()
    width = np.linalg.norm(landmarks[1] - landmarks[0])
    off = landmarks + np.float32(0.08 * width) * np.array([1, -1], np.float32)
    before, after = (finder.find(picture, points).points[None] for points in (landmarks, off))
    assert mesh_distance(before, after)[0] < 0.01


def test_where_there_is_no_face_there_is_no_surface(finder):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (192, 192, 3)).astype(np.uint8)
    points = np.array([[76, 86], [116, 86], [96, 108], [80, 128], [112, 128]], np.float32)
    assert finder.find(noise, points) is None
    assert finder.find(np.full_like(noise, 128), points) is None
    picture, landmarks = person()
    assert finder.find(picture, landmarks[[0, 0, 2, 3, 4]]) is None  # no way is up


def test_a_drawn_head_that_turns_is_seen_to_turn(draw, passport):
    sideways = together(draw(yaw=0.3))
    yaw, pitch, roll = yaw_pitch_roll(head_turn(passport.points, sideways.points)).mean(axis=0)
    # Depth is guessed: dlib's and MediaPipe's own poses are off by as much.
    assert yaw == pytest.approx(np.degrees(0.3), abs=5)
    assert abs(pitch) < 5 and abs(roll) < 3


def test_closed_eyes_and_an_open_mouth_move_their_own_lengths(draw, passport):
    closed = change(passport, together(draw(blink=0.85)))
    assert closed["eye_opening"] < -0.05
    assert all(abs(closed[name]) < 0.02 for name in MEASURES if name != "eye_opening")
    # Mouths and brows are drawn too simply to be followed far; real mouths are compared below.
    spoken = change(passport, together(draw(mouth_open=0.8)))
    assert spoken["mouth_opening"] > 0.005 and abs(spoken["eye_opening"]) < 0.02


def test_eyes_that_look_aside_move_the_irises_there(draw, passport):
    right = change(passport, together(draw(gaze_x=0.3)))
    left = change(passport, together(draw(gaze_x=-0.3)))
    assert right["right"] > 0.015 and left["right"] < -0.015
    assert abs(right["up"]) < 0.02 and abs(left["up"]) < 0.02


@pytest.mark.slow
def test_corners_mouths_and_lids_of_real_faces_are_as_dlib_sees_them(finder, detector, shared_data):
    dlib = pytest.importorskip("dlib", reason="dlib is not installed")
    (folder,) = find_spec("face_recognition_models").submodule_search_locations
    predictor = dlib.shape_predictor(f"{folder}/models/shape_predictor_68_face_landmarks.dat")
    find_box = dlib.get_frontal_face_detector()
    with (shared_data / "lfw.csv").open(newline="", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["role"] == "background"]
    apart, lengths = [], []
    for row in rows[:: len(rows) // 24][:24]:
        picture = np.array(Image.open(shared_data / row["path"]).convert("RGB"))
        seen = max(detector.detect([picture])[0], key=lambda d: d.box[2] - d.box[0], default=None)
        box = max(find_box(picture, 1), key=lambda b: b.width(), default=None)
        mesh = None if seen is None else finder.find(picture, seen.landmarks)
        if mesh is None or box is None:
            continue
        shape = predictor(picture, box)
        theirs = np.array([(shape.part(k).x, shape.part(k).y) for k in range(68)], float)
        ours = mesh.points[list(DLIB.values()), :2]
        off = np.linalg.norm(ours - theirs[list(DLIB)], axis=1).mean()
        apart.append(off / interocular(mesh.points[None])[0])
        own = expression(mesh.points[None], mesh.eyes[None])[0]
        lengths.append((*own[[0, 1, 3]], *dlib_lengths(theirs)))
    assert len(apart) >= 22
    assert np.median(apart) < 0.06
    agreement = np.corrcoef(np.array(lengths).T)
    assert all(agreement[i, i + 3] > 0.6 for i in range(3))


def dlib_lengths(points: np.ndarray) -> tuple[float, float, float]:
    """Opening and width of the mouth and opening of the eyes, of dlib's 68 points."""

    def between(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    unit = between(36, 45)
    lids = (between(37, 41) + between(38, 40)) / between(36, 39)
    lids += (between(43, 47) + between(44, 46)) / between(42, 45)
    return between(62, 66) / unit, between(48, 54) / unit, lids / 4


def test_another_file_than_the_release_s_is_refused(tmp_path: Path, finder):
    for name in face_mesh.FILES:
        (tmp_path / name).write_bytes(b"TFL3 of somebody else's")
    with pytest.raises(IntegrityError, match=r"face_landmark\.tflite.*SHA-256.*reinstall"):
        MeshFinder(tmp_path)


def test_without_the_wheel_or_what_runs_it_there_is_no_finder(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    with monkeypatch.context() as patched:
        patched.setattr(face_mesh, "find_spec", lambda name: None)
        assert installed_finder() is None
    monkeypatch.setattr(face_mesh, "distribution", missing)
    assert installed_finder() is None
