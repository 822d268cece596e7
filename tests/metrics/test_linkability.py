"""Linkability among pictures against the plain metrics, scikit-learn and cases known by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from reid_audit.metrics.linkability import (
    FARS,
    Pairs,
    excess,
    linkability,
    rank_1_chance,
    rank_1_hits,
    shuffle_test,
    shuffled,
)
from reid_audit.metrics.verification import d_sys, eer, tar_at_far


def pile(signal: float, people: int = 60, pictures: int = 2, seed: int = 0):
    """Cosines of noisy faces of people, who each is, and in which picture."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), pictures)
    faces = signal * rng.normal(size=(people, 16))[who] + rng.normal(size=(len(who), 16))
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    return faces @ faces.T, who, np.arange(len(who))


def test_the_measures_are_those_of_the_plain_metrics():
    pairs = Pairs.of(*pile(1.0))
    found = linkability(pairs)
    sides = pairs.scores[pairs.mated], pairs.scores[~pairs.mated]
    assert found["auroc"].value == pytest.approx(roc_auc_score(pairs.mated, pairs.scores))
    assert found["eer"].value == pytest.approx(eer(*sides))
    for name, far in FARS.items():
        if found[name].value is not None:
            assert found[name].value == pytest.approx(tar_at_far(*sides, far)[0])
    expected = d_sys(*sides, bins=10, permutations=1).observed
    assert found["d_sys"].value == pytest.approx(expected)
    assert all(e.low <= e.value <= e.high for e in found.values() if e.value is not None)


def test_a_rate_finer_than_the_pairs_is_not_stated():
    found = linkability(Pairs.of(*pile(1.0, people=30)))
    assert found["tar_far_01"].value is not None
    assert found["tar_far_001"].value is None
    assert "do not resolve" in found["tar_far_001"].reason


def test_faces_that_are_all_alike_are_at_chance():
    _, who, where = pile(1.0)
    pairs = Pairs.of(np.ones((len(who),) * 2), who, where)
    found = linkability(pairs)
    assert found["auroc"].value == found["eer"].value == 0.5
    assert found["tar_far_01"].value == found["d_sys"].value == 0.0
    assert found["tar_far_01"].high == pytest.approx(1 - 0.025 ** (1 / 60))
    hits = rank_1_hits(np.ones((len(who),) * 2), who, where)
    assert hits == pytest.approx(1 / 119) and rank_1_chance(who, where) == pytest.approx(1 / 119)


def test_people_told_apart_perfectly():
    _, who, where = pile(1.0)
    same = (who[:, None] == who[None]).astype(float)
    found = linkability(Pairs.of(same, who, where))
    assert found["auroc"].value == found["tar_far_01"].value == found["d_sys"].value == 1.0
    assert found["eer"].value == 0.0
    assert rank_1_hits(same, who, where).tolist() == [1.0] * len(who)


@pytest.mark.slow
def test_the_interval_holds_the_truth_as_often_as_it_says():
    """AUROC of two Gaussians of equal spread a distance d apart is Phi(d / sqrt 2)."""
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        who = np.repeat(np.arange(40), 2)
        scores = rng.normal(size=(80, 80)) + (who[:, None] == who[None])
        estimate = linkability(Pairs.of(scores, who, range(80)), seed=seed)["auroc"]
        inside += estimate.low <= 0.7602 <= estimate.high
    assert inside >= 52


def test_shuffled_names_give_chance_and_the_bias_of_d_sys():
    null = shuffled(Pairs.of(*pile(2.0)))
    assert null["auroc"].value == pytest.approx(0.5, abs=0.02)
    assert null["eer"].value == pytest.approx(0.5, abs=0.02)
    assert 0.02 < null["d_sys"].value < 0.3
    assert null["auroc"].low < 0.5 < null["auroc"].high


def test_pairs_that_score_alike_pass_the_shuffle_test_and_others_do_not():
    assert shuffle_test(Pairs.of(*pile(1.0))).p_value == pytest.approx(1 / 200)
    assert shuffle_test(Pairs.of(*pile(0.0))).p_value > 0.05
    scores, _, where = pile(1.0, people=3)
    with pytest.raises(ValueError, match="both"):
        shuffle_test(Pairs.of(scores, np.zeros(6), where))


def test_an_excess_over_the_control_is_found_and_none_is_not():
    weak, strong = Pairs.of(*pile(0.4, seed=1)), Pairs.of(*pile(1.5, seed=1))
    gained = excess(strong, weak)
    assert gained.estimate.low > 0 and gained.p_value < 1e-4
    same = excess(strong, strong)
    assert same.estimate.value == 0 and same.p_value == 1.0
    assert excess(weak, strong).p_value > 0.99


def test_two_faces_of_one_picture_are_no_pair():
    scores, who, _ = pile(1.0, people=3)
    together = np.zeros(6, int)
    assert not len(Pairs.of(scores, who, together).scores)
    assert linkability(Pairs.of(scores, who, together))["auroc"].value is None
    assert np.isnan(rank_1_hits(scores, who, together)).all()
    assert np.isnan(rank_1_chance(who, together))


def test_scores_that_are_no_numbers_are_refused():
    scores, who, where = pile(1.0, people=3)
    scores[0, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        Pairs.of(scores, who, where)
