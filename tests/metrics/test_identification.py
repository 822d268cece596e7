"""Ranks, CMC, open set and gallery size against brute force, closed forms and simulation."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score, top_k_accuracy_score

from reid_audit.metrics.identification import (
    cmc,
    fpir_from_fmr,
    identity_scores,
    label_permutation,
    ood_auroc,
    open_set,
    rank,
    scale_gallery,
    threshold_at_fpir,
    top_scores,
)

# Few distinct values, so that ties are the rule.
galleries = st.integers(2, 7).flatmap(
    lambda g: st.tuples(
        arrays(float, (4, g), elements=st.integers(0, 3).map(float)),
        arrays(np.intp, 4, elements=st.integers(0, g - 1)),
    )
)


@given(galleries, st.randoms())
def test_hits_are_bounded_rise_with_rank_and_ignore_the_order_of_the_gallery(case, random):
    scores, mate = case
    ranks = rank(scores, mate)
    curve = np.array([ranks.hits(k) for k in range(1, scores.shape[1] + 1)])
    assert ((curve >= 0) & (curve <= 1)).all()
    assert (np.diff(curve, axis=0) >= 0).all()
    np.testing.assert_array_equal(curve[-1], 1)
    np.testing.assert_allclose(cmc(ranks), curve.mean(axis=1))
    order = list(range(scores.shape[1]))
    random.shuffle(order)
    moved = rank(scores[:, order], [order.index(m) for m in mate])
    np.testing.assert_array_equal(moved.hits(2), ranks.hits(2))


@given(arrays(float, 5, elements=st.integers(0, 2).map(float)), st.integers(1, 5))
def test_a_tie_is_worth_its_share_of_all_orders(scores, k):
    """Steps far below the score steps break the ties, once in every order."""
    steps = 0.01 * np.array(list(permutations(range(5))))
    broken = rank(scores + steps, np.zeros(len(steps), dtype=int)).hits(k)
    assert broken.mean() == pytest.approx(rank([scores], [0]).hits(k)[0])


def test_all_zero_embeddings_score_chance():
    assert rank(np.zeros((5, 40)), np.arange(5)).hits().mean() == pytest.approx(1 / 40)


@pytest.mark.parametrize("k", [1, 5])
def test_agrees_with_scikit_learn(k):
    rng = np.random.default_rng(0)
    scores, mate = rng.normal(size=(50, 20)), rng.integers(20, size=50)
    expected = top_k_accuracy_score(mate, scores, k=k, labels=np.arange(20))
    assert rank(scores, mate).hits(k).mean() == pytest.approx(expected)


def test_failures_to_acquire_are_misses_counted_apart():
    scores = np.array([[0.9, 0.1], [np.nan, np.nan], [-np.inf, -np.inf], [np.nan, 0.2]])
    ranks = rank(scores, [0, 0, 1, 1])
    assert ranks.failed.tolist() == [False, True, True, False]
    assert ranks.hits().tolist() == [1, 0, 0, 1]
    assert ranks.hits(2).tolist() == [1, 0, 0, 1]  # not even at the last rank


def test_non_mated_probes_have_no_hit():
    ranks = rank([[0.9, 0.1], [0.3, 0.2]], [0, -1])
    assert ranks.hits()[0] == 1
    assert np.isnan(ranks.hits()[1])
    assert cmc(ranks).tolist() == [1, 1]


@pytest.mark.parametrize("mate", [[0], [0, 2], [0, -2]])
def test_refuses_a_mate_outside_the_gallery(mate):
    with pytest.raises(ValueError, match="mate"):
        rank(np.zeros((2, 2)), mate)


def test_identity_scores_take_the_best_picture():
    assert identity_scores([[0.1, 0.9, np.nan, 0.4]], [1, 0, 1, 0]).tolist() == [[0.9, 0.1]]


def test_ood_auroc_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(60, 9)).round(1)
    mate = np.where(rng.random(60) < 0.5, 3, -1)
    expected = roc_auc_score(mate >= 0, top_scores(scores))
    assert ood_auroc(scores, mate) == pytest.approx(expected)
    assert np.isnan(ood_auroc(scores, np.full(60, 3)))


def test_open_set_counts_rank_and_threshold():
    scores = [[0.9, 0.1], [0.4, 0.3], [0.2, 0.8], [0.7, 0.0], [0.3, 0.3], [np.nan, np.nan]]
    outcome = open_set(scores, [0, 0, 0, -1, -1, -1], threshold=0.5)
    assert outcome.identified.tolist() == [1, 0, 0]
    assert outcome.fnir == pytest.approx(2 / 3)
    assert outcome.alarms.tolist() == [True, False, False]
    assert outcome.fpir == pytest.approx(1 / 3)
    assert open_set(scores, [0, 0, 0, -1, -1, -1], -np.inf).fpir == pytest.approx(2 / 3)


@given(arrays(float, 25, elements=st.integers(0, 9).map(float)), st.floats(0, 1))
def test_threshold_keeps_the_promised_fpir_and_is_the_lowest_that_does(top, fpir):
    threshold = threshold_at_fpir(top, fpir)
    assert (top >= threshold).mean() <= fpir + 1e-9
    if np.isfinite(threshold):
        assert (top >= np.nextafter(threshold, -np.inf)).mean() > fpir - 1e-9


def test_fpir_of_a_large_gallery_keeps_its_digits():
    assert fpir_from_fmr(1e-12, 1000) == pytest.approx(1e-9, rel=1e-6)
    assert fpir_from_fmr(1, 5) == 1


@given(galleries)
@settings(max_examples=25)
def test_smaller_galleries_equal_the_mean_over_every_subset(case):
    scores, mate = case
    people = scores.shape[1]
    scaled = scale_gallery(scores, mate, range(1, people + 1))
    for i, (row, m) in enumerate(zip(scores, mate, strict=True)):
        others = [c for c in range(people) if c != m]
        for column, size in enumerate(scaled.sizes):
            hits = [
                rank([row[[m, *subset]]], [0]).hits()[0]
                for subset in combinations(others, int(size) - 1)
            ]
            assert scaled.hits[i, column] == pytest.approx(np.mean(hits))
    assert not scaled.extrapolated.any()


def test_larger_galleries_are_extrapolated_near_the_truth():
    """Scores of probes that differ in quality, so that a line through log G would go astray."""
    rng = np.random.default_rng(2)
    probes, people, grown = 300, 1000, 20_000
    centre, spread = rng.normal(size=(probes, 1)), rng.uniform(0.5, 2, (probes, 1))
    scores = centre + spread * rng.normal(size=(probes, grown))
    scores[:, 0] = (centre + spread * rng.normal(2.5, 1, (probes, 1)))[:, 0]
    mate = np.zeros(probes, dtype=int)
    scaled = scale_gallery(scores[:, :people], mate, [people, grown])
    truth = rank(scores, mate).hits().mean()
    assert scaled.extrapolated.tolist() == [False, True]
    assert scaled.rate[0] == pytest.approx(rank(scores[:, :people], mate).hits().mean())
    assert scaled.rate[1] == pytest.approx(truth, abs=0.03)


def test_failures_to_acquire_miss_at_every_gallery_size():
    scores = np.random.default_rng(0).normal(size=(60, 30))
    scores[1] = np.nan
    scaled = scale_gallery(scores, np.zeros(60, int), [1, 30, 100])
    assert scaled.hits[1].tolist() == [0, 0, 0]


def test_too_few_scores_tell_nothing_of_a_larger_gallery():
    with pytest.raises(ValueError, match="too few"):
        scale_gallery([[0.9, 0.1, 0.2]], [0], [10])


def test_label_permutation_sees_a_leak_and_only_a_leak():
    rng = np.random.default_rng(3)
    mate = np.repeat(np.arange(20), 3)
    noise = rng.normal(size=(60, 30))
    assert label_permutation(noise, mate).p_value > 0.05
    leak = noise.copy()
    leak[np.arange(60), mate] += 2
    test = label_permutation(leak, mate, permutations=199)
    assert test.observed == pytest.approx(rank(leak, mate).hits().mean())
    assert test.p_value == pytest.approx(1 / 200)
    assert test.null_mean == pytest.approx(1 / 20, abs=0.03)


def test_label_permutation_of_one_face_for_all_is_no_leak():
    scores = np.tile([0.9, 0.1, 0.2], (3, 1))  # an attractor: everybody looks like column 0
    assert label_permutation(scores, [0, 1, 2]).p_value == 1
