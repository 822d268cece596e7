"""Recognisers made into networks to train: they start as they were, and learn what they are for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reid_audit.attacks.networks.distillation import SCALE, SHIFT, TURN
from reid_audit.attacks.networks.pack import Pack
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.training.loop import Settings, Trained, train
from reid_audit.attacks.training.noise import Noise
from reid_audit.attacks.training.observe import Observed, OperatorRange
from reid_audit.attacks.training.parrot import ParrotObjective
from reid_audit.attacks.training.source import Paired, Source, Synthetic
from reid_audit.attacks.training.student import StudentObjective
from reid_audit.attacks.training.trunk import Stem, Trunk, WideTrunk, random_moves
from reid_audit.metrics.errors import InputError

Fit = Callable[..., Trained]
CPU = torch.device("cpu")
BLUR = OperatorRange(sigma=(0.08, 0.12))
SIZE = 32


@pytest.fixture(scope="module")
def other(stand_in: Recognizer) -> Recognizer:
    """A second recogniser, of another dimension and frozen."""
    assert stand_in.build is not None
    network = stand_in.build()
    return replace(
        stand_in,
        name="other",
        digest="1" * 64,
        dimension=5,
        forward=lambda pictures: network(pictures)[:, :5],
        build=None,
    )


def seen(source: Source, rows: np.ndarray) -> tuple[torch.Tensor, Observed]:
    return source.batch(rows, Noise.of(0, [int(row) for row in rows]), False)


def test_a_wide_trunk_starts_as_the_recogniser_and_can_leave_it(
    pack: Pack, stand_in: Recognizer
) -> None:
    _, observed = seen(Synthetic(pack, BLUR, CPU), pack.training[:5])
    plain, wide = Trunk(stand_in, SIZE).eval(), WideTrunk(stand_in, SIZE).eval()
    found = wide(observed)
    torch.testing.assert_close(found, plain(observed.restored))
    assert found.shape == (5, stand_in.dimension)
    found[:, 0].sum().backward()
    (stem,) = (module for module in wide.modules() if isinstance(module, Stem))
    for part in (stem.beside.weight, stem.film[-1].weight):
        assert part.grad is not None and part.grad.any()
    with torch.no_grad():
        stem.film[-1].bias.normal_(std=0.3)
        stem.film[-1].weight.normal_(std=0.3)
    stronger = replace(observed, log_sigma=observed.log_sigma + 0.5)
    assert not torch.allclose(wide(stronger), wide(observed))


def test_moved_crops_show_what_a_moved_template_would_cut(pack: Pack, stand_in: Recognizer) -> None:
    clear, _ = seen(Synthetic(pack, BLUR, CPU), pack.training[:1])
    trunk, noise = Trunk(stand_in, SIZE), Noise.of(0, range(400))
    moves = random_moves(noise)
    turns = torch.atan2(moves[:, 1, 0], moves[:, 0, 0])
    assert turns.std().item() == pytest.approx(np.radians(TURN), rel=0.15)
    assert moves.det().log().div(2).std().item() == pytest.approx(SCALE, rel=0.15)
    assert moves[:, :2, 2].std().item() == pytest.approx(2 * SHIFT, rel=0.15)
    aside = torch.eye(3)[None]
    aside[0, 0, 2] = 4 / trunk.side  # two of the crop's pixels to the right, of -1 to 1
    moved, still = trunk.prepared(clear, aside), trunk.prepared(clear)
    torch.testing.assert_close(moved[..., :-2], still[..., 2:], atol=1e-4, rtol=0)


def test_a_trained_student_comes_nearer_to_its_teachers_than_it_started(
    fit: Fit, pack: Pack, stand_in: Recognizer, other: Recognizer, tmp_path: Path
) -> None:
    """To the second one, that is: to an untrained network all faces are alike, and its own
    embedding of a restored face is .998 of the clear one's."""
    objective = StudentObjective("tiny", stand_in, other)
    clear, observed = seen(Synthetic(pack, BLUR, CPU), pack.development)

    def cosine() -> float:
        with torch.no_grad():
            answer = objective.network.eval()(observed)[:, 32:]
        return float((answer * objective.teachers[1](clear)).sum(dim=1).mean())

    before = cosine()
    made = fit(tmp_path, objective, steps=60, batch=8, ema=0.9, rate=1e-3, validate_every=60)
    assert cosine() > max(before, 0) + 0.1
    assert made.losses[-10:].mean() < made.losses[:10].mean()
    assert {"cosine start", "cosine student"} <= set(made.checkpoint.card.metrics)
    assert [t["dimension"] for t in made.checkpoint.card.config["teachers"]] == [32, 5]
    assert not any("teacher" in name for name in made.checkpoint.weights)


def test_a_student_answers_each_teacher_and_is_told_from_other_people_only(
    pack: Pack, stand_in: Recognizer, other: Recognizer
) -> None:
    objective = StudentObjective("tiny", stand_in, other)
    clear, observed = seen(Synthetic(pack, BLUR, CPU), pack.training[:4])
    parts = objective.network(observed).split([32, 5], dim=1)
    for part in parts:
        torch.testing.assert_close(part.norm(dim=1), torch.ones(4))
    alone = replace(observed, people=torch.zeros(4, dtype=torch.int64))
    strangers = replace(observed, people=torch.arange(4))
    kept, contrasted = (
        objective.loss(clear, case, Noise.of(0, range(4))) for case in (alone, strangers)
    )
    assert kept["distance"] == contrasted["distance"] and kept["loss"] < contrasted["loss"]
    with pytest.raises(InputError, match="frozen"):
        StudentObjective("tiny", other)


def test_teachers_that_know_their_mean_face_tell_people_apart_about_it(
    pack: Pack, stand_in: Recognizer
) -> None:
    clear, _ = seen(Synthetic(pack, BLUR, CPU), pack.training[:8])
    plain, centred = (StudentObjective("tiny", stand_in, pack=given) for given in (None, pack))
    truth = centred.teachers[0].centred(centred.teachers[0](clear))
    torch.testing.assert_close(truth.norm(dim=1), torch.ones(8))
    origin = plain.teachers[0].centred(plain.teachers[0](clear))
    torch.testing.assert_close(origin, plain.teachers[0](clear))
    off_diagonal = ~torch.eye(8, dtype=torch.bool)
    # About the origin an untrained network's faces are all alike; about their mean they are not.
    assert (truth @ truth.T)[off_diagonal].mean() < (origin @ origin.T)[off_diagonal].mean() - 0.3


def test_a_parrot_starts_where_people_are_and_its_head_is_dropped(
    fit: Fit, pack: Pack, stand_in: Recognizer, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--recognizer"):
        ParrotObjective("tiny", None, pack)
    objective = ParrotObjective("tiny", stand_in, pack)
    head = objective.network.head  # type: ignore[union-attr]
    assert head.shape == (pack.trained_people, stand_in.dimension)
    clear, observed = seen(Synthetic(pack, BLUR, CPU), pack.training[:16])
    assert observed.people is not None and int(observed.people.max()) < pack.trained_people
    with torch.no_grad():
        own = objective.network.eval()(clear).argmax(dim=1)
    assert (own == observed.people).float().mean() > 0.5
    made = fit(tmp_path, objective, steps=4)
    assert {name.partition(".")[0] for name in made.checkpoint.weights} == {"centre", "trunk"}
    assert made.checkpoint.card.parameters == sum(p.numel() for p in objective.kept.parameters())
    again = ParrotObjective("tiny", stand_in, pack).kept
    made.checkpoint.fill(again)
    torch.testing.assert_close(again(observed), objective.kept.eval()(observed))


def test_a_trained_parrot_tells_people_apart_better_than_its_start(
    fit: Fit, pack: Pack, stand_in: Recognizer, tmp_path: Path
) -> None:
    """In the closed world: pictures of the same people that it was not trained on."""
    by_person = pack.labels.argsort(kind="stable").reshape(-1, 4)
    learnt, unseen = np.sort(by_person[:, :2].ravel()), np.sort(by_person[:, 2:].ravel())
    few = replace(
        pack, faces=pack.faces[learnt], identities=tuple(pack.identities[row] for row in learnt)
    )
    objective = ParrotObjective("tiny", stand_in, few)
    clear, observed = seen(Synthetic(pack, BLUR, CPU), unseen)
    rows = torch.from_numpy(np.isin(pack.labels[unseen], range(few.trained_people)))
    picked = Observed(*(value[rows] for value in vars(observed).values()))
    settings = {"steps": 150, "batch": 16, "ema": 0.9, "rate": 1e-3, "save_every": 150}
    train(objective, few, Settings(**settings, device="cpu", warmup=10, operators=BLUR), tmp_path)
    with torch.no_grad():
        found = objective.judge(clear[rows], picked)
    assert found["auroc parrot"] > found["auroc start"] + 0.02


def test_pairs_teach_a_parrot_clear_faces_too_and_leave_their_restoration_behind(
    fit: Fit, pack: Pack, stand_in: Recognizer, tmp_path: Path
) -> None:
    boxed = replace(pack, anonymized=np.ascontiguousarray(pack.faces[:, ::-1]))
    objective = ParrotObjective("tiny", stand_in, boxed)
    source = Paired(boxed, CPU)
    clear, observed = seen(source, boxed.training[:4])
    noise = Noise.of(0, range(4))
    both = objective.loss(clear, observed, noise)["loss"]
    objective.clear_as_well = False
    assert not torch.equal(both, objective.loss(clear, observed, noise)["loss"])
    made = train(objective, boxed, Settings(steps=2, batch=4, device="cpu"), tmp_path)
    assert made.checkpoint.from_pairs and made.checkpoint.gain is not None
    torch.testing.assert_close(made.checkpoint.gain, source.linear.gain)
