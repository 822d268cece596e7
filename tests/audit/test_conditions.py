"""Which probes went through one anonymisation, and where it acted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.anonymisation import Identification
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.leakage import limit
from reid_audit.attacks.recognition.detect import Detection
from reid_audit.audit.data import Item
from reid_audit.audit.probes.faces import Face, Found, make_face
from reid_audit.audit.probes.grouping import (
    Probe,
    describe,
    examine_probe,
    group_probes,
    place_faces,
    probe_face,
)
from reid_audit.metrics.errors import InputError

POINTS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
BOX = (20, 10, 80, 90)


def probe(
    name: str, spec: str | None, source: str = "sidecar", region: tuple[int, ...] | None = None
) -> Probe:
    found = None
    if source == "identified":
        family = parse(spec).family if spec else "unknown"
        parameters = parse(spec).parameters if spec else {}
        found = Identification(
            (0, 0, 96, 96), family, parameters=parameters, spec=spec, confidence=0.9
        )
    operator = parse(spec) if spec else None
    item = Item(name, "ada", "probe", Path(f"{name}.png"))
    return Probe(item, (96, 96), operator, source, region, found, POINTS, "originals")


def grouped(*probes: Probe) -> list[list[str]]:
    """Image ids by group."""
    faces = {
        p.item.image_id: (make_face(p.item, "f" * 64, POINTS, p.shape, "originals"), None)
        for p in probes
    }
    return [[face.item.image_id for face in g.faces] for g in group_probes(probes, faces)]


def test_told_settings_are_kept_apart_however_close() -> None:
    found = grouped(probe("a", "gaussian:sigma=3"), probe("b", "gaussian:sigma=3.1"))
    assert found == [["a"], ["b"]]


def test_estimates_of_one_setting_are_joined_and_others_are_not() -> None:
    def several(letter: str, *args: str | None) -> list[Probe]:
        return [probe(f"{letter}{i}", *args, "identified") for i in range(6)]  # type: ignore[arg-type]

    first, second = several("a", "gaussian:sigma=3"), several("b", "gaussian:sigma=3.3")
    third, unknown = several("c", "gaussian:sigma=8"), several("d", None)
    told = grouped(*first, *second, *third, *unknown)
    # What says nothing of its own belongs to the tool that made most.
    names = [[p.item.image_id for p in m] for m in (first + second + unknown, third)]
    assert told == names
    assert len(grouped(*first, probe("z", "pixelate:b=3", "identified"))) == 1


def test_the_largest_group_is_first_and_order_changes_nothing() -> None:
    probes = [probe(name, "solid") for name in "abc"] + [
        probe(name, "pixelate:b=8") for name in "de"
    ]
    assert grouped(*probes) == grouped(*probes[::-1]) == [["a", "b", "c"], ["d", "e"]]


def test_a_condition_says_what_physics_leaves() -> None:
    anonymizer = describe(probe("a", "gaussian:sigma=4"), 60.0, whole=True)
    expected = limit(parse("gaussian:sigma=4"), 60.0)
    assert anonymizer.family == "gaussian" and anonymizer.source == "sidecar"
    assert anonymizer.sigma_over_face_width == pytest.approx(4 / 60, abs=2e-3)
    assert anonymizer.effective_resolution == pytest.approx(expected.effective_resolution, abs=0.01)
    unknown = describe(probe("a", None, "identified"), 60.0, whole=False)
    assert unknown.spec is None and unknown.reason and unknown.effective_resolution is None


class Nothing:
    """A detector that sees nobody."""

    def detect(self, pictures: list[np.ndarray], smallest: float = 0.0) -> list[list[Detection]]:
        return [[] for _ in pictures]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.full((96, 80, 3), 120, np.uint8)).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def examined(
    path: Path, region: str | None, original: Found | None = None, **known: object
) -> Probe:
    item = Item("p", "ada", "probe", path, **known)  # type: ignore[arg-type]
    return examine_probe(item, original, Nothing(), parse("solid"), region)  # type: ignore[arg-type]


def test_where_the_region_comes_from(picture: Path) -> None:
    assert examined(picture, "box:1,2,30,40").region == (1, 2, 30, 40)
    assert examined(picture, None, regions=(BOX,)).region == BOX
    assert examined(picture, "image", regions=(BOX,)).region is None
    assert examined(picture, None, regions=((0, 0, 80, 96),)).region is None
    two = examined(picture, None, regions=((0, 0, 9, 9), BOX), face_box=BOX)
    assert two.region == BOX
    for wrong in ("box:1,2,3", "box:"):
        with pytest.raises(InputError, match="four whole numbers"):
            examined(picture, wrong)


def test_where_the_face_comes_from(picture: Path) -> None:
    seen = Detection(np.array([50, 44, 142, 164], np.float32), POINTS * 2, 0.99)
    double = Found((192, 160), (seen,))
    from_original = examined(picture, None, double)
    assert from_original.landmark_source == "originals"
    np.testing.assert_allclose(from_original.landmarks, POINTS - 0.25, atol=1e-4)
    assert examined(picture, None, face_box=BOX).landmark_source == "manifest"
    inside = examined(picture, None, regions=(BOX,))
    assert inside.landmark_source == "region" and inside.landmarks is not None
    assert examined(picture, None).landmarks is None


def test_faces_nobody_sees_stand_where_the_gallery_has_them(picture: Path) -> None:
    Image.fromarray(np.zeros((192, 160, 3), np.uint8)).save(picture.with_name("g.png"))
    item = Item("g", "ada", "gallery", picture.with_name("g.png"))
    gallery: list[Face] = [make_face(item, "f" * 64, POINTS * 2, (192, 160), "detected")]
    hidden = examined(picture, None)
    (placed,), sources = place_faces([hidden], {}, gallery)
    assert placed.landmark_source == "typical" and sources == {"typical": 1}
    np.testing.assert_allclose(placed.landmarks, POINTS, atol=1e-4)
    (lost,), sources = place_faces([hidden], {}, [])
    assert sources == {"none": 1} and probe_face(lost, {picture: "f" * 64}) is None
