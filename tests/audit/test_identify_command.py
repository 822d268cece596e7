"""`reid-audit identify`: a record for each processed part of a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from reid_audit.audit.commands.identify import identify_file, identify_files
from reid_audit.audit.people import identity, nuisance, render
from reid_audit.metrics.errors import InputError


@pytest.mark.slow
def test_every_part_of_a_scene_has_a_record(tmp_path: Path) -> None:
    boxes = [(60, 40, 150, 160), (300, 80, 400, 210)]
    scene = np.concatenate([render(identity(n), nuisance(n, 0), 240) for n in (1, 2)], axis=1)
    for x0, y0, x1, y1 in boxes:
        part = np.ascontiguousarray(scene[y0:y1, x0:x1])
        scene[y0:y1, x0:x1] = cv2.GaussianBlur(part, (0, 0), 9)
    file = tmp_path / "scene.png"
    Image.fromarray(scene).save(file)
    records = identify_file(file)
    assert [record["family"] for record in records] == ["gaussian"] * 2
    told = sorted(record["region"] for record in records)
    assert np.abs(np.subtract(told, boxes)).max() <= 4


def test_an_untouched_picture_has_one_record(tmp_path: Path) -> None:
    file = tmp_path / "face.png"
    Image.fromarray(render(identity(3), nuisance(3, 0), 200)).save(file)
    (record,) = identify_file(file)
    assert record["region"] == [0, 0, 200, 200]


BOXES = [(60, 40, 150, 160), (300, 80, 400, 210)]


def scene() -> np.ndarray:
    return np.concatenate([render(identity(n), nuisance(n, 0), 240) for n in (1, 2)], axis=1)


def saved(picture: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


@pytest.mark.slow
def test_an_original_settles_what_was_done_to_each_part(tmp_path: Path) -> None:
    """One face is another person's, which no pixel tells; the other is blurred."""
    clear, hidden = scene(), scene()
    (x0, y0, x1, y1), (a0, b0, a1, b1) = BOXES
    hidden[y0:y1, x0:x1] = render(identity(9), nuisance(9, 0), 240)[y0:y1, x0:x1]
    hidden[b0:b1, a0:a1] = cv2.GaussianBlur(clear[b0:b1, a0:a1].copy(), (0, 0), 6)
    file = saved(hidden, tmp_path / "hidden.png")
    records = identify_file(file, saved(clear, tmp_path / "clear.png"))
    told = {record["family"]: record for record in records}
    assert set(told) == {"generative", "gaussian"}
    blur = told["gaussian"]
    assert np.abs(np.subtract(blur["region"], BOXES[1])).max() <= 4
    assert abs(blur["parameters"]["sigma_x"] - 6) < 0.5
    assert set(blur["from_pixels_alone"]) == {"family", "spec", "confidence"}


def test_originals_are_found_by_name(tmp_path: Path) -> None:
    for name, level in (("a", 0), ("b", 128)):
        clear = render(identity(3), nuisance(3, 0), 200)
        saved(clear, tmp_path / "originals" / f"{name}.png")
        saved(np.full_like(clear, level), tmp_path / "out" / f"{name}_blurred.png")
    records = identify_files([tmp_path / "out"], lambda *_: None, tmp_path / "originals")
    assert [Path(record["original"]).name for record in records] == ["a.png", "b.png"]
    assert {record["family"] for record in records} == {"solid"}


def test_another_picture_is_no_original(tmp_path: Path) -> None:
    file = saved(render(identity(3), nuisance(3, 0), 200), tmp_path / "face.png")
    other = saved(scene()[:200, :200], tmp_path / "other.png")
    (record,) = identify_file(file, other)
    assert "shows another picture" in record["error"]


def test_one_original_serves_one_picture(tmp_path: Path) -> None:
    files = [saved(scene(), tmp_path / f"{n}.png") for n in range(2)]
    with pytest.raises(InputError, match="name the folder"):
        identify_files(files, lambda *_: None, files[0])
