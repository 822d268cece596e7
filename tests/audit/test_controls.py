"""Leave-one-out controls against leaving out one by one."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid_audit.attacks.interface import ClearFaces
from reid_audit.attacks.recognition.align import ARCFACE
from reid_audit.attacks.recognition.interface import Preprocessing, Recognizer
from reid_audit.attacks.scoring import Scorer
from reid_audit.audit.trials.controls import (
    clear_ceiling,
    leave_one_out_ceiling,
    leave_one_out_rows,
)

Distance = Literal["cosine", "euclidean"]


def recogniser(distance: Distance) -> Recognizer:
    plain = Preprocessing((0, 0, 0), (1, 1, 1))
    return Recognizer("given", "0", ARCFACE, 6, distance, "none", plain, lambda pictures: pictures)


def faces(names: list[str]) -> ClearFaces:
    places = np.zeros((len(names), 5, 2), np.float32)
    return ClearFaces(
        tuple(map(str, range(len(names)))), tuple(names), places, lambda index: np.zeros((1, 1, 3))
    )


def mean(rows: np.ndarray, distance: Distance) -> np.ndarray:
    if distance == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.mean(axis=0)


def alike(a: np.ndarray, b: np.ndarray, distance: Distance) -> float:
    if distance == "cosine":
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return -float(np.linalg.norm(a - b))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@given(st.integers(0, 2**32), st.lists(st.integers(0, 5), min_size=3, max_size=20))
@settings(max_examples=30)
def test_leave_one_out_is_a_gallery_without_the_picture(
    distance: Distance, seed: int, owners: list[int]
) -> None:
    names = [f"p{owner}" for owner in owners]
    rng = np.random.default_rng(seed)
    vectors = (rng.normal(size=(6, 6))[owners] + rng.normal(size=(len(names), 6))).astype(
        np.float32
    )
    scorer = Scorer.of(recogniser(distance), vectors, names)
    control = leave_one_out_ceiling(vectors, faces(names), scorer)
    repeated = [row for row, name in enumerate(names) if names.count(name) > 1]
    if not repeated:
        assert control is None
        return
    assert control is not None and control.identities == tuple(names[row] for row in repeated)
    for row, better in zip(repeated, control.trials.better, strict=True):
        scores = {}
        for person in sorted(set(names)):
            others = [i for i, name in enumerate(names) if name == person and i != row]
            scores[person] = alike(vectors[row], mean(vectors[others], distance), distance)
        own = round(scores.pop(names[row]), 5)
        margins = [round(score, 5) - own for score in scores.values()]
        if all(abs(margin) > 2e-5 for margin in margins):  # else rounding may decide either way
            assert better == sum(margin > 0 for margin in margins)


def test_people_with_one_picture_are_no_probes() -> None:
    vectors = np.eye(6, dtype=np.float32)[:4]
    names = ["a", "b", "b", "c"]
    rows, templates = leave_one_out_rows(
        vectors, faces(names), Scorer.of(recogniser("cosine"), vectors, names)
    )
    assert rows.tolist() == [1, 2]
    np.testing.assert_array_equal(templates, vectors[[2, 1]])


def test_the_ceiling_of_originals_counts_strangers_as_unmated() -> None:
    vectors = np.eye(6, dtype=np.float32)[:3]
    scorer = Scorer.of(recogniser("cosine"), vectors, ["a", "b", "c"])
    trials = clear_ceiling(vectors[[0, 2, 1]], ["a", "b", None], scorer)
    assert trials.mated.tolist() == [True, True, False]
    assert trials.better.tolist() == [0, 1, 0]
    assert trials.top_score.tolist() == [1, 1, 1]
    assert trials.mate_score.tolist()[:2] == [1, 0] and np.isnan(trials.mate_score[2])
