"""Attacks that learn: against scikit-learn and NumPy, and whether learning helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from reid_audit.attacks.direct import student
from reid_audit.attacks.direct.ridge import PENALTIES
from reid_audit.attacks.direct.student import FALLS, LIGHTER, falls, lighter
from reid_audit.attacks.linear.views import View, Views, in_threads
from reid_audit.attacks.networks.arcface import SCALE, angular_margin
from reid_audit.attacks.networks.distillation import Network, distill, jitter
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.recognition.similarity import identity_templates
from reid_audit.attacks.registry import attack_class
from reid_audit.attacks.vectors import per_person, unit
from reid_audit.metrics.errors import TrainingFailed
from reid_audit.metrics.identification import rank

Make = Callable[..., Any]


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 5))
def test_unit_and_per_person(seed: int, rows: int, people: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows, 4))
    vectors[0] = 0
    lengths = np.linalg.norm(unit(vectors), axis=1)
    np.testing.assert_allclose(lengths, np.r_[0, np.ones(rows - 1)])
    who = [f"p{i % people}" for i in range(rows)]
    found = per_person(vectors, who, sorted(set(who)))
    expected, _ = identity_templates(vectors.astype(np.float32), who)
    np.testing.assert_allclose(found, unit(expected), atol=1e-5)


def test_threads_keep_the_order() -> None:
    values = [int(v) for v in in_threads(lambda i: np.array(i), 600)]
    assert values == list(range(600))


def test_ridge_is_least_squares_with_its_penalty(scene: Make) -> None:
    """The normal equations, written out with NumPy, give the map that was fitted."""
    made = scene("gaussian:sigma=4")
    attack = attack_class("ridge")().fit(made.reference, made.context)
    views = Views.of(made.reference, made.context)
    clear, blurred, restored = (
        unit(views.embeddings(made.reference.faces, view)).astype(np.float64) for view in View
    )
    seen = np.hstack([blurred, restored])
    rows = list(made.reference.training)
    x, y = seen[rows] - seen[rows].mean(0), clear[rows] - clear[rows].mean(0)
    assert attack.map_.alpha_ in PENALTIES
    slope = np.linalg.solve(x.T @ x + attack.map_.alpha_ * np.eye(x.shape[1]), x.T @ y)
    np.testing.assert_allclose(attack.map_.coef_, slope.T, atol=1e-4)
    # The penalty is the one of the smallest leave-one-out error, by leaving out one by one.
    errors = []
    for penalty in PENALTIES:
        error = 0.0
        for row in range(len(x)):
            rest = np.delete(np.arange(len(x)), row)
            a, b = seen[rows][rest], clear[rows][rest]
            centred = a - a.mean(0)
            fit = np.linalg.solve(
                centred.T @ centred + penalty * np.eye(a.shape[1]), centred.T @ (b - b.mean(0))
            )
            guess = (seen[rows][row] - a.mean(0)) @ fit + b.mean(0)
            error += float(((guess - clear[rows][row]) ** 2).sum())
        errors.append(error)
    assert PENALTIES[int(np.argmin(errors))] == attack.map_.alpha_


@pytest.mark.slow
def test_ridge_identifies_more_than_the_bare_recogniser(scene: Make) -> None:
    recognizer = load_recognizer("dlib")
    made = scene("gaussian:sigma=5", recognizer=recognizer)
    scores = (
        attack_class("ridge")()
        .fit(made.reference, made.context)
        .run(made.probes, made.context)
        .scores
    )
    views = Views.of(made.reference, made.context)
    clear = views.embeddings(made.reference.faces, View.CLEAR)[list(made.reference.gallery)]
    templates, _ = identity_templates(clear, made.reference.gallery_identities, recognizer.distance)
    bare = recognizer.similarity(views.probe_embeddings(made.probes, View.ANONYMIZED), templates)
    hits = rank(scores, made.mates()).hits().mean()
    assert hits > rank(bare, made.mates()).hits().mean()
    assert hits > 3 / len(made.reference.people)


def test_the_margin_asks_more_of_the_true_class_only() -> None:
    cosine = torch.tensor([[0.8, 0.3], [-0.99, 0.1]])
    logits = angular_margin(cosine, torch.tensor([0, 0])) / SCALE
    np.testing.assert_allclose(logits[:, 1], cosine[:, 1])
    assert logits[0, 0].item() == pytest.approx(np.cos(np.arccos(0.8) + 0.5), abs=1e-5)
    assert logits[1, 0].item() == pytest.approx(-1)  # never past the opposite direction


def test_jitter_moves_a_little() -> None:
    face = np.full((32, 32, 3), 90, np.uint8)
    face[8:24, 8:24] = 200
    rng = np.random.default_rng(0)
    moved = [jitter(face, rng) for _ in range(8)]
    assert len({picture.tobytes() for picture in moved}) == 8
    for picture in moved:
        assert picture.shape == face.shape and picture.dtype == np.uint8
        assert np.abs(picture.astype(int) - face).mean() < 25


def prepared(made: Any) -> tuple[Network, np.ndarray, np.ndarray, np.ndarray]:
    """Untrained student with crops and targets of the training faces."""
    views = Views.of(made.reference, made.context)
    crops = np.asarray(views.crops(made.reference.faces, View.RESTORED))
    clear = unit(views.embeddings(made.reference.faces, View.CLEAR))
    rows = np.array(made.reference.training)
    centre = clear[rows].mean(0)
    network = Network(made.context.trainable, np.eye(clear.shape[1], dtype=np.float32), -centre)
    return network, crops, unit(clear - centre), rows


def cosine(network: Network, crops: np.ndarray, target: np.ndarray) -> float:
    with torch.inference_mode():
        found = network(torch.from_numpy(crops).permute(0, 3, 1, 2)).numpy()
    return float((found * target).sum(1).mean())


def test_a_student_comes_closer_to_its_teacher(scene: Make) -> None:
    """Even to one it has nothing in common with at first: the space turned at random."""
    made = scene("gaussian:sigma=6")
    network, crops, target, rows = prepared(made)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(target.shape[1],) * 2))
    target = (target @ turn).astype(np.float32)
    before = cosine(network.eval(), crops[rows], target[rows])
    statistics = {k: v.clone() for k, v in network.state_dict().items() if "running" in k}
    assert statistics
    people = np.array(made.reference.faces.identities)
    distill(network, lambda epoch: crops, target, people, rows, made.context, 40)
    assert cosine(network, crops[rows], target[rows]) > before + 0.1
    assert not network.training
    for name, value in network.state_dict().items():
        if name in statistics:
            assert torch.equal(value, statistics[name]), name


@pytest.mark.parametrize(("spec", "trainings"), [("gaussian:sigma=3", 1), ("gaussian:sigma=14", 3)])
def test_training_through_a_heavy_blur_starts_on_lighter_ones(
    spec: str, trainings: int, scene: Make, quick: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = scene(spec)
    clear = scene("none")
    views = Views.of(clear.reference, clear.context)
    faces = np.asarray(views.crops(clear.reference.faces, View.ANONYMIZED), np.float32)
    errors = []

    def record(network: Network, crops: Callable[[int], np.ndarray], *_: object) -> None:
        errors.append(np.abs(crops(0) - faces).mean())

    monkeypatch.setattr("reid_audit.attacks.direct.student.distill", record)
    quick("student").fit(made.reference, made.context)
    assert len(errors) == trainings and errors == sorted(errors)


def test_lighter_settings_are_of_heavy_operators_that_have_lengths(
    scene: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(spec: str) -> list[str]:
        made = scene(spec)
        return [str(operator) for operator in lighter(made.reference, made.context)]

    assert settings("gaussian:sigma=3") == settings("noise:sigma=80") == []
    heavy = parse("pixelate:b=12")
    assert settings("pixelate:b=12") == [str(heavy.scaled(share)) for share in LIGHTER]
    monkeypatch.setattr(student, "PLENTY", 10)
    assert settings("pixelate:b=12") == []
    monkeypatch.undo()
    assert settings("pixelate:b=12|jpeg:q=60")[0] == f"{heavy.scaled(LIGHTER[0])}|jpeg:q=60"


@pytest.mark.parametrize(
    ("attack", "training"), [("student", "student.distill"), ("parrot-tuned", "parrot.tune")]
)
def test_a_training_that_broke_down_fails_its_attack(
    attack: str,
    training: str,
    scene: Make,
    quick: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen at a blur of one face width: every face was answered alike, and nobody was named."""

    def break_down(network: Network, *_: object) -> None:
        torch.nn.init.zeros_(network.bridge.weight)
        torch.nn.init.ones_(network.bridge.bias)
        network.eval()

    monkeypatch.setattr(f"reid_audit.attacks.direct.{training}", break_down)
    made = scene("gaussian:sigma=4", cache=tmp_path)
    with pytest.raises(TrainingFailed, match="every face alike"):
        quick(attack).fit(made.reference, made.context)
    assert not list(tmp_path.glob("student-*"))


def test_an_untrained_student_is_the_recogniser_about_its_mean(scene: Make) -> None:
    made = scene("gaussian:sigma=4")
    network, crops, _, rows = prepared(made)
    recognizer = made.context.recognizer
    centre = unit(
        Views.of(made.reference, made.context).embeddings(made.reference.faces, View.CLEAR)
    )[rows].mean(0)
    expected = unit(unit(recognizer.embed(crops[:5])) - centre)
    with torch.inference_mode():
        found = network.eval()(torch.from_numpy(crops[:5].copy()).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_stored_student_is_taken_up_again(scene: Make, quick: Make, tmp_path: Path) -> None:
    made = scene("gaussian:sigma=4", cache=tmp_path)
    first = quick("student").fit(made.reference, made.context)
    (stored,) = tmp_path.glob("student-*.safetensors")
    with safe_open(stored, "pt") as file:
        assert set(file.keys()) == set(first.network_.state_dict())
    written = stored.stat().st_mtime_ns
    told: list[str] = []
    again = made.context.replace(progress=lambda what, done, total: told.append(what))
    second = quick("student").fit(made.reference, again)
    assert "training the student" not in told and stored.stat().st_mtime_ns == written
    for name, value in first.network_.state_dict().items():
        assert torch.equal(value, second.network_.state_dict()[name]), name
    np.testing.assert_array_equal(
        first.run(made.probes, made.context).scores, second.run(made.probes, again).scores
    )
    other = made.context.replace(seed=4)
    quick("student").fit(made.reference, other)
    assert len(list(tmp_path.glob("student-*.safetensors"))) == 2


def test_a_student_may_start_from_another_network_than_its_teacher(
    scene: Make, quick: Make
) -> None:
    made = scene("gaussian:sigma=4")
    teacher = replace(
        made.context.recognizer,
        digest="1" * 64,
        dimension=5,
        forward=lambda x: made.context.recognizer.forward(x)[:, :5],
    )
    context = made.context.replace(recognizer=teacher)
    output = quick("student").fit(made.reference, context).run(made.probes, context)
    assert output.embeddings.shape == (len(made.probes), 5)


def test_views_on_disk_are_views_in_memory(scene: Make, tmp_path: Path) -> None:
    plain, kept = scene("pixelate:b=6"), scene("pixelate:b=6", cache=tmp_path)
    for view in View:
        expected = Views.of(plain.reference, plain.context).embeddings(plain.reference.faces, view)
        for _ in range(2):  # made, then found again
            found = Views.of(kept.reference, kept.context).embeddings(kept.reference.faces, view)
            np.testing.assert_array_equal(found, expected)
    assert not list(tmp_path.glob("*.partial"))


def test_recognisers_with_crops_of_other_sizes_share_a_cache(scene: Make, tmp_path: Path) -> None:
    made = scene("gaussian:sigma=4", cache=tmp_path)
    views = Views.of(made.reference, made.context)
    views.crops(made.reference.faces, View.RESTORED)
    large = made.context.recognizer.template.resized(48)
    other = replace(made.context.recognizer, template=large, digest="2" * 64)
    assert views.crops(made.reference.faces, View.RESTORED, other).shape[1:] == (48, 48, 3)


def test_a_face_moved_before_anonymisation_loses_something_else(
    scene: Make, tmp_path: Path
) -> None:
    made = scene("gaussian:sigma=4", cache=tmp_path)
    views = Views.of(made.reference, made.context)
    faces, recognizer = made.reference.faces, made.context.recognizer
    first, second = (np.array(views.moved_crops(faces, number, recognizer)) for number in (1, 2))
    still = views.crops(faces, View.RESTORED)
    assert not np.array_equal(first, still) and not np.array_equal(first, second)
    few = np.array(views.moved_crops(faces.select([4, 2]), 1, recognizer))
    np.testing.assert_array_equal(few, first[[4, 2]])  # neither company nor order matters
    difference = np.abs(first.astype(float) - still)
    mirrored = np.abs(first[:, :, ::-1].astype(float) - still)
    nearest = np.minimum(difference.mean(axis=(1, 2, 3)), mirrored.mean(axis=(1, 2, 3)))
    assert nearest.mean() < np.abs(np.roll(still, 1, axis=0).astype(float) - still).mean()


def test_few_faces_are_anonymised_anew_more_often_than_many(scene: Make) -> None:
    faces = scene("gaussian:sigma=4").reference.faces
    assert falls(faces, 9) == FALLS and falls(faces, 2) == 2
    large = np.zeros((4000, 4000, 3), np.uint8)
    assert falls(replace(faces, load=lambda index: large), 9) < FALLS
    vast = np.broadcast_to(np.uint8(0), (10**6, 10**6, 3))
    assert falls(replace(faces, load=lambda index: vast), 9) == 1
