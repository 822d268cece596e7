"""The anonymiser that shifts identities: its geometry, what it does to a face, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from reid_audit.attacks.checkpoint import SHIPPED
from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.align import crop
from reid_audit.attacks.recognition.detect import Detector
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.shift import picture as engine
from reid_audit.attacks.shift.network import Shifter, Space, ellipse
from reid_audit.attacks.shift.objective import ShiftObjective
from reid_audit.attacks.training.loop import Trained
from reid_audit.attacks.vectors import unit
from reid_audit.audit.people import identity, nuisance, render
from reid_audit.metrics.errors import InputError, MissingWeights


def space(recognizer: Recognizer) -> Space:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(32, 32)))[0]
    return Space(recognizer, 32, torch.zeros(32), torch.from_numpy(turn).float())


def directions() -> torch.Tensor:
    drawn = np.random.default_rng(1).normal(size=(9, 32))
    return torch.from_numpy(unit(drawn)).float()


def test_a_key_turns_everybody_by_a_right_angle_and_twice_to_the_opposite(
    stand_in: Recognizer,
) -> None:
    own, there = directions(), space(stand_in)
    once = there.turned(own, 7)
    torch.testing.assert_close(once @ once.T, own @ own.T)
    torch.testing.assert_close((once * own).sum(dim=1), torch.zeros(9), atol=1e-5, rtol=0)
    torch.testing.assert_close(there.turned(once, 7), -own)
    assert not torch.allclose(once, there.turned(own, 8), atol=0.1)


def test_signs_of_all_axes_are_the_opposite(stand_in: Recognizer) -> None:
    own = directions()
    torch.testing.assert_close(space(stand_in).reflected(own, -torch.ones(9, 32)), -own)


def test_the_axes_are_principal_directions_the_first_ones_first() -> None:
    spread = torch.linspace(3, 0.1, 32)
    drawn = torch.from_numpy(np.random.default_rng(2).normal(size=(500, 32))).float() * spread
    network = Shifter("tiny", 32)
    network.measure(drawn + 5)
    assert (drawn @ network.axes.T).var(dim=0).diff().max() < 0.1
    torch.testing.assert_close(network.axes @ network.axes.T, torch.eye(32), atol=1e-4, rtol=0)
    assert network.centre.mean() == pytest.approx(5, abs=0.1)


def test_uphill_is_where_the_cosine_grows(stand_in: Recognizer) -> None:
    there = space(stand_in)
    frames = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    wanted = directions()[:3]
    before, gradient = there.uphill(frames, wanted)
    after, _ = there.uphill(frames + 0.02 * gradient, wanted)
    assert (after > before).all()
    assert gradient.square().mean(dim=(1, 2, 3)) == pytest.approx(torch.ones(3))


def test_the_ellipse_lies_about_the_features_and_fades() -> None:
    weight = ellipse(128).numpy()
    rows, columns = np.nonzero(weight)
    assert columns.min() > 20 and columns.max() < 108 and rows.min() > 15 and rows.max() < 115
    assert weight[64, 64] == 1 and 0.1 < np.mean(weight) < 0.35
    np.testing.assert_allclose(weight, weight[:, ::-1], atol=0.1)


def test_training_finds_changes_that_lower_the_loss(
    fit: Callable[..., Trained], pack: Pack, stand_in: Recognizer, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    trained = fit(tmp_path, ShiftObjective("tiny", stand_in, pack), steps=40, batch=8)
    assert trained.losses[-8:].mean() < 0.9 * trained.losses[:4].mean()
    card = trained.checkpoint.card
    assert card.name == "identity-shift" and card.metrics["cosine own"] < 0.5
    assert {"centre", "axes"} <= set(trained.checkpoint.weights)


def test_it_is_trained_on_faces_only() -> None:
    with pytest.raises(InputError, match="needs faces"):
        ShiftObjective("tiny")


BOX = (37, 34, 125, 150)
PEOPLE = range(730_000, 730_006)


@pytest.fixture(scope="module")
def faces() -> list[np.ndarray]:
    """Pictures `(160, 160, 3)` of people that nothing was trained on."""
    return [render(identity(seed), nuisance(seed, 0, 0.5), 160) for seed in PEOPLE]


def shifted(face: np.ndarray, spec: str, seed: int = 0) -> np.ndarray:
    return parse(spec).apply_in(face, BOX, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def opposite(faces: list[np.ndarray]) -> list[np.ndarray]:
    return [shifted(face, "identity-shift") for face in faces]


def test_a_recogniser_sees_the_opposite_of_everybody(
    faces: list[np.ndarray], opposite: list[np.ndarray]
) -> None:
    """About the mean face of its training people; where the features stand hardly moves."""
    detector, dlib = Detector(), load_recognizer("dlib")
    centre = engine._loaded(None)[1].centre.numpy()
    before = np.array([detector.detect([face])[0][0].landmarks for face in faces])
    own, other = (
        unit(unit(dlib.embed(crop(side, before, dlib.template))) - centre)
        for side in (faces, opposite)
    )
    assert (own * other).sum(axis=1).mean() < -0.2
    found = [
        (row, seen) for row, face in enumerate(opposite) if (seen := detector.detect([face])[0])
    ]
    moved = [np.abs(seen[0].landmarks - before[row]).mean() for row, seen in found]
    assert len(moved) >= 3 and np.median(moved) < 4  # of 90 pixels of a face


def test_nothing_changes_outside_the_box_and_the_same_comes_out_again(
    faces: list[np.ndarray], opposite: list[np.ndarray]
) -> None:
    outside = np.ones((160, 160), bool)
    outside[BOX[1] : BOX[3], BOX[0] : BOX[2]] = False
    np.testing.assert_array_equal(opposite[0][outside], faces[0][outside])
    assert np.abs(opposite[0].astype(int) - faces[0])[~outside].mean() > 2
    np.testing.assert_array_equal(shifted(faces[0], "identity-shift", seed=5), opposite[0])


def test_a_key_and_a_diffusion_step_make_other_pictures(faces: list[np.ndarray]) -> None:
    keyed = shifted(faces[1], "identity-shift:key=7,steps=2")
    assert (keyed != shifted(faces[1], "identity-shift:key=8,steps=2")).any()
    drawn = [shifted(faces[1], "identity-shift:steps=2,diffusion=.05", seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_what_is_missing_is_said_with_what_to_do(
    faces: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "SHIPPED", tmp_path)
    engine._loaded.cache_clear()
    with pytest.raises(MissingWeights, match="reid-audit train identity-shift"):
        shifted(faces[0], "identity-shift")
    with pytest.raises(InputError, match="no checkpoint"):
        shifted(faces[0], f"identity-shift:weights={tmp_path}")
    with pytest.raises(InputError, match="holds mmse"):
        shifted(faces[0], f"identity-shift:weights={SHIPPED / 'mmse'}")
    engine._loaded.cache_clear()


def test_weights_for_another_recogniser_are_refused(
    fit: Callable[..., Trained],
    pack: Pack,
    stand_in: Recognizer,
    faces: list[np.ndarray],
    tmp_path: Path,
) -> None:
    fit(tmp_path, ShiftObjective("tiny", stand_in, pack), steps=1, validate_every=1)
    with pytest.raises(InputError, match="another recogniser"):
        shifted(faces[0], f"identity-shift:weights={tmp_path}")
