"""Originals drawn back from replaced faces, where the pictures give them away."""

from __future__ import annotations

import numpy as np
import pytest

from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.replacement import redrawn as module
from reid_audit.attacks.replacement.redrawn import redrawn
from reid_audit.attacks.vectors import centred

SIDE, PEOPLE = 32, np.repeat(np.arange(40), 2)


def pictures() -> np.ndarray:
    """Two pictures `(32, 32, 3)` each of people of four colours in four quarters."""
    rng = np.random.default_rng(0)
    people = rng.integers(40, 216, (40, 2, 2, 3))[PEOPLE].repeat(16, 1).repeat(16, 2)
    return (people + rng.normal(0, 6, people.shape)).clip(0, 255).astype(np.uint8)


def embedded(frames: np.ndarray, recognizer: Recognizer) -> np.ndarray:
    """What the recogniser makes of frames as they are."""
    identity = np.repeat(np.arange(2), len(frames) // 2)
    return redrawn(frames, frames, identity, recognizer, steps=0)


@pytest.mark.slow
def test_a_picture_in_other_colours_is_drawn_back(
    stand_in: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A negative is no linear map of identities that the output as it is would match."""
    monkeypatch.setattr(module, "SIZE", "tiny")
    monkeypatch.setattr(module, "FRAME", SIDE)
    originals = pictures()
    outputs = 255 - originals
    truth = centred(embedded(originals, stand_in))
    same = PEOPLE[:, None] == PEOPLE[None]

    def hits(guess: np.ndarray) -> float:
        scores = centred(guess) @ truth.T
        return float(np.mean(same[np.arange(len(truth)), scores.argmax(axis=1)]))

    drawn = redrawn(outputs, originals, PEOPLE, stand_in, seed=1, steps=80)
    assert drawn.shape == (80, 32)
    assert hits(embedded(outputs, stand_in)) < 0.2
    assert hits(drawn) > 0.6


def test_a_frozen_recogniser_does_and_the_seed_decides(
    stand_in: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setattr(module, "SIZE", "tiny")
    monkeypatch.setattr(module, "FRAME", SIDE)
    frozen, originals = replace(stand_in, build=None), pictures()
    once, again, other = (
        redrawn(255 - originals, originals, PEOPLE, frozen, seed=seed, steps=3)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > 1e-4
