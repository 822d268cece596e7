"""Rank-1 in galleries that were not searched, against galleries that were."""

import numpy as np
import pytest
from scipy.stats import genpareto, norm

from reid_audit.metrics.extrapolation import (
    Pool,
    Strangers,
    hits_among,
    larger_galleries,
)
from reid_audit.metrics.identification import rank


def searched(probes, people, distance, seed=0):
    """Scores of probes that differ in level and spread; the mate stands in column 0."""
    rng = np.random.default_rng(seed)
    centre, spread = rng.normal(size=(probes, 1)), rng.uniform(0.5, 2, (probes, 1))
    scores = centre + spread * rng.normal(size=(probes, people))
    scores[:, :1] = centre + spread * (distance + rng.normal(size=(probes, 1)))
    return scores


def estimated(scores, sizes, people=None):
    mate = np.zeros(len(scores), dtype=int)
    own = np.arange(len(scores)) if people is None else people
    drawn = np.unique(own, return_index=True)[1]
    better = rank(scores, mate).better
    return larger_galleries(Strangers.of(scores, mate), better, own, drawn, sizes)


@pytest.mark.parametrize("distance", [2.5, 4.0])
def test_a_larger_gallery_is_told_from_a_smaller_one(distance):
    scores = searched(400, 12_000, distance)
    truth = (scores[:, :1] > scores[:, 1:]).all(axis=1).mean()
    for people in (400, 1000):
        found = estimated(scores[:, :people], [12_000])[12_000]
        assert found.value == pytest.approx(truth, abs=0.03)
        assert found.low < truth < found.high


def test_the_rate_falls_with_the_gallery_and_never_below_nothing():
    found = estimated(searched(200, 600, 4.0), [1_000, 10_000, 100_000, 1_000_000])
    rates = [estimate.value for estimate in found.values()]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < rates[0] < 1
    assert all(e.low <= e.value <= e.high for e in found.values())


def test_a_fitted_tail_is_the_tail_that_was_drawn():
    """Scores whose uppermost hundredth follows a Pareto distribution of known shape, wider for some
    probes than for others."""
    rng = np.random.default_rng(1)
    probes, others, shape = 400, 2_000, 0.2
    wide = rng.uniform(0.5, 3, (probes, 1))
    scores = wide * genpareto.rvs(shape, size=(probes, others), random_state=rng) + 5 * wide
    top = -np.sort(-scores, axis=1)[:, :64]
    levels = np.quantile(scores / wide, [0.995, 0.999, 0.9999])
    found = np.empty((3, probes))
    for row, level in enumerate(levels):
        own = (level * wide[:, 0]).astype(np.float32)
        pool = Pool(Strangers(own, top.astype(np.float32), others))
        tail = pool.tail()
        found[row] = tail.above(np.maximum(pool.z, tail.start))
    assert tail.share == pytest.approx(0.01, abs=0.001)
    assert tail.shape == pytest.approx(shape, abs=0.1)
    assert np.median(found, axis=1) == pytest.approx([0.005, 0.001, 0.0001], rel=0.35)


def test_probes_whose_tails_differ_are_told_each_by_its_own():
    """Scores that lean to either side, in the same deviations: one tail for all told two thirds of
    the rate that there was."""
    rng = np.random.default_rng(5)
    probes, people = 400, 8_000
    leaning_up = rng.exponential(size=(probes // 2, people))
    leaning_down = np.log(rng.exponential(size=(probes // 2, people)))
    scores = np.concatenate([leaning_up, leaning_down])
    scores[:, 0] = scores.max(axis=1) + rng.normal(size=probes) * np.repeat([2, 0.3], probes // 2)
    truth = (scores[:, :1] > scores[:, 1:]).all(axis=1).mean()
    for searched_people in (1_000, 2_000):
        found = estimated(scores[:, :searched_people], [people])[people]
        assert found.value == pytest.approx(truth, abs=0.06)


def test_people_all_above_or_below_everybody():
    scores = np.random.default_rng(2).normal(size=(60, 300))
    scores[:30, 0], scores[30:, 0] = 50.0, -50.0
    found = estimated(scores, [10_000])[10_000]
    assert found.value == pytest.approx(0.5, abs=1e-6)
    assert found.low == pytest.approx(0.368, abs=0.01)  # Clopper-Pearson of 30 in 60


def test_probes_without_scores_miss():
    scores = searched(100, 500, 9.0)
    scores[:50] = np.nan
    found = estimated(scores, [10_000])[10_000]
    assert found.value == pytest.approx(0.5, abs=0.02) and found.n == 100


def test_too_few_scores_are_not_stretched():
    none = estimated(searched(5, 6, 2.0), [1_000])[1_000]
    assert none.value is None and "too few" in none.reason
    few = estimated(searched(20, 30, 2.0), [1_000, 1_000_000])
    assert few[1_000].value is not None
    assert few[1_000_000].value is None and "more than 100 times" in few[1_000_000].reason


def test_other_scores_in_the_same_order_of_probes_change_nothing():
    scores = searched(120, 400, 3.0)
    whole = Strangers.of(scores, np.zeros(120, int))
    parts = [
        Strangers.of(scores[i : i + 50], np.zeros(len(scores[i : i + 50]), int))
        for i in (0, 50, 100)
    ]
    assert np.array_equal(whole.own, np.concatenate([part.own for part in parts]))
    assert np.array_equal(whole.top, np.concatenate([part.top for part in parts]))


def test_a_normal_tail_is_followed_far_out():
    strangers = Strangers.of(searched(2_000, 400, 0.0), np.zeros(2_000, int))
    tail = Pool(strangers).tail()
    for z in (3.5, 4.5):
        at = Strangers(np.full(2_000, z, np.float32), strangers.top, strangers.others)
        told = np.median(tail.above(Pool(at).z))
        assert np.log(told) == pytest.approx(norm.logsf(z), abs=0.8)
    assert hits_among(np.full(1, 2.0), [1], tail, np.zeros(1, int), 399)[0, 0] == 1.0
