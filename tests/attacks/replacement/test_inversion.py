"""Maps from replaced identities to the original ones, on identities whose map is known."""

import numpy as np
import pytest

from reid_audit.attacks.replacement.inversion import MAPS, folds, grouped, guesses
from reid_audit.attacks.vectors import centred, unit

N, D = 240, 32
PEOPLE = np.repeat(np.arange(N // 2), 2)


def identities(seed=0):
    """Two pictures of each person, about a mean that all share."""
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(N // 2, D))[PEOPLE]
    return 2 * rng.normal(size=D) + people + 0.2 * rng.normal(size=(N, D))


def named(outputs, originals):
    """Share of outputs whose person comes first, by each map."""
    true = centred(originals)
    return {
        name: float(np.mean(PEOPLE[(found @ true.T).argmax(axis=1)] == PEOPLE))
        for name, found in guesses(outputs, originals, PEOPLE).items()
    }


def test_an_identity_moved_as_far_as_it_can_be_comes_back_by_negation_and_by_learning():
    originals = identities()
    found = named(-unit(originals), originals)
    assert found["bare"] < 0.05
    assert found["negation"] == 1.0 and found["ridge"] > 0.95


def test_a_turn_of_the_space_is_learnt_and_negation_does_not_undo_it():
    originals = identities()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(D, D)))[0]
    found = named(originals @ turn, originals)
    assert found["ridge"] > 0.9 and max(found["bare"], found["negation"]) < 0.1


def test_identities_drawn_afresh_lead_nowhere():
    assert max(named(identities(7), identities()).values()) < 0.06


def test_pairs_whose_outputs_are_alike_stand_for_one_another():
    """Few clusters of people, each moved somewhere else: no linear map, but like goes with like."""
    rng = np.random.default_rng(2)
    cluster = np.arange(N // 2)[PEOPLE] % 6
    before, after = (3 * rng.normal(size=(6, D))[cluster] for _ in range(2))
    originals = before + 0.3 * rng.normal(size=(N, D))
    nearest = guesses(after + 0.3 * rng.normal(size=(N, D)), originals, PEOPLE)["nearest"]
    own = (nearest * centred(originals)).sum(axis=1)
    assert np.median(own) > 0.9


def test_nobody_is_answered_for_by_their_own_pairs():
    asked = np.zeros(N, int)
    for rows, known in folds(PEOPLE):
        assert not set(PEOPLE[rows]) & set(PEOPLE[known])
        asked[rows] += 1
    assert (asked == 1).all()
    # Each output stands for its person and for nothing else: only that person's pairs would help.
    lookup = np.eye(N // 2)[PEOPLE]
    originals = identities()
    found = guesses(lookup, originals, PEOPLE)["ridge"] @ centred(originals).T
    assert np.mean(PEOPLE[found.argmax(axis=1)] == PEOPLE) < 0.1


def test_unnamed_originals_that_are_alike_are_held_out_together():
    labels = grouped(identities())
    assert (labels[::2] == labels[1::2]).all()
    assert len(np.unique(labels)) > N // 4


@pytest.mark.parametrize("name", MAPS)
def test_every_map_has_an_answer_for_everybody(name):
    found = guesses(identities(3), identities(), PEOPLE)[name]
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(N))
