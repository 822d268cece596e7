"""Paint over a part of a picture: fills, bars and drawings, through codecs."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_audit.attacks.anonymisation import fills, identify
from reid_audit.attacks.anonymisation.fills import find_fills
from reid_audit.attacks.anonymisation.fitting.families import resampled
from reid_audit.attacks.anonymisation.sides import compactness
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box
from reid_audit.audit.data import decode
from reid_audit.audit.people import identity, nuisance, render

BOX = (70, 60, 166, 180)
BAR = (80, 96, 176, 122)


def scenery(seed: int) -> np.ndarray:
    """Detail at every scale, `(250, 250, 3)`, like a photograph's."""
    rng = np.random.default_rng(seed)
    picture = np.full((250, 250, 3), 125.0)
    for step in (64, 32, 16, 8, 4, 2):
        size = (250 // step + 2, 250 // step + 2)
        cloud = rng.normal(0, 1, (*size, 1)) + rng.normal(0, 0.3, (*size, 3))
        whole = cv2.resize(cloud, (size[1] * step, size[0] * step), interpolation=cv2.INTER_CUBIC)
        picture += 3 * step**0.5 * whole[:250, :250]
    return (picture + rng.normal(0, 2, picture.shape)).clip(0, 255).astype(np.uint8)


def near(a: tuple[int, ...], b: tuple[int, ...], pixels: int) -> bool:
    return bool(np.abs(np.subtract(a, b)).max() <= pixels)


@pytest.mark.parametrize("codec", ["none", "jpeg:q=95", "jpeg:q=75", "jpeg:q=40", "webp:q=80"])
@pytest.mark.parametrize("box", [BOX, BAR])
def test_a_fill_is_a_fill_through_codecs(codec: str, box: tuple[int, int, int, int]) -> None:
    picture = scenery(1)
    picture[box[1] : box[3], box[0] : box[2]] = (12, 10, 8)
    picture = parse(codec).apply(picture, np.random.default_rng(0))
    answer = identify(picture)
    assert answer.family == "solid" and near(answer.region, box, 4)
    assert np.abs(np.subtract(answer.parameters["color"], (12, 10, 8))).max() <= 3


@pytest.mark.parametrize("codec", ["none", "jpeg:q=75"])
def test_a_fill_with_words_on_it_is_a_replacement(codec: str) -> None:
    picture = scenery(7)
    x0, y0, x1, y1 = BOX
    picture[y0:y1, x0:x1] = (55, 139, 253)
    font, at = cv2.FONT_HERSHEY_SIMPLEX, (x0 + 9, (y0 + y1) // 2)
    cv2.putText(picture, "private", at, font, 0.6, (200, 116, 2), 2, cv2.LINE_AA)
    answer = identify(parse(codec).apply(picture, np.random.default_rng(0)))
    assert answer.family == "generative" and near(answer.region, BOX, 4)


def test_a_dark_ellipse_in_a_jpeg_is_no_mosaic_of_its_blocks() -> None:
    """A decoder leaves one colour a block, a grey level from the next."""
    picture = parse("jpeg:q=75").apply(scenery(8), np.random.default_rng(0))
    levels = np.random.default_rng(1).integers(0, 3, (32, 32, 1)).astype(np.uint8)
    blocks = np.repeat(np.repeat(levels, 8, axis=0), 8, axis=1)[:250, :250]
    ys, xs = np.mgrid[:250, :250]
    inside = ((xs - 125) / 48) ** 2 + ((ys - 130) / 68) ** 2 < 1
    picture[inside] = np.broadcast_to(blocks, picture.shape)[inside]
    answer = identify(picture)
    assert answer.family == "solid" and answer.region_shape == "ellipse"


def test_what_may_be_paint_is_where_its_rim_is_crisp(monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful = np.array([0.65, 0.35, 0.0])
    monkeypatch.setattr(fills, "_probabilities", lambda features: doubtful)
    x0, y0, x1, y1 = BAR
    picture = scenery(9)
    picture[y0:y1, x0:x1] = (215, 144, 88)
    (bar,) = find_fills(picture, 0.6)
    assert near(bar.box, BAR, 1) and bar.one_colour
    picture[y0:y1:2, x0 : x0 + 8] = scenery(9)[y0:y1:2, x0 : x0 + 8]  # frayed at one end
    assert find_fills(picture, 0.6) == ()


def test_a_drawing_on_a_face_is_no_blur() -> None:
    picture = scenery(2)
    cv2.circle(picture, (120, 125), 70, (255, 205, 40), -1, cv2.LINE_AA)
    for x in (98, 142):
        cv2.circle(picture, (x, 108), 9, (60, 40, 0), -1, cv2.LINE_AA)
    cv2.ellipse(picture, (120, 130), (28, 28), 0, 20, 160, (60, 40, 0), 3, cv2.LINE_AA)
    answer = identify(parse("jpeg:q=85").apply(picture, np.random.default_rng(0)))
    assert answer.family in ("generative", "solid") and answer.region_shape == "ellipse"
    assert near(answer.region, (50, 55, 191, 196), 4)


def test_bars_frames_and_captions_hide_nothing() -> None:
    picture = scenery(3)
    barred = np.vstack(
        [np.zeros((30, 250, 3), np.uint8), picture, np.zeros((30, 250, 3), np.uint8)]
    )
    framed = cv2.copyMakeBorder(picture, *[12] * 4, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    captioned = picture.copy()
    captioned[220:] = (20, 30, 90)
    for other in (picture, barred, framed, captioned):
        assert find_fills(other) == ()


@pytest.mark.parametrize("layout", ["caption", "neighbour"])
def test_what_lies_off_the_lattice_beside_a_blur_is_no_part_of_it(layout: str) -> None:
    """A caption, and a picture that another was put under, off the grid of its JPEG, were changed
    since the JPEG as the blurred face was."""
    noise = np.random.default_rng(0)
    picture = parse("jpeg:q=75").apply(scenery(4), noise)
    blurred = apply_to_box(parse("gaussian:k=61"), picture, BOX, noise)
    x0, y0, x1, y1 = BOX
    if layout == "caption":
        blurred[-34:] = 24
        cv2.putText(blurred, "camera 4", (20, 240), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255,) * 3, 1)
        true = BOX
    else:
        above = parse("jpeg:q=75").apply(scenery(5), noise)
        blurred, true = np.vstack([above, blurred]), (x0, y0 + 250, x1, y1 + 250)
    answer = identify(blurred)
    assert answer.family == "gaussian" and near(answer.region, true, 1)


@pytest.mark.parametrize(
    ("box", "weight"), [((0, 0, 40, 40), 1.0), ((5, 0, 35, 48), 1.0), ((0, 0, 40, 128), 0.5)]
)
def test_strips_need_more_evidence_than_faces(
    box: tuple[int, int, int, int], weight: float
) -> None:
    assert compactness(np.array([box, box[1::-1] + box[:1:-1]])) == pytest.approx(weight)


@pytest.mark.parametrize("name", ["area", "lanczos"])
def test_a_photograph_scaled_down_from_a_jpeg_is_untouched(name: str, shared_data: Path) -> None:
    """People whom nothing was fitted to."""
    with (shared_data / "lfw.csv").open(newline="") as file:
        paths = [
            shared_data / row["path"] for row in csv.DictReader(file) if row["role"] == "probe"
        ]
    answers = [identify(resampled(decode(path), 0.62, name)) for path in paths[:3]]
    assert [answer.family for answer in answers].count("none") >= 2
    assert all(a.family in ("none", "unknown") or a.confidence < 0.9 for a in answers)


@pytest.mark.parametrize("block", [8, 16, 30])
def test_equal_blocks_side_by_side_are_no_paint(block: int) -> None:
    """What keeps detail must not be told as a fill, which keeps none."""
    for seed in range(4):
        picture = parse(f"pixelate:b={block}")(render(identity(seed), nuisance(seed, 0), 240))
        assert identify(picture).family == "pixelate"


@pytest.mark.parametrize("colour", [(0, 0, 0), (90, 60, 200), (128, 128, 128)])
def test_a_small_fill_in_a_jpeg_is_no_drawing(colour: tuple[int, int, int]) -> None:
    """The blocks that its rim crosses ring, and are a large part of it."""
    small = cv2.resize(scenery(11), (175, 175), interpolation=cv2.INTER_AREA)
    box = (50, 42, 126, 143)
    small[box[1] : box[3], box[0] : box[2]] = colour
    answer = identify(parse("jpeg:q=75").apply(small, np.random.default_rng(0)))
    assert answer.family == "solid" and near(answer.region, box, 4)
