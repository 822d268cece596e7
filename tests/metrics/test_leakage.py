"""The leakage limit against theory, simulation, the figures it was specified by, and real faces."""

import json
import math
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reid_audit.attacks.operators import parse
from reid_audit.attacks.operators.leakage import blur_sigma, curve, limit, weakest_setting
from reid_audit.attacks.operators.spectrum import analyse, synthesise
from reid_audit.metrics.errors import InputError
from reid_audit.metrics.leakage import (
    NAMED,
    NAMED_OF,
    FacePrior,
    Leakage,
    empirical_response,
    law,
    leakage,
    local_contrast,
    rounding_noise,
    shipped_prior,
    weakest,
)

FACE = 150.0  # px of face width in a frame of 256 px


def test_a_white_signal_in_white_noise_is_a_textbook_channel():
    left = leakage(np.full((32, 32), 0.5), 4.0, np.full((32, 32), 48.0))
    assert left.effective_resolution == 32
    assert left.bits_per_channel == pytest.approx(32 * 32 * math.log2(4) / 2)
    assert left.psnr == pytest.approx(10 * math.log10(255**2 / (48 * 4 / (12 + 4))))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_more_noise_or_less_gain_never_leaves_more(seed):
    rng = np.random.default_rng(seed)
    gain, noise, power = rng.random((8, 8)), rng.random((8, 8)) + 0.01, rng.random((8, 8)) * 9
    base = leakage(gain, noise, power)
    for worse in (leakage(gain, 3 * noise, power), leakage(gain / 2, noise, power)):
        assert worse.effective_resolution <= base.effective_resolution
        assert worse.bits_per_channel <= base.bits_per_channel
        assert worse.psnr <= base.psnr


def test_erasing_leaves_nothing():
    left = leakage(np.zeros((8, 8)), 1 / 12, np.ones((8, 8)))
    assert (left.effective_resolution, left.bits_per_channel) == (0, 0)
    assert left.sentence == "no detail at all"


def test_regression_recovers_a_known_filter_and_its_noise():
    rng = np.random.default_rng(0)
    power = 1e5 / (1 + np.add.outer(np.arange(48.0), np.arange(48.0)) ** 2)
    gain = np.exp(-np.add.outer(np.arange(48.0), np.arange(48.0)) / 20)
    clear = rng.normal(size=(40, 48, 48)) * np.sqrt(power)
    anonymised = gain * clear + rng.normal(size=clear.shape) * 3
    transfer, noise = empirical_response(clear, anonymised)
    heard = gain**2 * power > 9
    assert np.median(np.abs(transfer - gain)[heard]) < 0.03
    assert np.median(noise) == pytest.approx(9, rel=0.15)
    silence, _ = empirical_response(clear, rng.normal(size=clear.shape))
    assert np.mean(silence == 0) > 0.98


@pytest.mark.parametrize(
    ("spec", "resolution", "psnr"),
    [
        ("gaussian:k=37", 40, 27.4),
        ("gaussian:k=61", 26, 25.2),
        ("gaussian:k=81", 21, 24.0),
        ("gaussian:k=121", 15, 22.4),
        ("gaussian:k=161", 11, 21.1),
        ("gaussian:k=255", 8, 19.2),
        ("box:k=37", 59, None),
        ("box:k=65", 43, None),
        ("box:k=129", 29, None),
        ("pixelate:b=8", 32, None),
        ("pixelate:b=16", 16, None),
        ("pixelate:b=32,mode=point", 8, None),
        ("gaussian:k=81|jpeg:q=75", 18, None),
    ],
)
def test_figures_measured_on_other_faces(spec, resolution, psnr):
    """On eight CelebA-HQ faces at 256 px, more detailed at the lightest blur than the prior."""
    left = limit(parse(spec), FACE)
    assert left.effective_resolution == pytest.approx(resolution, rel=0.05)
    if psnr is not None:
        assert left.psnr == pytest.approx(psnr, abs=1.1)


@pytest.mark.parametrize(
    ("relative", "resolution"), [(0.039, 38), (0.083, 20), (0.128, 14), (0.213, 9)]
)
def test_a_crop_of_160_px_by_sigma_over_face_width(relative, resolution):
    left = limit(parse(f"gaussian:sigma={relative * 94}"), 94)
    assert left.effective_resolution == pytest.approx(resolution, abs=0.5)


def test_the_limit_belongs_to_sigma_over_face_width_and_bit_depth():
    small, large = (limit(parse(f"gaussian:sigma={w / 10}"), w) for w in (80, 240))
    assert small.effective_resolution == pytest.approx(large.effective_resolution, rel=0.12)
    blur = parse("gaussian:k=81")
    depths = [limit(blur, FACE, bit_depth=b).effective_resolution for b in (4, 8, 16, 24)]
    assert depths == sorted(depths)
    assert depths[3] > 3 * depths[1]  # unrounded blur is another threat


def test_what_is_no_blur_is_told_apart():
    def side(spec):
        return limit(parse(spec), FACE).effective_resolution

    assert side("none") == 256
    assert side("solid") == 0
    assert side("permute:b=16") == 256
    assert side("dp-pix:b=16") < side("pixelate:b=16")
    assert side("noise:sigma=50") < side("noise:sigma=10")
    assert side("median:k=41") < side("median:k=11")
    assert side("gaussian:k=41..81") == side("gaussian:k=41")


@pytest.mark.parametrize(
    "tool",
    ["gaussian:k=21", "gaussian:sigma=3", "pixelate:b=3", "noise:sigma=5", "box:k=5|jpeg:q=80"],
)
def test_the_weakest_setting_reaches_the_target_and_one_weaker_does_not(tool):
    target = 16.0
    setting = weakest_setting(parse(tool), target, 60)
    assert parse(str(setting)) == setting
    assert limit(setting, 60).effective_resolution <= target
    assert limit(setting.strengthened(0.85), 60).effective_resolution > target


def test_tools_without_strength_or_strong_enough_say_so():
    assert weakest_setting(parse("rotate:deg=5"), 10, 60) is None
    assert str(weakest_setting(parse("solid"), 10, 60)) == "solid"
    assert weakest(lambda strength: 50.0, 10, 0.1, 10) is None


def test_curve_falls_and_states_sigma_over_face_width():
    points = curve(parse("gaussian:k=81"), FACE)
    sides = [point.left.effective_resolution for point in points]
    assert sides == sorted(sides, reverse=True)
    middle = next(point for point in points if str(point.operator) == "gaussian:k=81")
    assert middle.sigma_over_face_width == pytest.approx(12.5 / FACE, rel=0.01)


@pytest.mark.parametrize(
    ("spec", "sigma"),
    [
        ("gaussian:k=81", 12.5),
        ("box:k=25", math.sqrt((25**2 - 1) / 12)),
        ("pillow-gaussian:r=7", 7),
        ("ffmpeg-gaussian:sigma=9", 9),
        ("solid", None),
        ("none", None),
    ],
)
def test_sigma_of_a_kernel(spec, sigma):
    assert blur_sigma(parse(spec), 200, 160) == (sigma and pytest.approx(sigma, rel=0.03))


@pytest.mark.parametrize(("width", "depth"), [(1, 8), (math.nan, 8), (1e6, 8), (90, 0)])
def test_impossible_questions(width, depth):
    with pytest.raises(InputError):
        limit(parse("none"), width, bit_depth=depth)


def test_prior_survives_json_and_scaling():
    prior = shipped_prior()
    again = FacePrior.from_json(json.loads(json.dumps(prior.to_json())))
    np.testing.assert_allclose(again.power(64, 48, 40), prior.power(64, 48, 40), rtol=0.02)
    measured = FacePrior.measure(prior.power(160, 160, 94), 94).power(160, 160, 94)
    ratio = np.log10(measured / prior.power(160, 160, 94))[:120, :120]
    assert np.abs(ratio).mean() < 0.03
    stated = json.loads(files("reid_audit.metrics").joinpath("face_prior.json").read_text())
    assert "London" in stated["source"]


def test_rounding_is_white_on_busy_pictures_and_slow_on_ramps():
    """Total power stays that of rounding; with a dither it is white whatever the picture."""
    power = shipped_prior().power(96, 96, 56)
    for gain, dither in ((np.ones((96, 96)), 0.0), (parse("gaussian:k=61").transfer(96, 96), 1.0)):
        noise = rounding_noise(gain, power, dither=dither)
        np.testing.assert_allclose(noise[4:, 4:], 1 / 12, rtol=0.1)
    slow = rounding_noise(parse("gaussian:k=61").transfer(96, 96), power, [0.02, 0.2, 2.8])
    assert slow.mean() == pytest.approx(1 / 12, rel=0.05)
    assert slow[2:8, 2:8].mean() > 1.5 / 12 > 1.6 * slow[60:, 60:].mean()


def test_local_contrast_tells_flat_places_from_busy_ones():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(4, 64, 64)) * (np.arange(64) < 32)
    spread = local_contrast(half)
    assert spread.mean() == pytest.approx(1)
    assert spread[0] < 0.05
    assert np.ptp(local_contrast(rng.normal(size=(4, 64, 64)))) < 1


def _london(shared_data, size=256):
    """One face of each person `(N, size, size, 3)`."""
    crops = []
    for path in sorted((shared_data / "london").glob("*/*.jpg"))[::2]:
        with Image.open(path) as image:
            middle = image.convert("RGB").crop((115, 120, 397, 402))
            crops.append(np.asarray(middle.resize((size, size), Image.Resampling.BOX)))
    return np.stack(crops)


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["gaussian:k=37", "cv-gaussian:k=81", "box:k=37"])
def test_restoration_of_held_out_faces_reaches_the_closed_form(shared_data, spec):
    """Wiener restoration in two folds of other people, PSNR of the mean error, within 0.5 dB."""
    pictures = _london(shared_data)
    operator, rng = parse(spec), np.random.default_rng(0)
    transfer = operator.transfer(256, 256)
    measured, predicted = [], []
    for known, held_out in ((pictures[::2], pictures[1::2]), (pictures[1::2], pictures[::2])):
        mean = known.mean()
        clear = analyse(known.transpose(0, 3, 1, 2) - mean)
        power = np.mean(clear**2, axis=(0, 1))
        contrast = local_contrast(synthesise(clear[:, 1] * transfer))
        noise = rounding_noise(transfer, power, contrast)
        predicted.append(10 ** (-leakage(transfer, noise, power).psnr / 10))
        for picture in held_out:
            seen = analyse(operator.apply(picture, rng).transpose(2, 0, 1) - mean)
            restored = synthesise(seen * power * transfer / (power * transfer**2 + noise)) + mean
            measured.append(np.mean((restored - picture.transpose(2, 0, 1)) ** 2))
    best = -10 * math.log10(np.mean(predicted))
    assert 10 * math.log10(255**2 / np.mean(measured)) == pytest.approx(best, abs=0.5)


def test_the_law_is_the_logistic_regression_of_what_was_named():
    from sklearn.linear_model import LogisticRegression

    side, share = np.array(NAMED).T
    rows = np.log(np.repeat(side, 2))[:, None]
    answers = np.tile([1, 0], len(side))
    counts = NAMED_OF * np.column_stack([share, 1 - share]).ravel()
    reference = LogisticRegression(penalty=None, tol=1e-10, max_iter=1000)
    reference.fit(rows, answers, sample_weight=counts)
    weights, covariance = law()
    np.testing.assert_allclose(weights, [reference.intercept_[0], reference.coef_[0, 0]], rtol=1e-4)
    assert (np.linalg.eigvalsh(covariance) > 0).all()


@pytest.mark.parametrize(("side", "share"), NAMED)
def test_what_was_measured_lies_near_the_law(side, share):
    named = Leakage(side, 1.0, 1.0).named
    assert named is not None and abs(named.share - share) < 0.04
    assert named.low < named.share < named.high and not named.at_least


def test_beyond_what_was_measured_the_law_says_at_least_or_nothing():
    assert Leakage(4.2, 1.0, 1.0).named is None and Leakage(4.2, 1.0, 1.0).precedent is None
    assert str(Leakage(60, 1.0, 1.0).named) == "at least 98%"
