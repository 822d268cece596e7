"""Linkability of anonymised pictures to one another: what is compared, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit.attacks.interface import Context, Reference
from reid_audit.attacks.operators import parse
from reid_audit.attacks.recognition.interface import Recognizer
from reid_audit.attacks.scoring import Scorer
from reid_audit.attacks.vectors import centred
from reid_audit.audit.data import Item
from reid_audit.audit.evaluation.asked import asked
from reid_audit.audit.evaluation.estimates import Assessed, Settings
from reid_audit.audit.evaluation.linkability import clear_links, linked, shown, studied
from reid_audit.audit.probes.condition import Group
from reid_audit.audit.probes.faces import clear_faces, make_face
from reid_audit.audit.results.schema import (
    Anonymizer,
    AttackResult,
    Condition,
    Controls,
    Count,
    Data,
    Estimate,
    Linkability,
    ProbeCount,
    Results,
    Run,
    Verdict,
)
from reid_audit.audit.trials.perception import Perception
from reid_audit.audit.trials.units import Outcome, Setup

POINTS = np.array([[35, 42], [61, 42], [48, 56], [38, 68], [58, 68]], np.float32)
SETTINGS = Settings(alpha=0.05, seed=0, minimum_cell=3)
PEOPLE = 30


def make_setup(stand_in: Recognizer, folder: Path, pictures: int = 2) -> Setup:
    """A group of `PEOPLE` people's probes, without a pixel on disk."""
    faces = []
    for row in range(PEOPLE * pictures):
        item = Item(f"{row}", f"p{row // pictures:02}", "probe", folder / f"{row}.png")
        faces.append(make_face(item, f"{row:064}", POINTS, (96, 96), "manifest"))
    count = len(faces)
    group = Group(
        *("c1", "blur", parse("gaussian:sigma=2"), Anonymizer(family="gaussian")),
        *(tuple(faces), (None,) * count, ((0, 0, 96, 96),) * count, True),
    )
    gallery = clear_faces(faces[:2])
    d = stand_in.dimension
    return Setup(
        group=group,
        reference=Reference(gallery, (0, 1), ()),
        context=Context(group.forward, stand_in, None),
        scorer=Scorer.of(stand_in, np.ones((2, d), np.float32), ["p00", "p01"]),
        identities=group.identities,
        original_embeddings=np.zeros((count, d), np.float32),
        known=np.zeros(count, bool),
        batch_size=128,
        perception=Perception(None, None, "cpu"),
        studied=studied(group, group.identities),
    )


def seen(face: float, context: float, people: int = PEOPLE, seed: int = 0) -> Outcome:
    """Embeddings in which people differ by so much in the face and in what surrounds it."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), 2)
    common = 5 * rng.normal(size=24)
    around = common + context * rng.normal(size=(people, 24))[who] + rng.normal(size=(len(who), 24))
    whole = around + face * rng.normal(size=(people, 24))[who]
    solid = np.broadcast_to(common, (len(who), 24))
    kinds = {"attack": whole, "context-only": around, "solid-fill": solid}
    return Outcome(name="wiener", status="ok", seen={k: np.float32(v) for k, v in kinds.items()})


def assessed() -> Assessed:
    return Assessed(AttackResult(name="wiener"), None, np.zeros(0), np.zeros(0))


@pytest.fixture
def setup(stand_in: Recognizer, tmp_path: Path) -> Setup:
    return make_setup(stand_in, tmp_path)


def measured(outcome: Outcome, setup: Setup) -> Linkability:
    link = linked(outcome, setup, assessed(), {}, SETTINGS)
    assert link is not None
    return link


def test_faces_that_tell_people_apart_are_linked_beyond_their_surroundings(setup: Setup) -> None:
    link = measured(seen(2.0, 0.0), setup)
    assert link.people == PEOPLE and link.pictures == 2 * PEOPLE
    assert link.metrics["auroc"].value > 0.9 and link.metrics["rank_1"].value > 0.7
    assert link.context_only["auroc"].value == pytest.approx(0.5, abs=0.15)
    assert shown([link], 0.05) == [link] and link.excess.low > 0
    assert link.shuffled["rank_1"].value == pytest.approx(1 / 59)


def test_one_colour_is_at_chance_whatever_the_attack(setup: Setup) -> None:
    filled = measured(seen(2.0, 2.0), setup).filled
    assert filled["auroc"].value == filled["eer"].value == 0.5
    assert filled["d_sys"].value == 0.0
    assert filled["rank_1"].value == pytest.approx(1 / 59)


def test_surroundings_that_give_people_away_are_told_as_such(setup: Setup) -> None:
    link = measured(seen(0.0, 2.0), setup)
    assert not shown([link], 0.05)
    assert link.p_value_context is not None and link.p_value_context < 0.05


def test_a_fill_narrower_than_the_face_is_no_linkage_by_face(setup: Setup) -> None:
    """The forehead that a filled box leaves clear tells people apart; painting the whole face over
    takes it away as well, painting the box over does not."""
    told = seen(2.0, 0.0)
    left = {**told.seen, "covered": told.seen["attack"]}
    link = measured(replace(told, seen=left), setup)
    assert link.excess.value == 0.0 and not shown([link], 0.05)
    assert link.context_only["auroc"].value == link.metrics["auroc"].value
    assert link.p_value_context is not None and link.p_value_context < 0.05


def test_what_all_faces_share_counts_for_nothing() -> None:
    """Two groups about a common part a hundred times as large are told apart as if without it."""
    rng = np.random.default_rng(0)
    groups = np.repeat([[1.0], [-1.0]], 5, axis=0) * rng.normal(size=8)
    directions = centred(100 * rng.normal(size=8) + groups)
    cosines = directions @ directions.T
    assert cosines[:5, :5].min() > 0.9 and cosines[:5, 5:].max() < -0.9
    assert not centred(np.ones((4, 8))).any()


def test_an_attack_that_only_looks_up_is_named_with_its_reason(setup: Setup) -> None:
    link = measured(Outcome(name="degraded-gallery", status="ok"), setup)
    assert link.status == "skipped" and "embedding" in (link.reason or "")
    failed = measured(Outcome(name="student", status="failed", reason="broke"), setup)
    assert failed.status == "failed" and failed.reason == "broke"


def test_nobody_with_two_pictures_is_no_question(stand_in: Recognizer, tmp_path: Path) -> None:
    alone = make_setup(stand_in, tmp_path, pictures=1)
    outcome = seen(1.0, 0.0, people=PEOPLE // 2)
    assert linked(outcome, alone, assessed(), {}, SETTINGS) is None
    assert clear_links(alone, SETTINGS) == {}


def test_unnamed_faces_are_not_studied_and_many_people_are_thinned_whole(setup: Setup) -> None:
    names = [None, *setup.identities[1:]]
    assert 0 not in studied(setup.group, names) and 1 in studied(setup.group, names)
    face = setup.group.faces[0]
    many = [
        replace(face, item=replace(face.item, path=Path(f"{n}.png"), identity=f"p{n // 2:04}"))
        for n in range(2000)
    ]
    crowd = replace(setup.group, faces=tuple(many))
    rows = studied(crowd, crowd.identities)
    assert len(rows) == 600 and all(row + 1 in rows for row in rows if row % 2 == 0)


def findings_on(link: Linkability, ceiling: float = 1.0):
    verdict = Verdict(outcome="INCONCLUSIVE", threshold=0.05)
    condition = Condition(
        id="c1",
        title="blur",
        anonymizer=Anonymizer(family="gaussian"),
        probes=ProbeCount(),
        controls={link.recognizer: Controls(clear_ceiling=Estimate(value=ceiling))},
        verdict=verdict,
    )
    results = Results(
        verdict=verdict,
        data=Data(gallery=Count(), probes=ProbeCount(), background=Count()),
        anonymizer=condition.anonymizer,
        controls=Controls(),
        attacks=[],
        findings=[],
        linkability=[link],
        conditions=[condition],
        run=Run(version="1"),
    )
    return list(asked(results, 0.8))


@pytest.mark.parametrize(
    ("face", "context", "ceiling", "status", "severity", "said"),
    [
        (2.0, 0.0, 1.0, "warn", "high", "by face"),
        (0.0, 2.0, 1.0, "warn", "medium", "around the face"),
        (0.0, 0.0, 1.0, "pass", "info", "No tested attack"),
        (0.0, 0.0, 0.3, "manual", "low", "not settled"),
    ],
)
def test_findings_say_what_links_the_pictures(
    setup: Setup,
    face: float,
    context: float,
    ceiling: float,
    status: str,
    severity: str,
    said: str,
) -> None:
    (finding,) = findings_on(measured(seen(face, context, seed=3), setup), ceiling)
    assert finding.id == "linkage.among.c1"
    assert (finding.status, finding.severity) == (status, severity)
    assert said in finding.title and f"{PEOPLE} people with several" in finding.evidence
