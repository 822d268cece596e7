"""Fusion: who is held out, and what the weights are worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from reid_audit.attacks.direct.fusion import HELD_OUT_SHARE, anonymize, hold_out, likeliest_weights
from reid_audit.attacks.interface import ClearFaces, Reference

Make = Callable[..., Any]


def reference(background: int, shots: int, world: Literal["closed", "open"]) -> Reference:
    """Three gallery people; background people of `shots` pictures, the first one a distractor."""
    people = ["g0", "g0", "g1", "g2"] + [
        f"b{i:02}" for i in range(background) for _ in range(shots)
    ]
    faces = ClearFaces(
        tuple(f"{i}" for i in range(len(people))),
        tuple(people),
        np.zeros((len(people), 5, 2)),
        lambda i: np.zeros((8, 8, 3), np.uint8),
    )
    rows = tuple(range(4, len(people)))
    return Reference(faces, (0, 1, 2, 3, *rows[:shots]), rows, world)


@given(st.integers(0, 30), st.integers(1, 3), st.sampled_from(["closed", "open"]))
def test_people_held_out_are_in_no_training(
    background: int, shots: int, world: Literal["closed", "open"]
) -> None:
    given_ = reference(background, shots, world)
    held = hold_out(given_)
    people = [given_.faces.identities[row] for row in held.probes]
    assert len(set(people)) == len(people) <= HELD_OUT_SHARE * background
    assert bool(people) == (shots > 1 and background >= 1 / HELD_OUT_SHARE)
    seen = set(held.reference.training) | set(held.reference.gallery)
    assert seen.isdisjoint(held.probes)
    assert set(people) <= set(held.reference.people)
    assert set(given_.people) <= set(held.reference.people)
    trained = {given_.faces.identities[row] for row in held.reference.background}
    assert trained.isdisjoint(people)


def likelihood(weights: np.ndarray, scores: np.ndarray, mates: list[int]) -> float:
    fused = np.tensordot(weights, scores, axes=1)
    return float(log_softmax(fused, axis=1)[np.arange(len(mates)), mates].sum())


def test_weights_are_the_likeliest_and_noise_gets_none() -> None:
    rng = np.random.default_rng(0)
    mates = rng.integers(0, 20, 400).tolist()
    scores = rng.normal(size=(3, 400, 20))
    for strength, member in zip((2.5, 1.0), scores, strict=False):
        member[np.arange(400), mates] += strength
    weights = likeliest_weights(scores, mates)
    assert weights[0] > weights[1] > 0.3 and weights[2] < 0.1
    best = likelihood(weights, scores, mates)
    for other in rng.uniform(0, 4, (200, 3)):
        assert likelihood(other, scores, mates) < best + 3  # the prior's share
    assert likeliest_weights(scores[:, :0], []) == pytest.approx(np.ones(3))


@pytest.mark.slow
def test_reference_faces_become_probes_as_the_scene_makes_them(scene: Make) -> None:
    made = scene("gaussian:sigma=4")
    faces = made.reference.faces.select(made.reference.background)
    probes = anonymize(faces, made.context)
    assert probes.ids == faces.ids and len(probes.pictures) == len(faces)
    assert not np.array_equal(probes.pictures[0], faces.load(0))
