"""Work on pictures is shared out by its size, and its answers keep the tasks' order."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_audit.audit.engine import Local
from reid_audit.audit.probes.sharing import worth_processes


def lay(folder: Path, sizes: list[tuple[int, int]]) -> list[Path]:
    paths = []
    for row, size in enumerate(sizes):
        paths.append(folder / f"{row}.png")
        Image.fromarray(np.zeros((*size[::-1], 3), np.uint8)).save(paths[-1])
    return paths


def test_a_few_large_pictures_are_worth_processes_and_small_ones_are_not(tmp_path: Path) -> None:
    large = lay(tmp_path, [(4000, 2000)] * 6)
    assert worth_processes(large, beside=0)
    assert not worth_processes(large[:5], beside=0)


def test_what_each_picture_costs_however_small_counts(tmp_path: Path) -> None:
    small = lay(tmp_path, [(100, 100)] * 4)
    assert not worth_processes(small, beside=0)
    assert worth_processes(small, beside=12e6)


def test_a_file_that_is_no_picture_weighs_nothing(tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("no picture")
    assert not worth_processes([tmp_path / "note.jpg", tmp_path / "gone.png"], beside=0)


@pytest.mark.slow
def test_answers_keep_the_order_of_the_tasks() -> None:
    assert list(Local(2).map(abs, [-3, 1, -2, 0, 5], worth=True)) == [3, 1, 2, 0, 5]


def test_one_worker_does_its_work_here() -> None:
    assert list(Local(1).map(lambda n: -n, [-3, 1], worth=True)) == [3, -1]
