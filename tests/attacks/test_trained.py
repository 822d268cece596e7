"""Recognisers that were fine-tuned before the run keep the contract of every attack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reid_audit.attacks.checkpoint import GAIN, Card, Checkpoint, find, write_checkpoint
from reid_audit.attacks.direct.trained import Seer
from reid_audit.attacks.linear.views import embed_clear
from reid_audit.attacks.recognition.align import crop
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.recognition.recognizers import load_recognizer
from reid_audit.attacks.registry import attack_class
from reid_audit.attacks.training.parrot import ParrotEmbedder
from reid_audit.attacks.training.student import StudentNetwork
from reid_audit.attacks.training.trunk import described
from reid_audit.attacks.vectors import per_person
from reid_audit.metrics.errors import NotApplicable

Make = Callable[..., Any]
BLUR = "gaussian:sigma=4"


@pytest.fixture(scope="module")
def made(stand_in: Recognizer, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A function (attack, from pairs or not) that gives a checkpoint with weights a little off
    the recogniser's."""
    about = {"size": "tiny", "start": described(stand_in), "teachers": [described(stand_in)]}
    networks: dict[str, Callable[[], nn.Module]] = {
        "student": partial(StudentNetwork, stand_in, 32, [32]),
        "parrot": partial(ParrotEmbedder, stand_in, 32),
    }

    def make(name: str, pairs: bool = False) -> Checkpoint:
        network = networks[name]()
        torch.manual_seed(0)
        for parameter in network.parameters():
            parameter.data += 0.03 * torch.randn_like(parameter)
        operators = {"kind": "pairs"} if pairs else {}
        card = Card(name, about, {}, operators, {}, {}, "none", 0)
        weights = network.state_dict() | ({GAIN: torch.ones(3, 48, 48)} if pairs else {})
        return write_checkpoint(tmp_path_factory.mktemp(name), weights, card)

    return make


def fitted(scene: Make, checkpoint: Checkpoint, **context: Any) -> tuple[Any, Any]:
    """A scene whose context holds a checkpoint, and its attack on it."""
    plain = scene(BLUR)
    changed = plain.context.replace(checkpoints={checkpoint.card.name: checkpoint}, **context)
    made = replace(plain, context=changed)
    return made, attack_class(checkpoint.card.name)().fit(made.reference, made.context)


@pytest.mark.parametrize("pairs", [False, True], ids=["operators", "pairs"])
@pytest.mark.parametrize("name", ["student", "parrot"])
def test_scores_do_not_depend_on_batches(name: str, pairs: bool, made: Make, scene: Make) -> None:
    built, attack = fitted(scene, made(name, pairs))
    output = attack.run(built.probes, built.context)
    assert output.scores.dtype == np.float32 and np.isfinite(output.scores).all()
    assert output.scores.shape == (len(built.probes), len(built.reference.people))
    assert output.network_evaluations == 2 * len(built.probes)
    parts = [attack.run(one, built.context).scores for one in built.probes.batches(3)]
    np.testing.assert_allclose(np.concatenate(parts), output.scores, atol=1e-5)
    if name == "student":
        assert output.embeddings.shape == (len(built.probes), 32)


def test_nothing_is_trained_in_the_run(
    made: Make, scene: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reid_audit.attacks.direct.student.distill", None)
    fitted(scene, made("student"))


@pytest.mark.parametrize("name", ["student", "parrot"])
def test_what_learnt_from_pairs_believes_nothing_about_the_operator(
    name: str, made: Make, scene: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Iterator[None]:
        raise AssertionError("the gallery was put through an operator that nobody knows")

    monkeypatch.setattr(Seer, "embed_anonymized", refuse)
    fitted(scene, made(name, True))
    with pytest.raises(AssertionError, match="nobody knows"):
        fitted(scene, made(name, False))


def test_the_recogniser_it_was_made_from_is_found_by_its_digest_alone(
    made: Make, scene: Make, stand_in: Recognizer, tmp_path: Path
) -> None:
    other = replace(stand_in, name="other", digest="5" * 64)
    here = {"recognizer": other, "trainable": other}
    with pytest.raises(NotApplicable, match="made from stand-in"):
        fitted(scene, made("parrot"), **here)
    fitted(scene, made("parrot"), **here, others=(other, stand_in))
    with pytest.raises(NotApplicable, match="taught by stand-in, not by other"):
        fitted(scene, made("student"), **here, others=(stand_in,))


def test_the_shipped_student_sees_more_than_the_recogniser_it_started_from(scene: Make) -> None:
    dlib = load_recognizer("dlib", "cpu")
    plain = scene("gaussian:sigma=8", recognizer=dlib)
    context = plain.context.replace(checkpoints={"student": find("student")})
    people = len(plain.reference.people)
    named = {}
    for name in ("naive", "student"):
        attack = attack_class(name)().fit(plain.reference, context)
        scores = scorer_scores(attack.run(plain.probes, context), plain, dlib)
        named[name] = float((scores.argmax(axis=1) == plain.mates()).mean())
    assert named["student"] >= max(named["naive"] + 0.1, 3 / people)


def scorer_scores(output: Any, made: Any, recognizer: Recognizer) -> np.ndarray:
    """An attack's own scores, or those of the pictures it restored."""
    if output.scores is not None:
        return np.asarray(output.scores)
    gallery = embed_clear(made.reference.faces, made.context)[list(made.reference.gallery)]
    who = made.reference.gallery_identities, made.reference.people
    pictures = output.restored if output.restored is not None else made.probes.pictures
    found = recognizer.embed(crop(list(pictures), made.probes.landmarks, recognizer.template))
    return found @ per_person(gallery, *who).T
