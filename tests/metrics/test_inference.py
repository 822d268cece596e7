"""Attributes told from faces, against scikit-learn and against chance."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from reid_audit.metrics.inference import accuracy_gain, balanced_accuracy, guess_test


def told_rightly(share: float, people: int = 60, seed: int = 0):
    """Two pictures of each person, of two classes of unlike size, so many of them told rightly."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), 2)
    truth = np.where(who % 4 == 0, "yes", "no")
    other = np.where(truth == "yes", "no", "yes")
    return truth, np.where(rng.random(len(who)) < share, truth, other), who


def test_it_is_scikit_learns_figure_with_an_interval_about_it():
    truth, told, who = told_rightly(0.8)
    found = balanced_accuracy(truth, told, who)
    assert found.value == pytest.approx(balanced_accuracy_score(truth, told))
    assert found.low < found.value < found.high
    assert found.n == 120 and found.n_identities == 60


def test_the_commonest_answer_for_everybody_is_a_guess():
    truth, _, who = told_rightly(1.0)
    always = np.full(len(who), "no")
    assert balanced_accuracy(truth, always, who).value == 0.5
    assert guess_test(truth, always, who).p_value == 1.0


def test_a_guess_is_not_taken_for_knowledge_nor_the_other_way_round():
    assert guess_test(*told_rightly(0.95)).p_value == pytest.approx(1 / 1000)
    truth, told, who = told_rightly(1.0)
    shuffled = told[np.random.default_rng(3).permutation(len(who))]
    assert guess_test(truth, shuffled, who).p_value > 0.05


def test_the_gain_over_a_control_is_paired():
    truth, told, who = told_rightly(0.95)
    always = np.full(len(who), "no")
    gained = accuracy_gain(truth, told, always, who)
    assert gained.value == pytest.approx(balanced_accuracy_score(truth, told) - 0.5)
    assert gained.low > 0.3
    assert accuracy_gain(truth, told, told, who).value == 0.0
