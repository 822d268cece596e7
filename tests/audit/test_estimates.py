"""Figures of the report against SciPy and scikit-learn on trials made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from reid_audit.attacks.interface import AttackOutput
from reid_audit.audit.evaluation.estimates import (
    Settings,
    _fidelity,
    _ood,
    _strata,
    _worst_off,
    chance,
    hits,
    probe_count,
    rank_1,
)
from reid_audit.audit.trials.perception import Perception
from reid_audit.audit.trials.scoring import fidelity_rows, identification_rows, identity_distance

SETTINGS = Settings(alpha=0.05, seed=0, minimum_cell=3)


def trials(people: int = 12, pictures: int = 2) -> pd.DataFrame:
    """Pictures of people, of whom the first half is found and the last two are strangers."""
    names = np.repeat([f"P-{i}" for i in range(people)], pictures)
    number = np.repeat(np.arange(people), pictures)
    mated = number < people - 2
    return pd.DataFrame(
        {
            "image": [f"I-{i}" for i in range(len(names))],
            "draw": range(len(names)),
            "identity": names,
            "mated": mated,
            "failed": False,
            "better": np.where(number < people // 2, 0, 3),
            "ties": 0,
            "gallery": 10,
            "top_score": np.linspace(1, 0, len(names)),
            "stratum": np.where(number < 2, "small", "large"),
        }
    )


def test_rank_1_is_an_exact_interval_over_people() -> None:
    figure = rank_1(trials(), SETTINGS)
    expected = binomtest(6, 10).proportion_ci(method="exact")
    assert figure.value == 0.6 and figure.n == figure.n_identities == 10
    assert (figure.low, figure.high) == pytest.approx((expected.low, expected.high))


def test_rank_1_of_strangers_is_unknown_with_a_reason() -> None:
    figure = rank_1(trials().assign(mated=False), SETTINGS)
    assert figure.value is None and figure.reason


def test_ties_count_their_share_and_failures_nothing() -> None:
    table = trials(4, 1).assign(mated=True, better=0, ties=[0, 1, 3, 0])
    table["failed"] = [False, False, False, True]
    np.testing.assert_allclose(hits(table), [1, 1 / 2, 1 / 4, 0])
    np.testing.assert_allclose(hits(table, 2), [1, 1, 1 / 2, 0])


def test_strangers_told_apart_is_scikit_learns_auc() -> None:
    table = trials()
    table["top_score"] = np.random.default_rng(0).normal(size=len(table))
    figure = _ood(table, SETTINGS)
    assert figure.value == pytest.approx(roc_auc_score(table.mated, table.top_score))
    assert figure.low <= figure.value <= figure.high
    unsure = table.copy()
    unsure.loc[~unsure.mated, "identity"] = None  # nobody knows: neither mated nor a stranger
    assert _ood(unsure, SETTINGS).value is None


def test_small_groups_are_suppressed() -> None:
    rows = {row.name: row.ira for row in _strata(trials()[trials().mated], SETTINGS)}
    assert rows["small"].value is None and "fewer than 3" in rows["small"].reason
    assert rows["large"].n_identities == 8 and rows["large"].value == 0.5


def test_the_worst_off_are_those_found_most_often() -> None:
    table = trials()[trials().mated].reset_index(drop=True)
    table.loc[0, "better"] = 1  # one of two pictures of P-0
    worst = _worst_off(table, most=6)
    assert [row.ira.value for row in worst] == [1, 1, 1, 1, 1, 0.5]
    assert worst[-1].name == "P-0"
    assert not _worst_off(trials(12, 1))  # one picture says nothing about a person


def test_missing_fidelity_says_why() -> None:
    figures = _fidelity(trials(), Perception(None, None, "cpu"), SETTINGS)
    assert set(figures) == {"psnr", "ssim", "idd", "lpips"}
    assert all(figure.value is None and figure.reason for figure in figures.values())
    table = trials().assign(psnr=20.0)
    measured = _fidelity(table, Perception(None, None, "cpu"), SETTINGS)
    assert measured["psnr"].value == 20


def test_chance_and_counts() -> None:
    assert chance(40).value == 1 / 40
    count = probe_count(["a", "a", "b", "x", None], frozenset("ab"), 2)
    assert (count.images, count.identities, count.failed_to_acquire) == (5, 3, 2)
    assert (count.mated_images, count.mated_identities) == (3, 2)
    assert (count.nonmated_images, count.nonmated_identities) == (1, 1)


def test_rows_rank_as_sorting_does() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(50, 7)).astype(np.float32)
    mates = rng.integers(-1, 7, 50)
    scores[3] = np.nan
    table = identification_rows(scores, mates)
    assert table.failed.tolist() == [row == 3 for row in range(50)]
    for row in range(50):
        if mates[row] >= 0 and row != 3:
            order = np.argsort(-scores[row]).tolist()
            assert table.better[row] == order.index(mates[row])
            assert table.mate_score[row] == scores[row, mates[row]]
    assert not table.mated[mates < 0].any()


def test_fidelity_is_on_the_face_and_nan_without_an_original() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    points = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
    corner = picture.copy()
    corner[:2, :2] ^= 255  # outside of the square about the face
    table = fidelity_rows(
        [picture, corner, picture, picture],
        [picture, picture, None, picture[:90]],
        np.stack([points] * 4),
    )
    assert np.isposinf(table.psnr[:2]).all() and table.ssim[:2].tolist() == pytest.approx([1, 1])
    assert table[2:].isna().all(axis=None)


def test_identity_distance_is_an_angle() -> None:
    clear = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    found = np.array([[5, 0], [0, 2], [-1, 0]], np.float32)
    known = np.array([True, True, False])
    values = identity_distance(found, clear, known).idd
    np.testing.assert_allclose(values[:2], [0, np.pi / 2], atol=1e-3)
    assert np.isnan(values[2]) and identity_distance(None, clear, known).idd.isna().all()
    assert AttackOutput().embeddings is None
