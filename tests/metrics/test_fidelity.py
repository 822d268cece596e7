"""PSNR, SSIM and IDD against scikit-image, torchmetrics and the conformance values."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import data
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from reid_audit.metrics.fidelity import idd, psnr, ssim


@pytest.fixture(scope="module")
def camera() -> tuple[np.ndarray, np.ndarray]:
    clear = data.camera()
    noise = np.random.RandomState(5).normal(0, 20, clear.shape)
    noisy = np.clip(clear + noise, 0, 255).astype(np.uint8)
    return clear[None, ..., None], noisy[None, ..., None]


@pytest.fixture(scope="module")
def colour() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    clear = np.stack([data.astronaut()[:64, :80], data.astronaut()[100:164, 200:280]])
    return clear, np.clip(clear + rng.normal(0, 15, clear.shape), 0, 255).astype(np.uint8)


def test_conformance_on_camera(camera):
    assert psnr(*camera)[0] == pytest.approx(22.4094, abs=5e-5)
    assert ssim(*camera)[0] == pytest.approx(0.357964, abs=5e-7)


def test_ssim_equals_scikit_image_with_the_parameters_of_wang(colour):
    expected = [
        structural_similarity(
            a,
            b,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
        for a, b in zip(*colour, strict=True)
    ]
    np.testing.assert_allclose(ssim(*colour), expected, atol=1e-12)


def test_psnr_and_ssim_agree_with_torchmetrics(colour):
    x, y = (torch.from_numpy(z).permute(0, 3, 1, 2).double() for z in colour)
    decibels = peak_signal_noise_ratio(x, y, data_range=255.0, reduction="none", dim=(1, 2, 3))
    np.testing.assert_allclose(psnr(*colour), decibels, rtol=1e-6)
    # torchmetrics averages over the reflected border too; within it the maps are the same.
    _, similarity = structural_similarity_index_measure(
        x, y, data_range=255.0, reduction="none", return_full_image=True
    )
    inner = similarity[..., 5:-5, 5:-5].mean(dim=(1, 2, 3))
    np.testing.assert_allclose(ssim(*colour), inner, atol=1e-6)


def test_floats_with_their_range_score_as_bytes(colour):
    scaled = [z / 255.0 for z in colour]
    np.testing.assert_allclose(psnr(*scaled, data_range=1.0), psnr(*colour))
    np.testing.assert_allclose(ssim(*scaled, data_range=1.0), ssim(*colour))


def test_equal_pictures(colour):
    clear = colour[0]
    assert np.isposinf(psnr(clear, clear)).all()
    np.testing.assert_allclose(ssim(clear, clear), 1)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_refuses_what_it_cannot_compare(measure, colour):
    clear, noisy = colour
    with pytest.raises(ValueError, match="data range"):
        measure(clear / 255.0, noisy / 255.0)
    with pytest.raises(ValueError, match="shape"):
        measure(clear, noisy[:1])


def test_bytes_do_not_wrap_around():
    black, white = np.zeros((1, 16, 16, 3), np.uint8), np.full((1, 16, 16, 3), 255, np.uint8)
    assert psnr(black, white)[0] == psnr(white, black)[0] == pytest.approx(0)


def test_idd_of_unrelated_and_of_same_embeddings():
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(2, 5_000, 512)).astype(np.float32)
    angles = idd(u, v)
    assert angles.mean() == pytest.approx(1.571, abs=2e-3)
    assert angles.std() == pytest.approx(0.044, abs=2e-3)
    np.testing.assert_allclose(idd(u, u), 0)
    unit = u / np.linalg.norm(u, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        naive = np.arccos(np.sum(unit * unit, axis=1))
    assert 0.1 < np.isnan(naive).mean() < 0.4  # what the formula avoids


@given(st.floats(0, np.pi), st.floats(0.1, 1e3), st.integers(0, 2**31))
def test_idd_is_the_angle_whatever_the_lengths(angle, length, seed):
    plane = np.linalg.qr(np.random.default_rng(seed).normal(size=(8, 2)))[0].T
    u, v = plane[0], np.cos(angle) * plane[0] + np.sin(angle) * plane[1]
    assert idd(u[None], length * v[None])[0] == pytest.approx(angle, abs=1e-9)


def test_idd_without_a_face_is_nan():
    assert np.isnan(idd(np.zeros((1, 4)), np.ones((1, 4)))).all()
