"""The utility axis of a condition, with a detector that sees what it is told to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.detect import Detection
from reid_audit.attacks.recognition.face_mesh import FaceMesh
from reid_audit.audit.config import AuditConfig
from reid_audit.audit.data import Item
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import Found, make_face
from reid_audit.audit.results.schema import Anonymizer, Utility
from reid_audit.audit.scan import utility as measured
from reid_audit.audit.trials.perception import Perception

POINTS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
Change = Callable[[np.ndarray], np.ndarray]


def group_of(folder: Path, change: Change, originals: bool = True) -> Group:
    """Six pictures of three people, each put through `change`."""
    rng = np.random.default_rng(0)
    probes, clear = [], []
    for row in range(6):
        picture = rng.integers(0, 256, (96, 96, 3)).astype(np.uint8)
        before, after = folder / f"{row}-o.png", folder / f"{row}.png"
        Image.fromarray(picture).save(before)
        Image.fromarray(change(picture)).save(after)
        for path, kept in ((before, clear), (after, probes)):
            item = Item(path.stem, f"p{row // 2}", "probe", path)
            kept.append(make_face(item, path.stem.rjust(64, "0"), POINTS, (96, 96), "originals"))
    known = tuple(clear) if originals else (None,) * 6
    settings = "c1", "tool", parse("none"), Anonymizer(family="unknown")
    return Group(*settings, tuple(probes), known, ((0, 0, 96, 96),) * 6, True)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Utility | None]:
    """A function (group, what the detector sees) that measures."""

    def measure(
        group: Group, landmarks: np.ndarray | None, mesh: object | None = None
    ) -> Utility | None:
        found = [] if landmarks is None else [Detection(np.zeros(4, np.float32), landmarks, 1.0)]

        class Finder:
            def __init__(self, *_: object) -> None:
                pass

            def find(self, pictures: dict[str, Path], *_: object) -> dict[str, Found]:
                return {digest: Found((96, 96), tuple(found)) for digest in pictures}

        monkeypatch.setattr(measured, "FaceFinder", Finder)
        facts = {face.item.path: SimpleNamespace(sha256=face.key) for face in group.faces}
        audit: Any = SimpleNamespace(
            config=AuditConfig(cache=str(tmp_path)),
            store=None,
            material=SimpleNamespace(facts=facts, smallest_face=20.0),
            perception=Perception(None, None, "cpu", mesh),  # type: ignore[arg-type]
            progress=lambda *_: None,
        )
        return measured.utility(group, audit)

    return measure


def test_an_untouched_picture_keeps_all(kept: Callable[..., Utility], tmp_path: Path) -> None:
    found = kept(group_of(tmp_path, lambda p: p), POINTS)
    assert found.pictures == 6 and found.people == 3
    assert found.detected.value == 1.0 and found.usefulness.value == pytest.approx(1.0)
    assert found.ssim_outside.value == pytest.approx(1.0)
    assert found.landmark_shift.value == 0.0
    assert found.pose_change.value == pytest.approx(0.0, abs=1e-5)
    assert found.lpips_outside.value is None and "weights fetch" in (
        found.lpips_outside.reason or ""
    )


def test_a_filled_face_keeps_its_surroundings_alone(
    kept: Callable[..., Utility], tmp_path: Path
) -> None:
    def fill(picture: np.ndarray) -> np.ndarray:
        filled = picture.copy()
        filled[24:76, 28:68] = 0
        return filled

    found = kept(group_of(tmp_path, fill), None)
    assert found.detected.value == 0.0 and found.detected.high > 0.3
    assert found.pose_change.value is None and "no face" in (found.pose_change.reason or "")
    assert found.ssim_outside.value > 0.9
    assert found.usefulness.value == pytest.approx(found.ssim_outside.value / 4)


def test_a_face_found_elsewhere_is_another_face(
    kept: Callable[..., Utility], tmp_path: Path
) -> None:
    group = group_of(tmp_path, lambda p: p)
    assert kept(group, POINTS + 40).detected.value == 0.0
    moved = kept(group, POINTS + 3)
    width = group.faces[0].width
    assert moved.detected.value == 1.0
    assert moved.landmark_shift.value == pytest.approx(3 * np.sqrt(2) / width, rel=1e-5)


class Surfaces:
    """Finds a surface that lies anywhere, moved as the five landmarks are; `nod` turns those of
    pictures whose face is filled."""

    def __init__(self, nod: float = 0.0) -> None:
        rng = np.random.default_rng(1)
        self.mesh = rng.normal(size=(468, 3)) * (20, 25, 10)
        self.mesh[[33, 263]] = (-20, -10, 0), (20, -10, 0)
        self.eyes, self.irises = rng.normal(size=(2, 71, 3)), rng.normal(size=(2, 5, 3))
        self.nod = nod

    def find(self, picture: np.ndarray, landmarks: np.ndarray) -> FaceMesh:
        middle = np.append(landmarks.mean(axis=0), 0)
        nod = self.nod if not picture[50, 50].any() else 0.0
        turn = Rotation.from_euler("x", nod, degrees=True)
        return FaceMesh(
            turn.apply(self.mesh) + middle, self.eyes + middle, self.irises * (1 + nod) + middle
        )


def test_without_the_extra_the_axis_says_so_and_is_else_the_same(
    kept: Callable[..., Utility], tmp_path: Path
) -> None:
    group = group_of(tmp_path, lambda p: p)
    without, withit = kept(group, POINTS), kept(group, POINTS, Surfaces())
    assert without.geometry is None
    assert "pip install 'reid-audit[utility]'" in (without.geometry_reason or "")
    assert withit.geometry is not None and withit.geometry_reason is None
    own = {"geometry", "geometry_reason", "geometry_told"}
    assert without.model_dump(exclude=own) == withit.model_dump(exclude=own)


def test_an_untouched_face_keeps_its_geometry(kept: Callable[..., Utility], tmp_path: Path) -> None:
    geometry = kept(group_of(tmp_path, lambda p: p), POINTS, Surfaces()).geometry
    assert geometry is not None and geometry.pictures == 6
    for name, figure in geometry:
        if name != "pictures":
            assert figure.value == pytest.approx(0.0, abs=1e-6) and figure.n_identities == 3


def test_a_shift_and_a_nod_are_told_as_such(kept: Callable[..., Utility], tmp_path: Path) -> None:
    group = group_of(tmp_path, lambda p: p)
    moved = kept(group, POINTS + np.array([3, 4]), Surfaces()).geometry
    assert moved is not None
    assert moved.landmark_distance.value == pytest.approx(5 / 40, rel=1e-4)
    assert moved.pitch.value == pytest.approx(0.0, abs=1e-4)
    assert moved.gaze.value == pytest.approx(0.0, abs=1e-6)
    nodded = kept(group_of(tmp_path, np.zeros_like), POINTS, Surfaces(nod=12)).geometry
    assert nodded is not None and nodded.pitch.value == pytest.approx(12.0, rel=1e-4)
    assert nodded.yaw.value == pytest.approx(0.0, abs=1e-4)
    assert nodded.mouth_width.value == pytest.approx(0.0, abs=1e-6)
    assert nodded.gaze.value > 0.1


def test_of_faces_that_are_not_found_the_geometry_is_unknown(
    kept: Callable[..., Utility], tmp_path: Path
) -> None:
    found = kept(group_of(tmp_path, np.zeros_like), None, Surfaces())
    assert found.geometry is None and "no face is found" in (found.geometry_reason or "")


def test_without_originals_there_is_nothing_to_compare_with(
    kept: Callable[..., Utility | None], tmp_path: Path
) -> None:
    assert kept(group_of(tmp_path, lambda p: p, originals=False), POINTS) is None
