"""Rates, likelihood ratios and linkability against scikit-learn and the conformance values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from reid_audit.metrics.verification import (
    auroc,
    cllr,
    d_sys,
    eer,
    local_linkability,
    logistic_calibration,
    pav_calibration,
    roc,
    tar_at_far,
)

scores = st.integers(1, 30).flatmap(
    lambda n: arrays(float, n, elements=st.integers(-5, 5).map(float))
)


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(1.5, 1, 400), rng.normal(0, 1, 3000)


@given(scores, scores)
def test_auroc_and_roc_agree_with_scikit_learn(mated, nonmated):
    truth = np.r_[np.ones(mated.size), np.zeros(nonmated.size)]
    pooled = np.r_[mated, nonmated]
    assert auroc(mated, nonmated) == pytest.approx(roc_auc_score(truth, pooled))
    far, tar, threshold = roc_curve(truth, pooled, drop_intermediate=False)
    curve = roc(mated, nonmated)
    np.testing.assert_allclose(curve.far, far, atol=1e-12)
    np.testing.assert_allclose(curve.tar, tar, atol=1e-12)
    np.testing.assert_array_equal(curve.threshold, threshold)


@given(scores, scores, st.floats(0, 1))
def test_operating_points_are_bounded_and_monotone(mated, nonmated, far):
    tar, threshold = tar_at_far(mated, nonmated, far)
    assert 0 <= tar <= 1
    assert (nonmated >= threshold).mean() <= far
    assert tar == pytest.approx((mated >= threshold).mean())
    assert tar <= tar_at_far(mated, nonmated, min(1, far + 0.1))[0]
    assert 0 <= eer(mated, nonmated) <= 1


def test_equal_error_rate_of_two_normals():
    """Means d apart cross at d/2: EER = Phi(-d/2)."""
    quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    assert eer(quantiles + 2, quantiles) == pytest.approx(norm.cdf(-1), abs=1e-4)
    assert eer([2, 3], [0, 1]) == 0
    assert eer([0, 1], [2, 3]) == 1


def test_failures_to_acquire_never_match_and_nan_is_refused():
    tar, _ = tar_at_far([1.0, -np.inf], [0.0, -np.inf], 1.0)
    assert tar == 0.5
    with pytest.raises(ValueError, match="NaN"):
        auroc([np.nan], [0.0])
    with pytest.raises(ValueError, match="both"):
        roc([], [0.0])


def test_cllr_conformance():
    assert cllr(np.zeros(3), np.zeros(9)) == pytest.approx(1)
    assert cllr(np.log([2, 4]), np.log([0.5, 1])) == pytest.approx(0.622963, abs=5e-7)
    assert cllr([np.inf], [-np.inf]) == 0


@pytest.mark.parametrize("calibrate", [logistic_calibration, pav_calibration])
def test_calibration_makes_scores_into_likelihood_ratios(calibrate, pairs):
    """For N(d, 1) against N(0, 1) the log LR of x is d x - d^2/2."""
    log_lr = calibrate(*pairs)
    grid = np.linspace(-1, 2.5, 8)
    np.testing.assert_allclose(log_lr(grid), 1.5 * grid - 1.125, atol=0.6)
    assert cllr(*(log_lr(side) for side in pairs)) < cllr(*pairs)
    rising = log_lr(np.linspace(-9, 9, 200))
    assert (np.diff(rising) >= 0).all()
    assert np.isfinite(rising).all()
    assert log_lr([-np.inf, np.nan]).tolist() == [0, 0]


@pytest.mark.parametrize("calibrate", [logistic_calibration, pav_calibration])
def test_calibration_ignores_the_unit_of_the_scores(calibrate, pairs):
    mated, nonmated = pairs
    plain = calibrate(mated, nonmated)(mated)
    scaled = calibrate(mated * 1e4 + 7, nonmated * 1e4 + 7)(mated * 1e4 + 7)
    np.testing.assert_allclose(scaled, plain, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("calibrate", [logistic_calibration, pav_calibration])
def test_calibration_of_separate_sides_stays_finite(calibrate):
    assert np.isfinite(calibrate([2.0, 3.0], [0.0, 1.0])([0.0, 3.0, 100.0])).all()


@pytest.mark.parametrize(("d", "expected"), [(0.5, 0.1282), (1, 0.2935), (2, 0.6165)])
def test_linkability_conformance(d, expected):
    def integrand(x: float) -> float:
        return float(local_linkability(np.exp(d * x - d * d / 2)) * norm.pdf(x, d))

    value, _ = quad(integrand, d / 2, d + 10)  # D is 0 below d/2
    assert value == pytest.approx(expected, abs=5e-5)
    rng = np.random.default_rng(0)
    estimate = d_sys(rng.normal(d, 1, 100_000), rng.normal(0, 1, 100_000), permutations=19)
    assert estimate.observed == pytest.approx(expected, abs=0.02)
    assert estimate.p_value == pytest.approx(1 / 20)


def test_linkability_of_nothing_is_biased_and_the_null_says_so():
    tests = [
        d_sys(rng.normal(size=97), rng.normal(size=5000), permutations=199)
        for rng in map(np.random.default_rng, range(40))
    ]
    assert np.mean([t.observed for t in tests]) == pytest.approx(0.22, abs=0.02)
    assert np.mean([t.null_mean for t in tests]) == pytest.approx(0.22, abs=0.02)
    assert np.mean([t.p_value <= 0.05 for t in tests]) <= 0.15


def test_local_linkability_is_bounded():
    assert local_linkability([0, 1, 3, np.inf]).tolist() == [0, 0, 0.5, 1]
