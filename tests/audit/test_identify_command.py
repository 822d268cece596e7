"""`reid-audit identify`: a record for each processed part of a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from reid_audit.audit.commands.identify import identify_file
from reid_audit.audit.people import identity, nuisance, render


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
