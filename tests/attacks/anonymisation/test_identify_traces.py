"""What is read from the pixels besides the spectrum: JPEG's grid, samples that were enlarged."""

import cv2
import numpy as np
import pytest

from reid_audit.attacks.anonymisation import (
    Identification,
    ToolSample,
    estimate_tools,
    identify,
)
from reid_audit.attacks.anonymisation.compression import jpeg_quality_of
from reid_audit.attacks.anonymisation.enlarged import enlargement
from reid_audit.attacks.anonymisation.prior import face_prior
from reid_audit.attacks.anonymisation.region import find_region
from reid_audit.attacks.anonymisation.spectra import power_of
from reid_audit.attacks.anonymisation.widths import gaussian_widths
from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Colour noise with the 1 / f amplitude of natural pictures, `(128, 160, 3)`."""
    rng = np.random.default_rng(4)
    y, x = np.fft.fftfreq(128)[:, None], np.fft.fftfreq(160)
    radius = np.hypot(y, x)
    radius[0, 0] = 1
    planes = np.fft.ifft2(np.fft.fft2(rng.normal(size=(3, 128, 160))) / radius).real
    mixed = np.tensordot([[1, 0.2, 0], [1, 0, 0.2], [1, -0.2, 0.1]], planes, axes=1)
    values = 120 + 40 * mixed / mixed.std()
    return values.clip(0, 255).round().astype(np.uint8).transpose(1, 2, 0).copy()


@pytest.mark.parametrize("quality", [50, 75, 90])
def test_quality_of_a_jpeg_saved_again(picture: np.ndarray, quality: int) -> None:
    stored = parse(f"gaussian:k=9|jpeg:q={quality}").apply(picture, np.random.default_rng(0))
    assert abs(jpeg_quality_of(stored) - quality) <= 1  # neighbours share their low steps
    assert jpeg_quality_of(parse("gaussian:k=9").apply(picture, np.random.default_rng(0))) is None


@pytest.mark.parametrize("factor", [2.3, 4, 9])
@pytest.mark.parametrize("up", ["linear", "cubic"])
def test_enlargement(picture: np.ndarray, factor: float, up: str) -> None:
    operator = parse(f"downscale:f={factor},up={up}")
    found = enlargement(operator.apply(picture, np.random.default_rng(0)))
    assert found.certain
    assert found.factor_x == pytest.approx(160 / round(160 / factor))
    assert found.factor_y == pytest.approx(128 / round(128 / factor))


@pytest.mark.parametrize("spec", ["none", "gaussian:k=15", "box:k=9", "median:k=7"])
def test_nothing_was_enlarged(picture: np.ndarray, spec: str) -> None:
    assert not enlargement(parse(spec).apply(picture, np.random.default_rng(0))).certain


@pytest.mark.parametrize("margin", [9, 30])
@pytest.mark.parametrize("spec", ["downscale:f=2", "downscale:f=4", "gaussian:k=5"])
def test_a_frame_of_one_colour_is_no_part_of_the_region(
    picture: np.ndarray, spec: str, margin: int
) -> None:
    inner = parse(spec).apply(picture, np.random.default_rng(0))
    frame = (margin, margin + 4, margin, margin + 1)
    framed = cv2.copyMakeBorder(inner, *frame, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    assert enlargement(framed) == enlargement(inner)


def test_axes_are_told_apart(picture: np.ndarray) -> None:
    blurred = parse("gaussian:kx=9,ky=31").apply(picture, np.random.default_rng(0))
    found = gaussian_widths(power_of(blurred), quality=None)
    assert found.x == pytest.approx(1.7, rel=0.25)
    assert found.y == pytest.approx(5.0, rel=0.25)


def test_picture_smaller_than_the_kernel(picture: np.ndarray) -> None:
    small = cv2.resize(picture, (24, 24), interpolation=cv2.INTER_AREA)
    assert identify(parse("gaussian:k=81").apply(small, np.random.default_rng(0))).region


def pool(answers: list[Identification]) -> Identification:
    """What pictures of one tool say together."""
    (tool,) = estimate_tools([ToolSample(answer, (9, 9)) for answer in answers])
    return tool.typical


def test_pooled_sizes_follow_the_surer_pictures() -> None:
    def member(sigma: float, spread: float) -> Identification:
        parameters = {
            "sigma_x": sigma,
            "sigma_y": sigma,
            "sigma_x_sd": spread,
            "sigma_y_sd": spread,
            "kernel_size": 2 * round((sigma - 0.5) / 0.3) + 1,
        }
        return Identification(
            (0, 0, 9, 9), "gaussian", parameters=parameters, confidence=0.9, spec="gaussian:k=1"
        )

    pooled = pool([member(12.2, 0.3), member(12.5, 0.05), member(12.8, 0.3)])
    assert pooled.parameters["kernel_size"] == 81
    assert pooled.spec == "gaussian:k=81"


@pytest.mark.parametrize("quality", [75, 90])
def test_attackers_are_told_of_the_jpeg(picture: np.ndarray, quality: int) -> None:
    """By one picture's answer and by the pooled one."""
    spec = f"gaussian:k=41|jpeg:q={quality}"
    stored = parse(spec).apply(picture, np.random.default_rng(0))
    found = identify(stored)
    assert (found.family, found.quality) == ("gaussian", quality)
    operator = found.operator()
    assert operator is not None and str(operator).endswith(f"|jpeg:q={quality}")
    assert str(pool([found, found, found]).operator()) == str(operator)


def test_a_jpeg_that_most_of_a_batch_shows_is_pooled() -> None:
    def member(quality: int | None) -> Identification:
        spec = "box:k=9|ellipse" + (f"|jpeg:q={quality}" if quality else "")
        parameters = {"box_x": 9, "box_y": 9}
        codec = "jpeg" if quality else None
        box = (0, 0, 9, 9)
        return Identification(
            box, "box", parameters=parameters, codec=codec, quality=quality, spec=spec
        )

    assert pool([member(None), member(75), member(76)]).spec == "box:k=9|ellipse|jpeg:q=76"
    assert pool([member(None), member(None), member(75)]).spec == "box:k=9|ellipse"


@pytest.mark.parametrize("spec", ["jpeg:q=75|gaussian:k=21", "solid|jpeg:q=75"])
def test_no_jpeg_where_it_says_nothing(picture: np.ndarray, spec: str) -> None:
    operator = identify(parse(spec).apply(picture, np.random.default_rng(0))).operator()
    assert operator is not None and "jpeg" not in str(operator)


@pytest.mark.parametrize("codec", ["jpeg:q=95", "jpeg:q=92,sub=444"])
def test_quality_of_a_fine_jpeg_over_a_heavy_blur(picture: np.ndarray, codec: str) -> None:
    """Few coefficients are left, on steps of one or two grey levels."""
    stored = parse(f"gaussian:k=71|{codec}").apply(picture, np.random.default_rng(0))
    assert abs(jpeg_quality_of(stored) - int(codec[7:9])) <= 1


def test_blocks_of_a_jpeg_are_no_region(picture: np.ndarray) -> None:
    smooth = parse("gaussian:k=9|jpeg:q=30").apply(picture, np.random.default_rng(0))
    assert find_region(smooth).box == (0, 0, 160, 128)


def test_a_blurred_box_on_the_grid_of_a_jpeg_is_found(picture: np.ndarray) -> None:
    stored = parse("jpeg:q=75").apply(picture, np.random.default_rng(0))
    box = (40, 32, 112, 96)
    blurred = apply_to_box(parse("gaussian:k=31"), stored, box, np.random.default_rng(0))
    assert find_region(blurred).box == pytest.approx(box, abs=2)


def test_an_ellipse_is_found_and_belongs_to_the_operator(picture: np.ndarray) -> None:
    box = (40, 20, 112, 110)
    blurred = apply_to_box(parse("gaussian:k=15|ellipse"), picture, box, np.random.default_rng(0))
    found = identify(blurred)
    assert found.region == pytest.approx(box, abs=2)
    assert found.region_shape == "ellipse"
    assert found.family == "gaussian"
    operator = found.operator()
    assert operator is not None and operator.parameters["mask"] == "ellipse"
    assert operator.parameters["kernel_size"] == pytest.approx(15, abs=6)


def test_a_box_is_no_ellipse(picture: np.ndarray) -> None:
    box = (40, 20, 112, 110)
    blurred = apply_to_box(parse("gaussian:k=31"), picture, box, np.random.default_rng(0))
    assert identify(blurred).region_shape == "box"
    assert identify(picture).region == (0, 0, 160, 128)


@pytest.mark.parametrize(("kernel", "sigma"), [(31, 2.0), (41, 4.0)])
def test_noise_over_a_blur_is_measured_and_handed_on(
    picture: np.ndarray, kernel: int, sigma: float
) -> None:
    spec = f"gaussian:k={kernel}|noise:sigma={sigma}"
    found = identify(parse(spec).apply(picture, np.random.default_rng(0)))
    assert found.family == "gaussian"
    assert found.noise == pytest.approx(sigma, rel=0.1)
    assert found.kernel_size == pytest.approx(kernel, abs=8)
    assert found.spec is not None and "|noise:sigma=" in found.spec
    clean = identify(parse(f"gaussian:k={kernel}").apply(picture, np.random.default_rng(0)))
    assert clean.noise == pytest.approx(12**-0.5, rel=0.1)
    assert clean.spec is not None and "noise" not in clean.spec


def test_pixelation_under_a_jpeg(picture: np.ndarray) -> None:
    spec = "pixelate:b=10|jpeg:q=75"
    found = identify(parse(spec).apply(picture, np.random.default_rng(0)))
    assert (found.family, found.quality) == ("pixelate", 75)
    assert found.spec == spec


def test_blocks_of_one_colour_say_nothing_about_quality(picture: np.ndarray) -> None:
    """Their mean lies on steps of eight, whatever was done to them."""
    blocks = parse("pixelate:b=8").apply(picture, np.random.default_rng(0))
    assert jpeg_quality_of(blocks) is None


def test_the_prior_is_a_distribution() -> None:
    assert np.linalg.eigvalsh(face_prior().covariance).min() > 0
