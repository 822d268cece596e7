"""Several pictures of one person looked up together."""

from types import SimpleNamespace

import numpy as np
import pytest

from reid_audit.attacks.recognition.similarity import similarity
from reid_audit.attacks.scoring import Scorer
from reid_audit.audit.trials.together import together

PEOPLE = tuple(f"p{number:02d}" for number in range(40))


def scorer(templates, distance):
    recognizer = SimpleNamespace(
        distance=distance, similarity=lambda a, b: similarity(a, b, distance)
    )
    return Scorer(recognizer, templates.astype(np.float32), PEOPLE)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_two_noisy_pictures_name_as_one_of_half_the_noise(distance):
    rng = np.random.default_rng(3)
    templates = rng.normal(size=(len(PEOPLE), 16))
    noise = rng.normal(size=(2 * len(PEOPLE), 16)) * 1.6
    probes = (np.repeat(templates, 2, axis=0) + noise).astype(np.float32)
    names = [person for person in PEOPLE for _ in range(2)]
    search = scorer(templates, distance)
    told = together(probes, names, search)
    assert len(told) == len(PEOPLE) and (told.pictures == 2).all() and told.mated.all()
    alone = similarity(probes, search.templates, distance).argmax(axis=1)
    singly = np.mean(alone == np.repeat(np.arange(len(PEOPLE)), 2))
    assert (told.better == 0).mean() > singly + 0.1
    if distance == "euclidean":  # the nearest to the mean has the least sum of squared distances
        squared = -(similarity(probes, search.templates, distance).astype(float) ** 2)
        summed = squared.reshape(len(PEOPLE), 2, -1).sum(axis=1).argmax(axis=1)
        assert ((told.better == 0) == (summed == np.arange(len(PEOPLE)))).all()


def test_only_people_of_the_gallery_with_several_pictures_count():
    search = scorer(np.eye(len(PEOPLE)), "cosine")
    probes = np.eye(len(PEOPLE), dtype=np.float32)[[0, 0, 1, 2, 2, 3, 3, 3]]
    names = ["p00", "p00", "p01", None, None, "stranger", "stranger", "p03"]
    told = together(probes, names, search)
    assert len(told) == 1 and told.better.tolist() == [0] and told.pictures.tolist() == [2]
    assert together(probes[:1], ["p00"], search).empty
