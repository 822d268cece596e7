"""Curves of the report against direct counting."""

import math

import numpy as np
import pandas as pd
import pytest

from reid_audit.audit.evaluation.curves import FEWEST_STRANGERS, det_curve, idd_curves
from reid_audit.metrics.identification import open_set, rank


def trials(scores, mates):
    ranks = rank(scores, mates)
    own = np.take_along_axis(scores, np.maximum(mates, 0)[:, None], axis=1)[:, 0]
    return pd.DataFrame(
        {
            "mated": ranks.mated,
            "failed": ranks.failed,
            "better": ranks.better,
            "ties": ranks.ties,
            "gallery": ranks.gallery,
            "top_score": scores.max(axis=1),
            "mate_score": np.where(ranks.mated, own, np.nan),
            "identity": [f"p{i}" for i in range(len(mates))],
        }
    )


def test_det_is_open_set_identification_at_every_threshold():
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(60, 20))
    mates = np.where(np.arange(60) < 35, np.arange(60) % 20, -1)
    scores[np.arange(35), mates[:35]] += 1.5
    curve = det_curve(trials(scores, mates))
    tops = np.unique(scores[35:].max(axis=1))[::-1]
    wanted = [open_set(scores, mates, float(level)) for level in tops]
    assert curve.x == pytest.approx([w.fpir for w in wanted], abs=1e-5)
    assert curve.y == pytest.approx([w.fnir for w in wanted], abs=1e-5)
    assert curve.x == sorted(curve.x) and curve.y == sorted(curve.y, reverse=True)


def test_det_needs_strangers_and_counts_the_unknown_for_neither_side():
    scores = np.eye(20)
    mates = np.where(np.arange(20) < 20 - FEWEST_STRANGERS, np.arange(20), -1)
    frame = trials(scores, mates)
    assert det_curve(frame) is not None
    assert det_curve(frame.assign(identity=[None] * 20)) is None
    assert det_curve(frame[frame.mated]) is None and det_curve(frame[~frame.mated]) is None


def test_identity_distances_are_densities_of_own_and_of_other_people():
    rng = np.random.default_rng(5)
    originals = rng.normal(size=(90, 256))
    people = [f"p{number // 3}" for number in range(90)]
    curves = idd_curves(originals, originals, people)
    for curve in curves.values():
        assert sum(curve.y) * math.pi / 45 == pytest.approx(1, abs=1e-3)
    assert curves["idd_mated"].x[int(np.argmax(curves["idd_mated"].y))] < 0.1
    apart = curves["idd_nonmated"]
    assert apart.x[int(np.argmax(apart.y))] == pytest.approx(math.pi / 2, abs=0.1)
    assert set(idd_curves(originals[:3], originals[:3], people[:3])) == {"idd_mated"}
