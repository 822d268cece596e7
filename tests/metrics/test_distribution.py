"""Frechet and kernel distances against closed forms, scipy's matrix root and torchmetrics."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from reid_audit.metrics.distribution import Moments, frechet_distance, kernel_distance, small_sample


@pytest.fixture
def waves() -> tuple[np.ndarray, np.ndarray]:
    i, j = np.arange(8)[:, None], np.arange(4)[None]
    return np.sin(1 + i + 2 * j), np.cos(0.5 * i - j) + 0.1


def test_conformance(waves):
    assert frechet_distance(*waves) == pytest.approx(3.151602, abs=5e-7)
    assert kernel_distance(*waves) == pytest.approx(0.872578, abs=5e-7)


def test_agrees_with_torchmetrics_and_with_the_matrix_root():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(400, 12)), rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)) + 1
    means = [torch.from_numpy(z.mean(axis=0)) for z in (x, y)]
    covariances = [torch.from_numpy(np.cov(z.T)) for z in (x, y)]
    expected = _compute_fid(means[0], covariances[0], means[1], covariances[1]).item()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)
    root = np.trace(sqrtm(covariances[0].numpy() @ covariances[1].numpy()).real)
    direct = ((means[0] - means[1]) ** 2).sum() + sum(np.trace(c) for c in covariances) - 2 * root
    assert frechet_distance(x, y) == pytest.approx(float(direct), rel=1e-9)


def test_kernel_distance_agrees_with_torchmetrics():
    x, y = np.random.default_rng(2).normal(size=(2, 50, 16))
    kernels = [torch.from_numpy((a @ b.T / 16 + 1) ** 3) for a, b in ((x, x), (x, y), (y, y))]
    expected = _mmd(*kernels)
    assert kernel_distance(x, y) == pytest.approx(expected)
    torch_x, torch_y = torch.from_numpy(x), torch.from_numpy(y)
    assert kernel_distance(x, y) == pytest.approx(float(poly_mmd(torch_x, torch_y)))


def _mmd(xx: torch.Tensor, xy: torch.Tensor, yy: torch.Tensor) -> float:
    n = len(xx)
    off = ~torch.eye(n, dtype=torch.bool)
    return float(xx[off].mean() + yy[off].mean() - 2 * xy.mean())


def test_same_features_are_at_distance_zero_even_when_singular():
    x = np.random.default_rng(3).normal(size=(20, 256))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 2) == pytest.approx(4 * 256)


def test_rotation_changes_nothing():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(30, 40)), rng.normal(size=(25, 40)) + 0.3
    turn = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    assert frechet_distance(x @ turn, y @ turn) == pytest.approx(frechet_distance(x, y))
    assert kernel_distance(x @ turn, y @ turn) == pytest.approx(kernel_distance(x, y))


@pytest.mark.parametrize("dimension", [3, 64])
def test_moments_in_parts_equal_moments_at_once(dimension):
    x = np.random.default_rng(5).normal(3, 2, size=(40, dimension))
    whole, parts = Moments.of(x), Moments.of(x[:1])
    for part in (x[1:7], x[7:30], x[30:]):
        parts = parts.merge(Moments.of(part))
    assert parts.n == whole.n
    np.testing.assert_allclose(parts.mean, whole.mean)
    np.testing.assert_allclose(parts.covariance, np.cov(x.T), atol=1e-12)
    assert frechet_distance(parts, whole) == pytest.approx(0, abs=1e-9)


def test_kernel_distance_is_unbiased_where_the_frechet_distance_is_not():
    rng = np.random.default_rng(6)
    draws = rng.normal(size=(60, 2, 97, 64))
    kernel = [kernel_distance(x, y) for x, y in draws]
    assert abs(np.mean(kernel)) < 3 * np.std(kernel) / np.sqrt(len(kernel))
    assert min(kernel) < 0
    assert np.mean([frechet_distance(x, y) for x, y in draws]) > 10
    assert small_sample(97, 64)


def test_needs_two_finite_samples():
    with pytest.raises(ValueError, match="two pictures"):
        frechet_distance(np.ones((1, 4)), np.ones((5, 4)))
    with pytest.raises(ValueError, match="finite"):
        kernel_distance(np.full((3, 4), np.nan), np.ones((5, 4)))
