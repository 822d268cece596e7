"""Attacks that fail, are skipped or lack something are said to be so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_audit.attacks.direct.naive import Naive
from reid_audit.attacks.interface import AnonymizedFaces, AttackOutput, Context, Reference
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.scoring import Scorer
from reid_audit.audit.config import resolve
from reid_audit.audit.data import Item
from reid_audit.audit.probes.condition import Group, solid, without_faces
from reid_audit.audit.probes.faces import clear_faces, make_face
from reid_audit.audit.results.schema import Anonymizer
from reid_audit.audit.run_directory import Store, open_run
from reid_audit.audit.trials.perception import Perception
from reid_audit.audit.trials.units import Setup, run_attack
from reid_audit.metrics.errors import InputError, MissingWeights, TrainingFailed

POINTS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_run(tmp_path / "run", resolve({})) as opened:
        yield opened


@pytest.fixture
def setup(tmp_path: Path, stand_in: Recognizer) -> Setup:
    """Four people of noise, one gallery picture and one probe each."""
    faces = []
    for number in range(8):
        picture = np.random.default_rng(number).integers(0, 256, (96, 96, 3)).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        role = "gallery" if number < 4 else "probe"
        item = Item(f"{number}", f"p{number % 4}", role, tmp_path / f"{number}.png")
        faces.append(make_face(item, f"{number:064}", POINTS, (96, 96), "manifest"))
    group = Group(
        *("c1", "blur", parse("gaussian:sigma=2"), Anonymizer(family="gaussian")),
        *(tuple(faces[4:]), (None,) * 4, ((0, 0, 96, 96),) * 4, True),
    )
    reference = Reference(clear_faces(faces[:4]), (0, 1, 2, 3), ())
    context = Context(group.forward, stand_in, None)
    names = reference.gallery_identities
    scorer = Scorer.of(stand_in, embed_clear(reference.faces, context), names)
    unknown = np.zeros((4, stand_in.dimension), np.float32), np.zeros(4, bool)
    return Setup(
        group=group,
        reference=reference,
        context=context,
        scorer=scorer,
        identities=names,
        original_embeddings=unknown[0],
        known=unknown[1],
        batch_size=128,
        perception=Perception(None, None, "cpu"),
    )


def test_every_probe_has_a_trial_of_every_kind(setup: Setup, store: Store) -> None:
    outcome = run_attack("naive", setup, store)
    assert outcome.status == "ok" and outcome.reason is None
    assert outcome.trials.groupby("kind").size().to_dict() == {
        "attack": 4,
        "context-only": 4,
        "solid-fill": 4,
    }
    assert outcome.trials.psnr.isna().all()  # no original


def test_where_a_region_was_processed_it_is_painted_over_for_a_control(
    setup: Setup, store: Store
) -> None:
    studied = replace(setup, studied=(0, 1, 2, 3))
    assert "covered" not in run_attack("naive", studied, store).seen
    regions = ((30, 30, 60, 60),) * 4
    part = replace(studied, group=replace(setup.group, regions=regions, whole_picture=False))
    seen = run_attack("naive", part, store).seen
    assert {kind: len(rows) for kind, rows in seen.items()} == {
        "attack": 4,
        "context-only": 4,
        "covered": 4,
        "solid-fill": 4,
    }
    assert not np.allclose(seen["covered"], seen["attack"])
    assert not np.allclose(seen["covered"], seen["context-only"])


def test_what_an_attack_lacks_is_said(setup: Setup, store: Store) -> None:
    blind = replace(setup, group=replace(setup.group, operator=None))
    for name, setting, said in (
        ("wiener", blind, "not identified"),
        ("student", setup, "trainable"),
        ("ridge", setup.in_world("open"), "background"),
    ):
        outcome = run_attack(name, setting, store)
        assert outcome.status == "skipped" and said in (outcome.reason or "")
        assert outcome.trials.empty


@pytest.mark.parametrize(
    ("error", "told", "hidden"),
    [
        (MissingWeights("run `reid-audit weights fetch x`"), "weights fetch", None),
        (TrainingFailed("the training broke down"), "broke down", None),
        (InputError("gallery/Ada Lovelace/1.png: gone"), "InputError", "Ada"),
        (ZeroDivisionError("Ada"), "ZeroDivisionError", "Ada"),
    ],
)
def test_a_failure_is_reported_without_names(
    setup: Setup,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: str,
    hidden: str | None,
) -> None:
    def broken(*_: object) -> AttackOutput:
        raise error

    monkeypatch.setattr(Naive, "run", broken)
    outcome = run_attack("naive", setup, store)
    assert outcome.status == "failed" and told in (outcome.reason or "")
    assert hidden is None or hidden not in (outcome.reason or "")


def test_what_an_attack_inferred_stands_with_its_trials(
    setup: Setup, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inferring(self: Naive, probes: AnonymizedFaces, context: Context) -> AttackOutput:
        told = tuple({"votes": place, "left": float("nan")} for place in range(len(probes)))
        return AttackOutput(scores=np.zeros((len(probes), 4), np.float32), estimates=told)

    monkeypatch.setattr(Naive, "run", inferring)
    trials = run_attack("naive", setup, store).trials
    attacked = trials[trials.kind == "attack"]
    expected = [{"votes": place, "left": None} for place in range(4)]
    assert [json.loads(text) for text in attacked.estimate] == expected
    assert trials[trials.kind != "attack"].estimate.isna().all()


@pytest.mark.parametrize(
    "output", [AttackOutput(), AttackOutput(scores=np.zeros((4, 9), np.float32))]
)
def test_an_output_that_cannot_be_scored_is_a_failure(
    setup: Setup, store: Store, monkeypatch: pytest.MonkeyPatch, output: AttackOutput
) -> None:
    monkeypatch.setattr(Naive, "run", lambda *_: output)
    assert run_attack("naive", setup, store).status == "failed"


def test_scores_that_are_missing_are_misses(
    setup: Setup, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(self: Naive, probes: object, context: Context) -> AttackOutput:
        scores = np.eye(4, dtype=np.float32)[: len(probes)]  # type: ignore[arg-type]
        scores[1] = np.nan
        return AttackOutput(scores=scores)

    monkeypatch.setattr(Naive, "run", half)
    trials = run_attack("naive", setup, store).trials
    attacked = trials[trials.kind == "attack"]
    assert attacked.failed.tolist() == [False, True, False, False]
    assert (attacked.better == 0)[~attacked.failed].all()


def test_controls_hide_the_face_and_nothing_else(setup: Setup) -> None:
    probes = setup.group.load(range(2))
    assert not np.any(solid(probes).pictures)
    for before, after, points in zip(
        probes.pictures, without_faces(probes).pictures, probes.landmarks, strict=True
    ):
        for x, y in points.astype(int):
            assert not after[y, x].any()
        assert (after[:5] == before[:5]).all() and (before != 0).any()
        assert 0.05 < (after != before).any(2).mean() < 0.7
