"""Real tools at their defaults, against the tools themselves or a second reading of their source.

Packages come from `tests/tools.txt`. Of those whose import would load networks, the one file that
draws is executed.
"""

import importlib.util
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.base import apply_to_box

RNG = np.random.default_rng(0)
BOXES = [(50, 31, 117, 118), (0, 0, 60, 83), (101, 60, 160, 140)]


def applied(name, picture, box):
    return apply_to_box(parse(name), picture, box, RNG)


def drawing_file(package: str, path: str) -> ModuleType:
    """One file of an installed package, executed by itself."""
    try:
        location = distribution(package).locate_file(path)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed (tests/tools.txt)")
    spec = importlib.util.spec_from_file_location(f"{package}_drawing", location)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def frame(texture):
    return texture(140, 160)


@pytest.mark.parametrize("box", BOXES)
def test_egoblur(box, frame):
    theirs = drawing_file("egoblur", "gen2/script/utils.py")
    expected = theirs.visualize(frame.copy(), [list(map(float, box))], 1.0)
    np.testing.assert_array_equal(applied("egoblur", frame, box), expected)


def test_egoblur_takes_the_kernel_from_the_sides_of_the_picture_in_the_other_order(texture):
    placed = parse("egoblur").place((10, 10, 40, 50), (90, 200))
    assert str(placed.operator) == "cv-box:kx=45,ky=100|mask:layer=region"


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("uniface", "pixelate"),
        ("uniface-gaussian", "gaussian"),
        ("uniface-elliptical", "elliptical"),
        ("uniface-median", "median"),
        ("uniface-blackout", "blackout"),
    ],
)
def test_uniface(name, method, box, frame):
    theirs = drawing_file("uniface", "uniface/privacy/blur.py")
    expected = theirs.BlurFace(method=method).blur_regions(frame, [box])
    np.testing.assert_array_equal(applied(name, frame, box), expected)


@pytest.mark.parametrize("box", BOXES)
def test_ultralytics(box, frame, monkeypatch):
    """Its class with a detection put in, and an annotator that draws nothing."""
    annotator = SimpleNamespace(box_label=lambda *_, **__: None, result=lambda: None)
    for name, contents in {
        "ultralytics.solutions.solutions": {
            "BaseSolution": object,
            "SolutionAnnotator": lambda *_: annotator,
            "SolutionResults": SimpleNamespace,
        },
        "ultralytics.utils": {"LOGGER": None},
        "ultralytics.utils.plotting": {"colors": lambda *_: None},
        "ultralytics.solutions": {},
        "ultralytics": {},
    }.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    theirs = drawing_file("ultralytics", "ultralytics/solutions/object_blurrer.py")
    config = drawing_file("ultralytics", "ultralytics/solutions/config.py").SolutionConfig()
    expected = frame.copy()
    solution = SimpleNamespace(
        blur_ratio=int(config.blur_ratio * 100),
        extract_tracks=lambda _: None,
        get_enclosing_box=lambda b: b,
        adjust_box_label=lambda *_: "",
        display_output=lambda _: None,
        line_width=1,
        boxes=[box],
        clss=[0],
        confs=[1.0],
        track_ids=[0],
    )
    theirs.ObjectBlurrer.process(solution, expected)
    np.testing.assert_array_equal(applied("ultralytics", frame, box), expected)


@pytest.mark.parametrize("box", BOXES)
def test_supervision(box, frame):
    supervision = pytest.importorskip("supervision")
    detections = supervision.Detections(xyxy=np.array([box]), class_id=np.array([0]))
    for name, annotator in (
        ("supervision-blur", supervision.BlurAnnotator()),
        ("supervision-pixelate", supervision.PixelateAnnotator()),
        ("supervision-blur-15", supervision.BlurAnnotator(kernel_size=15)),
        ("supervision-pixelate-20", supervision.PixelateAnnotator(pixel_size=20)),
    ):
        expected = annotator.annotate(scene=frame.copy(), detections=detections)
        np.testing.assert_array_equal(applied(name, frame, box), expected)


def test_the_programs_that_blur_a_given_box(frame):
    box = (30, 20, 110, 100)
    crop = np.ascontiguousarray(frame[20:100, 30:110])
    blurred = Image.fromarray(crop).filter(ImageFilter.GaussianBlur())
    for name in ("pillow-blur", "data-juicer"):
        np.testing.assert_array_equal(applied(name, frame, box)[20:100, 30:110], blurred)
    for name, filters in (
        ("ffmpeg-boxblur", "boxblur"),
        ("ffmpeg-gblur", "gblur"),
        ("ffmpeg-pixelize", "pixelize"),
    ):
        difference = applied(name, frame, box)[20:100, 30:110] - ffmpeg(crop, filters).astype(int)
        assert np.abs(difference).max() <= 1
    filled = ffmpeg(frame, "drawbox=x=30:y=20:w=80:h=80:t=fill")
    np.testing.assert_array_equal(applied("ffmpeg-drawbox", frame, box), filled)


def ffmpeg(picture, filters):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    height, width = picture.shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    command = ["ffmpeg", "-loglevel", "error", *raw, "-s", f"{width}x{height}", "-i", "-"]
    done = subprocess.run(
        [*command, "-vf", f"format=gbrp,{filters}", *raw, "-"],
        input=picture.tobytes(),
        capture_output=True,
        check=True,
    )
    return np.frombuffer(done.stdout, np.uint8).reshape(picture.shape)


def test_imagemagick(frame, tmp_path):
    program = shutil.which("convert-im6") or shutil.which("magick")
    if program is None:
        pytest.skip("ImageMagick is not installed")
    crop = np.ascontiguousarray(frame[20:100, 30:110])
    Image.fromarray(crop).save(tmp_path / "in.png")
    scale = ["-scale", "10%", "-scale", "1000%"]
    subprocess.run([program, tmp_path / "in.png", *scale, tmp_path / "out.png"], check=True)
    with Image.open(tmp_path / "out.png") as file:
        expected = np.asarray(file.convert("RGB")).astype(int)
    ours = applied("imagemagick-scale", frame, (30, 20, 110, 100))[20:100, 30:110]
    assert np.abs(ours - expected).max() <= 1
    Image.fromarray(frame).save(tmp_path / "in.png")
    drawn = ["-fill", "black", "-draw", "rectangle 30,20 109,99"]
    subprocess.run([program, tmp_path / "in.png", *drawn, tmp_path / "out.png"], check=True)
    with Image.open(tmp_path / "out.png") as file:
        filled = np.asarray(file.convert("RGB"))
    ours = applied("imagemagick-rectangle", frame, (30, 20, 110, 100))
    np.testing.assert_array_equal(ours, filled)


def test_imagenet_takes_its_radius_from_the_largest_face_and_blurs_the_mask(texture):
    """By hand, on two faces: boxes enlarged by a tenth of their own longer sides."""
    frame = texture(150, 200)
    small, large = (20, 25, 50, 60), (90, 40, 140, 120)
    mask = Image.new("L", (200, 150), "white")
    draw = ImageDraw.Draw(mask)
    draw.rectangle((20 - 3.5, 25 - 3.5, 50 + 3.5, 60 + 3.5), fill="black")
    draw.rectangle((90 - 8, 40 - 8, 140 + 8, 120 + 8), fill="black")
    blur = ImageFilter.GaussianBlur(8)
    image = Image.fromarray(frame)
    expected = np.asarray(Image.composite(image, image.filter(blur), mask.filter(blur)))
    tool = parse("imagenet")
    np.testing.assert_array_equal(tool.apply_to_boxes(frame, [small, large], RNG), expected)
    beside = tool.among(small, [small, large]).apply_in(frame, small, RNG)
    np.testing.assert_array_equal(beside[:, :56], expected[:, :56])
    assert tool.among(large, [small, large]) == tool


def test_signal_blurs_the_whole_picture_at_300_pixels(texture):
    """By hand with ready-made parts: torch's bilinear resizing and a Gaussian cut to 51 taps."""
    frame = texture(450, 1200)
    box = (400, 60, 700, 380)
    planes = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    resize = torch.nn.functional.interpolate
    small = resize(planes, (112, 300), mode="bilinear", align_corners=False).round()
    taps = torch.exp(-((torch.arange(51) - 25.0) ** 2) / (2 * 10.6**2))
    taps = (taps / taps.sum()).repeat(3, 1)
    padded = torch.nn.functional.pad(small, (25, 25, 25, 25), mode="replicate")
    rows = torch.nn.functional.conv2d(padded, taps[:, None, :, None], groups=3)
    blurred = torch.nn.functional.conv2d(rows, taps[:, None, None, :], groups=3).round()
    large = resize(blurred, (450, 1200), mode="bilinear", align_corners=False)
    expected = large[0].permute(1, 2, 0).numpy()[60:380, 400:700]
    ours = applied("signal-android", frame, box)
    assert np.abs(ours[60:380, 400:700] - expected).max() <= 1.5
    np.testing.assert_array_equal(ours[:60], frame[:60])


def test_signal_halves_a_picture_under_600_pixels():
    placed = parse("signal-android").place((10, 10, 60, 70), (400, 500))
    assert str(placed.operator).startswith("reduced-gaussian:f=2,")


def test_pyimagesearch_keeps_kernels_odd_and_processes_the_crop_alone(frame):
    x0, y0, x1, y1 = box = (50, 31, 117, 118)  # 67 x 87: 22 -> 21 and 29
    expected = frame.copy()
    expected[y0:y1, x0:x1] = cv2.GaussianBlur(frame[y0:y1, x0:x1], (21, 29), 0)
    np.testing.assert_array_equal(applied("pyimagesearch", frame, box), expected)


def test_aws_video_takes_means_of_ten_by_ten_blocks_and_enlarges_the_box(texture):
    frame = texture(300, 500)
    # 500 / 250 and 300 / 100 pixels of margin: 80 x 110 become 84 x 116.
    ours = applied("aws-video", frame, (100, 80, 180, 190))
    crop = frame[77:193, 98:182]
    blocks = np.unique(ours[77:193, 98:182].reshape(-1, 3), axis=0)
    assert len(blocks) <= 100
    centre = ours[77 + 6, 98 + 4].astype(float)
    assert np.abs(centre - crop[:11, :8].reshape(-1, 3).mean(axis=0)).max() < 12
    assert np.abs(ours[77:193, 98:182].mean() - crop.mean()) < 1
    np.testing.assert_array_equal(ours[:77], frame[:77])
    np.testing.assert_array_equal(ours[:, 182:], frame[:, 182:])


def test_sgblur_pixelates_and_blurs_a_box_on_the_grid_of_jpeg_units(texture):
    """By hand with Pillow, where its blocks divide the box."""
    frame = texture(256, 256)
    # 16-pixel units: 37 -> 32 and 50 -> 48; 70 + 32 -> 96 and 84 + 32 -> 112; 112 / 12 -> 9 -> 8.
    crop = Image.fromarray(frame[48:160, 32:128])
    reduced = ImageOps.scale(crop, 1 / 8, resample=Image.Resampling.NEAREST)
    pixelated = ImageOps.scale(reduced, 8, resample=Image.Resampling.NEAREST)
    expected = frame.copy()
    expected[48:160, 32:128] = pixelated.filter(ImageFilter.BoxBlur(8))
    np.testing.assert_array_equal(applied("sgblur", frame, (37, 50, 107, 134)), expected)


@pytest.mark.parametrize("cells", [8, 16])
def test_deep_privacy2_pixelates_bilinearly_both_ways(cells, frame):
    x0, y0, x1, y1 = box = (50, 31, 117, 118)
    planes = torch.from_numpy(frame[y0:y1, x0:x1]).permute(2, 0, 1)[None].double()
    small = torch.nn.functional.interpolate(
        planes, (cells, cells), mode="bilinear", align_corners=True
    )
    large = torch.nn.functional.interpolate(
        small, (y1 - y0, x1 - x0), mode="bilinear", align_corners=True
    )
    expected = large[0].permute(1, 2, 0).numpy()
    ours = applied(f"deep-privacy2-pixelation{cells}", frame, box)[y0:y1, x0:x1]
    assert np.abs(ours - expected).max() <= 0.5 + 1e-6


def test_obscuracam_takes_the_top_left_pixel_of_blocks_of_a_tenth_of_the_width(frame):
    x0, y0, x1, y1 = box = (50, 31, 117, 118)
    expected = frame.copy()
    for x in range(x0, x1, 6):
        for y in range(y0, y1, 6):
            expected[y : min(y + 6, y1), x : min(x + 6, x1)] = frame[y, x]
    np.testing.assert_array_equal(applied("obscuracam", frame, box), expected)
    binomial = np.array([1, 2, 1]) / 4
    blurred = cv2.sepFilter2D(frame, cv2.CV_64F, binomial, binomial)[40:110, 60:110]
    ours = applied("obscuracam-blur", frame, box)[40:110, 60:110]
    assert np.abs(ours - blurred).max() <= 1


def test_dashcamcleaner_feathers_an_ellipse(frame):
    """By hand: the ellipse in full, and the larger one smoothed, added and cut off at 1."""
    x0, y0, x1, y1 = box = (50, 31, 117, 118)
    inner, outer = np.zeros((140, 160)), np.zeros((140, 160))
    centre = ((x0 + x1) // 2, (y0 + y1) // 2)
    cv2.ellipse(inner, centre, (33, 43), 0, 0, 360, 1, -1)
    cv2.ellipse(outer, centre, (38, 48), 0, 0, 360, 1, -1)
    weight = np.minimum(inner + cv2.GaussianBlur(outer, (15, 15), 0), 1)[..., None]
    blurred = cv2.GaussianBlur(frame.astype(float), (19, 19), 0)
    expected = np.uint8(frame * (1 - weight) + blurred * weight)
    difference = np.abs(applied("dashcamcleaner", frame, box).astype(int) - expected)
    assert difference.max() <= 2  # it blurs in floating point
    assert (difference[inner == 0] > 1).mean() < 0.01


def test_understand_ai_smooths_a_box_by_a_triangle(frame):
    """By hand, with its own way to a kernel: roots of a Gaussian's integrals over 21 cells."""
    from scipy.stats import norm

    edge = 2 + 5 / 21 / 2
    taps = np.sqrt(np.diff(norm.cdf(np.linspace(-edge, edge, 22))))
    taps /= taps.sum()
    blurred = cv2.sepFilter2D(frame.astype(float), -1, taps, taps)
    triangle = np.r_[1:6, 4:0:-1] / 25
    mask = np.zeros((140, 160))
    mask[31:118, 50:117] = 1
    weight = cv2.sepFilter2D(mask, -1, triangle, triangle)[..., None]
    expected = frame * (1 - weight) + blurred * weight
    ours = applied("understand-ai", frame, (50, 31, 117, 118))
    assert np.abs(ours - expected).max() <= 1.6
