"""Wide blurs, whose pictures are thinned before they are read; on people who do not exist."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from reid_audit.attacks.anonymisation import EncodedInfo, identify
from reid_audit.attacks.anonymisation.spectra import is_cut, thinned
from reid_audit.attacks.anonymisation.traces import blocks_under_jpeg
from reid_audit.attacks.operators import parse
from reid_audit.audit.people import identity, nuisance, render

Blur = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    """A portrait `(600, 600, 3)` uint8."""
    return render(identity(9100), nuisance(9100, 0), 600)


def gaussian(sigma: float) -> Blur:
    """SciPy's, which shares no code with the operators."""
    return lambda picture: scipy.ndimage.gaussian_filter(
        picture, (sigma, sigma, 0), mode="mirror", truncate=3.5
    )


def mean(size: int) -> Blur:
    return lambda picture: cv2.blur(picture, (size, size))


BOX = (150, 120, 450, 480)


def within(picture: np.ndarray, blur: Blur) -> np.ndarray:
    x0, y0, x1, y1 = BOX
    hidden = picture.copy()
    hidden[y0:y1, x0:x1] = blur(picture[y0:y1, x0:x1].copy())
    return hidden


def pasted(picture: np.ndarray, blur: Blur) -> np.ndarray:
    """The box of a picture that was blurred as a whole."""
    x0, y0, x1, y1 = BOX
    hidden = picture.copy()
    hidden[y0:y1, x0:x1] = blur(picture)[y0:y1, x0:x1]
    return hidden


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


@pytest.mark.parametrize("sigma", [18.0, 30.0, 45.0])
@pytest.mark.parametrize("colour", [True, False])
def test_wide_gaussians_are_read_in_colour_and_grey(
    large: np.ndarray, sigma: float, colour: bool
) -> None:
    hidden = within(large, gaussian(sigma))
    answer = identify(hidden if colour else grey(hidden), region=BOX)
    assert answer.family == "gaussian"
    assert answer.parameters["sigma_x"] == pytest.approx(sigma, rel=0.12)


@pytest.mark.parametrize("size", [61, 100, 151])
def test_wide_mean_filters_are_read_exactly(large: np.ndarray, size: int) -> None:
    answer = identify(within(large, mean(size)), region=BOX)
    assert answer.family == "box"
    assert answer.parameters["box_x"] == pytest.approx(size, abs=1)


@pytest.mark.parametrize("size", [31, 61, 101])
def test_mean_filters_are_told_from_gaussians_through_jpeg(large: np.ndarray, size: int) -> None:
    hidden = parse("jpeg:q=75").apply(within(large, mean(size)), np.random.default_rng(0))
    answer = identify(hidden, EncodedInfo("jpeg", quality=75), BOX)
    assert answer.family == "box"
    assert answer.parameters["box_x"] == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize("sigma", [9.0, 25.0])
def test_noise_over_a_wide_blur_leaves_its_width(large: np.ndarray, sigma: float) -> None:
    noisy = parse("noise:sigma=5").apply(within(large, gaussian(sigma)), np.random.default_rng(0))
    answer = identify(noisy, region=BOX)
    assert answer.family == "gaussian"
    assert answer.parameters["sigma_x"] == pytest.approx(sigma, rel=0.15)
    assert answer.noise == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize("blur", [gaussian(6.0), gaussian(20.0), mean(45)])
def test_a_box_of_a_picture_that_was_blurred_as_a_whole(large: np.ndarray, blur: Blur) -> None:
    inside, cut = (identify(make(large, blur), region=BOX) for make in (within, pasted))
    assert inside.family == cut.family
    name = "sigma_x" if cut.family == "gaussian" else "box_x"
    assert cut.parameters[name] == pytest.approx(inside.parameters[name], rel=0.15)


def small(seed: int, size: int) -> np.ndarray:
    return render(identity(seed), nuisance(seed, 0), size)


@pytest.mark.parametrize("seed", [9102, 9108, 9109])
def test_kernels_that_were_learnt_are_read_from_every_sample(seed: int) -> None:
    blurred = parse("gaussian:k=47").apply(small(seed, 150), np.random.default_rng(0))
    assert identify(blurred, region=(0, 0, 150, 150)).kernel_size == 47


def test_a_sure_gaussian_is_no_doubtful_mean_filter_of_most_of_the_picture() -> None:
    blurred = parse("gaussian:k=55").apply(small(9107, 150), np.random.default_rng(0))
    answer = identify(blurred, region=(0, 0, 150, 150))
    assert answer.family == "gaussian"
    assert answer.kernel_size == pytest.approx(55, abs=2)


@pytest.mark.parametrize("seed", [9101, 9103, 9107])
def test_what_a_codec_adds_is_no_narrow_mean_filter(seed: int) -> None:
    stored = parse("box:k=15|jpeg:q=60").apply(small(seed, 250), np.random.default_rng(0))
    answer = identify(stored, EncodedInfo("jpeg", quality=60), (0, 0, 250, 250))
    assert answer.family == "box"
    assert answer.parameters["box_x"] == pytest.approx(15, abs=1)


@pytest.mark.parametrize("quality", [None, 90])
def test_what_was_cut_out_bends_at_its_border(large: np.ndarray, quality: int | None) -> None:
    x0, y0, x1, y1 = BOX
    told = []
    for make in (within, pasted):
        hidden = make(large, gaussian(15.0))
        if quality is not None:
            hidden = parse(f"jpeg:q={quality}").apply(hidden, np.random.default_rng(0))
        told.append(is_cut(hidden[y0:y1, x0:x1], None if quality is None else 15.0))
    assert told == [False, True]


def test_thinning_keeps_every_fourth_sample_of_what_is_coarse() -> None:
    """Cosines below the new samples' limit are the same function, sampled less often."""
    y, x = np.arange(81), np.arange(121)
    wave = np.cos(np.pi * 7 * y / 80)[:, None] * np.cos(np.pi * 11 * x / 120)
    plane = np.rint(128 + 100 * wave).astype(np.uint8)
    region = np.repeat(plane[..., None], 3, axis=2)
    few, step = thinned(region, 4)
    assert few.shape == (21, 31, 3) and step == (4.0, 4.0)
    assert np.abs(few.astype(int) - region[::4, ::4]).max() <= 1
    assert (few[..., 0] == few[..., 2]).all()


@pytest.mark.parametrize("factor", [1.5, 3, 6])
def test_thinning_keeps_the_mean_and_a_constant(factor: float) -> None:
    rng = np.random.default_rng(0)
    region = cv2.GaussianBlur(rng.integers(0, 256, (90, 70, 3)).astype(np.uint8), (0, 0), 6)
    few, (x, y) = thinned(region, factor)
    assert few.shape[:2] == (round(89 / factor) + 1, round(69 / factor) + 1)
    assert x == pytest.approx(factor, rel=0.05) and y == pytest.approx(factor, rel=0.05)
    assert few.mean() == pytest.approx(region.mean(), abs=2)
    constant = np.full((90, 70, 3), 77, np.uint8)
    assert (thinned(constant, factor)[0] == 77).all()


@pytest.mark.parametrize("quality", [75, 90])
@pytest.mark.parametrize("count", [(13, 17), (21, 27), (29, 31)])
def test_blocks_that_divide_a_region_evenly_are_told_through_jpeg(
    large: np.ndarray, quality: int, count: tuple[int, int]
) -> None:
    """As Pillow makes them: reduced to a number of blocks and enlarged again."""
    x0, y0, x1, y1 = BOX
    sides = (x1 - x0, y1 - y0)
    few = Image.fromarray(large[y0:y1, x0:x1]).resize(count, Image.Resampling.BOX)
    hidden = large.copy()
    hidden[y0:y1, x0:x1] = few.resize(sides, Image.Resampling.NEAREST)
    hidden = parse(f"jpeg:q={quality}").apply(hidden, np.random.default_rng(0))
    blocks = blocks_under_jpeg(hidden[y0:y1, x0:x1])
    assert blocks == pytest.approx([side / n for side, n in zip(sides, count, strict=True)])


@pytest.mark.parametrize("size", [9, 14, 23])
def test_whole_blocks_keep_their_size_through_jpeg(large: np.ndarray, size: int) -> None:
    x0, y0, x1, y1 = BOX
    hidden = parse(f"pixelate:b={size}|jpeg:q=75").apply(
        large[y0:y1, x0:x1], np.random.default_rng(0)
    )
    assert blocks_under_jpeg(hidden) == (size, size)
