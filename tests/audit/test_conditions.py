"""Which probes went through one anonymisation, and where it acted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit.attacks.anonymisation import Identification
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.leakage import limit
from reid_audit.audit.data import Item
from reid_audit.audit.probes.faces import Face, make_face
from reid_audit.audit.probes.grouping import (
    Probe,
    describe,
    group_probes,
    place_faces,
    probe_face,
)

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


@pytest.mark.parametrize(
    ("spec", "qualities", "attacked"),
    [
        ("gaussian:sigma=3", (75, 90, 95), "gaussian:sigma=3|jpeg:q=90"),
        ("gaussian:sigma=3", (75, None, 90), "gaussian:sigma=3|jpeg:q=90"),
        ("gaussian:sigma=3", (None, None, 90), "gaussian:sigma=3"),
        ("gaussian:sigma=3|jpeg:q=60", (90, 90, 90), "gaussian:sigma=3|jpeg:q=60"),
        ("gaussian:sigma=3|jpeg:q=60..80", (90, 90, 90), "gaussian:sigma=3|jpeg:q=60..80"),
        ("solid", (90, 90, 90), "solid"),
        ("none", (90, 90, 90), "none"),
    ],
)
def test_a_stated_tool_is_attacked_through_the_jpeg_that_its_outputs_are(
    spec: str, qualities: tuple[int | None, ...], attacked: str
) -> None:
    probes = [replace(probe(f"a{q}{n}", spec), quality=q) for n, q in enumerate(qualities)]
    faces = {
        p.item.image_id: (make_face(p.item, "f" * 64, POINTS, p.shape, "originals"), None)
        for p in probes
    }
    (group,) = group_probes(probes, faces)
    assert str(group.operator) == str(parse(attacked)) == group.anonymizer.spec


def test_a_tool_is_named_whatever_its_output_is_stored_as() -> None:
    told = replace(probe("a", "pyimagesearch", region=BOX), quality=90)
    face = make_face(told.item, "f" * 64, POINTS, told.shape, "originals")
    (group,) = group_probes([told], {"a": (face, None)})
    assert str(group.operator) == "pyimagesearch|jpeg:q=90"
    assert group.anonymizer.tools_that_fit == ["pyimagesearch"]


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


def test_faces_nobody_sees_stand_where_the_gallery_has_them(tmp_path: Path) -> None:
    path = tmp_path / "g.png"
    item = Item("g", "ada", "gallery", path)
    gallery: list[Face] = [make_face(item, "f" * 64, POINTS * 2, (192, 160), "detected")]
    hidden = replace(probe("p", "solid"), shape=(96, 80), landmarks=None, landmark_source="none")
    (placed,), sources = place_faces([hidden], {path: (160, 192)}, gallery)
    assert placed.landmark_source == "typical" and sources == {"typical": 1}
    np.testing.assert_allclose(placed.landmarks, POINTS, atol=1e-4)
    (lost,), sources = place_faces([hidden], {}, [])
    assert sources == {"none": 1} and probe_face(lost, {}) is None


def test_a_face_nobody_asked_about_goes_with_what_was_done_to_most() -> None:
    large = [probe(name, "gaussian:sigma=3", "identified", BOX) for name in "ab"]
    unasked = replace(large[0], item=replace(large[0].item, image_id="c"), operator=None)
    assert grouped(*large, replace(unasked, identification=None)) == [["a", "b", "c"]]
