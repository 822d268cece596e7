"""Intervals, bounds and tests against scipy, published examples and simulated coverage."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from reid_audit.metrics.stats import (
    Estimate,
    any_hit_per_identity,
    auroc_statistic,
    bits,
    bootstrap_interval,
    by_identity,
    by_image,
    chance_p,
    cllr_statistic,
    clopper_pearson,
    detectable_risk,
    excess_over,
    excess_risk,
    fano_bits,
    holm,
    holm_levels,
    identities_for_power,
    identities_needed,
    information_bits,
    mcnemar_p,
    mean_estimate,
    mean_statistic,
    one_per_identity,
    paired_excess_risk,
    retained_identifiability,
    wilson,
)
from reid_audit.metrics.stats.risk import _score_ratio_upper
from reid_audit.metrics.verification import auroc, cllr

counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


# --- Estimate


def test_an_estimate_is_a_number_or_a_reason():
    with pytest.raises(ValueError, match="reason"):
        Estimate(None, None, None, 0, 0, "none")
    with pytest.raises(ValueError, match="high"):
        Estimate(0.5, 0.1, float("inf"), 4, 4, "none")
    unknown = Estimate.unknown("no trials").to_dict()
    assert json.loads(json.dumps(unknown))["reason"] == "no trials"


# --- one proportion


def test_conformance_of_the_exact_and_the_score_interval():
    exact, score = clopper_pearson(93, 97), wilson(93, 97)
    assert (exact.low, exact.high) == pytest.approx((0.8978, 0.9887), abs=5e-5)
    assert (score.low, score.high) == pytest.approx((0.8987, 0.9838), abs=5e-5)
    assert clopper_pearson(0, 97, side="upper").high == pytest.approx(0.0304, abs=5e-5)
    assert clopper_pearson(0, 50, side="upper").high == pytest.approx(0.0582, abs=5e-5)


@given(counts, st.sampled_from([0.01, 0.05, 0.2]))
def test_intervals_equal_scipy(count, alpha):
    hits, n = count
    for estimate, name in (
        (clopper_pearson(hits, n, alpha=alpha), "exact"),
        (wilson(hits, n, alpha=alpha), "wilson"),
    ):
        expected = reference.binomtest(hits, n).proportion_ci(1 - alpha, name)
        assert (estimate.low, estimate.high) == pytest.approx(tuple(expected), abs=1e-9)
    upper = reference.binomtest(hits, n, alternative="less").proportion_ci(1 - alpha)
    lower = reference.binomtest(hits, n, alternative="greater").proportion_ci(1 - alpha)
    assert clopper_pearson(hits, n, alpha=alpha, side="upper").high == pytest.approx(upper.high)
    assert clopper_pearson(hits, n, alpha=alpha, side="lower").low == pytest.approx(lower.low)


@given(st.integers(1, 100), st.floats(0, 1), st.floats(0, 1))
def test_fractional_hits_interpolate_monotonely(n, first, second):
    few, many = sorted((first * n, second * n))
    a, b = clopper_pearson(few, n), clopper_pearson(many, n)
    assert 0 <= a.low <= a.value <= a.high <= 1
    assert a.low <= b.low + 1e-12
    assert a.high <= b.high + 1e-12


def test_expected_hits_of_ties_keep_coverage():
    """Half of the probes tie with one other: their expected hit is .5, their true rate random."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(500):
        hits = np.where(rng.random(60) < 0.5, 0.5, rng.random(60) < 0.2)
        covered.append(clopper_pearson(hits.sum(), 60, side="upper").high >= 0.35)
    assert np.mean(covered) >= 0.95


def test_no_trials_is_unknown_and_too_many_hits_an_error():
    assert clopper_pearson(0, 0).value is None
    assert by_image([], []).reason
    assert by_identity([], []).reason
    with pytest.raises(ValueError, match="hits"):
        clopper_pearson(3, 2)


# --- endpoints by identity


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 99)), min_size=1, unique=True))
def test_the_probe_drawn_does_not_depend_on_order_or_on_other_people(probes):
    def draw(rows):
        people, keys = [p for p, _ in rows], [f"{p}{k}" for p, k in rows]
        return {people[i]: keys[i] for i in one_per_identity(people, seed=1, keys=keys)}

    chosen = draw(probes)
    assert chosen.keys() == {p for p, _ in probes}
    assert draw(probes[::-1]) == chosen
    only = [row for row in probes if row[0] == probes[0][0]]
    assert draw(only).items() <= chosen.items()


def test_the_draw_is_fair():
    drawn = [int(one_per_identity(["a"] * 4, seed=s)[0]) for s in range(2000)]
    assert reference.chisquare(np.bincount(drawn, minlength=4)).pvalue > 0.001


def test_any_hit_counts_an_album():
    people = ["a", "a", "b", "b", "c"]
    assert any_hit_per_identity([1, 0, 0, 0, 1], people).tolist() == [1, 0, 1]
    assert any_hit_per_identity([0.5, 0.5, 0, 0, 0], people)[0] == 0.75
    estimate = by_identity([1, 0, 0, 0, 1], people, endpoint="any-hit")
    assert (estimate.value, estimate.n, estimate.n_identities) == (pytest.approx(2 / 3), 3, 3)


# --- pictures in clusters


def test_korn_graubard_by_hand():
    """Two people of two, one hit each way: V = c/(c-1) sum z^2/n^2 with z the summed residuals."""
    hits, people = [1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 2, 2]
    variance = 1.5 * (1 + 0 + 1) / 36
    shrink = (reference.norm.ppf(0.05) / reference.t.ppf(0.05, 2)) ** 2
    effective = min(6, 0.25 / variance * shrink)
    expected = reference.beta.ppf(0.95, 0.5 * effective + 1, 0.5 * effective)
    assert by_image(hits, people, side="upper").high == pytest.approx(expected)


def test_pictures_that_all_agree_count_as_people():
    assert by_image([0] * 40, np.repeat(range(10), 4)).high == clopper_pearson(0, 10).high
    assert by_image([1] * 40, np.repeat(range(10), 4)).low == clopper_pearson(10, 10).low


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 0.5, 1])), min_size=1))
def test_by_image_is_bounded_and_never_narrower_than_exact(rows):
    people, hits = zip(*rows, strict=True)
    estimate = by_image(hits, people)
    exact = clopper_pearson(sum(hits), len(hits))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low <= exact.low + 1e-9
    assert estimate.high >= exact.high - 1e-9


@pytest.mark.parametrize("icc", [0.0, 0.5])
def test_one_sided_coverage_by_image_holds_where_the_naive_bound_fails(icc):
    """60 people with 5 pictures; hits of a person share a beta-distributed rate."""
    rng = np.random.default_rng(0)
    people, rate = np.repeat(np.arange(60), 5), 0.1
    by_cluster, naive = [], []
    for _ in range(800):
        own = np.full(60, rate)
        if icc:
            own = rng.beta(rate * (1 / icc - 1), (1 - rate) * (1 / icc - 1), 60)
        hits = rng.random(300) < own[people]
        by_cluster.append(by_image(hits, people, side="upper").high >= rate)
        naive.append(clopper_pearson(hits.sum(), 300, side="upper").high >= rate)
    assert np.mean(by_cluster) >= 0.91
    if icc:
        assert np.mean(naive) < 0.9


# --- power


def test_rule_of_three_conformance():
    assert [identities_needed(x) for x in (0.05, 0.01, 0.001)] == [59, 299, 2995]
    assert [identities_needed(x, hits=1) for x in (0.05, 0.01, 0.001)] == [93, 473, 4742]
    assert detectable_risk(50) == pytest.approx(0.0582, abs=5e-5)


@given(st.integers(0, 4), st.floats(0.01, 0.4))
def test_identities_needed_is_the_first_that_suffices(hits, risk):
    n = identities_needed(risk, hits=hits)
    assert detectable_risk(n, hits=hits) <= risk + 1e-9
    assert detectable_risk(n - 1, hits=hits) > risk - 1e-9


def test_identities_for_power_by_enumeration():
    def power(n):
        passing = [k for k in range(n) if detectable_risk(n, hits=k) < 0.1]
        return reference.binom.cdf(max(passing), n, 0.02) if passing else 0

    n = identities_for_power(0.02, 0.1)
    assert power(n) >= 0.8
    assert all(power(m) < 0.8 for m in range(2, n))
    with pytest.raises(ValueError, match="cannot be bounded"):
        identities_for_power(0.1, 0.1)


# --- risk beyond a control


def test_excess_over_chance_is_exact():
    estimate = excess_over(clopper_pearson(10, 50), 0.1)
    assert estimate.value == pytest.approx(1 / 9)
    assert estimate.low == pytest.approx((clopper_pearson(10, 50).low - 0.1) / 0.9)


def test_score_ratio_agrees_with_the_published_example_of_koopman():
    """36 of 40 against 16 of 80: 2.94 to 7.15 (Koopman 1984), 97.5 % one-sided ends.

    Miettinen and Nurminen's variance carries N/(N-1), which moves the third digit only.
    """
    assert _score_ratio_upper(36, 40, 16, 80, 0.025) == pytest.approx(7.15, abs=0.03)
    assert 1 / _score_ratio_upper(16, 80, 36, 40, 0.025) == pytest.approx(2.94, abs=0.02)


@pytest.mark.parametrize(("attack", "control"), [(0.3, 0.05), (0.1, 0.1), (0.02, 0.0)])
def test_coverage_of_independent_excess_risk(attack, control):
    rng = np.random.default_rng(0)
    truth = (attack - control) / (1 - control)
    draws = zip(rng.binomial(80, attack, 400), rng.binomial(80, control, 400), strict=True)
    lows = [excess_risk(int(a), 80, int(c), 80).low for a, c in draws]
    assert np.mean(np.array(lows) <= truth + 1e-12) >= 0.92


@pytest.mark.parametrize(("attack", "control"), [(0.3, 0.05), (0.1, 0.1), (0.95, 0.3)])
def test_coverage_of_paired_excess_risk(attack, control):
    rng = np.random.default_rng(0)
    truth = (attack - control) / (1 - control)
    lows = []
    for _ in range(500):
        easy = rng.random(60)  # who is easy under the attack is easy under the control
        lows.append(paired_excess_risk(easy < attack, easy < control).low)
    assert np.mean(np.array(lows) <= truth + 1e-12) >= 0.91


def test_a_leak_needs_enough_people():
    few, many = np.ones(3), np.ones(30)
    assert paired_excess_risk(few, 0 * few).low <= 0
    assert paired_excess_risk(many, 0 * many).low > 0.8


def test_chance_by_ties_is_no_leak():
    """All-zero embeddings hit 1/G in every probe; a control without a hit must not convict them."""
    assert paired_excess_risk(np.full(97, 1 / 97), np.zeros(97)).low <= 0
    assert excess_risk(0.97, 97, 0, 97).low <= 0


def test_excess_is_undefined_over_a_control_that_identifies_everybody():
    assert excess_risk(5, 5, 5, 5).value is None
    assert paired_excess_risk([1, 1], [1, 1]).value is None
    assert retained_identifiability([1, 0], [1, 0], [1, 0]).value is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_mcnemar_equals_the_binomial_test_on_whole_hits(pairs):
    attack, control = np.array(pairs, dtype=float).T
    gained, lost = int(np.sum(attack > control)), int(np.sum(control > attack))
    expected = 1.0
    if gained:
        expected = reference.binomtest(gained, gained + lost, alternative="greater").pvalue
    assert mcnemar_p(attack, control) == pytest.approx(expected)


def test_chance_p_equals_the_binomial_test_on_whole_hits():
    for hits in range(11):
        expected = reference.binomtest(hits, 10, 0.3, alternative="greater").pvalue
        assert chance_p(hits, 10, 0.3) == pytest.approx(expected)
    assert chance_p(1.0, 97, 1 / 97) > 0.5


def test_retained_identifiability():
    people = np.arange(100)
    estimate = retained_identifiability(people < 50, people < 10, people < 90)
    assert estimate.value == pytest.approx(0.5)
    assert 0.3 < estimate.low < 0.5 < estimate.high < 0.7


def test_holm_equals_the_closed_test():
    """Holm is the closure of Bonferroni: the largest Bonferroni p over all sets that hold i."""
    p = np.random.default_rng(0).uniform(0, 0.2, 5)
    expected = [
        max(
            min(1, len(group) * min(p[list(group)]))
            for size in range(1, 6)
            for group in itertools.combinations(range(5), size)
            if i in group
        )
        for i in range(5)
    ]
    np.testing.assert_allclose(holm(p), expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_levels_decide_as_the_adjusted_p_values(p, alpha):
    adjusted = holm(p)
    clear = np.abs(adjusted - alpha) > 1e-12  # on the edge, rounding decides
    rejected = np.asarray(p) <= holm_levels(p, alpha)
    np.testing.assert_array_equal(rejected[clear], (adjusted <= alpha)[clear])


# --- bits


def test_bits_of_a_perfect_attack_are_the_whole_identity():
    perfect = bits(clopper_pearson(50, 50), 1 / 1024)
    assert perfect.value == fano_bits(1.0, 1024) == information_bits([1.0], 1024) == 10
    assert bits(clopper_pearson(0, 50), 1 / 1024).value is None
    assert bits(clopper_pearson(0, 50), 1 / 1024).reason


@given(st.integers(2, 2000), st.floats(0, 1))
def test_fano_is_bounded_and_zero_at_chance(gallery, accuracy):
    assert 0 <= fano_bits(accuracy, gallery) <= np.log2(gallery) + 1e-9
    assert fano_bits(1 / gallery, gallery) == pytest.approx(0, abs=1e-9)


# --- bootstrap


def test_weighted_statistics_equal_the_plain_ones():
    rng = np.random.default_rng(0)
    scores, mated = rng.integers(0, 6, 80).astype(float), rng.random(80) < 0.4
    copies = rng.integers(0, 4, 80)
    repeated, side = np.repeat(scores, copies), np.repeat(mated, copies)
    weights = copies[None].astype(float)
    expected = {
        auroc_statistic: auroc(repeated[side], repeated[~side]),
        cllr_statistic: cllr(repeated[side], repeated[~side]),
    }
    for make, value in expected.items():
        assert make(scores, mated)(weights)[0] == pytest.approx(value)
    assert mean_statistic(scores)(weights)[0] == pytest.approx(repeated.mean())


def test_bootstrap_is_seeded_and_resamples_people():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 10)
    values = rng.normal(size=40)[people]  # ten equal pictures a person say no more than one
    estimate = bootstrap_interval(mean_statistic(values), people, seed=3)
    assert estimate == bootstrap_interval(mean_statistic(values), people, seed=3)
    single = mean_estimate(values[::10], np.arange(40), seed=3)
    assert (estimate.low, estimate.high) == pytest.approx((single.low, single.high))
    assert (estimate.n, estimate.n_identities) == (400, 40)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_agrees_with_scipy(method):
    values = np.random.default_rng(1).exponential(size=60)
    expected = reference.bootstrap(
        (values,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(0)
    ).confidence_interval
    estimate = bootstrap_interval(
        mean_statistic(values), np.arange(60), method=method, replicates=20_000
    )
    assert (estimate.low, estimate.high) == pytest.approx(tuple(expected), abs=0.02)


def test_coverage_of_the_auroc_interval():
    rng = np.random.default_rng(0)
    mated = np.arange(80) < 40
    covered = []
    for seed in range(150):
        scores = rng.normal(mated * 1.0)
        estimate = bootstrap_interval(
            auroc_statistic(scores, mated), np.arange(80), replicates=400, seed=seed
        )
        covered.append(estimate.low <= reference.norm.cdf(1 / np.sqrt(2)) <= estimate.high)
    assert np.mean(covered) >= 0.88


def test_means_name_the_pictures_without_a_value():
    estimate = mean_estimate([1.0, np.inf, 3.0], ["a", "b", "c"])
    assert estimate.value == 2
    assert estimate.reason == "1 of 3 pictures have no finite value"
    assert mean_estimate([np.nan], ["a"]).value is None
    alone = mean_estimate([1.0, 2.0], ["a", "a"])
    assert (alone.value, alone.low) == (1.5, None)
    assert auroc_statistic([1.0, 2.0], [True, True]) is not None
    assert bootstrap_interval(auroc_statistic([1.0, 2.0], [True, True]), ["a", "b"]).value is None
