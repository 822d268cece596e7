"""A box that was processed, in pictures where its sides are hard to see."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_audit.attacks.anonymisation import identify
from reid_audit.attacks.anonymisation.blocks import more_blocks
from reid_audit.attacks.anonymisation.compression import stored_again
from reid_audit.attacks.anonymisation.encoded import standard_luma
from reid_audit.attacks.anonymisation.region import find_region
from reid_audit.attacks.anonymisation.result import EncodedInfo
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box
from reid_audit.audit.data import decode


def photograph(seed: int, height: int = 240, width: int = 240) -> np.ndarray:
    """Colour noise with the 1 / f amplitude of natural pictures, `(height, width, 3)`."""
    rng = np.random.default_rng(seed)
    y, x = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    radius = np.hypot(y, x)
    radius[0, 0] = 1
    planes = np.fft.ifft2(np.fft.fft2(rng.normal(size=(3, height, width))) / radius).real
    mixed = np.tensordot([[1, 0.2, 0], [1, 0, 0.2], [1, -0.2, 0.1]], planes, axes=1)
    values = 120 + 40 * mixed / mixed.std()
    return values.clip(0, 255).round().astype(np.uint8).transpose(1, 2, 0).copy()


def near(box: tuple[int, ...], other: tuple[int, ...], within: int = 2) -> bool:
    return max(abs(a - b) for a, b in zip(box, other, strict=True)) <= within


@pytest.mark.parametrize("factor", [1.5, 2.0])
@pytest.mark.parametrize("how", [cv2.INTER_LINEAR, cv2.INTER_CUBIC])
def test_a_blurred_part_of_an_enlarged_picture_is_that_part(factor: float, how: int) -> None:
    large = cv2.resize(photograph(1), None, fx=factor, fy=factor, interpolation=how)
    box = tuple(round(factor * v) for v in (70, 60, 170, 190))
    answer = identify(
        apply_to_box(parse("gaussian:sigma=15"), large, box, np.random.default_rng(0))
    )
    assert answer.family == "gaussian"
    assert near(answer.region, box)
    # torchvision's kernel ends at 3 sigma of what it is told
    assert answer.parameters["sigma_x"] == pytest.approx(15, rel=0.2)


def test_a_picture_that_was_only_enlarged_is_one_part() -> None:
    large = cv2.resize(photograph(1), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    answer = identify(large)
    assert (answer.family, answer.region) == ("downscale", (0, 0, 480, 480))


@pytest.mark.parametrize("seed", range(4))
def test_one_side_may_lie_on_a_plain_wall(seed: int) -> None:
    picture = photograph(seed)
    picture[:, :110] = np.linspace(150, 154, 240).astype(np.uint8)[:, None, None]
    box = (70, 60, 180, 190)
    region = find_region(
        apply_to_box(parse("gaussian:sigma=12"), picture, box, np.random.default_rng(0))
    )
    assert near(region.box[1:], box[1:])
    assert 60 <= region.box[0] <= 112  # nothing is to be seen of it on the wall


@pytest.mark.parametrize("seed", range(4))
def test_no_side_is_made_up_inside_a_strip(seed: int) -> None:
    strip = (40, 100, 220, 140)
    operator = parse("gaussian:sigma=6")
    hidden = apply_to_box(operator, photograph(seed), strip, np.random.default_rng(0))
    assert find_region(hidden).box == (0, 0, 240, 240)


@pytest.mark.parametrize("quality", [75, 90])
@pytest.mark.parametrize("block", [10, 14])
def test_a_mosaic_under_jpeg_reaches_as_far_as_its_blocks(block: int, quality: int) -> None:
    box = (70, 60, 70 + 10 * block, 60 + 9 * block)
    operator = parse(f"pixelate:b={block}")
    hidden = apply_to_box(operator, photograph(3), box, np.random.default_rng(0))
    stored = EncodedInfo("jpeg", 8, quality, (standard_luma(quality),), False)
    answer = identify(stored_again(hidden, quality), stored)
    assert (answer.family, answer.parameters["block_x"]) == ("pixelate", block)
    assert near(answer.region, box, within=2 * block)


def test_blocks_end_where_the_lattice_does() -> None:
    box = (70, 60, 182, 158)
    hidden = apply_to_box(parse("pixelate:b=14"), photograph(3), box, np.random.default_rng(0))
    shaken = stored_again(hidden, 90)
    assert more_blocks(shaken, (98, 88, 140, 130), 14) == box
    assert more_blocks(shaken, box, 14) == box


@pytest.mark.parametrize("margin", [17, 40])
def test_a_white_margin_does_not_hide_what_was_blurred_inside(margin: int) -> None:
    box = (70, 60, 170, 190)
    hidden = apply_to_box(parse("box:k=31"), photograph(2), box, np.random.default_rng(0))
    framed = cv2.copyMakeBorder(hidden, *(margin,) * 4, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    answer = identify(framed)
    assert answer.family == "box"
    assert near(answer.region, tuple(v + margin for v in box))


def test_a_white_margin_makes_no_mosaic_of_a_photograph(shared_data: Path) -> None:
    """These three were called mosaics before margins were left out."""
    with (shared_data / "lfw.csv").open(newline="") as file:
        probes = [row["path"] for row in csv.DictReader(file) if row["role"] == "probe"]
    box = (76, 64, 174, 194)
    answers = []
    for path in (probes[3], probes[15], probes[23]):
        clear = decode(shared_data / path)
        hidden = apply_to_box(parse("gaussian:k=61"), clear, box, np.random.default_rng(0))
        white = (255, 255, 255)
        framed = cv2.copyMakeBorder(hidden, *(50,) * 4, cv2.BORDER_CONSTANT, value=white)
        answers.append(identify(framed))
    assert [answer.family for answer in answers] == ["gaussian"] * 3


@pytest.mark.parametrize("number", [260, 492])
def test_a_photograph_that_was_scaled_down_and_stored_is_no_slight_blur(
    shared_data: Path, number: int
) -> None:
    with (shared_data / "lfw.csv").open(newline="") as file:
        probes = [row["path"] for row in csv.DictReader(file) if row["role"] == "probe"]
    clear = decode(shared_data / probes[number])
    small = cv2.resize(clear, None, fx=0.95, fy=0.95, interpolation=cv2.INTER_LINEAR)
    assert identify(parse("jpeg:q=85").apply(small, np.random.default_rng(0))).family == "none"


@pytest.mark.parametrize("kind", ["gaussian", "solid"])
def test_a_wall_above_a_caption_is_no_drawing(shared_data: Path, kind: str) -> None:
    """In this photograph the plain wall around the head passed for a sticker."""
    with (shared_data / "lfw.csv").open(newline="") as file:
        probes = [row["path"] for row in csv.DictReader(file) if row["role"] == "probe"]
    clear = decode(shared_data / probes[414])
    small = cv2.resize(clear, None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = box = (65, 54, 162, 184)
    blurred = cv2.GaussianBlur(small[y0:y1, x0:x1], (0, 0), 12)
    small[y0:y1, x0:x1] = blurred if kind == "gaussian" else 0
    small[200:] = (20, 30, 90)
    answer = identify(small)
    assert (answer.family, answer.region) == (kind, box)


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_without_a_part_stays_whole(seed: int) -> None:
    assert find_region(photograph(seed)).box == (0, 0, 240, 240)


@pytest.mark.parametrize("spread", [2, 3, 5])
def test_a_fill_beside_surroundings_of_its_colour_is_no_drawing(spread: float) -> None:
    picture = photograph(3, 300, 300)
    hair = np.random.default_rng(0).normal(40, spread, (70, 10, 1))
    picture[82:152, 216:226] = hair.round()
    x0, y0, x1, y1 = box = (86, 72, 216, 245)
    picture[y0:y1, x0:x1] = 40
    answer = identify(picture)
    assert (answer.family, answer.region) == ("solid", box)


@pytest.mark.parametrize("seed", [6, 7])
@pytest.mark.parametrize("wall", [75, 100])
def test_the_line_of_a_caption_is_no_side(seed: int, wall: int) -> None:
    """A blur before a plain wall and a dark coat, above a caption."""
    picture = photograph(seed, 225, 225)
    picture[:200, :wall] = 150
    picture[175:200] = 60
    x0, y0, x1, y1 = box = (65, 54, 162, 184)
    picture[y0:y1, x0:x1] = cv2.GaussianBlur(picture[y0:y1, x0:x1], (0, 0), 12)
    picture[200:] = (20, 30, 90)
    answer = identify(picture)
    assert answer.family == "gaussian" and near(answer.region, box)
