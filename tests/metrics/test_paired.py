"""Paired differences against the likelihood they come from and against their promised coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm

from reid_audit.metrics.stats import mcnemar_two_sided, paired_difference


def hits(both, gained, lost, neither):
    """Hits after and before, from the four cells of the table."""
    cells = np.array([both, gained, lost, neither])
    return np.repeat([1.0, 1, 0, 0], cells), np.repeat([1.0, 0, 1, 0], cells)


def score(n, gained, lost, difference):
    """The score statistic with the nuisance share found by maximising the likelihood."""

    def unlikely(only_lost):
        shares = only_lost + difference, only_lost, 1 - 2 * only_lost - difference
        counts = gained, lost, n - gained - lost
        pairs = zip(counts, shares, strict=True)
        return -sum(count * np.log(max(share, 1e-300)) for count, share in pairs if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    best = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    variance = n * (2 * best.x + difference * (1 - difference))
    return (gained - lost - n * difference) / np.sqrt(variance)


@pytest.mark.parametrize("cells", [(43, 1, 4, 10), (20, 12, 3, 30), (5, 25, 8, 40), (60, 2, 30, 8)])
def test_the_ends_are_where_the_score_test_turns(cells):
    found = paired_difference(*hits(*cells))
    n, gained, lost = sum(cells), cells[1], cells[2]
    assert found.value == pytest.approx((gained - lost) / n)
    z = norm.ppf(0.975)
    assert score(n, gained, lost, found.low) == pytest.approx(z, abs=1e-3)
    assert score(n, gained, lost, found.high) == pytest.approx(-z, abs=1e-3)


@pytest.mark.parametrize("n", [10, 64, 500])
def test_nobody_changed_sides_leaves_room_for_change(n):
    """With no discordant pair the limits are z^2/(n + z^2)."""
    found = paired_difference(*hits(n // 2, 0, 0, n - n // 2))
    z2 = norm.ppf(0.975) ** 2
    assert found.high == pytest.approx(z2 / (n + z2), abs=1e-6) == -found.low


@given(st.tuples(*[st.integers(0, 30)] * 4).filter(lambda cells: sum(cells) > 0))
@settings(deadline=None)
def test_swapping_the_runs_turns_the_interval_round(cells):
    after, before = hits(*cells)
    one, other = paired_difference(after, before), paired_difference(before, after)
    assert one.value == -other.value
    assert one.low == pytest.approx(-other.high, abs=1e-7)
    assert -1 <= one.low <= one.value <= one.high <= 1


@pytest.mark.parametrize(("people", "before", "change"), [(50, 0.9, 0.1), (100, 0.05, 0.3)])
def test_nineteen_intervals_of_twenty_hold_the_truth(people, before, change):
    rng = np.random.default_rng(11)
    first = rng.random((600, people)) < before
    second = np.where(rng.random(first.shape) < change, rng.random(first.shape) < 0.5, first)
    truth = change * (0.5 - before)
    held = [
        paired_difference(b, a).low <= truth <= paired_difference(b, a).high
        for a, b in zip(first.astype(float), second.astype(float), strict=True)
    ]
    assert 0.93 <= np.mean(held) <= 0.99


@given(st.tuples(*[st.integers(0, 20)] * 4).filter(lambda cells: sum(cells) > 0))
@settings(deadline=None)
def test_mcnemar_is_the_binomial_test_of_the_changes(cells):
    changed = cells[1] + cells[2]
    wanted = binomtest(cells[1], changed).pvalue if changed else 1.0
    assert mcnemar_two_sided(*hits(*cells)) == pytest.approx(wanted)
