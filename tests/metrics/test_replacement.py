"""Distances of replaced faces from the originals and from one another, on cases known by hand."""

import numpy as np
import pytest

from reid_audit.metrics.replacement import distances, first_hits

N = 120
WHO = np.arange(N)


def cosines(vectors, others=None):
    a = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    b = a if others is None else others / np.linalg.norm(others, axis=1, keepdims=True)
    return a @ b.T


def measured(outputs, originals):
    own = np.diagonal(cosines(outputs, originals))
    return distances(own, cosines(originals), cosines(outputs), WHO)


def test_an_identity_that_stays_is_kept_and_a_new_one_is_not():
    originals = np.random.default_rng(0).normal(size=(N, 32))
    fresh = np.random.default_rng(1).normal(size=(N, 32))
    still, new, away = (measured(o, originals) for o in (originals, fresh, -originals))
    assert still.kept.value == 1.0 and still.own.value == pytest.approx(1.0)
    assert new.kept.value < 0.05 and abs(new.own.value - new.strangers) < 0.05
    assert away.kept.value == 0.0 and away.own.value == pytest.approx(-1.0)
    assert new.false_match_rate == 0.01  # 7,140 pairs do not resolve .001
    assert new.shared.value < 0.05 and new.largest < 0.2


def test_one_donor_for_half_of_the_people_is_found():
    rng = np.random.default_rng(2)
    outputs = rng.normal(size=(N, 32))
    outputs[: N // 2] = rng.normal(size=32) + 0.05 * rng.normal(size=(N // 2, 32))
    found = measured(outputs, rng.normal(size=(N, 32)))
    assert found.shared.low > 0.15 and found.largest >= 0.5


def test_one_person_alone_has_no_strangers():
    same = np.ones((4, 4))
    with pytest.raises(ValueError, match="two people"):
        distances(np.ones(4), same, same, np.zeros(4))


def test_a_hit_is_the_first_of_those_looked_among():
    scores = [[0.9, 0.5, 0.5], [0.1, 0.2, 0.3]]
    right = [[True, True, False], [False, False, False]]
    assert first_hits(scores, right)[0] == 1.0
    assert np.isnan(first_hits(scores, right)[1])
    elsewhere = [[False, True, True], [True, True, True]]
    assert first_hits(scores, right, elsewhere)[0] == 0.5
