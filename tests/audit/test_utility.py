"""The utility axis of a condition, with a detector that sees what it is told to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.detect import Detection
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

    def measure(group: Group, landmarks: np.ndarray | None) -> Utility | None:
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
            perception=Perception(None, None, "cpu"),
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


def test_without_originals_there_is_nothing_to_compare_with(
    kept: Callable[..., Utility | None], tmp_path: Path
) -> None:
    assert kept(group_of(tmp_path, lambda p: p, originals=False), POINTS) is None
