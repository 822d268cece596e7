"""Regions that fade into the picture, and blocks pasted through an ellipse."""

import numpy as np
import pytest

from reid_audit.attacks.anonymisation import identify
from reid_audit.attacks.anonymisation.blocks import elliptic_blocks
from reid_audit.attacks.anonymisation.compression import jpeg_quality_of
from reid_audit.attacks.anonymisation.ellipse import ellipse_distance
from reid_audit.attacks.anonymisation.fading import mask_weight
from reid_audit.attacks.anonymisation.lattice import changed_blocks, corners, find_changed, nearest
from reid_audit.attacks.anonymisation.region import Region, find_region, whole_part
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box

BOX = (60, 50, 170, 190)


@pytest.fixture(scope="module")
def stored() -> np.ndarray:
    """Colour noise with the 1 / f amplitude of natural pictures that was a JPEG of quality 75,
    `(240, 240, 3)`."""
    rng = np.random.default_rng(4)
    radius = np.hypot(np.fft.fftfreq(240)[:, None], np.fft.fftfreq(240))
    radius[0, 0] = 1
    planes = np.fft.ifft2(np.fft.fft2(rng.normal(size=(3, 240, 240))) / radius).real
    mixed = np.tensordot([[1, 0.2, 0], [1, 0, 0.2], [1, -0.2, 0.1]], planes, axes=1)
    values = (120 + 35 * mixed / mixed.std()).clip(0, 255).round().astype(np.uint8)
    return parse("jpeg:q=75").apply(values.transpose(1, 2, 0).copy(), rng)


def overlap(region: Region, shape: str, soft: float) -> float:
    """Intersection over union of a region's mask and the true one in `BOX`."""
    y, x = np.arange(240)[:, None], np.arange(240)[None]
    found = mask_weight(y, x, region.box, region.shape, region.soft)
    true = mask_weight(y, x, BOX, shape, soft)
    return float(np.minimum(found, true).sum() / np.maximum(found, true).sum())


def test_kept_and_changed_blocks(stored: np.ndarray) -> None:
    assert find_changed(changed_blocks(stored, 75)) is None
    changed = stored.copy()
    changed[64:128, 80:160] = changed[64:128, 80:160] // 2 + 40
    ratio = changed_blocks(changed, 75)
    inside = np.zeros(ratio.shape, bool)
    inside[8:16, 10:20] = True
    assert ((ratio > 0) == inside).mean() > 0.98
    found = find_changed(ratio)
    assert found is not None and found.shape == "box"


def test_changed_blocks_on_both_sides_of_a_strip() -> None:
    """What looks kept, as over a clipped strip, parts the blocks that the search starts from."""
    ratio = np.full((30, 30), -30.0)
    y, x = nearest(*corners(ratio), BOX)
    ratio[ellipse_distance(y, x, BOX) < 1] = 30
    ratio[11:13] = -20
    found = find_changed(ratio, near=(80, 75, 150, 165))
    assert found is not None and found.shape == "ellipse"
    assert found.box == pytest.approx(BOX, abs=2)


@pytest.mark.parametrize("soft", [0.3, 0.6])
def test_an_ellipse_that_fades_is_found(stored: np.ndarray, soft: float) -> None:
    operator = parse(f"gaussian:k=31|ellipse:soft={soft}")
    found = find_region(apply_to_box(operator, stored, BOX, np.random.default_rng(0)))
    assert found.shape == "ellipse"
    assert found.soft == pytest.approx(soft, abs=0.12)
    assert overlap(found, "ellipse", soft) > 0.9


def test_the_mask_of_imagenet_is_found(stored: np.ndarray) -> None:
    blurred = apply_to_box(parse("imagenet:r=0.1,grow=0"), stored, BOX, np.random.default_rng(0))
    found = find_region(blurred)
    assert found.shape == "box"
    assert found.soft == pytest.approx(0.1, abs=0.03)
    assert overlap(found, "box", 0.1) > 0.9
    answer = identify(blurred)
    assert answer.region_shape == "soft"
    assert answer.spec is None or answer.spec.startswith("imagenet:r=0.")


def test_an_ellipse_that_fades_belongs_to_the_operator(stored: np.ndarray) -> None:
    operator = parse("gaussian:k=21|ellipse:soft=0.3")
    answer = identify(apply_to_box(operator, stored, BOX, np.random.default_rng(0)))
    assert answer.region_shape == "ellipse"
    assert answer.parameters["soft"] == pytest.approx(0.3, abs=0.12)
    assert answer.operator() is not None
    assert answer.operator().parameters["mask"] == "ellipse"  # type: ignore[union-attr]


def test_whole_pictures_and_hard_borders_stay(stored: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    assert find_region(stored).box == (0, 0, 240, 240)
    hard = find_region(apply_to_box(parse("gaussian:k=21|ellipse"), stored, BOX, rng))
    assert (hard.shape, hard.soft) == ("ellipse", 0.0)
    assert hard.box == pytest.approx(BOX, abs=2)
    box = find_region(apply_to_box(parse("gaussian:k=21"), stored, BOX, rng))
    assert (box.box, box.shape, box.soft) == (BOX, "box", 0.0)


def test_what_was_stored_again_shows_no_changed_blocks(stored: np.ndarray) -> None:
    blurred = apply_to_box(parse("gaussian:k=21"), stored, BOX, np.random.default_rng(0))
    again = parse("jpeg:q=60").apply(blurred, np.random.default_rng(0))
    quality = jpeg_quality_of(again)
    assert quality == 60
    assert find_changed(changed_blocks(again, quality)) is None


@pytest.mark.parametrize("block", [6, 9])
def test_pixelated_ellipse(stored: np.ndarray, block: int) -> None:
    rng = np.random.default_rng(0)
    operator = parse(f"pixelate:b={block}|ellipse")
    answer = identify(apply_to_box(operator, stored, BOX, rng))
    assert (answer.family, answer.region_shape) == ("pixelate", "ellipse")
    assert answer.region == pytest.approx(BOX, abs=3)
    assert answer.parameters["block_x"] == answer.parameters["block_y"] == block
    inner = whole_part(Region(BOX, "ellipse"))
    pasted = apply_to_box(operator, stored, BOX, rng)
    assert elliptic_blocks(pasted, inner) == pytest.approx(BOX, abs=4)
    filled = apply_to_box(parse(f"pixelate:b={block}"), stored, BOX, rng)
    assert elliptic_blocks(filled, BOX) is None


@pytest.mark.parametrize("right", [168, 169, 173, 177])
@pytest.mark.parametrize("frame", [0, 3])
def test_pixelated_box(stored: np.ndarray, right: int, frame: int) -> None:
    """A frame's jumps are the strongest; a last block of one pixel, here in a block of the JPEG of
    its own, repeats nothing."""
    picture = np.zeros_like(stored)
    inside = slice(frame, 240 - frame)
    picture[inside, inside] = stored[inside, inside]
    box = (72, 73, right, 184)
    rng = np.random.default_rng(0)
    found = find_region(apply_to_box(parse("pixelate:b=8"), picture, box, rng))
    assert (found.shape, found.soft) == ("box", 0.0)
    assert found.box == pytest.approx(box, abs=1)


@pytest.mark.parametrize("box", [(-60, 150, 60, 300), (170, -60, 300, 60)])
def test_regions_end_at_the_border(stored: np.ndarray, box: tuple[int, int, int, int]) -> None:
    wide = np.pad(stored, ((80, 80), (80, 80), (0, 0)), mode="reflect")
    at = tuple(side + 80 for side in box)
    operator = parse("gaussian:k=31|ellipse:soft=0.4")
    blurred = apply_to_box(operator, wide, at, np.random.default_rng(0))[80:320, 80:320]
    x0, y0, x1, y1 = find_region(np.ascontiguousarray(blurred)).box
    assert 0 <= x0 < x1 <= 240 and 0 <= y0 < y1 <= 240


def test_whole_part_lies_where_the_mask_is_whole() -> None:
    y, x = np.arange(240)[:, None], np.arange(240)[None]
    for region in (Region(BOX, "ellipse", 0.3), Region(BOX, "box", 0.05)):
        x0, y0, x1, y1 = whole_part(region)
        weight = mask_weight(y, x, region.box, region.shape, region.soft)
        assert weight[y0:y1, x0:x1].min() > 0.95
    x0, y0, x1, y1 = whole_part(Region((0, 0, 40, 40), "ellipse", 0.9))
    assert min(x1 - x0, y1 - y0) >= 24
