"""Identification on pictures that show no face: always run."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from reid_audit.attacks.anonymisation import ToolSample, estimate_tools, identify, read_encoded
from reid_audit.attacks.anonymisation.evidence import measure
from reid_audit.attacks.anonymisation.parameters import _box
from reid_audit.metrics.errors import InputError


def texture(seed: int, size: int = 128) -> np.ndarray:
    """Colour picture with the 1 / f amplitude of natural ones and some edges, `(H, W, 3)`."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    frequency[0, 0] = 1
    white = rng.normal(size=(3, size, size))
    grey = np.fft.ifft2(np.fft.fft2(white) / frequency).real
    grey = np.tensordot([[1, 0.2, 0], [1, 0, 0.2], [1, -0.2, 0.1]], grey, axes=1)
    picture = 120 + 45 * grey / grey.std()
    for _ in range(6):
        centre = rng.integers(0, size, 2).tolist()
        cv2.circle(picture[0], centre, int(rng.integers(5, 30)), int(rng.integers(0, 255)), 2)
    return picture.clip(0, 255).round().astype(np.uint8).transpose(1, 2, 0).copy()


@pytest.mark.parametrize("shape", [(64, 64), (1, 1), (5, 90), (9, 9)])
def test_constant_picture_is_solid(shape: tuple[int, int]) -> None:
    answer = identify(np.full((*shape, 3), 77, np.uint8))
    assert answer.family == "solid"
    assert answer.parameters["color"] == (77, 77, 77)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 11])
def test_tiny_pictures_get_an_answer(size: int) -> None:
    rng = np.random.default_rng(0)
    identify(rng.integers(0, 256, (size, size, 3)).astype(np.uint8))


def test_grey_and_wrong_types() -> None:
    grey = np.repeat(texture(0)[..., :1], 3, axis=2)
    assert identify(cv2.GaussianBlur(grey, (21, 21), 0)).family == "gaussian"
    with pytest.raises(InputError, match="RGB uint8"):
        identify(grey[..., 0])
    with pytest.raises(InputError, match="region"):
        identify(grey, region=(5, 5, 400, 30))


@pytest.mark.parametrize("block", [4, 8, 15])
def test_block_size(block: int) -> None:
    small = texture(1)[::block, ::block]
    blocks = small.repeat(block, axis=0).repeat(block, axis=1)[:128, :128]
    answer = identify(blocks, region=(0, 0, 128, 128))
    assert answer.family == "pixelate"
    assert answer.parameters["block_x"] == answer.parameters["block_y"] == block


@pytest.mark.parametrize("kernel", [15, 31])
def test_opencv_blurs(kernel: int) -> None:
    size = (kernel, kernel)
    blurred = cv2.GaussianBlur(texture(2), size, 0)
    answer = identify(blurred)
    assert answer.family == "gaussian"
    assert abs(answer.kernel_size - kernel) <= 4
    boxed = identify(cv2.blur(texture(2), size))
    assert boxed.family == "box"
    assert boxed.parameters["box_x"] == boxed.parameters["box_y"] == kernel


def test_two_tools_in_a_batch_are_told_apart() -> None:
    blurred = [cv2.GaussianBlur(texture(s), (31, 31), 0) for s in range(3)]
    boxed = [cv2.blur(texture(s), (31, 31)) for s in range(2)]
    samples = [ToolSample(identify(p), (p.shape[0], p.shape[1])) for p in blurred + boxed]
    tools = estimate_tools(samples)
    assert [tool.members for tool in tools] == [(0, 1, 2), (3, 4)]
    assert [tool.family for tool in tools] == ["gaussian", "box"]


def test_header_facts(tmp_path) -> None:
    path = tmp_path / "picture.jpg"
    cv2.imwrite(str(path), texture(3), [cv2.IMWRITE_JPEG_QUALITY, 83])
    facts = read_encoded(path)
    assert (facts.codec, facts.quality, facts.lossless, facts.bit_depth) == ("jpeg", 83, False, 8)
    cv2.imwrite(str(tmp_path / "deep.png"), texture(3).astype(np.uint16) * 257)
    assert read_encoded((tmp_path / "deep.png").read_bytes()).bit_depth == 16
    with pytest.raises(InputError, match="not a readable picture"):
        read_encoded(b"no picture")


def test_a_box_wider_than_the_region() -> None:
    """Half of the box may be as wide as a small part of a picture."""
    ramp = np.add.outer(np.arange(24), 2 * np.arange(24)).astype(np.uint8)
    region = np.repeat(cv2.blur(ramp, (47, 47))[..., None], 3, axis=2)
    for half in (10.0, 23.0):
        evidence = replace(measure(region), box_half=half)
        parameters, _ = _box(region, evidence, evidence)
        assert 1 <= parameters["box_x"] <= 24


@pytest.mark.parametrize(
    "shape", [(1, 5000), (5000, 1), (3, 2000), (2000, 3), (60, 2000), (3000, 60)]
)
def test_a_strip_has_no_processed_part(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert identify(noise).region == (0, 0, shape[1], shape[0])
