"""Several pictures of one person looked up together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import reid_audit.audit.trials.together as module
from reid_audit.audit.trials.together import rows_to_keep, together

PEOPLE = 40


def noisy(noise, pictures, seed=3):
    """Scores of pictures of everybody: the truth and independent noise; and the mates."""
    rng = np.random.default_rng(seed)
    scores = np.repeat(np.eye(PEOPLE), pictures, axis=0)
    mates = np.repeat(np.arange(PEOPLE), pictures)
    return (scores + noise * rng.normal(size=scores.shape)).astype(np.float32), mates


def test_four_pictures_name_as_two_of_less_noise():
    """The noise of two pictures is that of four that are as much noisier as the root of two."""
    four, two, clearer = (
        np.mean(
            [(together(*noisy(noise, pictures, seed)).better == 0).mean() for seed in range(12)]
        )
        for noise, pictures in ((0.6, 4), (0.6, 2), (0.6 / np.sqrt(2), 2))
    )
    assert four > two + 0.15
    assert abs(four - clearer) < 0.06


@given(st.lists(st.floats(0.01, 100), min_size=8, max_size=8), st.floats(-5, 5))
def test_no_picture_outweighs_another(gains, offset):
    scores, mates = noisy(0.5, 2)
    scaled = scores.copy()
    scaled[:8] = scores[:8] * np.array(gains, np.float32)[:, None] + np.float32(offset)
    assert together(scaled, mates).better.tolist() == together(scores, mates).better.tolist()


def test_only_people_of_the_gallery_with_several_pictures_count():
    scores = np.eye(PEOPLE, dtype=np.float32)[[0, 0, 1, 2, 2, 3]]
    told = together(scores, np.array([0, 0, 1, -1, -1, 3]))
    assert len(told) == 1 and told.better.tolist() == [0] and told.pictures.tolist() == [2]
    assert together(scores[2:], np.array([1, -1, -1, 3])).empty
    flat = together(np.ones((2, PEOPLE), np.float32), np.array([0, 0]))
    assert flat.ties.tolist() == [PEOPLE - 1]  # scores that say nothing name nobody


def test_no_more_scores_are_kept_than_fit(monkeypatch):
    people = [f"p{number}" for number in range(10)]
    identities = [who for who in people for _ in range(3)]
    rows = range(len(identities))
    assert rows_to_keep(rows, identities, people) == tuple(rows)
    monkeypatch.setattr(module, "MOST", 10 * 7)
    kept = rows_to_keep(rows, identities, people)
    assert kept == (0, 1, 2, 3, 4, 5)  # two whole people: a third would be half
    assert rows_to_keep(rows, [None, *identities[1:]], ["p0"]) == (1, 2)
