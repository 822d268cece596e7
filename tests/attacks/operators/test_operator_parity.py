"""Operators against the tools they stand for, to the grey level where these are deterministic."""

import io
import shutil
import subprocess

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from skimage.measure import block_reduce
from torchvision.transforms.v2.functional import gaussian_blur

from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box

SHAPES = [(64, 64), (61, 83)]
RNG = np.random.default_rng(0)


def apply(spec, picture):
    return parse(spec).apply(picture, RNG)


@pytest.fixture(params=SHAPES, ids=str)
def picture(request, texture):
    return texture(*request.param)


def assert_same(ours, theirs):
    np.testing.assert_array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("kernel", [1, 3, 21, 37, 81])
def test_torchvision_gaussian(kernel, texture):
    """Equal, but for ties that float32 sums break either way."""
    picture = texture(96, 90)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    theirs = gaussian_blur(tensor, [kernel, kernel]).permute(1, 2, 0).numpy()
    difference = np.abs(apply(f"gaussian:k={kernel}", picture).astype(int) - theirs)
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-3


def test_torchvision_gaussian_with_explicit_and_unequal_sizes(picture):
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    theirs = gaussian_blur(tensor, [9, 21], [3.0, 2.0]).permute(1, 2, 0).numpy()
    ours = apply("gaussian:kx=9,ky=21,sx=3,sy=2", picture)
    assert np.mean(ours != theirs) < 1e-3


@pytest.mark.parametrize(("k", "sigma"), [(3, 0), (5, 0), (9, 0), (21, 0), (37, 0), (0, 4.2)])
def test_opencv_gaussian_and_its_fixed_point_weights(k, sigma, picture):
    spec = f"cv-gaussian:k={k},sigma={sigma}"
    assert_same(apply(spec, picture), cv2.GaussianBlur(picture, (k, k), sigma))
    # A step of one grey level's worth per pixel shows the weights themselves.
    size = len(parse(spec).kernel())
    line = np.repeat(np.where(np.arange(4 * size) >= 2 * size, 255, 0)[:, None], 8, 1)
    step = cv2.GaussianBlur(line.astype(np.uint8), (k, k), sigma)[:, 4].astype(float)
    weights = np.diff(step)[2 * size - 1 - size // 2 : 2 * size + size // 2] / 255
    np.testing.assert_allclose(parse(spec).kernel(), weights, atol=1.01 / 255)


@pytest.mark.parametrize("k", [1, 3, 17, 99])
def test_opencv_box(k, picture):
    assert_same(apply(f"box:k={k}", picture), cv2.blur(picture, (k, k)))


@pytest.mark.parametrize("k", [3, 5, 21])
def test_opencv_median(k, picture):
    assert_same(apply(f"median:k={k}", picture), cv2.medianBlur(picture, k))


def test_motion_is_the_mean_along_a_line(picture):
    row = np.full((1, 9), 1 / 9)
    assert_same(apply("motion:k=9", picture), cv2.filter2D(picture, -1, row))
    assert_same(apply("motion:k=9,angle=90", picture), cv2.filter2D(picture, -1, row.T))
    diagonal = parse("motion:k=9,angle=45").kernel()
    assert diagonal.sum() == pytest.approx(1)
    assert np.trace(diagonal[::-1]) > 3 * np.trace(diagonal)  # rises to the right


@pytest.mark.parametrize("radius", [0.4, 1.0, 3.7, 12.5])
def test_pillow_blurs_and_their_eigenvalues(radius, texture):
    picture = texture(200, 180)
    image = Image.fromarray(picture)
    assert_same(
        apply(f"pillow-gaussian:r={radius}", picture),
        image.filter(ImageFilter.GaussianBlur(radius)),
    )
    assert_same(apply(f"pillow-box:r={radius}", picture), image.filter(ImageFilter.BoxBlur(radius)))
    # A cosine along x comes out multiplied by its eigenvalue, away from the borders.
    for spec in (f"pillow-gaussian:r={radius}", f"pillow-box:r={radius}"):
        operator = parse(spec)
        for mode in (3, 6):
            wave = 100 * np.cos(np.pi * mode * np.arange(401) / 400)
            level = np.rint(128 + wave).astype(np.uint8)
            out = operator.apply(np.tile(level[None, :, None], (9, 1, 3)), RNG)[4, :, 0]
            middle = slice(60, -60)
            gain = np.dot(out[middle] - 128.0, wave[middle]) / np.dot(wave[middle], wave[middle])
            assert gain == pytest.approx(operator.transfer(9, 401)[0, mode], abs=0.01)


@settings(max_examples=30, deadline=None)
@given(block=st.integers(1, 40), height=st.integers(1, 60), width=st.integers(1, 60))
def test_pixelations(block, height, width):
    picture = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    small = (max(1, round(width / block)), max(1, round(height / block)))
    nearest = Image.Resampling.NEAREST
    image = Image.fromarray(picture)
    assert_same(
        apply(f"pixelate:b={block},mode=nearest", picture),
        image.resize(small, nearest).resize((width, height), nearest),
    )
    assert_same(
        apply(f"pixelate:b={block},mode=bilinear", picture),
        cv2.resize(cv2.resize(picture, small), (width, height), interpolation=cv2.INTER_NEAREST),
    )
    rows, columns = (np.arange(n) // block * block for n in (height, width))
    assert_same(apply(f"pixelate:b={block},mode=point", picture), picture[rows][:, columns])
    whole = (height // block * block, width // block * block)
    mean = block_reduce(picture[: whole[0], : whole[1]], (block, block, 1), np.mean)
    ours = apply(f"pixelate:b={block}", picture)[: whole[0] : block, : whole[1] : block]
    assert np.abs(ours - mean).max(initial=0) < 0.6  # Pillow divides in fixed point


def test_downscaling(picture):
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (round(width / 4), round(height / 4)), interpolation=cv2.INTER_AREA)
    up = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    assert_same(apply("downscale:f=4", picture), up)


@pytest.mark.parametrize("quality", [10, 75, 95])
def test_jpeg_and_webp_are_those_files(quality, picture):
    for spec, kind, options in (
        (f"jpeg:q={quality}", "JPEG", {"subsampling": "4:2:0"}),
        (f"webp:q={quality}", "WEBP", {}),
    ):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, kind, quality=quality, **options)
        assert_same(apply(spec, picture), Image.open(buffer).convert("RGB"))


def test_jpeg_noise_is_that_of_the_luminance(texture):
    """Against the measured error of grey pictures with enough detail to use every coefficient."""
    from reid_audit.attacks.operators.spectrum import analyse

    rng = np.random.default_rng(0)
    picture = rng.normal(128, 40, (256, 256)).clip(0, 255).astype(np.uint8)
    operator = parse("jpeg:q=75,sub=444")
    grey = np.repeat(picture[..., None], 3, axis=2)
    error = analyse(operator.apply(grey, rng)[..., 0] - picture.astype(float)) ** 2
    noise = operator.noise(256, 256)
    for rows in (slice(2, 60), slice(60, 130), slice(130, 255)):
        assert error[rows, rows].mean() == pytest.approx(noise[rows, rows].mean(), rel=0.25)


@pytest.mark.parametrize("box", [(14, 10, 40, 45), (0, 0, 64, 61), (30, 30, 64, 61)])
def test_deface(box, texture):
    """The package itself, given the same detection."""
    deface = pytest.importorskip("deface.deface")
    picture = texture(61, 64)
    for spec, fill, options in (
        ("deface-blur", "blur", {"ellipse": True}),
        ("deface-blur:shape=box", "blur", {"ellipse": False}),
        ("deface-mosaic:size=9", "mosaic", {"mosaicsize": 9}),
        ("deface-solid", "solid", {}),
        ("deface-solid:scale=1", "solid", {"mask_scale": 1.0}),
    ):
        arguments = {
            "mask_scale": 1.3,
            "ellipse": True,
            "draw_scores": False,
            "replaceimg": None,
            "mosaicsize": 20,
        }
        theirs = picture.copy()
        deface.anonymize_frame(
            [np.array([*box, 0.9])], theirs, replacewith=fill, **(arguments | options)
        )
        assert_same(apply_to_box(parse(spec), picture, box, RNG), theirs)


def ffmpeg(picture, filters):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    height, width = picture.shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    command = ["ffmpeg", "-loglevel", "error", *raw, "-s", f"{width}x{height}", "-i", "-"]
    command += ["-vf", f"format=gbrp,{filters}", *raw, "-"]
    done = subprocess.run(command, input=picture.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(picture.shape)


@pytest.mark.parametrize(("radius", "power"), [(0, 1), (2, 2), (7, 1), (11, 3)])
def test_ffmpeg_boxblur(radius, power, picture):
    assert_same(
        apply(f"ffmpeg-box:r={radius},p={power}", picture),
        ffmpeg(picture, f"boxblur={radius}:{power}"),
    )


@pytest.mark.parametrize(("sigma", "steps"), [(0.5, 1), (4, 1), (12.5, 1), (6, 3)])
def test_ffmpeg_gblur(sigma, steps, picture):
    """Its float32 recursion may tip a value over a rounding edge."""
    ours = apply(f"ffmpeg-gaussian:sigma={sigma},steps={steps}", picture).astype(int)
    difference = np.abs(ours - ffmpeg(picture, f"gblur={sigma}:{steps}"))
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 0.01


def test_laplace_noise_of_dp_pix_has_the_stated_scale():
    picture = np.full((400, 400, 3), 128, np.uint8)
    out = parse("dp-pix:b=8,eps=4,m=1").apply(picture, np.random.default_rng(0))
    blocks = out[::8, ::8].astype(float)
    assert np.abs(blocks - 128).mean() == pytest.approx(255 / (8**2 * 4), rel=0.06)


def test_snow_covers_the_stated_share(texture):
    out = parse("dp-snow:p=0.3").apply(texture(200, 200), np.random.default_rng(0))
    assert np.mean((out == 127).all(axis=2)) == pytest.approx(0.3, abs=0.01)


def test_permutation_only_moves_whole_blocks(texture):
    picture = texture(30, 45)
    out = parse("permute:b=7").apply(picture, np.random.default_rng(0))

    def blocks(p):
        cut = p[:28, :42].reshape(4, 7, 6, 7, 3).swapaxes(1, 2).reshape(24, -1)
        return sorted(map(bytes, cut))

    assert blocks(out) == blocks(picture)
    assert_same(out[28:], picture[28:])
    assert_same(out[:, 42:], picture[:, 42:])


def test_k_same_is_the_mean_of_the_nearest(faces, texture):
    picture = texture(24, 20, seed=2)  # itself a member of the folder
    assert_same(apply("k-same:folder=cast,k=2", picture), picture)
    everyone = [texture(24, 20, seed=i).astype(float) for i in range(5)]
    mean = (sum(everyone) + picture) / 6
    assert np.abs(apply("k-same:folder=cast,k=6", picture) - mean).max() <= 0.5 + 1e-4


def test_a_soft_ellipse_blends_towards_its_rim(texture):
    picture = texture(80, 60)
    out = apply("solid:v=0|ellipse:soft=0.5", picture).astype(int)
    assert (out[40, 20:40] == 0).all()
    assert_same(out[:4, :4], picture[:4, :4])
    rim = out[40, :15].astype(float) / picture[40, :15]
    assert (np.diff(rim.mean(axis=1)) <= 0.02).all()


def test_a_range_is_drawn_anew_and_stays_inside(texture):
    ranged = parse("gaussian:k=21..41")
    drawn = [ranged.draw(np.random.default_rng(i)).kernel_x for i in range(200)]
    assert set(drawn) == set(range(21, 42, 2))
    sigmas = [parse("noise:sigma=2..3").draw(np.random.default_rng(i)).sigma for i in range(50)]
    assert 2 <= min(sigmas) < 2.2 < 2.8 < max(sigmas) <= 3
